"""Instruments of a few lines behind a port that takes no time, and what all drivers are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drivers.base import ControllerBase
from drivers.channel import Channel
from drivers.ports.scripted import ScriptedPort

__all__ = ["ScriptedInstrument", "assert_described", "behind", "values_of"]

QUICK = {"timeout_s": 0.1, "retry_first_s": 0.05, "retry_longest_s": 0.1}

Driver = TypeVar("Driver", bound=ControllerBase)


class ScriptedInstrument(ScriptedPort):
    """Answers each message with what ``reply_to`` gives; ``None`` is silence.

    ``mangle`` is what happens to a reply, its end included, on its way.
    """

    message_end = b"\n"

    def __init__(self) -> None:
        super().__init__()
        self.end = b"\n"
        self.mangle: Callable[[str, bytes], bytes] = lambda _message, reply: reply

    @property
    def asked(self) -> list[str]:
        return [message.removesuffix(self.message_end).decode() for message in self.written]

    def write(self, data: bytes, deadline: float) -> None:
        with self._arrived:
            self._check()
            self.written.append(data)
            assert data.endswith(self.message_end)
            message = data.removesuffix(self.message_end).decode()
            reply = self.reply_to(message)
            if reply is not None:
                self._input += self.mangle(message, reply.encode("latin-1") + self.end)
            self._arrived.notify_all()

    def reply_to(self, message: str) -> str | None:
        """What the instrument answers."""
        raise NotImplementedError


def behind(port: ScriptedPort, driver: type[Driver], name: str, **settings: Any) -> Driver:
    """A driver of that type on *port*, quick to give up and quick to try again."""
    made = driver("tcp://127.0.0.1:1", name=name, **{**QUICK, **settings})
    made._line._port = port
    return made


def values_of(driver: ControllerBase, *paths: str) -> dict[str, Any]:
    """Read the channels at *paths* with the exchanges that *driver* plans for them."""
    planned = driver.plan_reads([driver.channel(path) for path in paths])
    return {
        channel.path: value
        for one in planned
        for channel, value in zip(one.channels, one.read(), strict=True)
    }


def assert_described(channels: Iterable[Channel]) -> None:
    """All *channels* have a path of their own, can be read, and say what that costs."""
    found = list(channels)
    assert len({channel.path for channel in found}) == len(found)
    for channel in found:
        assert channel.item["description"]
        assert channel.sent_bytes
        assert channel.received_bytes
        assert channel.read is not None
