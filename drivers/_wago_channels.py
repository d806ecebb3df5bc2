"""The channels of a WAGO coupler: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from drivers import _wago_modules as wago
from drivers._channel_words import command_channel, item_fields, texts_of
from drivers.channel import Channel
from drivers.modbus import Place, Register, RegisterChannel
from drivers.wago_750_352 import Wago750352

__all__ = ["channels_of"]

_INPUT_S, _ANALOG_S, _OUTPUT_S, _SLOW_S = 0.5, 1.0, 2.0, 30.0
# What a request of two registers costs in bytes: to read them, and the reply.
_COST: dict[str, Any] = {"sent_bytes": 12, "received_bytes": 13}


def channels_of(coupler: Wago750352) -> tuple[Channel, ...]:
    """Return all channels, bound to *coupler*; nothing is sent."""
    return (
        *_digital(coupler),
        *_analog(coupler),
        *_watchdog(coupler),
        *_of_coupler(coupler),
    )


def _digital(coupler: Wago750352) -> Iterator[Channel]:
    for n in range(1, coupler.modules.digital_inputs + 1):
        item = item_fields(f"Digital input {n}", "boolean", enumerators={"0": "Off", "1": "On"})
        yield coupler.register_channel(
            f"di.{n}", coupler.digital_input_place(n), item, poll_s=_INPUT_S
        )
    for n in range(1, coupler.modules.digital_outputs + 1):
        yield _settable(
            coupler.register_channel(
                f"do.{n}",
                coupler.digital_output_place(n),
                item_fields(f"Digital output {n}", "boolean", enumerators={"0": "Off", "1": "On"}),
                poll_s=_OUTPUT_S,
            ),
            partial(coupler.set_digital_output, n),
        )


def _analog(coupler: Wago750352) -> Iterator[Channel]:
    for n, kind in enumerate(coupler.modules.analog_inputs, 1):
        item = _analog_item(f"Analog input {n}, {kind}", wago.KINDS[kind])
        yield coupler.register_channel(
            f"ai.{n}", coupler.analog_input_place(n), item, poll_s=_ANALOG_S
        )
    for n, kind in enumerate(coupler.modules.analog_outputs, 1):
        item = _analog_item(f"Analog output {n}, {kind}", wago.KINDS[kind])
        item["range"] = list(wago.KINDS[kind].range or ())
        yield _settable(
            coupler.register_channel(
                f"ao.{n}", coupler.analog_output_place(n), item, poll_s=_OUTPUT_S
            ),
            partial(coupler.set_analog_output, n),
        )


def _watchdog(coupler: Wago750352) -> Iterator[Channel]:
    yield _settable(
        coupler.register_channel(
            "watchdog.time",
            wago.watchdog_time(),
            item_fields(
                "Without a request for so long, outputs fall to 0; 0: never",
                units="second",
                format="%.1f",
                range=[0, 6553.5],
            ),
            poll_s=_SLOW_S,
        ),
        coupler.set_watchdog_time_s,
    )
    yield coupler.register_channel(
        "watchdog.status",
        wago.watchdog_status(),
        item_fields(
            "What the watchdog does; expired, all outputs are 0",
            "enumerated",
            enumerators=texts_of(wago.WATCHDOG_STATES),
        ),
    )
    yield Channel(
        "watchdog.functions",
        item_fields(
            "The requests that re-trigger the watchdog",
            "mask",
            enumerators=texts_of(
                {code - 1: text for code, text in wago.WATCHDOG_FUNCTIONS.items()}, none=True
            ),
        ),
        coupler.watchdog_functions,
        coupler.set_watchdog_functions,
        _SLOW_S,
        **_COST,
    )
    for name, what, run in (
        ("restart", "restart the watchdog after it has expired", coupler.restart_watchdog),
        ("trigger", "trigger the watchdog", coupler.trigger_watchdog),
        ("stop", "stop the watchdog", coupler.stop_watchdog),
    ):
        yield command_channel(f"watchdog.{name}", what, run)


def _of_coupler(coupler: Wago750352) -> Iterator[Channel]:
    for at, name in enumerate(("code", "argument")):
        yield _word(
            coupler,
            f"error.{name}",
            Register(table="holding", address=wago.LED_ERROR + at),
            item_fields(f"Error that the LED blinks: its {name}", format="%d"),
        )
    yield _word(
        coupler,
        "diagnostics",
        Register(table="holding", address=0x1050, count=3),
        item_fields(
            "The three registers of diagnostics, as they are", "numeric array", format="%d"
        ),
    )
    yield _word(
        coupler,
        "idle_timeout",
        Register(table="holding", address=0x1030, scale=0.001),
        item_fields(
            "A connection that is idle for so long is closed; 0: never",
            units="second",
            format="%.3f",
        ),
        poll_s=_SLOW_S,
    )
    for path, what, read in (
        ("modules", "What it finds plugged in", lambda: ", ".join(coupler.module_list())),
        ("description", "What it calls itself", partial(coupler.text, "description")),
        ("firmware", "Version of the firmware", coupler.firmware),
        ("firmware.date", "Date of the firmware", partial(coupler.text, "date")),
        ("firmware.time", "Time of the firmware", partial(coupler.text, "time")),
        ("firmware.loader", "What loaded the firmware", partial(coupler.text, "loader")),
        ("mac", "MAC address", coupler.mac_address),
    ):
        yield Channel(path, item_fields(what, "string"), read, poll_s=None, **_COST)


def _settable(channel: RegisterChannel, write: Callable[[Any], None]) -> Channel:
    """Return *channel*, written by *write*, which checks and explains."""
    return replace(channel, write=write)


def _word(
    coupler: Wago750352,
    path: str,
    register: Register,
    item: dict[str, Any],
    poll_s: float = 5.0,
) -> Channel:
    place = Place(register=register, write_table="holding", write_address=register.address)
    return coupler.register_channel(path, place, item, poll_s=poll_s)


def _analog_item(description: str, kind: wago.Analog) -> dict[str, Any]:
    return item_fields(description, format=kind.format, units=kind.units)
