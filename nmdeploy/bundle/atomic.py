"""Writing a file so that there is always either the old one or the new one, never a half."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from nmdeploy.errors import BundleError


def write_replacing(path: Path, content: bytes) -> None:
    """Put `content` at `path`, all or nothing.

    It is written to a temporary name in the same folder, brought to the disk, closed
    (Windows renames no open file) and renamed. Whatever goes wrong, an interrupt
    included, an older file at `path` stays as it was and no temporary is left.
    A symbolic link is kept and its target replaced.

    Raises:
        BundleError: when the file system refuses.
    """
    final = Path(os.path.realpath(path))
    temporary = final.parent / f".nmdeploy-{secrets.token_hex(6)}.part"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)
    except OSError as error:
        raise BundleError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


def _sync_folder(folder: Path) -> None:
    """Bring the rename itself to the disk, where folders can be opened (not on Windows)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_files(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write files, by path in `folder`, which is made where it does not exist.

    Raises:
        BundleError: when the file system refuses.
    """
    paths = []
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(f"the folder cannot be made ({error.strerror})", where=str(path.parent)) from error
        write_replacing(path, content)
        paths.append(path)
    return paths
