"""Energy and time of an inference on Loihi: events counted in a run, times published coefficients.

`wiring` says what a spike reaches, `activity` and `tally` what happened, `traffic` and
`mesh` which way spikes went, `timing` how long the slowest cores took, `coefficients`
what each event takes; `model` puts them together, `assumptions` says what is left open.
"""

from targets.loihi.cost.model import cost

__all__ = ["cost"]
