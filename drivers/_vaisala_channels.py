"""The channels of a Vaisala WXT transmitter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from drivers import _vaisala_wxt530 as wxt
from drivers._block_plan import Block
from drivers.channel import Channel
from drivers.vaisala_wxt530 import VaisalaWXT530
from mktl.errors import BadValue

__all__ = ["blocks_of", "channels_of"]

_POLL_S = {"wind": 2.0, "ptu": 10.0, "rain": 10.0, "supervisor": 30.0}
_RECEIVED_BYTES = {"wind": 54, "ptu": 34, "rain": 78, "supervisor": 46}
_SENT_BYTES = 8


def channels_of(unit: VaisalaWXT530) -> tuple[Channel, ...]:
    """Return all channels, bound to *unit*; nothing is sent."""
    return (*_measured(unit), *_heater(unit), *_settings(unit), *_resets(unit), *_counts(unit))


def blocks_of(unit: VaisalaWXT530) -> tuple[Block, ...]:
    """Return what one message has."""

    def read(kind: str, paths: tuple[str, ...]) -> Sequence[Any]:
        values = unit.readings(kind)
        return [values[path] for path in paths]

    made = []
    for kind, digit in wxt.KINDS.items():
        paths = tuple(path for path, one in wxt.PATHS.items() if one.kind == kind)
        received = _RECEIVED_BYTES[kind]
        made.append(Block(paths, partial(read, kind, paths), f"R{digit}", _SENT_BYTES, received))
    return tuple(made)


def _poll(unit: VaisalaWXT530, kind: str) -> dict[str, Any]:
    return {
        "poll_s": None if unit.automatic else _POLL_S[kind],
        "sent_bytes": _SENT_BYTES,
        "received_bytes": _RECEIVED_BYTES[kind],
    }


def _measured(unit: VaisalaWXT530) -> Iterator[Channel]:
    for one in wxt.PARAMETERS:
        yield Channel(
            one.path,
            _item(one.description, units=one.units, format=one.format),
            partial(unit.value, one.path),
            listen=partial(unit.listen, one.path) if unit.automatic else None,
            **_poll(unit, one.kind),
        )


def _heater(unit: VaisalaWXT530) -> Iterator[Channel]:
    yield Channel(
        wxt.HEATER,
        _item("State of the heating", "enumerated", enumerators=_texts(wxt.HEATER_STATES.values())),
        unit.heater_state,
        listen=partial(unit.listen, wxt.HEATER) if unit.automatic else None,
        **_poll(unit, "supervisor"),
    )


def _settings(unit: VaisalaWXT530) -> Iterator[Channel]:
    letters = list(wxt.MODES)

    def set_mode(number: int) -> None:
        unit.set_mode(letters[int(number)])

    yield Channel(
        "mode",
        _item(
            "What the transmitter speaks; it is restarted when that is set",
            "enumerated",
            enumerators=_texts(wxt.MODES.values()),
        ),
        lambda: letters.index(unit.mode()),
        set_mode,
        poll_s=None,
        sent_bytes=5,
        received_bytes=70,
    )
    yield Channel(
        "identity",
        _item("Model and version of the firmware", "string"),
        unit.identity,
        poll_s=None,
        sent_bytes=5,
        received_bytes=70,
    )
    for kind in wxt.SENSORS:
        yield Channel(
            f"interval.{kind}",
            _item(
                f"How often {kind} is measured and, in automatic mode, told",
                units="s",
                format="%d",
                range=[1, 3600],
            ),
            partial(unit.interval_s, kind),
            partial(unit.set_interval_s, kind),
            poll_s=None,
            sent_bytes=5,
            received_bytes=60,
        )


def _resets(unit: VaisalaWXT530) -> Iterator[Channel]:
    for path, description, act in (
        ("reset.rain", "Set to true: counters of rain and hail begin at zero", unit.reset_rain),
        ("reset.rain.rate", "Set to true: rates of rain and hail become zero",
         unit.reset_rain_rate),
        ("reset.measurement", "Set to true: all measurements begin anew", unit.reset_measurement),
        ("restart", "Set to true: the transmitter restarts", unit.restart),
    ):  # fmt: skip
        yield Channel(
            path, _item(description, "boolean"), write=partial(_do, path, act), poll_s=None
        )


def _do(path: str, act: Callable[[], None], value: Any) -> None:
    if value is not True:
        raise BadValue(f"{path} can only be set to true")
    act()


def _counts(unit: VaisalaWXT530) -> Iterator[Channel]:
    yield Channel(
        "lines.damaged",
        _item("How many lines came by themselves that were damaged, and dropped", format="%d"),
        lambda: unit.damaged,
        poll_s=60.0,
        sent_bytes=0,
        received_bytes=0,
    )


def _item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **fields}


def _texts(names: Any) -> dict[str, str]:
    return {str(number): text for number, text in enumerate(names)}
