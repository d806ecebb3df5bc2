"""``markd FILE.toml --conformance``: its options, and the table that it prints."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mktl.errors import ConfigurationError

if TYPE_CHECKING:
    from ._conformance_row import Row
    from .conformance import Outcome

__all__ = ["add_options", "misplaced", "run"]

_WITH = ("faults", "seed", "json", "controller", "transport")
_WITHOUT = ("simulate", "check", "describe", "url")
EXIT_PASSED, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
_WIDTHS = (12, 14, 16, 6, 13, 10, 7, 5, 9, 8, 8, 7)


def add_options(parser: argparse._ArgumentGroup) -> None:
    """Give *parser* the options of a conformance run."""
    parser.add_argument(
        "--conformance", action="store_true",
        help="run it against simulators through every fault, and print what it stands",
    )  # fmt: skip
    parser.add_argument(
        "--faults", metavar="A,B", help="with --conformance: only these, e.g. silence,half-open"
    )
    parser.add_argument(
        "--controller", metavar="NAME", help="with --conformance: only the line of this one"
    )
    parser.add_argument(
        "--transport", action="append", metavar="NAME=TRANSPORT",
        help="with --conformance: reach the controller NAME so, e.g. tc=serial; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, metavar="N", help="with --conformance: have other mishaps (default: 1)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="with --conformance: write all figures to OUT"
    )


def misplaced(options: argparse.Namespace) -> str:
    """Say which of *options* do not go together; empty: all do."""
    if options.conformance:
        given = [name for name in _WITHOUT if options.__dict__[name]]
        return f"--{given[0]} does not go with --conformance" if given else ""
    given = [name for name in _WITH if options.__dict__[name] is not None]
    return f"--{given[0]} goes with --conformance only" if given else ""


def run(options: argparse.Namespace) -> int:
    """Run it, print the table, and return the exit code.

    Raises:
        ConfigurationError: the file, or what was asked for, is wrong.
    """
    from ._conformance_bench import BenchFailed
    from .conformance import Order, conform

    order = Order(
        path=options.file,
        faults=tuple(filter(None, (options.faults or "").split(","))),
        controller=options.controller,
        transports=_transports(options.transport or ()),
        seed=1 if options.seed is None else options.seed,
    )
    if options.json is not None and not options.json.parent.is_dir():
        # Now, rather than after an hour.
        raise ConfigurationError(f"--json {options.json}: no folder {options.json.parent}")
    printer = _Printer()
    try:
        with _ended_by_signals():
            outcome = conform(order, printer.row, printer.note)
    except BenchFailed as error:
        sys.stderr.write(f"markd: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\nmarkd: interrupted; what was started has been ended\n")
        return EXIT_INTERRUPTED
    if options.json is not None:
        _write(outcome, options.json)
    printer.end(outcome)
    return EXIT_PASSED if outcome.passed else EXIT_FAILED


def _write(outcome: Outcome, path: Path) -> None:
    try:
        outcome.write(path)
    except OSError as error:
        raise ConfigurationError(f"--json {path}: {error.strerror or error}") from error


def _transports(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, transport = text.partition("=")
        if not equals:
            raise ConfigurationError(f"--transport {text!r} is not of the form NAME=TRANSPORT")
        found[name.lower()] = transport
    return found


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does: end what was started."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Printer:
    """Prints notes and rows as they come."""

    def __init__(self) -> None:
        self._rows = 0

    def note(self, text: str) -> None:
        _say(f"# {text}")

    def row(self, row: Row) -> None:
        from ._conformance_row import HEAD, cells

        if not self._rows:
            _say(_line(HEAD))
        self._rows += 1
        _say(_line(cells(row)))
        for note in row.notes:
            _say(f"    {note}")

    def end(self, outcome: Outcome) -> None:
        results = [row.result for row in outcome.rows]
        counts = {result: results.count(result) for result in ("pass", "fail", "n/a")}
        _say(
            f"{counts['pass']} passed, {counts['fail']} failed, {counts['n/a']} do not apply; "
            f"the same again: --seed {outcome.order.seed}"
        )


def _line(texts: tuple[str, ...]) -> str:
    padded = (f"{text:<{width}}" for text, width in zip(texts, _WIDTHS, strict=True))
    return " ".join(padded).rstrip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
