"""Instrument file -> controllers and items: a daemon without code.

:func:`load` reads a file and checks all of it, with no hardware and no network::

    wiring = load(Path("cryostat.toml"))
    controllers = wiring.open_controllers()
    channel = wiring.items["setpoint"].bind(controllers["tc"])

An item is bound to a channel of a driver, or has protocol keys that a generic driver (``text``,
``modbus``) makes a channel of, or is a plain key and its value.
Source: ``design.md``, "Instrument file: a daemon without code".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers._wiring_report import Problem
from drivers.base import ControllerBase
from drivers.catalog import driver_class
from drivers.channel import Channel
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
    """As the file has it: the name of a driver, ``package.module:Class``, or a driver file."""
    url: str
    """Where it is."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Everything else, as :meth:`ControllerBase.open` takes it; those of the driver file too."""
    base: str = ""
    """The driver that carries out a driver file; empty if there is none."""
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The channels of the driver file, as it has them, by path."""
    line: int | None = None
    """Where it stands in the file."""

    @property
    def generic(self) -> str:
        """Name of the driver behind it, which is another than ``driver`` for a driver file."""
        return self.base or self.driver

    def open(self, *, url: str | None = None) -> ControllerBase:
        """Return the controller, which is not connected yet; *url* leads elsewhere, if given."""
        return driver_class(self.generic).open(url or self.url, name=self.name, **self.settings)


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """One ``[items.KEY]``."""

    key: str
    """The key, in lower case."""
    controller: str | None
    """Name of its controller; ``None`` for a plain key/value item."""
    channel: str | None
    """Path of the channel within the controller, such as ``temperature.A``; the key itself for an
    item that has protocol keys of its own."""
    poll_s: float | None
    """How often to read it; ``None`` or 0: only when asked for."""
    description: Mapping[str, Any]
    """The whole description of the item: the channel's, with the file's on top."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """What the file itself says in its description."""
    protocol: Mapping[str, Any] | None = None
    """What the driver makes the channel of; ``None`` if the driver has the channel by itself."""
    simulate: Any = None
    """The value that a simulator begins with; ``None``: it chooses one."""

    def bind(self, controller: ControllerBase) -> Channel:
        """Return the channel in *controller*, which is the item's own.

        Raises:
            UnknownKey, BadItem: there is none like that; not for a file that was checked.
        """
        assert self.channel is not None  # a plain item has nothing to be bound to
        if self.protocol is None:
            return controller.channel(self.channel)
        return controller.channel_for(self.channel, self.protocol)


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
    access: Mapping[str, Any] = field(default_factory=dict)
    """Who may do what, as ``Daemon.describe_access`` returns it."""

    def open_controllers(self, urls: Mapping[str, str] | None = None) -> dict[str, ControllerBase]:
        """Open all controllers; they do not connect before they are started.

        Args:
            urls: Other URLs than the file's, by name of the controller: those of simulators.

        Raises:
            ConfigurationError: one cannot be; those that were opened are closed again.
        """
        urls = urls or {}
        opened: dict[str, ControllerBase] = {}
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
    return loads(text, source=str(path), folder=Path(path).parent)


def loads(
    text: str, *, source: str = "instrument file", folder: Path | None = None
) -> InstrumentFile:
    """Check the instrument file with the content *text*.

    Args:
        text: The whole file.
        source: What errors call it.
        folder: Where it stands: driver files are named relative to it. Else they are relative to
            the current directory.

    Raises:
        BadInstrumentFile: something is wrong with it; names every problem at once.
    """
    from drivers._driver_file import read_toml
    from drivers._wiring_check import Checker

    content, report = read_toml(text)
    if content is None:
        raise BadInstrumentFile(source, report.sorted_problems())
    checker = Checker(content, report, folder or Path())
    checked = checker.check()
    if report.problems:
        raise BadInstrumentFile(source, report.sorted_problems())
    return checked
