"""Design rules over a lowered network, each a small function with a code.

sinabs 3.1.3 looks at memories alone, and leaves the rest to samna's own validation, which
nobody can run without samna. Everything the chip's documentation limits is checked here:
`structure` what a core can compute, `values` what its registers hold, `room` what fits.
`envelope` warns where a network leaves the range in which the chip's published behaviour is
complete.
"""

from nmdeploy.target import Rule
from targets.dynapcnn.rules import envelope, room, structure, values

RULES: tuple[Rule, ...] = (*structure.RULES, *values.RULES, *room.RULES, *envelope.RULES)
"""All design rules, in the order in which they are told."""

__all__ = ["RULES"]
