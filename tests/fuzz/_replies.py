"""What drivers make of the text of a reply, and twins of what a host sends."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import simulators
from drivers import _davis_quantities as davis
from drivers import _icepap as icepap
from drivers import _julabo as julabo
from drivers import _keysight_34465a as keysight
from drivers import _lakeshore336 as lakeshore
from drivers import _pfeiffer_tpg36x as tpg
from drivers import _pfeiffer_types as pfeiffer
from drivers import _rigol_dp832 as rigol
from drivers import _vaisala_wxt530 as vaisala
from drivers import _zaber as zaber_words
from drivers import scpi
from drivers._davis_packet import to_loop
from drivers._modbus_pdu import read_reply, write_register, write_reply
from drivers.framing import checksum, telegrams, zaber
from drivers.framing import davis as davis_framing
from mktl.errors import DeviceError, ProtocolMismatch
from simulators.device import Device, Later

from ._lines import cut
from ._wire import check_told

__all__ = ["TWINS", "modbus", "packet", "reply", "twin"]

MOST_MESSAGES = 60

READERS: tuple[Callable[[str], object], ...] = (
    lakeshore.to_float, lakeshore.to_reading, lakeshore.to_flag, lakeshore.to_output_mode,
    lakeshore.to_sensor_input, lakeshore.to_alarm, lakeshore.check_lost_reply,
    partial(lakeshore.to_int, allowed=range(8)),
    keysight.to_function, keysight.to_source, keysight.to_values, keysight.to_samples,
    keysight.to_line_hz, keysight.to_byte, scpi.to_entry, scpi.check_lost_reply,
    rigol.to_measured, partial(rigol.to_setpoints, channel=1), rigol.to_on, rigol.to_tripped,
    rigol.to_mode, julabo.to_status, julabo.to_float, partial(julabo.to_int, allowed=range(3)),
    julabo.check_lost_reply, partial(icepap.values_of, "1:?POS"),
    partial(icepap.acknowledged, "#1:MOVE 5"), icepap.to_word, icepap.to_int, icepap.to_float,
    icepap.home_result, zaber_words.to_flags, zaber_words.to_int, zaber_words.why_refused,
    partial(zaber.to_reply, address=1, number=5), zaber.to_unasked, telegrams.to_telegram,
    partial(tpg.to_measurements, count=2, unit=0), tpg.is_measurement, tpg.to_unit,
    partial(tpg.to_gauges, count=6), partial(tpg.to_types, count=2), tpg.to_error_word,
    tpg.to_identity, tpg.to_firmware,
    *(kind.value for kind in (pfeiffer.BOOLEAN, pfeiffer.INTEGER, pfeiffer.REAL, pfeiffer.SHORT,
                              pfeiffer.EXPONENT, pfeiffer.STRING)),
)  # fmt: skip
"""All that reads a reply which was found whole."""


def reply(data: bytes) -> None:
    """Each reader understands a reply, or says in one of two ways that it does not."""
    text = data.decode("latin-1")
    for read in READERS:
        try:
            read(text)
        except (ValueError, DeviceError) as error:
            check_told(error)
    for known in checksum.CHECKSUMS.values():
        assert known.removed(known.added(data)) == data if data else True
        try:
            known.removed(data)
        except checksum.WrongChecksum as error:
            check_told(error)
    weather(data)


def weather(line: bytes) -> None:
    """A line of a weather transmitter is a message with readings, settings, or neither."""
    for read in (vaisala.to_message, vaisala.to_settings):
        try:
            found = read(line)
        except ValueError as error:
            check_told(error)
            continue
        if isinstance(found, vaisala.Message):
            vaisala.heater_state(found)
            for parameter in vaisala.PARAMETERS:
                vaisala.reading(found, parameter)


def packet(data: bytes) -> None:
    """Whatever is in a packet that is whole, each quantity is a value, or no value."""
    whole = davis_framing.with_crc((b"LOO" + data)[:95].ljust(95, b"\0") + davis_framing.CRLF)
    values = davis.decoded(to_loop(whole), 254)
    assert set(values) == {quantity.path for quantity in davis.QUANTITIES}
    assert davis.decoded(to_loop(whole), None).keys() == values.keys()


def modbus(data: bytes) -> None:
    """A reply holds as many registers or bits as were asked for, or is a mismatch."""
    count = 1 + (data[0] if data else 0) % 125
    for table in ("holding", "coil"):
        try:
            values = read_reply(table, count, data[1:])
        except ProtocolMismatch as error:
            check_told(error)
        else:
            assert len(values) == count
    try:
        write_reply(write_register(1, 2), data)
    except ProtocolMismatch as error:
        check_told(error)


def _made(name: str) -> Device:
    model = simulators.MODELS[name]
    return model.load()(seed=1, **({"unit": 1} if model.addressed else {}))


TWINS = tuple(sorted(simulators.MODELS))


def twin(data: bytes) -> None:
    """No host breaks a twin, nor has it keep what has no end; it answers for bytes with bytes.

    Of an input the first byte says which twin, the second how the bytes are cut.
    """
    device = _made(TWINS[data[0] % len(TWINS)] if data else TWINS[0])
    framer: Any = device.framer()
    messages = 0
    for piece in cut(data[2:], random.Random(data[1] if len(data) > 1 else 0)):
        for message in framer.feed(piece):
            messages += 1
            if messages > MOST_MESSAGES:
                return
            answer = device.answer(message)
            for _ in range(3):
                if not isinstance(answer, Later):
                    break
                device.step(0.5)
                device.interrupted()
                answer = answer.take() or b""
            assert isinstance(answer, bytes)
            device.take_unasked()
    device.step(1.0)
    for quantity in device.quantities().values():
        assert isinstance(quantity.read(), (int, float))
