"""The NEON kernels under a CPU emulator: cross-compiled, and compared with plain loops and portable C."""

import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER, CPU_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
KERNELS = Path(__file__).parents[3] / "nmdeploy" / "emulator" / "kernels"
HARNESS = Path(__file__).parent / "harness" / "vectors.c"


@pytest.mark.slow
@pytest.mark.parametrize("optimization", ["-O0", "-O3"])
def test_neon_kernels_equal_portable_c_on_random_numbers(optimization, tmp_path):
    missing = [tool for tool in (COMPILER, CPU_EMULATOR) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} on the path")
    program = tmp_path / "vectors"
    flags = ["-static", "-std=c11", "-Wall", "-Wextra", "-Werror", optimization]
    macros = [f"-I{KERNELS}", '-DKERNELS="neon.c"']
    subprocess.run([COMPILER, *flags, *macros, HARNESS, KERNELS / "portable.c", "-o", program], check=True)
    done = subprocess.run([CPU_EMULATOR, program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("all equal\n", 0)
