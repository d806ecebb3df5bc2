"""The command table of the 34465A, as its sheet has it.

Beyond the sheet, for hosts of other makers: ``CONF?``, ``CONF:CURR``, ``CONF:FRES``, autozero,
``TRIG:COUN``, ``TRIG:DEL``, ``DISP``, ``*ESE``, ``*SRE``, ``*OPC``, ``*WAI``, ``*TST?``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from simulators._keysight_front import FUNCTIONS, Function
from simulators._keysight_meter import MEMORY, NPLCS, Meter
from simulators._scpi import (
    Awaited,
    Command,
    Interpreter,
    Parameter,
    ScpiError,
    boolean,
    is_word,
    number,
    parameters,
    quoted,
    whole,
    word,
)

if TYPE_CHECKING:
    from simulators.keysight_34465a import Keysight34465A

LONGEST_TEXT = 40
"""Characters that the display shows."""
_SOURCES = ("IMMediate", "BUS", "EXTernal")
_LIMITS = parameters(word("MINimum", "MAXimum"), required=0)
_LONGEST_DELAY_S = 3600.0


def real(value: float) -> str:
    """Give a number as the instrument writes it."""
    return f"{value:+.8E}"


def _flag(on: bool) -> str:
    return f"{on:d}"


def _joined(values: Sequence[float]) -> str:
    return ",".join(map(real, values))


def _or_default(parse: Parameter, *words: str) -> Parameter:
    """Accept what *parse* does, or ``DEF`` and the like, which give None."""
    names = ("DEFault", *words)
    return lambda text: None if any(is_word(text, each) for each in names) else parse(text)


# -- reading -------------------------------------------------------------------------------------


def _readings(dmm: Keysight34465A) -> Awaited:
    """Wait until all readings are there; what was aborted gives those that came."""

    def finish() -> str:
        if not dmm.meter.memory:
            raise ScpiError(-230)
        return _joined(dmm.meter.memory)

    return Awaited(lambda: dmm.meter.idle, finish)


def _read(dmm: Keysight34465A) -> Awaited:
    if dmm.meter.source == "BUS":
        raise ScpiError(-214)
    dmm.meter.abort()
    dmm.meter.initiate()
    return _readings(dmm)


def _fetch(dmm: Keysight34465A) -> Awaited:
    if dmm.meter.idle and not dmm.meter.memory:
        raise ScpiError(-230)
    return _readings(dmm)


def _remove(dmm: Keysight34465A, most: int | None = None) -> str:
    """Give the oldest readings, which go, without waiting for more."""
    memory = dmm.meter.memory
    if not memory:
        raise ScpiError(-230)
    count = len(memory) if most is None else min(most, len(memory))
    return _joined([memory.popleft() for _ in range(count)])


# -- what is measured ----------------------------------------------------------------------------


def _top(function: Function) -> float:
    return function.ranges[-1]


def _of_function(name: str) -> Iterator[tuple[str, Command]]:
    """Make the commands of one function."""
    function = FUNCTIONS[name]
    wanted = parameters(
        _or_default(number(0.0, _top(function), function.unit), "AUTO"),
        _or_default(number(0.0, _top(function), function.unit)),
        required=0,
    )
    if name == "TEMP":
        # Probe, its kind, and the like: all measure the one temperature that there is.
        wanted = parameters(*[str] * 4, required=0)

    def configure(dmm: Keysight34465A, *given: Any) -> None:
        dmm.meter.configure(name, *([] if name == "TEMP" else given))

    def measure(dmm: Keysight34465A, *given: Any) -> Awaited:
        configure(dmm, *given)
        return _read(dmm)

    yield f":CONFigure[:SCALar]:{function.header}", Command(configure, wanted)
    yield f":MEASure[:SCALar]:{function.header}?", Command(measure, wanted)
    sense = f"[:SENSe]:{function.header}"
    yield from _integration(name, sense)
    if name != "TEMP":
        yield from _ranges(name, sense)


def _integration(name: str, sense: str) -> Iterator[tuple[str, Command]]:
    def store(dmm: Keysight34465A, text: str) -> None:
        dmm.meter.set_nplc(name, number(dmm.meter.fastest_nplc, NPLCS[-1])(text))

    def show(dmm: Keysight34465A, limit: str | None = None) -> str:
        if limit is None:
            return real(dmm.meter.settings[name].nplc)
        return real(NPLCS[-1] if limit == "MAXimum" else dmm.meter.fastest_nplc)

    yield f"{sense}:NPLC", Command(store, parameters(str))
    yield f"{sense}:NPLC?", Command(show, _LIMITS)
    yield (
        f"{sense}:ZERO:AUTO",
        Command(lambda dmm, mode: dmm.meter.set_autozero(name, mode), parameters(_mode)),
    )
    yield (
        f"{sense}:ZERO:AUTO?",
        Command(lambda dmm: _flag(dmm.meter.settings[name].autozero)),
    )


def _ranges(name: str, sense: str) -> Iterator[tuple[str, Command]]:
    function = FUNCTIONS[name]

    def show(dmm: Keysight34465A, limit: str | None = None) -> str:
        if limit is None:
            return real(dmm.meter.settings[name].full_scale)
        return real(_top(function) if limit == "MAXimum" else function.ranges[0])

    yield (
        f"{sense}:RANGe[:UPPer]",
        Command(
            lambda dmm, value: dmm.meter.set_range(name, value),
            parameters(number(0.0, _top(function), function.unit)),
        ),
    )
    yield f"{sense}:RANGe[:UPPer]?", Command(show, _LIMITS)
    yield (
        f"{sense}:RANGe:AUTO",
        Command(lambda dmm, mode: dmm.meter.set_autorange(name, mode), parameters(_mode)),
    )
    yield (
        f"{sense}:RANGe:AUTO?",
        Command(lambda dmm: _flag(dmm.meter.settings[name].autorange)),
    )


def _mode(text: str) -> str:
    if is_word(text, "ONCE"):
        return "ONCE"
    return "ON" if boolean(text) else "OFF"


def _function(text: str) -> str:
    wanted = quoted(LONGEST_TEXT)(text)
    for name, function in FUNCTIONS.items():
        long = function.header.removesuffix("[:DC]")
        if is_word(wanted.upper().removesuffix(":DC"), long) and (
            long != function.header or ":" not in wanted
        ):
            return name
    raise ScpiError(-224)


def _configured(dmm: Keysight34465A) -> str:
    meter = dmm.meter
    return f'"{meter.name} {real(meter.now.full_scale)},{real(meter.resolution())}"'


# -- trigger -------------------------------------------------------------------------------------


def _of_meter(
    header: str,
    attribute: str,
    parameter: Parameter,
    show: Callable[[Any], str],
) -> Iterator[tuple[str, Command]]:
    """Make the command and the query of one attribute of the meter."""

    def store(dmm: Keysight34465A, value: Any) -> None:
        dmm.meter.abort()
        setattr(dmm.meter, attribute, value)

    yield header, Command(store, parameters(parameter))
    yield f"{header}?", Command(lambda dmm: show(getattr(dmm.meter, attribute)))


def _count(value: int) -> str:
    return f"{value:+d}"


def _short(mixed: str) -> str:
    return "".join(char for char in mixed if char.isupper())


def _line_frequency(text: str) -> int:
    hertz = whole(50, 400)(text)
    if hertz not in (50, 60, 400):
        raise ScpiError(-224)
    return 60 if hertz == 60 else 50


def _set_auto_delay(dmm: Keysight34465A, on: bool) -> None:
    dmm.meter.delay_s = None if on else dmm.meter.delay_s or 0.0


# -- status --------------------------------------------------------------------------------------


def _idle(dmm: Keysight34465A, reply: str | None) -> Awaited:
    return Awaited(lambda: dmm.meter.idle, lambda: reply, asks=reply is not None)


def _self_test(dmm: Keysight34465A) -> str:
    dmm.meter.abort()
    return "+0"


def _set_text(dmm: Keysight34465A, text: str) -> None:
    dmm.text = text


def _set_display(dmm: Keysight34465A, on: bool) -> None:
    dmm.display_on = on


_BYTE = whole(0, 255)


def _set_event_mask(dmm: Keysight34465A, mask: int) -> None:
    dmm.event_mask = mask


def _set_service_mask(dmm: Keysight34465A, mask: int) -> None:
    dmm.service_mask = mask


def _meter(act: Callable[[Meter], None]) -> Command:
    return Command(lambda dmm: act(dmm.meter))


_COMMON = {
    "*IDN?": Command(lambda dmm: dmm.disguise or dmm.identity),
    "*OPT?": Command(lambda dmm: dmm.options),
    "*CLS": Command(lambda dmm: dmm.clear_status()),
    "*RST": Command(lambda dmm: dmm.reset()),
    "*TST?": Command(_self_test),
    "*ESR?": Command(lambda dmm: dmm.errors.take_events()),
    "*ESE": Command(_set_event_mask, parameters(_BYTE)),
    "*ESE?": Command(lambda dmm: str(dmm.event_mask)),
    "*SRE": Command(_set_service_mask, parameters(_BYTE)),
    "*SRE?": Command(lambda dmm: str(dmm.service_mask)),
    "*STB?": Command(lambda dmm: str(dmm.status_byte())),
    "*OPC": Command(lambda dmm: dmm.note_completion()),
    "*OPC?": Command(lambda dmm: _idle(dmm, "1")),
    "*WAI": Command(lambda dmm: _idle(dmm, None)),
    "*TRG": _meter(Meter.trigger),
}
_SYSTEM = {
    ":SYSTem:ERRor[:NEXT]?": Command(lambda dmm: dmm.errors.take()),
    ":SYSTem:LFRequency": Command(
        lambda dmm, hertz: setattr(dmm.meter, "line_hz", hertz), parameters(_line_frequency)
    ),
    ":SYSTem:LFRequency?": Command(lambda dmm: str(dmm.meter.line_hz)),
    ":SYSTem:COMMunicate:TCPip:CONTrol?": Command(lambda _dmm: "0"),
    ":DISPlay:TEXT[:DATA]": Command(_set_text, parameters(quoted(LONGEST_TEXT))),
    ":DISPlay:TEXT[:DATA]?": Command(lambda dmm: '"' + dmm.text.replace('"', '""') + '"'),
    ":DISPlay:TEXT:CLEar": Command(lambda dmm: _set_text(dmm, "")),
    ":DISPlay[:STATe]": Command(_set_display, parameters(boolean)),
    ":DISPlay[:STATe]?": Command(lambda dmm: _flag(dmm.display_on)),
}
_READING = {
    ":READ?": Command(_read),
    ":FETCh?": Command(_fetch),
    ":R?": Command(_remove, parameters(whole(1, MEMORY), required=0)),
    ":DATA:POINts?": Command(lambda dmm: _count(len(dmm.meter.memory))),
    ":INITiate[:IMMediate]": _meter(Meter.initiate),
    ":ABORt": _meter(Meter.abort),
    ":CONFigure?": Command(_configured),
    "[:SENSe]:FUNCtion[:ON]": Command(
        lambda dmm, name: dmm.meter.select(name), parameters(_function)
    ),
    "[:SENSe]:FUNCtion[:ON]?": Command(lambda dmm: f'"{dmm.meter.name}"'),
    ":TRIGger:DELay:AUTO": Command(_set_auto_delay, parameters(boolean)),
    ":TRIGger:DELay:AUTO?": Command(lambda dmm: _flag(dmm.meter.delay_s is None)),
}

INTERPRETER = Interpreter(
    {
        **_COMMON,
        **_SYSTEM,
        **_READING,
        **{header: each for name in FUNCTIONS for header, each in _of_function(name)},
        **dict(_of_meter(":SAMPle:COUNt", "samples", whole(1, MEMORY), _count)),
        **dict(_of_meter(":TRIGger:COUNt", "triggers", whole(1, MEMORY), _count)),
        **dict(_of_meter(":TRIGger:SOURce", "source", word(*_SOURCES), _short)),
        **dict(
            _of_meter(
                ":TRIGger:DELay",
                "delay_s",
                number(0.0, _LONGEST_DELAY_S, "S"),
                lambda value: real(value or 0.0),
            )
        ),
    }
)
"""Obeys messages to the multimeter."""
