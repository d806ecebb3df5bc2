"""``mark history``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mktl import formats
from mktl.errors import MktlError
from mktl.history import History, read_history

from ._daemons import Part, find_parts
from ._json import json_line
from ._outcome import one_line, warn

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print what was set, by whom, and what became of it; the newest last."""
    since = None if arguments.since_s is None else time.time() - arguments.since_s
    for part in find_parts(arguments, outcome):
        subject = f"{part.store.name}.{part.pattern}"
        try:
            history = read_history(
                part.store,
                part.block.alias,
                None if part.pattern == "*" else part.pattern,
                since=since,
                last=arguments.last,
                timeout=arguments.timeout_s,
            )
        except MktlError as error:
            outcome.failed(subject, error)
            continue
        for record in history.records:
            _show(part, record, arguments)
        _tell_what_is_left_out(part, subject, history)


def _show(part: Part, record: dict[str, Any], arguments: Arguments) -> None:
    if arguments.json:
        print(json_line({"daemon": part.block.name, **record}))
        return
    stamp = _local(record.get("time"))
    if "lost" in record:
        line = f"{part.block.name}: {record['lost']} SETs are missing here: {record.get('why')}"
        print(one_line(f"{stamp} {line}"))
        return
    outcome = record.get("outcome")
    verdict = "" if outcome == "done" else f" {outcome}: {record.get('error', 'no reason')}"
    values = "(secret)" if record.get("secret") else _values(part, record, arguments)
    print(one_line(f"{stamp} {record.get('item')}: {values}{verdict} ({_who(record)})"))


def _values(part: Part, record: dict[str, Any], arguments: Arguments) -> str:
    new = _text(part, record, "new", arguments)
    return f"{_text(part, record, 'old', arguments)} => {new}" if "old" in record else f"=> {new}"


def _text(part: Part, record: dict[str, Any], name: str, arguments: Arguments) -> str:
    value = record.get(name)
    key = str(record.get("item")).partition(".")[2]
    known = isinstance(value, (bool, int, float, str)) and key in part.block.items
    if known and (arguments.formatted or not arguments.unformatted):
        try:
            return part.store[key].description.to_text(value)
        except MktlError:  # what was refused need not have a text
            return formats.json_text(value)
    return formats.json_text(value)


def _who(record: dict[str, Any]) -> str:
    if record.get("itself"):
        return "the daemon itself"
    user, host = record.get("user"), record.get("host")
    person = f"{user}@{host}" if user and host else user or host or "somebody unknown"
    key = f", key {record['key']}" if record.get("key") else ""
    address = f" at {record['address']}" if record.get("address") else ""
    return f"{person}{address}{key}"


def _tell_what_is_left_out(part: Part, subject: str, history: History) -> None:
    if history.more:
        warn(f"mark: there are more SETs of {subject} before these: --last N shows more")
    elif not history.records and history.oldest is None:
        warn(f"mark: {part.block.name} has no record of any SET")
    elif not history.records:
        back = _local(history.oldest)
        warn(f"mark: no SET of {subject} is recorded; what is kept goes back to {back}")


def _local(moment: object) -> str:
    try:
        seconds, milliseconds = divmod(round(1000 * float(moment)), 1000)  # type: ignore[arg-type]
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{milliseconds:03d}"
    except (TypeError, ValueError, OverflowError, OSError):  # a peer may send anything
        return "at an unknown time"
