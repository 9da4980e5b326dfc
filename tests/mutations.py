"""Break the arithmetic on purpose, one constant or comparison at a time; the tests must notice.

Run as a script; not collected by pytest. Every mutation is made in a copy of the
tree, and the tests named for it are run there. A mutation that no test notices, or
whose text is no longer in the source, makes the script exit with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("quantize", "nmdeploy", "targets", "tests", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@dataclass(frozen=True)
class Mutation:
    """Replace `before` by `after` once in `file`; `tests` must fail."""

    file: str
    before: str
    after: str
    tests: str


NEURONS = "tests/nmdeploy/neurons/test_ideal.py"
LOIHI = "tests/targets/loihi/test_neuron.py"
SPINNAKER = "tests/targets/spinnaker/test_neuron.py tests/targets/spinnaker/test_fixed_point.py"
RINGS = "tests/targets/spinnaker/test_ring_buffer.py"
EXPONENTIAL = "tests/targets/spinnaker/test_exponential.py"
LOCAL_ONLY = "tests/targets/spinnaker/test_local_only.py"
REFERENCE = "tests/nmdeploy/emulator/test_reference.py"
ENGINE = "tests/nmdeploy/emulator/test_engine.py"
FORMATS = "tests/quantize/test_formats.py"
ROUNDING = "tests/quantize/test_rounding.py"
EVENTS = "tests/nmdeploy/emulator/test_event_engine.py"
EVENT_REFERENCE = "tests/nmdeploy/emulator/test_event_reference.py tests/nmdeploy/emulator/test_event_order.py"
COMPILED = "tests/nmdeploy/emulator/test_compiled_engine.py tests/nmdeploy/emulator/test_dense_kernel.py"
CHUNKS = "tests/nmdeploy/emulator/test_chunks.py"
SCANS = "tests/nmdeploy/emulator/test_scans.py"
SIGNED = "tests/nmdeploy/emulator/test_signed.py"
SPINNAKER_SCAN = "tests/targets/spinnaker/test_scan.py"
MANTISSA = "tests/quantize/test_mantissa.py"
MAPS = "tests/nmdeploy/test_linear_maps.py tests/nmdeploy/test_synapses.py"

MUTATIONS = (
    Mutation("nmdeploy/neurons/ideal.py", "fired = v >= self.threshold", "fired = v > self.threshold", NEURONS),
    Mutation("nmdeploy/neurons/ideal.py", "else v > self.threshold", "else v >= self.threshold", NEURONS),
    Mutation(
        "nmdeploy/neurons/ideal.py",
        "(current + self.bias)\n        if self.refr",
        "current\n        if self.refr",
        NEURONS,
    ),
    Mutation("nmdeploy/neurons/ideal.py", "np.maximum(v, self.v_min)", "np.maximum(v, self.v_min + 1)", NEURONS),
    Mutation("nmdeploy/neurons/ideal.py", 'state["silent_steps"] - 1, 0', 'state["silent_steps"] - 2, 0', NEURONS),
    Mutation("nmdeploy/neurons/ideal.py", "v - fired * self.threshold", "v + fired * self.threshold", NEURONS),
    Mutation("nmdeploy/neurons/ideal.py", "np.where(fired, 0, v)", "np.where(fired, 1, v)", NEURONS),
    Mutation("targets/loihi/neuron.py", "v > np.left_shift", "v >= np.left_shift", LOIHI),
    Mutation("targets/loihi/neuron.py", "ALIGNMENT = 6", "ALIGNMENT = 7", LOIHI),
    Mutation("targets/loihi/neuron.py", "np.where(u > EDGE", "np.where(u >= EDGE", LOIHI),
    Mutation("targets/loihi/neuron.py", "-EDGE + 1, EDGE - 1", "-EDGE, EDGE - 1", LOIHI),
    Mutation("targets/loihi/neuron.py", "-EDGE + 1, EDGE - 1", "-EDGE + 1, EDGE", LOIHI),
    Mutation("targets/loihi/neuron.py", "np.abs(product) >> DECAY_BITS", "np.abs(product) >> (DECAY_BITS - 1)", LOIHI),
    Mutation(
        "nmdeploy/emulator/reference.py", "sums >> -projection.exponent", "sums >> (1 - projection.exponent)", REFERENCE
    ),
    Mutation("nmdeploy/emulator/reference.py", "step >= projection[0].delay", "step > projection[0].delay", REFERENCE),
    Mutation(
        "nmdeploy/emulator/engine.py",
        "self._reach - delay : self._reach - delay",
        "self._reach - delay - 1 : self._reach - delay - 1",
        ENGINE,
    ),
    Mutation(
        "quantize/formats.py", "return -(1 << (self.bits - 1)) if", "return 1 - (1 << (self.bits - 1)) if", FORMATS
    ),
    Mutation("quantize/formats.py", "(kept ^ sign) - sign", "(kept ^ sign) + sign", FORMATS),
    Mutation("quantize/rounding.py", "np.abs(real - whole) >= 0.5", "np.abs(real - whole) > 0.5", ROUNDING),
    Mutation("quantize/rounding.py", "floor & 1 == 1", "floor & 1 == 0", ROUNDING),
    Mutation("nmdeploy/linear_maps.py", "i * dilation[0], j * dilation[1]", "i, j", MAPS),
    Mutation("nmdeploy/synapses/convolution.py", "outputs * stride - before", "outputs * stride + before", MAPS),
    Mutation("nmdeploy/synapses/plain.py", "y // self.factor[0]", "y // self.factor[1]", MAPS),
    Mutation("targets/loihi/neuron.py", "v - fired * np.left_shift", "v + fired * np.left_shift", LOIHI),
    Mutation(
        "targets/spinnaker/fixed_point.py", "np.right_shift(product, FRACTION_BITS)", "product // (ONE + 1)", SPINNAKER
    ),
    Mutation(
        "targets/spinnaker/fixed_point.py",
        "np.sign(scaled) * np.sign(divisor) * quotient",
        "scaled // divisor",
        SPINNAKER,
    ),
    Mutation(
        "targets/spinnaker/neuron.py", "fired: NDArray[np.bool_] = v >= ", "fired: NDArray[np.bool_] = v > ", SPINNAKER
    ),
    Mutation("targets/spinnaker/neuron.py", "np.where(timer > 0,", "np.where(timer > 1,", SPINNAKER),
    Mutation(
        "targets/spinnaker/neuron.py", "np.maximum(wrap(v + arrived), self.v_reset)", "wrap(v + arrived)", SPINNAKER
    ),
    Mutation(
        "targets/spinnaker/neuron.py",
        "-(-divide(self.tau_refrac, self.time_step) >> FR",
        "(divide(self.tau_refrac, self.time_step) >> FR",
        SPINNAKER,
    ),
    Mutation("targets/spinnaker/neuron.py", "scale(inh, decays[1])", "scale(inh, decays[0])", SPINNAKER),
    Mutation(
        "targets/spinnaker/ring_buffer.py",
        "np.minimum(sums, RING.maximum)",
        "np.minimum(sums, RING.maximum + 1)",
        RINGS,
    ),
    Mutation("targets/spinnaker/exponential.py", "= 5_294,", "= 5_293,", EXPONENTIAL),
    Mutation("targets/spinnaker/local_only.py", "np.arange(-half, half + 1)", "np.arange(-half, half)", LOCAL_ONLY),
    Mutation(
        "targets/spinnaker/local_only.py", "return kernel_shape[1], kernel_shape[0]", "return kernel_shape", LOCAL_ONLY
    ),
    Mutation(
        "targets/spinnaker/local_only.py",
        "(x // pool[1]) * (pre_shape[0] // pool[0])",
        "(x // pool[1]) * pre_shape[0]",
        LOCAL_ONLY,
    ),
    Mutation("quantize/mantissa.py", "astype(np.int64) - self.mantissa_bits, 0", "astype(np.int64) - 1, 0", MANTISSA),
    Mutation("nmdeploy/emulator/kernels/scan_body.h", "u > above[at + i]", "u >= above[at + i]", COMPILED),
    Mutation("nmdeploy/emulator/kernels/scan_vectors.h", "v = smaller32", "v = larger32", COMPILED),
    Mutation("nmdeploy/emulator/kernels/apart_body.h", "(up - down)", "(up - inhibition[i])", SCANS),
    Mutation("nmdeploy/emulator/kernels/run_body.h", "map->inhibits ? stage->inhibition : ", "", SCANS),
    Mutation("nmdeploy/emulator/scans.py", "np.negative(scan.reset", "np.positive(scan.reset", SCANS),
    Mutation("nmdeploy/emulator/plan.py", "chain.weights - half", "half", SCANS),
    Mutation("nmdeploy/emulator/signed.py", "projection.exponent >= 0", "projection.exponent >= -9", SIGNED),
    Mutation("targets/spinnaker/neuron.py", "else RING.maximum", "else RING.maximum + 1", SPINNAKER_SCAN),
    Mutation("targets/spinnaker/neuron.py", "lowest - drive >= SMALLEST", "lowest >= SMALLEST", SPINNAKER_SCAN),
    Mutation("targets/spinnaker/neuron.py", "highest + drive <= LARGEST", "highest <= LARGEST", SPINNAKER_SCAN),
    Mutation("targets/spinnaker/neuron.py", "low=self.v_reset", "low=None", SPINNAKER_SCAN),
    Mutation("nmdeploy/emulator/kernels/sort_body.h", "] = place[1]", "] = map->row_places[1]", COMPILED),
    Mutation("nmdeploy/emulator/kernels/sort_body.h", "i = AT_ONCE; i < ones", "i = AT_ONCE; i < 6", COMPILED),
    Mutation("nmdeploy/emulator/kernels/sort_body.h", "+= place[1] >= 0", "+= 1", COMPILED),
    Mutation("nmdeploy/emulator/kernels/sort_body.h", "if (k < begin)", "if (0)", COMPILED),
    Mutation("nmdeploy/emulator/kernels/scatter_body.h", "first + y, x", "y, x", COMPILED),
    Mutation("nmdeploy/emulator/kernels/scan_vectors.h", "return none32(changed)", "return 1", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/scan_vectors.h", "or32(fired, either32(v, before))", "fired", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/scan_vectors.h", "if (!none16(any)) return 0;", "", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/dense_vectors.h", "room -= quads", "room -= 0 * quads", COMPILED),
    Mutation("nmdeploy/emulator/kernels/dense_vectors.h", "bits + i * stride, 0", "bits, 0", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/dense_vectors.h", ", image.out_channels = pitch", "", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/run_body.h", "&& !map->timed ", "", CHUNKS),
    Mutation("nmdeploy/emulator/kernels/run_body.h", "stage->maps > 1", "stage->maps > 99", COMPILED),
    Mutation("nmdeploy/emulator/kernels/run_body.h", "~(~sum >> -exponent)", "-(-sum >> -exponent)", COMPILED),
    Mutation("nmdeploy/emulator/kernels/events_take.h", "if (v[i] > above", "if (v[i] >= above", EVENTS),
    Mutation("nmdeploy/emulator/kernels/events_avx2.h", "p->least < 0 ? -1 : 0", "-1", EVENT_REFERENCE),
    Mutation("nmdeploy/emulator/kernels/events_body.h", ".cause < earliest", ".cause <= earliest", EVENTS),
    Mutation("nmdeploy/emulator/kernels/events_body.h", "if (p->ranks) put", "if (0) put", EVENTS),
    Mutation("nmdeploy/emulator/event_reference.py", "v >= self.threshold", "v > self.threshold", EVENT_REFERENCE),
    Mutation("nmdeploy/emulator/event_reference.py", "self.rule.clamps_events:", "True:", EVENT_REFERENCE),
    Mutation("nmdeploy/emulator/event_order.py", "-counts[which]", "counts[which]", EVENT_REFERENCE),
)


def build(tree: Path) -> None:
    """Compile the kernels in the tree."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"]
    subprocess.run(command, cwd=tree, capture_output=True, check=True)


def passes(tests: str, tree: Path) -> bool:
    """Whether test files, separated by blanks, pass in the tree."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1) and run.returncode > 0:  # below 0: broken code may crash
        raise SystemExit(f"{tests} did not run:\n{run.stdout}\n{run.stderr}")
    return run.returncode == 0


def noticed(mutation: Mutation, tree: Path) -> bool:
    """Whether the mutation's tests fail with it; the tree is left as it was."""
    path = tree / mutation.file
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(mutation.before, mutation.after, 1), encoding="utf-8")
    compiled = path.suffix in (".c", ".h")
    try:
        if compiled:
            build(tree)
        return not passes(mutation.tests, tree)
    finally:
        path.write_text(source, encoding="utf-8")
        if compiled:
            build(tree)


def _first_line(text: str) -> str:
    """The first line of a text in quotes, which may be empty."""
    return repr(text.partition("\n")[0])


def main() -> int:
    """Try every mutation; 0 when all are noticed by tests that pass without it."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        for tests in sorted({mutation.tests for mutation in MUTATIONS}):
            if not passes(tests, tree):
                raise SystemExit(f"{tests} fails before anything is broken")
        for mutation in MUTATIONS:
            title = f"{mutation.file}: {_first_line(mutation.before)} -> {_first_line(mutation.after)}"
            if mutation.before not in (tree / mutation.file).read_text(encoding="utf-8"):
                print(f"GONE    {title}")
                missed += 1
                continue
            found = noticed(mutation, tree)
            missed += not found
            print(f"{'noticed' if found else 'MISSED '} {title}", flush=True)
    print(f"{len(MUTATIONS) - missed} passed, {missed} failed")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
