"""Where one reply ends and the next begins: bytes in, replies out, no I/O.

- ``terminator``: replies that end with fixed bytes, such as CR LF.
"""

from drivers.framing.terminator import TerminatedReplies

__all__ = ["TerminatedReplies"]
