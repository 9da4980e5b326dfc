"""The compiled part of the build; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("nmdeploy/emulator/kernels")
FLAGS = ["/O2", "/std:c11"] if sys.platform == "win32" else ["-O3", "-g0", "-std=c11", "-Wall", "-Wextra"]

setup(
    ext_modules=[
        Extension(
            "nmdeploy.emulator._kernels",
            sources=sorted(path.as_posix() for path in KERNELS.glob("*.c")),
            depends=sorted(path.as_posix() for path in KERNELS.glob("*.h")),
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,  # without a compiler, nmdeploy runs on its numpy engine
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
