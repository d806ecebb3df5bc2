"""Instrument file -> controllers and items: a daemon without code.

:func:`load` reads a file and checks all of it, with no hardware and no network::

    wiring = load(Path("cryostat.toml"))
    controllers = wiring.open_controllers()
    channel = controllers["tc"].channel(wiring.items["setpoint"].channel)

What a file may say so far: items that are bound to a driver's channel, and plain key/value items.
Source: ``design.md``, "Instrument file: a daemon without code".
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers._toml_lines import line_numbers
from drivers.catalog import driver_class
from drivers.controller import Controller
from mktl.errors import ConfigurationError

__all__ = [
    "BadInstrumentFile",
    "ControllerSpec",
    "InstrumentFile",
    "ItemSpec",
    "Problem",
    "load",
    "loads",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an instrument file, or that one should know of it."""

    where: str
    """The key in question, such as ``items.setpoint.range``."""
    text: str
    """What is wrong, and what would be right."""
    line: int | None = None
    """Its line in the file, from 1, where it can be found."""

    def __str__(self) -> str:
        """Give all of it in one line."""
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.where}: {self.text}" if self.where else f"{place}{self.text}"


class BadInstrumentFile(ConfigurationError):
    """An instrument file with problems; all of them are in ``problems``."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        """Name the file and everything that is wrong with it."""
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {p}" for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """One ``[controllers.NAME]``."""

    name: str
    """The name, in lower case."""
    driver: str
    """A name of :data:`drivers.catalog.DRIVERS`, or ``package.module:Class``."""
    url: str
    """Where it is."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Everything else, as :meth:`Controller.open` takes it."""

    def open(self, *, url: str | None = None) -> Controller:
        """Return the controller, which is not connected yet; *url* leads elsewhere, if given."""
        return driver_class(self.driver).open(url or self.url, name=self.name, **self.settings)


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """One ``[items.KEY]``."""

    key: str
    """The key, in lower case."""
    controller: str | None
    """Name of its controller; ``None`` for a plain key/value item."""
    channel: str | None
    """Path of the channel within the controller, such as ``temperature.A``."""
    poll_s: float | None
    """How often to read it; ``None``: only when asked for."""
    description: Mapping[str, Any]
    """The whole description of the item: the channel's, with the file's on top."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """What the file itself says of it, ``channel`` and ``poll_s`` aside."""


@dataclass(frozen=True, slots=True)
class InstrumentFile:
    """A checked instrument file."""

    store: str
    """Store of the daemon, in lower case."""
    alias: str
    """Alias of the daemon, in lower case."""
    controllers: Mapping[str, ControllerSpec]
    """By name."""
    items: Mapping[str, ItemSpec]
    """By key."""
    notes: tuple[Problem, ...] = ()
    """What is good, but not all that one would take it for: to be told by ``--check``."""

    def open_controllers(self, urls: Mapping[str, str] | None = None) -> dict[str, Controller]:
        """Open all controllers; they do not connect before they are started.

        Args:
            urls: Other URLs than the file's, by name of the controller: those of simulators.

        Raises:
            ConfigurationError: one cannot be; those that were opened are closed again.
        """
        urls = urls or {}
        opened: dict[str, Controller] = {}
        try:
            for name, spec in self.controllers.items():
                opened[name] = spec.open(url=urls.get(name))
        except BaseException:
            for controller in opened.values():
                controller.close()
            raise
        return opened


def load(path: Path | str) -> InstrumentFile:
    """Read and check the instrument file at *path*.

    Raises:
        BadInstrumentFile: something is wrong with it; names every problem at once.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInstrumentFile(str(path), (Problem("", f"cannot be read: {error}"),)) from error
    return loads(text, source=str(path))


def loads(text: str, *, source: str = "instrument file") -> InstrumentFile:
    """Check the instrument file with the content *text*; *source* is what errors call it.

    Raises:
        BadInstrumentFile: something is wrong with it; names every problem at once.
    """
    from drivers._wiring_check import Checker

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInstrumentFile(source, (Problem("", f"is not TOML: {error}"),)) from error
    checker = Checker(content, line_numbers(text))
    checked = checker.check()
    if checker.problems:
        raise BadInstrumentFile(source, checker.sorted_problems())
    return checked
