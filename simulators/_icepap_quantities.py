"""What the control port can read and set of an IcePAP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators._icepap_axis import ALARMS, IcepapAxis, Phase
from simulators._icepap_words import Mode
from simulators._motion_quantities import mechanics_of, shown, switch, toggle
from simulators._quantities import flag
from simulators.device import Quantity

if TYPE_CHECKING:
    from simulators.icepap import IcePAP


def quantities_of(system: IcePAP) -> dict[str, Quantity]:
    """Give all quantities of *system* by name."""
    found = {
        "mode": Quantity(
            "",
            "0 OPER, 1 PROG, 2 TEST, 3 FAIL, 4 CONFIG; only in OPER axes move",
            lambda: float(system.mode),
            lambda value: system.set_mode(Mode(int(value))),
            high=4,
            whole=True,
        ),
    }
    for rack in sorted({address // 10 for address in system.axes}):
        axes = [axis for address, axis in system.axes.items() if address // 10 == rack]
        found[f"rack{rack}_disable_input"] = _of_rack(
            axes, "rack_input", "1: the emergency stop of the rack takes all power away"
        )
        found[f"rack{rack}_disable_switch"] = _of_rack(
            axes, "rack_switch", "1: the switch at the rack takes all power away"
        )
    for address, axis in system.axes.items():
        found |= _of_axis(axis, f"axis{address}_")
    return found


def _of_rack(axes: list[IcepapAxis], name: str, doc: str) -> Quantity:
    def write(value: bool) -> None:
        for axis in axes:
            setattr(axis, name, value)

    return toggle(doc, lambda: bool(getattr(axes[0], name)), write)


def _of_axis(axis: IcepapAxis, prefix: str) -> dict[str, Quantity]:
    drive = axis.drive
    own = {
        "pos": Quantity("steps", "what ?POS says", lambda: float(axis.position)),
        "enc": Quantity("steps", "what ?ENC says", lambda: float(axis.encoder)),
        "moving": shown("1: it moves", lambda: axis.phase is Phase.MOVING),
        "settling": shown("1: it settles", lambda: axis.phase is Phase.SETTLING),
        "power": shown("1: the motor has power", lambda: axis.powered),
        "stop_code": Quantity("", "how the last motion ended", lambda: float(axis.stop_code)),
        "home_found": shown("1: home is found", lambda: axis.home.found),
        "limit_plus": shown("1: the switch is active", lambda: drive.at_high),
        "limit_minus": shown("1: the switch is active", lambda: drive.at_low),
        "home": shown("1: the switch is active", lambda: drive.at_home),
        "limit_plus_fault": switch(drive.high, "limit+ switch"),
        "limit_minus_fault": switch(drive.low, "limit- switch"),
        "home_fault": switch(drive.home, "home switch"),
        "alive": flag(axis, "alive", "0: the board does not answer"),
        "active": flag(axis, "active", "0: the axis is configured as not active"),
        "closed_loop": flag(axis, "closed_loop", "0: nobody looks at the encoder"),
        "hunting": flag(axis, "hunting", "1: the control loop never settles"),
        "disable_input": flag(axis, "disable_input", "1: an interlock takes the power away"),
        "disable_switch": flag(axis, "disable_switch", "1: the switch at the board does so"),
    }
    for name, code in ALARMS.items():
        own[name] = _cause(axis, name, f"1: an alarm, stop code {code:d}")
    named = {f"{prefix}{name}": quantity for name, quantity in own.items()}
    return mechanics_of(drive, prefix, unit="steps") | named


def _cause(axis: IcepapAxis, name: str, doc: str) -> Quantity:
    def write(value: bool) -> None:
        axis.causes[name] = value

    return toggle(doc, lambda: axis.causes[name], write)
