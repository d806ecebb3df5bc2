"""The command table of the DP832, as its sheet has it.

Beyond the sheet, for hosts of other makers: ``:INST[:SEL]``, ``:MEAS:POWE?``, level and state of
the protections below ``:SOUR``, ``*OPC``, ``*OPC?``, ``*ESR?``, ``*STB?``, ``*WAI``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulators._rigol_channel import LEAST_PROTECTION, Channel, Protection
from simulators._scpi import (
    Command,
    Interpreter,
    Parameter,
    Parameters,
    ScpiError,
    boolean,
    number,
    parameters,
    whole,
    word,
)

if TYPE_CHECKING:
    from simulators.rigol_dp832 import RigolDP832

CHANNELS = (1, 2, 3)
_NAMES = tuple(f"CH{each}" for each in CHANNELS)

_LIMIT = word("MINimum", "MAXimum")

Show = Callable[[float], str]


def _name(text: str) -> int:
    return _NAMES.index(word(*_NAMES)(text)) + 1


def _channel_and(rest: Parameters) -> Parameters:
    """Accept ``CHn`` before the parameters *rest*, or not; gives None for it then."""

    def parse(given: Sequence[str]) -> Sequence[Any]:
        if given and given[0].upper().startswith("CH"):
            return [_name(given[0]), *rest(given[1:])]
        return [None, *rest(given)]

    return parse


_ONLY_CHANNEL = parameters(_name, required=0)


def _of_channel(show: Callable[[RigolDP832, Channel], str]) -> Command:
    """Make a query that may name a channel behind it."""

    def run(psu: RigolDP832, name: int | None = None) -> str:
        return show(psu, psu.channel(name))

    return Command(run, _ONLY_CHANNEL)


def _stored(value: float) -> float:
    return round(value, 4)


def _volts(value: float) -> str:
    return f"{value:.3f}"


def _amps(value: float) -> str:
    return f"{value:.4f}"


def _on_off(on: bool) -> str:
    return "ON" if on else "OFF"


# -- set-points and protections: two quantities with the same commands ---------------------------


def _setpoint(attribute: str, unit: str, show: Show) -> tuple[Command, Command]:
    def top(channel: Channel) -> float:
        return float(getattr(channel.rating, f"top_{unit.lower()}"))

    def store(psu: RigolDP832, suffix: int | None, text: str) -> None:
        channel = psu.channel(suffix)
        setattr(channel, attribute, _stored(number(0.0, top(channel), unit)(text)))

    def read(psu: RigolDP832, suffix: int | None, limit: str | None = None) -> str:
        channel = psu.channel(suffix)
        if limit is None:
            return show(getattr(channel, attribute))
        return show(top(channel) if limit == "MAXimum" else 0.0)

    return Command(store, parameters(str)), Command(read, parameters(_LIMIT, required=0))


def _protection(which: str, unit: str, show: Show) -> Mapping[str, Command]:
    """Make the commands of a protection, below ``:OUTP`` and below ``:SOUR``."""

    def of(channel: Channel) -> Protection:
        return channel.ovp if which == "OVP" else channel.ocp

    def level(channel: Channel) -> Parameter:
        top = channel.rating.top_ovp_v if which == "OVP" else channel.rating.top_ocp_a
        return number(LEAST_PROTECTION, top, unit)

    def set_level(psu: RigolDP832, name: int | None, text: str) -> None:
        channel = psu.channel(name)
        of(channel).level = _stored(level(channel)(text))

    def set_state(psu: RigolDP832, name: int | None, on: bool) -> None:
        of(psu.channel(name)).on = on

    def clear(psu: RigolDP832, name: int | None = None) -> None:
        of(psu.channel(name)).tripped = False

    def clear_and_enable(psu: RigolDP832, name: int | None) -> None:
        # The trap that the sheet warns of, "Safety".
        channel = psu.channel(name)
        of(channel).tripped = False
        channel.on = not channel.tripped

    def read_level(psu: RigolDP832, name: int | None = None) -> str:
        return show(of(psu.channel(name)).level)

    def read_state(psu: RigolDP832, name: int | None = None) -> str:
        return _on_off(of(psu.channel(name)).on)

    def read_tripped(psu: RigolDP832, name: int | None = None) -> str:
        return "YES" if of(psu.channel(name)).tripped else "NO"

    outp = f":OUTPut:{which}"
    sour = f"[:SOURce<n>]:{'VOLTage' if which == 'OVP' else 'CURRent'}:PROTection"
    return {
        f"{outp}:VALue": Command(set_level, _channel_and(parameters(str))),
        f"{outp}:VALue?": Command(read_level, _ONLY_CHANNEL),
        f"{outp}[:STATe]": Command(set_state, _channel_and(parameters(boolean))),
        f"{outp}[:STATe]?": Command(read_state, _ONLY_CHANNEL),
        f"{outp}:QUES?": Command(read_tripped, _ONLY_CHANNEL),
        f"{outp}:CLEAR": Command(clear, _ONLY_CHANNEL),
        f"{sour}[:LEVel]": Command(set_level, parameters(str)),
        f"{sour}[:LEVel]?": Command(read_level),
        f"{sour}:STATe": Command(set_state, parameters(boolean)),
        f"{sour}:STATe?": Command(read_state),
        f"{sour}:TRIPped?": Command(read_tripped),
        f"{sour}:CLEar": Command(clear_and_enable),
    }


# -- the other commands --------------------------------------------------------------------------


def _switch(psu: RigolDP832, name: int | None, on: bool) -> None:
    channel = psu.channel(name)
    if on and channel.tripped:
        raise ScpiError(-221)
    channel.on = on


def _apply(psu: RigolDP832, name: int, volts: str | None = None, amps: str | None = None) -> None:
    channel = psu.channel(name)
    new_v = channel.volts if volts is None else number(0.0, channel.rating.top_v, "V")(volts)
    new_a = channel.amps if amps is None else number(0.0, channel.rating.top_a, "A")(amps)
    channel.volts, channel.amps = _stored(new_v), _stored(new_a)


def _applied(psu: RigolDP832, name: int | None = None, which: str | None = None) -> str:
    channel = psu.channel(name)
    shown = {"VOLTage": _volts(channel.volts), "CURRent": _amps(channel.amps)}
    if which is not None:
        return shown[which]
    number_of = name or psu.selected
    return f"CH{number_of}:{channel.rating.label},{','.join(shown.values())}"


def _applied_parameters(given: Sequence[str]) -> Sequence[Any]:
    return _channel_and(parameters(word("VOLTage", "CURRent"), required=0))(given)


def _select(psu: RigolDP832, number_of: int) -> None:
    psu.selected = number_of


def _measured(index: int) -> Command:
    return _of_channel(lambda psu, channel: psu.readings(channel)[index])


def _clear(psu: RigolDP832) -> None:
    psu.errors.clear()


def _complete(psu: RigolDP832) -> None:
    psu.errors.events |= 1


def _wait(_psu: RigolDP832) -> None:
    """Nothing here goes on after its command."""


_SET_VOLTS, _READ_VOLTS = _setpoint("volts", "V", _volts)
_SET_AMPS, _READ_AMPS = _setpoint("amps", "A", _amps)
_MODE = _of_channel(lambda psu, channel: channel.state(psu.mains)[2].value)
_TO_LEVEL = "[:LEVel][:IMMediate][:AMPLitude]"

INTERPRETER = Interpreter(
    {
        "*IDN?": Command(lambda psu: psu.disguise or psu.identity),
        "*OPT?": Command(lambda psu: psu.options),
        "*CLS": Command(_clear),
        "*RST": Command(lambda psu: psu.reset()),
        "*ESR?": Command(lambda psu: psu.errors.take_events()),
        "*STB?": Command(lambda psu: str(psu.status_byte())),
        "*OPC": Command(_complete),
        "*OPC?": Command(lambda _psu: "1"),
        "*WAI": Command(_wait),
        ":SYSTem:ERRor[:NEXT]?": Command(lambda psu: psu.errors.take()),
        f"[:SOURce<n>]:VOLTage{_TO_LEVEL}": _SET_VOLTS,
        f"[:SOURce<n>]:VOLTage{_TO_LEVEL}?": _READ_VOLTS,
        f"[:SOURce<n>]:CURRent{_TO_LEVEL}": _SET_AMPS,
        f"[:SOURce<n>]:CURRent{_TO_LEVEL}?": _READ_AMPS,
        ":APPLy": Command(_apply, parameters(_name, str, str, required=2)),
        ":APPLy?": Command(_applied, _applied_parameters),
        ":INSTrument:NSELect": Command(_select, parameters(whole(1, len(CHANNELS)))),
        ":INSTrument:NSELect?": Command(lambda psu: str(psu.selected)),
        ":INSTrument[:SELect]": Command(_select, parameters(_name)),
        ":INSTrument[:SELect]?": Command(lambda psu: f"CH{psu.selected}"),
        ":MEASure[:VOLTage][:DC]?": _measured(0),
        ":MEASure:CURRent[:DC]?": _measured(1),
        ":MEASure:POWEr[:DC]?": _measured(2),
        ":MEASure:ALL[:DC]?": _of_channel(lambda psu, channel: ",".join(psu.readings(channel))),
        ":OUTPut[:STATe]": Command(_switch, _channel_and(parameters(boolean))),
        ":OUTPut[:STATe]?": _of_channel(lambda _psu, channel: _on_off(channel.on)),
        ":OUTPut:MODE?": _MODE,
        ":OUTPut:CVCC?": _MODE,
        **_protection("OVP", "V", _volts),
        **_protection("OCP", "A", _amps),
    }
)
"""Obeys messages to the supply."""
