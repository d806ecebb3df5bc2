"""The command line, understood: options before, between and after what they apply to."""

from __future__ import annotations

import argparse
from typing import NoReturn

from ._outcome import UsageError

__all__ = ["VERBS", "Arguments", "parse"]

VERBS = {
    "get": "print values",
    "set": "set values, and wait until that is done",
    "watch": "print values, and each new one, until interrupted",
    "list": "list items, with type, and whether they can be read and written",
    "describe": "print descriptions as JSON",
    "discover": "find registries, and print the stores that they know",
    "lock": "let nobody else set items for a while",
    "unlock": "end a lock before its time",
    "history": "print what was set, by whom, and what became of it",
    "alarms": "print what is wrong with which items, worst first",
    "ack": "acknowledge alarms",
    "shelve": "disregard the limits of items for a while",
    "limits": "show what items are watched for, or change it",
    "keys": "make, allow, revoke and trust keys, for daemons that want them",
    "ports": "list the serial ports of this machine, and who has them open",
}

_ABOUT_DAEMONS = ("lock", "unlock", "history", "alarms", "ack", "shelve", "limits")
"""Verbs that ask the daemons of items about themselves."""

_OURS = {
    "refresh": ("--refresh", ("get",)),
    "count": ("--count", ("watch",)),
    "duration_s": ("--for", ("watch", "lock", "shelve")),
    "why": ("--why", ("lock", "ack", "shelve", "limits")),
    "end": ("--end", ("shelve",)),
    "reset": ("--reset", ("limits",)),
    "list_": ("--list", ("lock",)),
    "break_": ("--break", ("unlock",)),
    "since_s": ("--since", ("history",)),
    "last": ("--last", ("history",)),
    "role": ("--role", ("keys",)),
    "at": ("--at", ("get", "set", "watch", "list", "describe", *_ABOUT_DAEMONS)),
    "timeout_s": (
        "--timeout",
        ("get", "set", "watch", "list", "describe", "discover", *_ABOUT_DAEMONS),
    ),
}
"""Options that the reference command does not have, and the verbs that they mean something to.
Its own options are accepted with any verb, as it does."""


_ALONE = ("list", "discover", "alarms", "keys", "ports")
"""Verbs that mean everything there is where nothing is named."""


class Arguments(argparse.Namespace):
    """What was asked for."""

    verb: str
    requests: list[str]
    """Keys, assignments, stores, addresses or ports, as they were typed."""
    store: str | None
    serial: bool
    no_wait: bool
    formatted: bool
    unformatted: bool
    terse: bool
    timestamp: bool | None
    """Whether to print times; ``None`` if that was left to the verb."""
    units: str | None
    json: bool
    timeout_s: float | None
    at: str | None
    refresh: bool | None
    count: int | None
    duration_s: float | None
    why: str | None
    end: bool | None
    reset: bool | None
    list_: bool | None
    break_: bool | None
    since_s: float | None
    last: int | None
    role: str | None
    help: bool
    version: bool
    text: str | None = None
    """What to print, where nothing else is to be done."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (mark --help shows what there is)")


def parse(argv: list[str]) -> Arguments:
    """Understand *argv*.

    Raises:
        UsageError: it cannot be understood; the text suggests what may have been meant.
    """
    parser = _make_parser()
    found = Arguments()
    _, unknown = parser.parse_known_intermixed_args(argv, found)
    if unknown:
        raise UsageError(_unknown_option(unknown[0], parser))
    verb, *requests = found.requests or [""]
    found.verb, found.requests = verb, requests
    if verb == "help":
        found.verb, found.help = requests[0] if requests else "", True
    if found.version:
        found.text = _version()
    elif found.help or not found.verb:
        if found.verb:
            _check_verb(found.verb)
        from ._help import help_text

        found.text = help_text(found.verb)
    else:
        _check_verb(found.verb)
        _check_together(found)
    return found


def _make_parser() -> _Parser:
    # Neither is ever shown. To make up a usage, and to find out how wide the terminal is, as is
    # done for each option, takes longer than all the rest.
    parser = _Parser(
        "mark", usage="mark", formatter_class=_formatter, add_help=False, allow_abbrev=False
    )
    add = parser.add_argument
    add("-h", "--help", action="store_true")
    add("--version", action="store_true")
    add("-s", "--store")
    add("--serial", action="store_true")
    add("--no-wait", action="store_true")
    add("--formatted", action="store_true")
    add("--unformatted", action="store_true")
    add("--terse", action="store_true")
    add("--timestamp", action="store_true", default=None)
    add("--no-timestamp", action="store_false", dest="timestamp", default=None)
    add("-u", "--units")
    add("--json", action="store_true")
    add("--timeout", type=_seconds, dest="timeout_s", metavar="S")
    add("--at", metavar="HOST:PORT")
    add("--refresh", action="store_true", default=None)
    add("--count", type=_count, metavar="N")
    add("--for", type=_duration, dest="duration_s", metavar="TIME")
    add("--why", metavar="TEXT")
    add("--end", action="store_true", default=None)
    add("--reset", action="store_true", default=None)
    add("--list", action="store_true", dest="list_", default=None)
    add("--break", action="store_true", dest="break_", default=None)
    add("--since", type=_duration, dest="since_s", metavar="TIME")
    add("--last", type=_count, metavar="N")
    add("--role", metavar="ROLE")
    add("requests", nargs="*")
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=80)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0 < seconds < float("inf"):
        return seconds
    raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")


def _duration(text: str) -> float:
    from ._durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")


def _check_verb(verb: str) -> None:
    if verb in VERBS:
        return
    if "=" in verb:
        raise UsageError(f"unknown verb {verb!r}; did you mean: mark set {verb}?")
    if "." in verb:
        raise UsageError(f"unknown verb {verb!r}; did you mean: mark get {verb}?")
    close = _nearest(verb, list(VERBS))
    hint = f"did you mean {close}?" if close else f"there are {', '.join(VERBS)}"
    raise UsageError(f"unknown verb {verb!r}; {hint}")


def _check_together(found: Arguments) -> None:
    for name, (option, verbs) in _OURS.items():
        if getattr(found, name) is not None and found.verb not in verbs:
            raise UsageError(f"{option} is for {', '.join(verbs)}, not for {found.verb}")
    if found.units is not None and found.unformatted and not found.formatted:
        raise UsageError("-u converts formatted values only: it cannot go with --unformatted")
    alone = found.verb in _ALONE or found.list_
    if found.store is None and not found.requests and not alone:
        what = "cryo.setpoint=80" if found.verb == "set" else "cryo.temp"
        raise UsageError(f"{found.verb} what? For example: mark {found.verb} {what}")


def _unknown_option(given: str, parser: argparse.ArgumentParser) -> str:
    name = given.partition("=")[0]
    close = _nearest(name, list(parser._option_string_actions))
    hint = f"did you mean {close}?" if close else "mark --help shows what there is"
    return f"unknown option {name!r}; {hint}"


def _nearest(name: str, candidates: list[str]) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(name, candidates, n=1)), "")


def _version() -> str:
    from importlib.metadata import version

    return f"mark {version('mktl-hardware')}"
