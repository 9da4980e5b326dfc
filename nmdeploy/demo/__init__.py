"""The demonstration: a small CNN trained, converted, mapped and emulated in under a minute."""

from nmdeploy.demo.run import run_demo, trained_digits

__all__ = ["run_demo", "trained_digits"]
