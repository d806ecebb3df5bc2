"""Files that people write: instrument files, and the patterns and templates in them."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

import simulators
from drivers import wiring
from drivers.framing.effort import may_take_for_ever
from drivers.framing.patterns import NoMatch, Pattern
from drivers.framing.templates import Template
from drivers.plan import overloads, plan
from mktl.errors import BadValue, ConfigurationError
from simulators.device import SimulatorError

from ._wire import check_told

__all__ = ["instrument_file", "pattern", "regex"]

MOST_MATCHED = 40
"""Characters that a regular expression is tried on: one that doubles with each takes for ever."""


def instrument_file(data: bytes) -> None:
    """A file is checked with all problems named, each on its line, or can be planned for."""
    text = data.decode("utf-8", "replace")
    try:
        found = wiring.loads(text, folder=Path("/nonexistent"))
    except wiring.BadInstrumentFile as error:
        assert error.problems
        for problem in error.problems:
            assert str(problem)
            assert problem.line is None or 0 < problem.line <= text.count("\n") + 1
    else:
        overloads(found, plan(found, {}))
    described_twins(data)


def described_twins(data: bytes) -> None:
    """The twins of a file are made, or refused with the reason."""
    with tempfile.TemporaryDirectory(prefix="mktl-fuzz-") as directory:
        path = Path(directory, "file.toml")
        path.write_bytes(data)
        try:
            simulators.twins_of_file(path)
        except SimulatorError as error:
            check_told(error)


def pattern(data: bytes) -> None:
    """A pattern is refused, or reads what it can read, and what its template has written."""
    text, _, came = data.decode("utf-8", "replace").partition("\n")
    with contextlib.suppress(ConfigurationError):
        template = Template(text, unit=1)
        for value in (0, -1.5, 1e300, came):
            with contextlib.suppress(BadValue):
                written, texts = template.render(dict.fromkeys(template.fields, value))
                assert written.isprintable() or not template.literal.isprintable()
                assert set(texts) == set(template.fields)
    try:
        made = Pattern(text, unit=1)
    except ConfigurationError as error:
        check_told(error)
        return
    assert not may_take_for_ever(made.regex), "a pattern of ours that takes for ever"
    try:
        found = made.match(came[:2000])
    except NoMatch:
        return
    assert set(found) == set(made.fields)


def regex(data: bytes) -> None:
    """A regular expression that is taken to be harmless does not take for ever."""
    text, _, came = data.decode("utf-8", "replace").partition("\n")
    try:
        made = re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return
    if not may_take_for_ever(made):
        # One that does would be ended by the driver, and be told as a hang.
        made.fullmatch(came[:MOST_MATCHED])
