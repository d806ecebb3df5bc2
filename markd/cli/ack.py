"""``mark ack``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mktl.errors import BadValue

from ._daemons import Part, tell_each
from ._json import json_line
from ._outcome import one_line
from .alarms import local_time, means, rows_of

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Acknowledge alarms: those that are there now, and no others."""
    tell_each(
        arguments, outcome, _acknowledge, lambda _: BadValue("there is no alarm to acknowledge")
    )


def _acknowledge(part: Part, arguments: Arguments) -> bool:
    waiting: dict[str, dict[str, Any]] = {
        row["key"]: row
        for row in rows_of(part, arguments)
        if row.get("acknowledged") is False and means(part, row["key"])
    }
    if not waiting:
        return False
    value: dict[str, Any] = {"key": sorted(waiting)}
    if arguments.why:
        value["why"] = arguments.why
    part.store[part.own_key("ack")].set(value, timeout=arguments.timeout_s)
    for key, row in waiting.items():
        full_key = f"{part.store.name}.{key}"
        if arguments.json:
            print(json_line({**row, "key": full_key, "daemon": part.block.name}))
            continue
        since = local_time(row.get("since"))
        severity = str(row.get("severity")).lower()
        line = f"Acknowledged {full_key}: {severity} since {since}: {row.get('reason')}"
        print(one_line(line), flush=True)
    return True
