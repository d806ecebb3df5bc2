"""All that can be fuzzed, by name.

A target is called with bytes, and raises only where something is wrong: an ``AssertionError`` for
a promise that is not kept, anything else for an error that nobody expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simulators._davis_framer import ConsoleFramer
from simulators._described_framer import TextFramer
from simulators._framers import AnyEndFramer
from simulators._modbus_frames import MbapFramer, RtuFramer
from simulators.device import LineFramer

from . import _files, _lines, _replies, _values, _wire
from ._seeds import SEEDS

__all__ = ["CORPUS", "LONGEST", "TARGETS", "Target"]

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 2048
"""Bytes of an input."""


@dataclass(frozen=True)
class Target:
    """Something that takes bytes."""

    name: str
    check: Callable[[bytes], None]

    @property
    def corpus(self) -> Path:
        """Where its inputs are kept."""
        return CORPUS / self.name

    def inputs(self) -> list[bytes]:
        """Return what is known to be worth trying: seeds, and what is kept."""
        kept = sorted(self.corpus.iterdir()) if self.corpus.is_dir() else []
        return [*SEEDS.get(self.name, ()), *(path.read_bytes() for path in kept)]


class _Ear:
    """A console that is awake, and waits for commands."""

    def hear(self) -> int:
        return 0

    def expected(self) -> int:
        return 0


_TWIN_FRAMERS: dict[str, tuple[Callable[[], object], int, bool]] = {
    "lines": (lambda: LineFramer(longest=40), 42, False),
    "any-end": (lambda: AnyEndFramer(longest=40), 41, False),
    "console": (lambda: ConsoleFramer(_Ear()), 82, False),
    "text": (lambda: TextFramer(b"\r\n", b"\x05"), 4096, False),
    "mbap": (MbapFramer, 600, True),
    "rtu": (RtuFramer, 600, True),
}


def _all() -> Iterable[Target]:
    for name, check in (
        ("request", _wire.request), ("response", _wire.response), ("broadcast", _wire.broadcast),
        ("block", _wire.block), ("datagram", _wire.datagram), ("name", _wire.target_name),
        ("address", _wire.address), ("value", _values.value), ("units", _values.unit_names),
        ("reply", _replies.reply), ("packet", _replies.packet), ("modbus", _replies.modbus),
        ("twin", _replies.twin), ("instrument-file", _files.instrument_file),
        ("pattern", _files.pattern), ("regex", _files.regex),
    ):  # fmt: skip
        yield Target(name, check)
    for name in _lines.FRAMINGS:
        yield Target(f"framing-{name}", partial(_lines.framing, name))
    for name, (make, most, silent) in _TWIN_FRAMERS.items():
        yield Target(f"twin-framer-{name}", partial(_lines.twin, make, most, silent))


TARGETS = {target.name: target for target in _all()}
