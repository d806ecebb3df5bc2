"""A line that sends back what it is told, where nobody has said so: an adapter, or a bad cable."""

from __future__ import annotations

import pytest

from mktl.errors import DeviceRefused, ProtocolMismatch
from tests.unit.drivers import modbus_fakes
from tests.unit.drivers.text_fakes import IDENTIFY, opened, read, table, text_device

REGISTER = {"table": "holding", "address": 0x1005}
SETTABLE = {"register": REGISTER, "settable": True}


@pytest.fixture
def wire():
    """A line without anybody at its other end, which sends back what it is told."""
    with modbus_fakes.fake(rtu=True) as device:
        device.answer_pdu = lambda unit, pdu: pdu
        yield device


def test_a_write_that_only_the_line_has_answered_is_not_taken_for_carried_out(wire):
    with modbus_fakes.opened(wire.url_of()) as plc:
        for write in (
            lambda: plc.write_register(5, 7),
            lambda: plc.write_coil(5, True),
            lambda: plc.channel_for("x", SETTABLE).write(7),
        ):
            with pytest.raises(ProtocolMismatch, match="nothing shows that anybody heard it"):
                write()


def test_a_read_that_only_the_line_has_answered_says_what_to_do(wire):
    with modbus_fakes.opened(wire.url_of()) as plc:
        for read_one in (
            lambda: plc.read_holding_registers(5, 1),
            lambda: plc.channel_for("x", {"register": REGISTER}).read(),
            lambda: plc.write_registers(5, [1, 2]),
        ):
            with pytest.raises(ProtocolMismatch, match="set echo = true"):
                read_one()


def test_a_cable_that_goes_bad_later_does_not_answer_a_write():
    with modbus_fakes.fake(rtu=True) as device, modbus_fakes.opened(device.url_of()) as plc:
        plc.write_register(5, 7)
        device.answer_pdu = lambda unit, pdu: pdu
        with pytest.raises(ProtocolMismatch):
            plc.read_holding_registers(5, 1)
        with pytest.raises(ProtocolMismatch, match="nothing shows"):
            plc.write_register(5, 8)
        assert device.words[5] == 7


def test_a_unit_that_has_answered_is_not_asked_again_with_each_write():
    with modbus_fakes.fake(rtu=True) as device, modbus_fakes.opened(device.url_of()) as plc:
        for value in range(3):
            plc.write_register(5, value)
        assert [pdu[0] for pdu in device.asked if pdu[0] != 8] == [6, 3, 6, 6]


@pytest.mark.parametrize("refusal", [b"\x83\x02", None], ids=["refused", "not answered"])
def test_a_unit_without_holding_registers_can_be_written_all_the_same(refusal):
    with modbus_fakes.fake(rtu=True) as device, modbus_fakes.opened(device.url_of()) as plc:
        device.answer_pdu = lambda unit, pdu: refusal if pdu[0] == 3 else device.behave(unit, pdu)
        plc.write_coil(5, True)
        plc.write_coil(6, True)
        assert device.coils[5:7] == [1, 1]
        with pytest.raises(DeviceRefused):
            plc.write_coil(500, True)


def test_the_question_itself_is_not_the_text_that_was_asked_for():
    answer = table({b"NAME?": b"pump"})
    with text_device(lambda message: message + b"\r\n" + (answer(message) or b"")) as device:
        items = {"name": {"ask": "NAME?", "reply": "{value:s}"}}
        with opened(device, items, identify=IDENTIFY) as driver:
            for _ in range(3):
                with pytest.raises(ProtocolMismatch):
                    read(driver, "name")


def test_an_echo_that_comes_alone_is_no_text_and_the_error_says_what_to_do():
    with text_device(lambda message: message + b"\r\n") as device:
        items = {"name": {"ask": "NAME?", "reply": "{value:s}"}}
        with opened(device, items) as driver, pytest.raises(ProtocolMismatch, match="echo = true"):
            read(driver, "name")
