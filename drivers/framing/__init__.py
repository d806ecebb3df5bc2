"""Where one reply ends and the next begins, and what is in it: no I/O.

- ``terminator``: replies that end with fixed bytes, such as CR LF.
- ``modbus``: frames of registers and bits.
- ``patterns``, ``templates``: replies of text with fields in them, and messages with values.
- ``checksum``: check sums at the end of lines of text.
- ``effort``: whether a regular expression may take for ever.
- ``enclosed``: replies of one line, or of several between two marks.
- ``zaber``: messages, replies and alerts with addresses, numbers and check sums.
"""

from drivers.framing.terminator import TerminatedReplies

__all__ = ["TerminatedReplies"]
