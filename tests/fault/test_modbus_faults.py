"""What a Modbus driver does when the device, or the way to it, misbehaves."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from mktl.errors import (
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, opened

BOTH = pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu"])


class Once:
    """Does something else than usual to the first request with one function code."""

    def __init__(self, device: FakeModbus, function: int, act) -> None:
        self.left = 1
        self.device, self.function, self.act = device, function, act
        device.answer_pdu = self

    def __call__(self, unit: int, pdu: bytes) -> bytes | None:
        if pdu[0] == self.function and self.left:
            self.left -= 1
            return self.act(unit, pdu)
        return self.device.behave(unit, pdu)


def dressed_once(device: FakeModbus, dress) -> None:
    """Have the next reply to a read of registers sent as *dress* makes it."""

    def once(frame: bytes) -> bytes:
        if frame[1 if device.rtu else 7] != 3:
            return frame
        device.dress = bytes
        return dress(frame)

    device.dress = once


@BOTH
def test_a_late_reply_never_answers_the_next_question(rtu):
    release = threading.Event()
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=5) as plc:

        def late(unit: int, pdu: bytes) -> bytes | None:
            release.wait(30)
            return device.behave(unit, pdu)

        for n in range(1, 4):
            release.clear()
            Once(device, 3, late)
            with pytest.raises(DeviceTimeout, match="nothing came back"):
                short(plc, 100)
            timer = threading.Timer(0.02 * n, release.set)
            timer.start()
            # Of the same size as the late one: nothing but its place in the row tells them apart.
            assert plc.read_holding_registers(n, 1) == [n]
            timer.join()
        assert plc.status().state == "Up"


def short(plc, address: int) -> None:
    """Ask for one register, and do not wait for long."""
    plc._line.exchange(plc._frame(b"\x03" + address.to_bytes(2, "big") + b"\0\1"), timeout_s=0.05)


def test_after_a_timeout_on_a_serial_line_a_number_is_sent_back_before_anything_else():
    with fake(rtu=True) as device, opened(device.url_of()) as plc:
        Once(device, 3, lambda unit, pdu: None)
        device.asked.clear()
        with pytest.raises(DeviceTimeout):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]
        assert [pdu[0] for pdu in device.asked] == [3, 8, 3]


def test_a_loopback_that_is_refused_proves_as_much():
    with fake(rtu=True) as device:
        refused = lambda unit, pdu: b"\x88\x01" if pdu[0] == 8 else device.behave(unit, pdu)  # noqa: E731
        device.answer_pdu = refused
        with opened(device.url_of()) as plc:
            device.answer_pdu = lambda unit, pdu: None if pdu[0] == 3 else b"\x88\x01"
            with pytest.raises(DeviceTimeout):
                plc.read_holding_registers(1, 1)
            device.answer_pdu = refused
            assert plc.read_holding_registers(2, 1) == [2]


def test_without_loopback_a_serial_line_has_to_be_quiet_for_long():
    late = []
    with (
        fake(rtu=True) as device,
        opened(device.url_of(), loopback=False, timeout_s=0.8) as plc,
    ):

        def answer_late(unit: int, pdu: bytes) -> None:
            frame = device.frame(0, unit, b"\x03\x02\xde\xad")
            late.append(threading.Timer(1.0, device.send, [frame]))
            late[0].start()

        Once(device, 3, answer_late)
        with pytest.raises(DeviceTimeout):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]
        late[0].join()


def test_over_tcp_a_unit_that_cannot_be_asked_who_it_is_may_lose_a_reply():
    with fake() as device, opened(device.url_of(), loopback=False) as plc:
        Once(device, 3, lambda unit, pdu: None)
        device.asked.clear()
        with pytest.raises(DeviceTimeout):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]
        assert [pdu[0] for pdu in device.asked] == [3, 3]


@BOTH
def test_a_silent_unit_is_known_as_such_before_anything_else_is_waited_for(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        device.asked.clear()
        device.answer_pdu = lambda unit, pdu: None
        with pytest.raises(DeviceTimeout):
            plc.read_holding_registers(1, 1)
        with pytest.raises(LinkDown):
            plc.read_holding_registers(2, 1)
        assert [pdu[0] for pdu in device.asked[:2]] == [3, 8]


@BOTH
def test_a_unit_that_answers_all_but_some_questions_stays_up(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=1.0) as plc:
        device.answer_pdu = lambda unit, pdu: None if pdu[0] == 3 else device.behave(unit, pdu)
        for address in range(4):
            with pytest.raises(DeviceTimeout):
                plc.read_holding_registers(address, 1)
        assert plc.status().state == "Up"


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        b"\x03\x02\x00",
        b"\x03\x04\x00\x01\x00\x02",
        b"\x03\x00",
        b"\x03",
        b"\x04\x02\x00\x01",
        b"\x84\x02",
    ],
)
def test_a_reply_that_is_no_answer_is_never_a_value(rtu, reply):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 3, lambda unit, pdu: reply)
        with pytest.raises((ProtocolMismatch, DeviceTimeout)):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]


@BOTH
@pytest.mark.parametrize("noise", [b"\xff" * 40, b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(300)])
def test_garbage_instead_of_a_reply_is_an_error_and_then_over(rtu, noise):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        dressed_once(device, lambda frame: noise)
        with pytest.raises(DeviceError):
            plc.read_holding_registers(1, 1)
        wait_until(lambda: reads(plc, 2))


def reads(plc, address: int) -> bool:
    """Whether a register can be read; what is read is always right."""
    try:
        assert plc.read_holding_registers(address, 1) == [address], "a wrong value!"
    except DeviceError:
        return False
    return True


@BOTH
@pytest.mark.parametrize("left", range(1, 9))
def test_a_truncated_reply_is_a_timeout_that_says_what_came(rtu, left):
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=1.0) as plc:
        dressed_once(device, lambda frame: frame[: min(left, len(frame) - 1)])
        with pytest.raises(DeviceTimeout, match="came back"):
            plc.read_holding_registers(1, 1)
        assert reads(plc, 2) or reads(plc, 2)


@BOTH
def test_a_reply_in_pieces_is_one_reply(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=5) as plc:

        def split(frame: bytes) -> bytes:
            for n in range(len(frame) - 1):
                device.send(frame[n : n + 1])
                time.sleep(0.001)
            return frame[-1:]

        device.dress = split
        assert plc.read_holding_registers(0, 3) == [0, 1, 2]


@BOTH
def test_the_answer_of_another_unit_is_never_ours(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        wrong = device.frame(0, 2, b"\x03\x02\xde\xad")
        dressed_once(device, lambda frame: wrong if rtu else frame[:6] + b"\x02" + frame[7:])
        with pytest.raises(DeviceTimeout if rtu else ProtocolMismatch):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]


def test_a_damaged_serial_frame_is_a_mismatch():
    with fake(rtu=True) as device, opened(device.url_of()) as plc:
        dressed_once(device, lambda frame: frame[:4] + bytes((frame[4] ^ 1,)) + frame[5:])
        with pytest.raises(ProtocolMismatch, match="damaged"):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]


@BOTH
def test_two_replies_to_one_question_are_a_mismatch(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        dressed_once(device, lambda frame: frame + frame)
        with pytest.raises(ProtocolMismatch):
            plc.read_holding_registers(1, 1)
        assert plc.read_holding_registers(2, 1) == [2]


@BOTH
def test_a_write_that_is_answered_with_another_value_is_a_mismatch(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 6, lambda unit, pdu: pdu[:-1] + b"\x63")
        with pytest.raises(ProtocolMismatch, match="should come back"):
            plc.write_register(5, 7)


@BOTH
def test_a_busy_device_is_asked_again_until_the_deadline(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=10) as plc:
        Once(device, 3, lambda unit, pdu: b"\x83\x06").left = 3
        assert plc.read_holding_registers(1, 1) == [1]
    with fake(rtu=rtu) as device, opened(device.url_of(), timeout_s=1.0) as plc:
        device.answer_pdu = lambda unit, pdu: b"\x83\x06"
        with pytest.raises(DeviceRefused, match=r"server device busy \(exception 6\)"):
            plc.read_holding_registers(1, 1)
        assert plc.status().state == "Up"


def test_a_gateway_without_an_answer_is_a_silent_unit():
    with fake() as device, opened(device.url_of(1)) as one, opened(device.url_of(2)) as two:
        device.answer_pdu = lambda unit, pdu: (
            bytes((pdu[0] | 0x80, 11)) if unit == 2 else device.behave(unit, pdu)
        )
        with pytest.raises(DeviceTimeout, match="unit 2 did not answer") as caught:
            two.read_holding_registers(1, 1)
        assert "within" not in str(caught.value)  # it was told, and did not wait in vain
        assert "may or may not" not in str(caught.value)
        wait_until(lambda: not reads(two, 1) and two.status().state != "Up")
        assert one.read_holding_registers(1, 1) == [1]
        assert one.status().state == "Up"
        device.answer_pdu = device.behave
        two.wait_until_up(timeout_s=30)


@BOTH
def test_why_a_unit_counts_as_silent_is_told_once_however_often_the_port_is_opened_anew(
    rtu, caplog
):
    caplog.set_level(logging.INFO, "drivers")
    with fake(rtu=rtu) as device:
        device.answer_pdu = lambda unit, pdu: None
        with opened(device.url_of(), up=False, timeout_s=0.5) as plc:
            wait_until(lambda: device.connections >= 4)
            assert plc.status().state == "Down"
            assert "loopback = false" in plc.status().error
            assert len([one for one in caplog.messages if "unit 1: the link is down" in one]) == 1
            assert len([one for one in caplog.messages if one.startswith("bus at")]) == 2
            device.answer_pdu = device.behave
            plc.wait_until_up(timeout_s=30)
    assert not [one for one in caplog.messages if "none of its units" in one]


@BOTH
def test_a_gateway_without_a_path_to_the_unit_is_no_sign_of_the_unit(rtu):
    with fake(rtu=rtu) as device:
        device.answer_pdu = lambda unit, pdu: bytes((pdu[0] | 0x80, 10))
        with opened(device.url_of(), up=False) as plc:
            wait_until(lambda: "gateway path unavailable" in plc.status().error)
            assert plc.status().state != "Up"
            device.answer_pdu = device.behave
            plc.wait_until_up(timeout_s=30)
            assert plc.read_holding_registers(1, 1) == [1]


def test_a_silent_unit_of_a_serial_line_does_not_delay_the_others():
    with (
        fake(rtu=True) as device,
        opened(device.url_of(1)) as one,
        opened(device.url_of(2), retry_longest_s=0.2) as two,
    ):
        device.answer_pdu = lambda unit, pdu: None if unit == 2 else device.behave(unit, pdu)
        for _ in range(2):
            with pytest.raises(DeviceError):
                two.read_holding_registers(1, 1)
        wait_until(lambda: two.status().state != "Up")
        with pytest.raises(LinkDown):
            two.read_holding_registers(1, 1)
        assert one.read_holding_registers(1, 1) == [1]
        device.answer_pdu = device.behave
        two.wait_until_up(timeout_s=30)


@BOTH
def test_a_connection_that_is_half_open_is_noticed_and_made_anew(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        device.answer_pdu = lambda unit, pdu: None
        wait_until(lambda: not reads(plc, 1) and plc.status().state != "Up")
        device.answer_pdu = device.behave
        plc.wait_until_up(timeout_s=30)
        assert device.connections > 1
        assert plc.read_holding_registers(1, 1) == [1]


def test_a_dead_unit_is_noticed_with_nothing_to_ask_it_too():
    with fake() as device, opened(device.url_of(), loopback=False) as plc:
        device.answer_pdu = lambda unit, pdu: None
        for _ in range(2):
            with pytest.raises(DeviceTimeout):
                plc.read_holding_registers(1, 1)
        with pytest.raises(LinkDown):
            plc.read_holding_registers(1, 1)


@BOTH
def test_a_connection_that_breaks_says_that_the_write_may_have_been_carried_out(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 6, lambda unit, pdu: device.hang_up())
        with pytest.raises(DeviceLost, match=r"write register 5.*may or may not"):
            plc.write_register(5, 7)
        plc.wait_until_up(timeout_s=30)


# --- a lost answer to a write ---------------------------------------------------------------------


def setpoint(plc, **more):
    register = {"table": "holding", "address": 5, **more}
    return plc.channel_for("setpoint", {"register": register, "settable": True})


@BOTH
def test_a_write_whose_answer_was_lost_is_read_back(rtu, caplog):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 6, lambda unit, pdu: device.behave(unit, pdu) and None)
        with caplog.at_level(logging.WARNING):
            setpoint(plc).write(77)
        assert device.words[5] == 77
        assert len(device.seen(6)) == 1
        assert "carried out all the same" in caplog.text


@BOTH
def test_a_write_that_was_lost_is_sent_once_more(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 6, lambda unit, pdu: None)
        setpoint(plc).write(77)
        assert device.words[5] == 77
        assert len(device.seen(6)) == 2


@BOTH
def test_a_write_that_must_not_be_repeated_is_not(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        Once(device, 6, lambda unit, pdu: None)
        with pytest.raises(DeviceTimeout, match="read back, holding 5 does not hold 77"):
            setpoint(plc, repeat=False).write(77)
        assert len(device.seen(6)) == 1


@BOTH
def test_an_order_that_must_not_be_repeated_is_not_taken_for_done_because_it_was_so_before(rtu):
    with fake(rtu=rtu) as device, opened(device.url_of()) as plc:
        device.words[5] = 4
        Once(device, 6, lambda unit, pdu: None)
        with pytest.raises(DeviceTimeout, match=r"may or may not.*holds 4, as it may have before"):
            setpoint(plc, repeat=False).write(4)
        assert len(device.seen(6)) == 1


def test_a_write_of_which_nothing_is_known_says_so():
    with fake() as device, opened(device.url_of()) as plc:
        device.answer_pdu = lambda unit, pdu: None
        with pytest.raises(
            DeviceTimeout, match=r"may or may not.*could not be read back"
        ) as raised:
            setpoint(plc).write(77)
        # It was: only the reading was not.
        assert "nothing was sent" not in str(raised.value)


def test_nobody_comes_between_the_reading_and_the_writing_of_a_part():
    with fake() as device, opened(device.url_of()) as plc:
        device.words[5] = 0
        bits = [
            plc.channel_for(
                f"b{n}",
                {"register": {"table": "holding", "address": 5, "bit": n}, "settable": True},
            )
            for n in range(16)
        ]
        threads = [threading.Thread(target=bit.write, args=(True,)) for bit in bits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert device.words[5] == 0xFFFF
