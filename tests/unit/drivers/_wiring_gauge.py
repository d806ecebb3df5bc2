"""A small driver that takes a protocol as data, for what is not the business of any real one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from drivers.base import BadItem
from drivers.channel import BlockRead, Channel, single_read
from drivers.controller import Controller
from drivers.ports import PortDefaults
from drivers.settings import LineSettings
from mktl.errors import ConfigurationError

__all__ = ["Gauge"]


class Gauge(Controller):
    """Asks what an item's ``ask`` says; ``ALL`` asks for several at once."""

    driver_name = "gauge"
    port_defaults = PortDefaults(tcp_port=4001)
    line_defaults = LineSettings(timeout_s=5)
    driver_settings = ("flavour", "identify")
    item_keys = ("ask", "tell", "heard", "scale")

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        if settings.pop("flavour", "sweet") not in ("sweet", "sour"):
            raise ConfigurationError("flavour: must be sweet or sour")
        identify = settings.pop("identify", {})
        if "reply" in identify and not isinstance(identify["reply"], str):
            raise ConfigurationError("identify.reply: must be a text")
        return super().line_settings(settings)

    def channel_for(self, key: str, table: Mapping[str, Any]) -> Channel:
        if not {"ask", "tell", "heard"} & table.keys():
            raise BadItem("ask", "is missing")
        scale = table.get("scale", {})
        if not isinstance(scale.get("by", 1), int):
            raise BadItem("scale.by", "must be a whole number")
        for name in ("ask", "tell"):
            if not isinstance(table.get(name, ""), str):
                raise BadItem(name, "must be a text")
        item = {k: v for k, v in table.items() if k not in self.item_keys}
        return Channel(
            key,
            {"type": "numeric", **item},
            read=partial(self._read, table["ask"]) if "ask" in table else None,
            write=partial(self._write, table["tell"]) if "tell" in table else None,
            listen=partial(self._listen, table["heard"]) if "heard" in table else None,
            sent_bytes=len(table.get("ask", "")) + 2,
            received_bytes=8,
        )

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        asked = {channel.path: channel for channel in channels}
        if len(asked) < 2:
            return [single_read(channel) for channel in channels]
        return [BlockRead(tuple(channels), partial(self._read_all, tuple(asked)), "ALL", 5)]

    def _read_all(self, paths: tuple[str, ...]) -> list[Any]:
        said = dict(pair.split("=") for pair in self.ask("ALL").split(","))
        return [float(said[path]) for path in paths]

    def _read(self, ask: str) -> float:
        return float(self.ask(ask))

    def _write(self, tell: str, value: float) -> None:
        self.tell(f"{tell} {value}")

    def _listen(self, said: str, callback: Callable[[Any], None]) -> None:
        self._listeners = {**getattr(self, "_listeners", {}), said: callback}

    def heard(self, line: str) -> None:
        said, _, value = line.partition(" ")
        if said in self._listeners:
            self._listeners[said](float(value))


class Chatter(Gauge):
    """One that speaks unasked as well."""

    driver_name = "chatter"
    line_defaults = replace(Gauge.line_defaults, unsolicited=(re.compile("!.*"),))
