"""What can be plugged into a WAGO coupler, and what its registers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers._suggest import suggestion
from drivers.modbus import Place, Register
from mktl.errors import ConfigurationError

__all__ = [
    "KINDS",
    "LED_ERROR",
    "MODULE_LISTS",
    "OUTPUT_KINDS",
    "TEXTS",
    "WATCHDOG_FUNCTIONS",
    "WATCHDOG_MASK",
    "WATCHDOG_STATES",
    "Analog",
    "Modules",
    "bit_place",
    "check_modules",
    "module_text",
    "watchdog_status",
    "watchdog_time",
    "word_place",
]

WATCHDOG_STATES = {0: "Off", 1: "Runs", 2: "Expired"}
"""What register 0x1006 says. The sheet has no values: these are those of other couplers of WAGO."""
WATCHDOG_FUNCTIONS = {
    1: "Read coils",
    2: "Read discrete inputs",
    3: "Read holding registers",
    4: "Read input registers",
    5: "Write coil",
    6: "Write register",
    15: "Write coils",
    16: "Write registers",
    23: "Read and write registers",
}
"""Function codes of the coupler, in words. Source: sheet, "Transport"."""
WATCHDOG_MASK = sum(1 << code - 1 for code in WATCHDOG_FUNCTIONS)
"""All of them, as bits."""

LED_ERROR = 0x1020
TEXTS = {
    "description": Register(
        table="holding", address=0x2020, type="string", length=16, byte_order="little"
    ),
    "time": Register(table="holding", address=0x2021, type="string", length=8, byte_order="little"),
    "date": Register(table="holding", address=0x2022, type="string", length=8, byte_order="little"),
    "loader": Register(
        table="holding", address=0x2023, type="string", length=32, byte_order="little"
    ),
}
"""Texts by name. They overlap: a read that begins at one of these addresses gives that text."""
MODULE_LISTS = ((0x2030, 65), (0x2031, 64), (0x2032, 64), (0x2033, 63))
"""Addresses and lengths of the list of modules; a 0 ends it."""

_FULL_SCALE = 0x7FFF
MOST_BITS = 512
MOST_WORDS = 256


@dataclass(frozen=True, slots=True)
class Analog:
    """How one analog channel is scaled. Source: sheet, "Scaling examples"."""

    type: str
    """Type of the register."""
    units: str | None
    """Units of the value; ``None``: a number without any."""
    format: str
    """How people read it."""
    scale: float = 1.0
    """Value = number * scale + offset."""
    offset: float = 0.0
    """See *scale*."""
    range: tuple[float, float] | None = None
    """What the channel can measure, or be set to; outside, a reading is not valid."""
    invalid: tuple[int, ...] = ()
    """Numbers in the register that mean: no value."""


KINDS: Mapping[str, Analog] = {
    "raw": Analog("uint16", None, "%d", range=(0, 65535)),
    "signed": Analog("int16", None, "%d", range=(-32768, 32767)),
    "4-20mA": Analog("int16", "milliampere", "%.3f", 16 / _FULL_SCALE, 4.0, (4, 20)),
    "0-20mA": Analog("int16", "milliampere", "%.3f", 20 / _FULL_SCALE, 0.0, (0, 20)),
    "0-10V": Analog("int16", "volt", "%.3f", 10 / _FULL_SCALE, 0.0, (0, 10)),
    "+-10V": Analog("int16", "volt", "%.3f", 10 / _FULL_SCALE, 0.0, (-10, 10)),
    # A broken wire reads as an extreme of the register; on the 750-461 as 0xFFFF, which is -0.1 C
    # as well: better no reading at -0.1 C than a broken wire that looks like one.
    "pt100": Analog("int16", "degC", "%.1f", 0.1, 0.0, (-200, 850), (32767, -32768)),
    "pt100-461": Analog("int16", "degC", "%.1f", 0.1, 0.0, (-200, 850), (-1, 32767, -32768)),
}
"""Kinds of analog inputs, by the name that an instrument file gives."""

OUTPUT_KINDS = ("raw", "signed", "4-20mA", "0-20mA", "0-10V", "+-10V")
"""Those of them that can be outputs."""


@dataclass(frozen=True, slots=True)
class Modules:
    """What is plugged in, in the order of the modules."""

    digital_inputs: int = 0
    """Number of digital inputs."""
    digital_outputs: int = 0
    """Number of digital outputs."""
    analog_inputs: tuple[str, ...] = ()
    """The kind of each analog input, of :data:`KINDS`."""
    analog_outputs: tuple[str, ...] = ()
    """The kind of each analog output, of :data:`OUTPUT_KINDS`."""

    @property
    def image_bits(self) -> tuple[int, int, int, int]:
        """Sizes of the process images in bits: analog out and in, digital out and in."""
        words = 16 * len(self.analog_outputs), 16 * len(self.analog_inputs)
        return (*words, self.digital_outputs, self.digital_inputs)


def module_text(word: int) -> str:
    """Return what a *word* of the module list stands for. Source: sheet, row "module list"."""
    if not word & 0x8000:
        return f"750-{word}"
    ways = {1: "inputs", 2: "outputs", 3: "inputs and outputs"}
    return f"{word >> 8 & 0x7F} digital {ways.get(word & 3, 'channels')}"


def check_modules(settings: Mapping[str, Any]) -> Modules:
    """Return what *settings* says.

    Raises:
        ConfigurationError: it cannot be; the text begins with the name of the setting.
    """
    return Modules(
        _count(settings, "digital_inputs"),
        _count(settings, "digital_outputs"),
        _kinds(settings, "analog_inputs", tuple(KINDS)),
        _kinds(settings, "analog_outputs", OUTPUT_KINDS),
    )


def _count(settings: Mapping[str, Any], name: str) -> int:
    count = settings.get(name, 0)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_BITS:
        raise ConfigurationError(f"{name} must be a whole number, 0 to {MOST_BITS}, not {count!r}")
    return count


def _kinds(settings: Mapping[str, Any], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    kinds = settings.get(name, [])
    if not isinstance(kinds, list | tuple) or len(kinds) > MOST_WORDS:
        raise ConfigurationError(f'{name} must be a list of kinds, like ["4-20mA"], not {kinds!r}')
    for kind in kinds:
        if kind not in known:
            raise ConfigurationError(f"{name}: unknown kind: {suggestion(str(kind), known)}")
    return tuple(kinds)


def bit_place(table: str, address: int) -> Place:
    """Return where a digital input or output is."""
    register = Register(table=table, address=address, type="bool")
    return Place(register=register, write_table=table, write_address=address, read_back=True)


def word_place(table: str, address: int, kind: str, *, written_at: int) -> Place:
    """Return where an analog input or output of one of :data:`KINDS` is."""
    analog = KINDS[kind]
    register = Register(
        table=table,
        address=address,
        type=analog.type,
        scale=analog.scale,
        offset=analog.offset,
        invalid=analog.invalid,
        plausible=analog.range,
    )
    return Place(register=register, write_table="holding", write_address=written_at, read_back=True)


def watchdog_time() -> Place:
    """Return where the time of the watchdog is. Source: sheet, 0x1000, unit 100 ms."""
    register = Register(table="holding", address=0x1000, scale=0.1)
    return Place(register=register, write_table="holding", write_address=0x1000, read_back=True)


def watchdog_status() -> Place:
    """Return where the state of the watchdog is; another number is not valid."""
    register = Register(table="holding", address=0x1006, plausible=(0, 2))
    return Place(register=register, write_table="holding", write_address=0x1006)
