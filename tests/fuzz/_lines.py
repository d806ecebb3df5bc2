"""What finds messages in a stream of bytes: at the end of a driver, and at that of a twin."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from drivers.framing import TerminatedReplies
from drivers.framing.base import Framing, SaidAbsent
from drivers.framing.davis import NAKS, DavisReplies
from drivers.framing.enclosed import EnclosedReplies
from drivers.framing.modbus import MbapFraming, RtuFraming, mbap_frame, rtu_frame
from drivers.framing.telegrams import Telegram, TelegramReplies
from drivers.framing.vaisala import WxtReplies
from drivers.framing.vaisala import message as wxt_message
from drivers.framing.zaber import ZaberReplies
from drivers.framing.zaber import message as zaber_message
from mktl.errors import ProtocolMismatch

from ._wire import check_told

__all__ = ["FRAMINGS", "cut", "framing"]


@dataclass(frozen=True)
class Framed:
    """A framing, and what may have been asked before bytes come."""

    make: Callable[[], Framing]
    asked: tuple[bytes, ...]
    most: int
    """Bytes that it may keep when no reply is complete."""
    ends: Callable[[bytes], bool] = lambda _reply: False
    """Whether nothing is due any more after that reply."""


PDUS = (b"\x03\x00\x00\x00\x02", b"\x06\x00\x01\x00\x02", b"\x10\x00\x01\x00\x01\x02\x00\x05")

FRAMINGS = {
    "terminated": Framed(lambda: TerminatedReplies(b"\r\n", limit=64, alone=(b"\x06",)),
                         (b"A?\r\n",), 64 + 1),
    "enclosed": Framed(lambda: EnclosedReplies(limit=64), (b"?A\n",), 64 + 1),
    "davis": Framed(DavisReplies, (b"VER\n", b"TEST\n", b"GETTIME\n", b"EEBRD 0B 06\n", b"WRD\x12"),
                    4096, ends=lambda _reply: True),
    "davis-packets": Framed(DavisReplies, (b"LOOP 200\n",), 99 + 3,
                            ends=lambda reply: reply in NAKS),
    "mbap": Framed(MbapFraming, tuple(mbap_frame(7, 1, pdu) for pdu in PDUS), 260),
    "rtu": Framed(RtuFraming, tuple(rtu_frame(1, pdu) for pdu in (*PDUS, b"\x43\x01")), 260),
    "telegrams": Framed(TelegramReplies,
                        (Telegram(1, 349).line, Telegram(122, 740, "100023", False).line), 500),
    "wxt": Framed(WxtReplies,
                  (wxt_message("0R1"), wxt_message("0R1", checked=True), b"?\r\n"), 513),
    "zaber": Framed(ZaberReplies, (zaber_message(1, 0, 5, "get pos"),), 1025),
}  # fmt: skip


def cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield *data* in pieces, as a line may bring it."""
    at = 0
    while at < len(data):
        length = chance.choice((1, 1, 2, 3, 7, 20, 120))
        yield data[at : at + length]
        at += length


def framing(name: str, data: bytes) -> None:
    """Find the same replies however the bytes are cut, keep few of them, and raise nothing else.

    Of an input the first byte says what was asked, the second how it is cut.
    """
    framed = FRAMINGS[name]
    asked = framed.asked[data[0] % len(framed.asked)] if data else framed.asked[0]
    stream = data[2:]
    chance = random.Random(data[1] if len(data) > 1 else 0)
    whole = replies(framed, asked, [stream])
    # By single bytes, too: that is the slowest line.
    for pieces in (list(cut(stream, chance)), [bytes((byte,)) for byte in stream]):
        found = replies(framed, asked, pieces)
        # Where one of them met nonsense, how much of it has come decides when that is seen.
        both = min(len(whole.found), len(found.found))
        assert whole.found[:both] == found.found[:both], (whole.found, found.found)
        if not (whole.broken or found.broken):
            assert whole.found == found.found
            assert whole.rest == found.rest


@dataclass
class Found:
    """What a framing has found in a stream."""

    found: list[bytes]
    broken: bool = False
    rest: bytes = b""


def replies(framed: Framed, asked: bytes, pieces: list[bytes]) -> Found:
    """Feed *pieces*, and return what comes out up to the first nonsense."""
    made = framed.make()
    made.sent(asked)
    found = Found([])
    for piece in pieces:
        try:
            made.feed(piece)
            while (reply := made.next_reply()) is not None:
                found.found.append(reply)
                if framed.ends(reply):
                    return found
        except (ProtocolMismatch, SaidAbsent) as error:
            check_told(error)
            found.broken = True
            assert len(made.clear()) <= framed.most + len(piece)
            assert made.pending == b""
            return found
        assert len(made.pending) <= framed.most + len(piece), f"{len(made.pending)} are kept"
    found.rest = made.pending
    return found


def twin(make: Callable[[], Any], most: int, silent: bool, data: bytes) -> None:
    """Find the same messages of a host however the bytes are cut, and keep few of them.

    *silent*: after nonsense, what is a message depends on the silences between the bytes.
    """
    pieces = list(cut(data[1:], random.Random(data[0] if data else 0)))
    found = []
    for chunks in ([data[1:]], pieces):
        framer = make()
        messages = []
        for chunk in chunks:
            messages += framer.feed(chunk)
            assert len(framer._pending) <= most
        found.append(messages)
    assert silent or found[0] == found[1]
