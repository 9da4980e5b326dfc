"""Model files of lava-dl's NetX (`.net`): written, and read back into networks in Loihi's terms."""

from targets.loihi.netx.read import read_net
from targets.loihi.netx.schema import Arguments
from targets.loihi.netx.write import write_net

__all__ = ["Arguments", "read_net", "write_net"]
