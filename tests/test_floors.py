"""The three floors: which package may import which, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "quantize": ("nmdeploy", "targets", "scipy", "h5py", "torch"),
    "nmdeploy": ("targets",),
    "targets": ("torch",),
}
HEAVY = ("torch", "onnx", "matplotlib", "sklearn", "lava", "scipy", "h5py", "click", "rich")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_climbs_a_floor(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            assert name.split(".")[0] not in FORBIDDEN[package], f"{path.relative_to(ROOT)} imports {name}"


def test_chips_do_not_import_each_other():
    for path in sorted((ROOT / "targets").glob("*/**/*.py")):
        family = path.relative_to(ROOT / "targets").parts[0]
        for name in imports(path):
            if name.startswith("targets."):
                assert name.split(".")[1] == family, f"{path.relative_to(ROOT)} imports {name}"


def test_importing_nmdeploy_brings_in_nothing_heavy():
    code = "import sys, nmdeploy; print(*[name for name in sys.modules if '.' not in name])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "nmdeploy" in loaded
    assert not set(HEAVY) & set(loaded)


def test_emulating_needs_no_torch():
    code = "import sys, nmdeploy; nmdeploy.load, nmdeploy.infer, nmdeploy.chip('loihi1'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "nmdeploy.inference" in loaded
    assert not {"torch", "sklearn", "matplotlib", "lava"} & set(loaded)
