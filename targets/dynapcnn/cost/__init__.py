"""Events, synaptic operations and the time they need, from a run; power as others measured it.

`arrivals` counts what reaches each core, `model` puts published figures to it, `assumptions`
says what is left open.
"""

from targets.dynapcnn.cost.model import cost

__all__ = ["cost"]
