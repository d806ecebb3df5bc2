"""The channels of a Watlow F4: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from drivers import _watlow_f4 as f4
from drivers._channel_words import command_channel, item_fields, texts_of
from drivers.channel import BlockRead, Channel
from drivers.modbus import RegisterChannel
from drivers.watlow_f4 import WatlowF4

__all__ = ["ScaledChannel", "channels_of", "plan_scaled"]

_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0
# What one reading costs in bytes: the set-up of an input, C or F, and the values themselves.
_SETUP_SENT, _SETUP_RECEIVED = 16, 66


@dataclass(frozen=True, slots=True)
class ScaledChannel(Channel):
    """A channel that is meant as an input is set up."""

    number: int = 1
    """Which input."""
    address: int = 100
    """Its register."""


def channels_of(chamber: WatlowF4) -> tuple[Channel, ...]:
    """Return all channels, bound to *chamber*; nothing is sent."""
    return (
        *_of_inputs(chamber),
        *_of_outputs(chamber),
        *_of_profiles(chamber),
        *_of_controller(chamber),
    )


def plan_scaled(
    chamber: WatlowF4, channels: Sequence[Channel]
) -> tuple[list[BlockRead], list[Channel]]:
    """Return what reads all scaled channels at once, and the other channels."""
    scaled = [channel for channel in channels if isinstance(channel, ScaledChannel)]
    others = [channel for channel in channels if not isinstance(channel, ScaledChannel)]
    if not scaled:
        return [], others
    wanted = [(channel.number, channel.address) for channel in scaled]
    block = BlockRead(
        tuple(scaled),
        partial(chamber.scaled_values, wanted),
        f"inputs and set-points with their set-up ({len(scaled)} values)",
        _SETUP_SENT + 8 * len(scaled),
        _SETUP_RECEIVED + 7 * len(scaled),
    )
    return [block], others


def _of_inputs(chamber: WatlowF4) -> Iterator[Channel]:
    for number, quantity in enumerate(chamber.inputs, 1):
        if quantity == "off":
            continue
        units = f4.QUANTITIES[quantity][1]
        yield ScaledChannel(
            f"input.{number}",
            item_fields(f"Input {number}, {quantity}", units=units, format="%.2f"),
            partial(chamber.input_value, number),
            poll_s=_FAST_S,
            sent_bytes=_SETUP_SENT + 8,
            received_bytes=_SETUP_RECEIVED + 7,
            number=number,
            address=f4.value_register(number),
        )
        yield _register(
            chamber,
            f"input.{number}.sensor",
            f4.sensor_register(number),
            item_fields(
                f"Sensor of input {number}",
                "enumerated",
                enumerators={str(code): text for code, text in f4.SENSORS.items()},
            ),
            _SLOW_S,
        )
        if number in f4.SET_POINTS:
            yield from _of_set_point(chamber, number, quantity)


def _of_set_point(chamber: WatlowF4, number: int, quantity: str) -> Iterator[Channel]:
    units = f4.QUANTITIES[quantity][1]
    set_point = ScaledChannel(
        f"setpoint.{number}",
        item_fields(f"Set-point {number}, {quantity}", units=units, format="%.2f"),
        partial(chamber.set_point, number),
        partial(chamber.set_set_point, number),
        poll_s=_USUAL_S,
        sent_bytes=_SETUP_SENT + 8,
        received_bytes=_SETUP_RECEIVED + 7,
        number=number,
        address=f4.SET_POINTS[number],
    )
    yield set_point
    for name, address in zip(("low", "high"), f4.limit_registers(number), strict=True):
        yield replace(
            set_point,
            path=f"setpoint.{number}.{name}",
            item=item_fields(f"Set-point {number}: its {name} limit", units=units, format="%.2f"),
            read=partial(chamber.set_point_limit, number, name),
            write=None,
            poll_s=_SLOW_S,
            address=address,
        )


def _of_outputs(chamber: WatlowF4) -> Iterator[Channel]:
    for name, address in f4.OUTPUTS.items():
        yield _register(
            chamber,
            f"output.{name}",
            address,
            item_fields(f"Power of output {name}", units="percent", format="%.2f"),
            _FAST_S,
            scale=0.01,
        )
    bits = {"None": "None", **{str(bit): f"Bit {bit}" for bit in range(16)}}
    for number, address in enumerate(f4.STATUS_WORDS, 1):
        yield _register(
            chamber,
            f"status.{number}",
            address,
            item_fields(f"Alarm and output status word {number}", "mask", enumerators=bits),
            _FAST_S,
        )
    for number in f4.DIGITAL_INPUTS:
        item = item_fields(f"Digital input {number}", "boolean")
        yield _truth(chamber, f"digital.{number}", f4.digital_register(number), item)
    for number in f4.EVENTS:
        item = item_fields(f"Event output {number}", "boolean", enumerators={"0": "Off", "1": "On"})
        channel = _truth(chamber, f"event.{number}", f4.event_register(number), item)
        yield replace(channel, write=partial(chamber.set_event, number))


def _of_profiles(chamber: WatlowF4) -> Iterator[Channel]:
    states = texts_of(f4.OPERATIONS)
    yield Channel(
        "operation",
        item_fields("What the controller does", "enumerated", enumerators=states),
        chamber.operation,
        poll_s=_FAST_S,
        sent_bytes=8,
        received_bytes=7,
    )
    for name, address in (("number", f4.NOW_PROFILE), ("step", f4.NOW_STEP)):
        what = "Profile" if name == "number" else "Step"
        item = item_fields(f"{what} that runs", format="%d")
        yield _register(chamber, f"profile.{name}", address, item, _USUAL_S)
    yield Channel(
        "profile.left",
        item_fields("Time left, as the controller has it", units="second", format="%d"),
        chamber.time_left_s,
        sent_bytes=8,
        received_bytes=11,
    )
    yield Channel(
        "profile.start",
        item_fields("Set it to the number of a profile to start that", range=[1, 256], format="%d"),
        write=lambda profile: chamber.start_profile(int(profile)),
        poll_s=None,
    )
    for name, what, run in (
        ("hold", "hold the profile", chamber.hold_profile),
        ("resume", "go on with the profile", chamber.resume_profile),
        ("terminate", "end the profile", chamber.terminate_profile),
    ):
        yield command_channel(f"profile.{name}", what, run)


def _of_controller(chamber: WatlowF4) -> Iterator[Channel]:
    for name, what, run in (
        ("alarms.clear", "clear latched alarms", chamber.clear_alarms),
        ("alarms.silence", "silence alarms", chamber.silence_alarms),
        ("inputs.clear", "clear latched input errors", chamber.clear_input_errors),
        ("eeprom.save", "save what was written in the EEPROM", chamber.save_to_eeprom),
    ):
        yield command_channel(name, what, run)
    yield Channel(
        "eeprom.volatile",
        item_fields("Whether writes are not saved in the EEPROM, which wears", "boolean"),
        chamber.is_volatile,
        chamber.set_volatile,
        _SLOW_S,
    )
    yield _register(
        chamber, "made", f4.MADE, item_fields("Date of manufacture, as it is", format="%d"), None
    )
    yield Channel(
        "serial", item_fields("Serial number", "string"), chamber.serial_number, poll_s=None
    )
    yield Channel(
        "clock", item_fields("Its date and time", "string"), chamber.clock, poll_s=_SLOW_S
    )


def _register(
    chamber: WatlowF4,
    path: str,
    address: int,
    item: dict[str, Any],
    poll_s: float | None,
    *,
    scale: float = 1,
) -> RegisterChannel:
    place = f4.place_of(address, signed=scale != 1)
    register = replace(place.register, scale=scale)
    return chamber.register_channel(path, replace(place, register=register), item, poll_s=poll_s)


def _truth(chamber: WatlowF4, path: str, address: int, item: dict[str, Any]) -> RegisterChannel:
    place = f4.place_of(address)
    register = replace(place.register, type="bool")
    return chamber.register_channel(path, replace(place, register=register), item)
