"""Every rule is on the page that users read."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FILES = ("rules.py", "lower.py", "kernel_layers.py", "check.py", "mapper/placing.py")


def test_the_page_names_every_code():
    page = (ROOT / "docs" / "spinnaker.md").read_text(encoding="utf-8")
    named = set(re.findall(r"SPI\d+", page))
    for first, last in re.findall(r"`(SPI\d+)` to `(SPI\d+)`", page):
        named |= {f"SPI{number:03}" for number in range(int(first[3:]), int(last[3:]) + 1)}
    sources = [(ROOT / "targets" / "spinnaker" / name).read_text(encoding="utf-8") for name in FILES]
    used = set(re.findall(r"SPI\d{3}", " ".join(sources)))
    assert len(used) > 30
    assert used - named == set()
