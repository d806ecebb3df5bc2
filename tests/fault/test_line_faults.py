"""What a line does when the device, or the way to it, misbehaves."""

from __future__ import annotations

import logging
import threading

import pytest

from drivers.backoff import Backoff
from drivers.line import Line
from drivers.ports import Port, port_for_url
from mktl.errors import DeviceError, DeviceLost, DeviceTimeout, LinkDown, ProtocolMismatch
from tests._support import free_tcp_port, wait_until
from tests.unit.drivers.fakes import answer_with_name, device, line_to, settings


def state_is(line: Line, state: str) -> None:
    wait_until(lambda: line.status().state == state, what=f"state {state}")


def test_a_late_reply_never_answers_the_next_question():
    release = threading.Event()

    def late(message: str) -> bytes | None:
        if message == "slow":
            release.wait(30)
        return answer_with_name(message)

    with device(late) as fake, line_to(fake.url) as line:
        for n in range(3):
            release.clear()
            with pytest.raises(DeviceTimeout, match="nothing came back"):
                line.exchange(b"slow\n", timeout_s=0.05)
            threading.Timer(0.05 * n, release.set).start()
            assert line.exchange(f"next {n}\n".encode()) == f"re next {n}".encode()
        assert line.status().state == "Up"
    assert fake.received[-3:] == ["slow", "ID?", "next 2"]


def test_a_late_identity_answer_never_answers_the_next_question():
    # The probe's own answer is late: a resynchronisation on it would be one answer behind.
    hold = threading.Event()
    asked = []

    def late(message: str) -> bytes | None:
        asked.append(message)
        if asked.count("ID?") == 2 and message == "ID?":
            hold.wait(30)
        return answer_with_name(message)

    with device(late) as fake, line_to(fake.url, timeout_s=2.0) as line:
        with pytest.raises(DeviceTimeout):
            line.exchange(b"ID?\n", timeout_s=0.05)
        hold.set()
        assert line.exchange(b"a\n") == b"re a"
        assert line.exchange(b"b\n") == b"re b"


def test_the_second_half_of_a_reply_is_not_taken_for_the_next_one():
    def half(message: str) -> bytes | None:
        return b"+77." if message == "half" else answer_with_name(message)

    with device(half) as fake, line_to(fake.url) as line:
        with pytest.raises(DeviceTimeout, match=r"\+77\."):
            line.exchange(b"half\n", timeout_s=1.0)
        fake.send(b"350\r\n")
        assert line.exchange(b"a\n") == b"re a"


def test_what_comes_unasked_is_thrown_away():
    with device() as fake, line_to(fake.url) as line:
        fake.send(b"+12.0\r\nhalf a li")
        wait_until(lambda: line._connection._port._ready(line._connection._port._fileno(), 1, 0))
        assert line.exchange(b"a\n") == b"re a"
        assert line.status().state == "Up"


def test_a_flood_without_an_end_is_a_mismatch_and_does_not_fill_memory():
    def flood(message: str) -> bytes | None:
        return b"x" * 100_000 if message == "flood" else answer_with_name(message)

    with device(flood) as fake, line_to(fake.url) as line:
        with pytest.raises(ProtocolMismatch, match="without the end of a reply"):
            line.exchange(b"flood\n")
        assert line.exchange(b"a\n") == b"re a"


def test_a_device_that_never_stops_talking_brings_the_link_down():
    stop = threading.Event()

    def babble() -> None:
        while not stop.is_set():
            fake.send(b"noise ")
            stop.wait(0.005)

    with device() as fake, line_to(fake.url, drain_s=0.2) as line:
        thread = threading.Thread(target=babble)
        thread.start()
        try:
            with pytest.raises(DeviceError):
                while True:
                    line.exchange(b"a\n", timeout_s=0.2)
            wait_until(lambda: "nobody asked for" in line.status().error)
        finally:
            stop.set()
            thread.join()
        line.wait_until_up(timeout_s=30)
        assert line.exchange(b"a\n") == b"re a"


def test_a_line_comes_back_after_its_device_died_and_returned_on_the_same_port():
    states: list[str] = []
    port = free_tcp_port()
    restored = []
    with device(port=port) as fake:
        line = Line(
            port_for_url(fake.url),
            settings(),
            name="tc",
            on_connect=lambda: restored.append(line.exchange(b"restore\n")),
        )
        line.on_change(lambda status: states.append(status.state))
        line.wait_until_up(timeout_s=30)
    try:
        with pytest.raises(DeviceLost):
            line.exchange(b"a\n")
        with pytest.raises(LinkDown, match=r"tc at tcp://.*down since.*nothing was sent"):
            line.exchange(b"a\n")
        wait_until(lambda: "connection refused" in line.status().error)
        assert "next try in" in line.status().error or "trying again now" in line.status().error
        with device(port=port):
            line.wait_until_up(timeout_s=30)
            assert line.exchange(b"a\n") == b"re a"
            wait_until(lambda: states == ["Connecting", "Up", "Down", "Up"], what=str(states))
            assert restored == [b"re restore"] * 2
    finally:
        line.close()


def test_a_line_starts_with_its_device_switched_off():
    port = free_tcp_port()
    with line_to(f"tcp://127.0.0.1:{port}", up=False) as line:
        state_is(line, "Down")
        with pytest.raises(LinkDown, match="connection refused"):
            line.exchange(b"a\n")
        with device(port=port):
            line.wait_until_up(timeout_s=30)


def test_turns_that_wait_fail_when_the_link_goes_down():
    errors: list[str] = []

    def ask() -> None:
        try:
            line.exchange(b"a\n")
        except LinkDown as error:
            errors.append(str(error))

    # No new connection within this test: whoever waits must not be saved by one.
    with (
        device(lambda m: answer_with_name(m) if m == "ID?" else None) as fake,
        line_to(fake.url, retry_first_s=30, retry_longest_s=30) as line,
        line.turn(),
    ):
        waiting = [threading.Thread(target=ask) for _ in range(3)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: line._turns.waiting == 3)
        fake.hang_up()
        with pytest.raises(ConnectionError):
            line.exchange(b"a\n")
        for thread in waiting:
            thread.join(30)
    assert len(errors) == 3


def test_a_group_does_not_go_on_over_another_connection():
    with device() as fake, line_to(fake.url) as line:
        with line.turn():
            line.exchange(b"a\n")
            line.reconnect("for the test")
            wait_until(lambda: fake.connections == 2)
            with pytest.raises(LinkDown):
                line.exchange(b"b\n")
        line.wait_until_up(timeout_s=30)
        line.exchange(b"c\n")
    assert "b" not in fake.received


def test_the_wrong_device_is_named_and_the_right_one_taken_later():
    answers = {"ID?": b"ACME,7\r\n"}
    with device(answers.get) as fake, line_to(fake.url, up=False, timeout_s=1.0) as line:
        state_is(line, "Wrong device")
        with pytest.raises(LinkDown, match=r"wrong device.*ACME,7"):
            line.exchange(b"a\n")
        answers["ID?"] = b"FAKE,1\r\n"
        line.wait_until_up(timeout_s=30)


def test_an_old_reply_before_the_identity_is_not_the_wrong_device():
    def with_a_leftover(message: str) -> bytes | None:
        return b"+12.0\r\nFAKE,1\r\n" if message == "ID?" else answer_with_name(message)

    with device(with_a_leftover) as fake, line_to(fake.url) as line:
        assert line.exchange(b"a\n") == b"re a"


def test_a_half_open_link_is_found_while_idle():
    silent = threading.Event()

    def until_silent(message: str) -> bytes | None:
        return None if silent.is_set() else answer_with_name(message)

    with (
        device(until_silent) as fake,
        line_to(fake.url, idle_probe_s=0.1, timeout_s=2.0) as line,
    ):
        wait_until(lambda: fake.received.count("ID?") >= 3, what="probes")
        assert line.status().state == "Up"
        silent.set()
        state_is(line, "Down")
        silent.clear()
        line.wait_until_up(timeout_s=30)


def test_a_silent_device_fails_two_turns_and_then_the_link():
    with (
        device(lambda m: answer_with_name(m) if fake.received == ["ID?"] else None) as fake,
        line_to(fake.url, timeout_s=2.0) as line,
    ):
        with pytest.raises(DeviceTimeout, match="put back in step"):
            line.exchange(b"a\n")
        state_is(line, "Down")
        with pytest.raises(LinkDown, match="was not answered"):
            line.exchange(b"b\n")
    assert "b" not in fake.received


def test_an_outage_is_logged_once_not_at_each_try(caplog):
    caplog.set_level(logging.INFO, logger="drivers")
    with line_to(f"tcp://127.0.0.1:{free_tcp_port()}", up=False, retry_longest_s=0.05) as line:
        wait_until(lambda: line.status().errors >= 6)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3, told
    assert "connecting" in told[0]
    assert "connection refused" in told[1]
    assert told[2].endswith("closed")


def test_a_callback_that_fails_disturbs_nobody(caplog):
    told: list[str] = []

    def fail(status) -> None:
        raise RuntimeError("in a callback")

    with device() as fake:
        line = Line(port_for_url(fake.url), settings())
        line.on_change(fail)
        line.on_change(lambda status: told.append(status.state))
        line.wait_until_up(timeout_s=30)
        wait_until(lambda: told == ["Connecting", "Up"])
        assert line.exchange(b"a\n") == b"re a"
        line.close()
    assert "a callback for changes of state failed" in caplog.text


def test_a_callback_may_ask_and_may_close():
    answers: list[bytes] = []
    with device() as fake:
        line = Line(port_for_url(fake.url), settings())

        def ask_and_close(status) -> None:
            if status.state == "Up":
                answers.append(line.exchange(b"a\n"))
                line.close()

        line.on_change(ask_and_close)
        line.start()
        wait_until(lambda: answers == [b"re a"] and not line._thread.is_alive())


def test_a_setting_that_cannot_be_restored_keeps_the_link_down_and_says_so(caplog):
    def fails() -> None:
        raise ZeroDivisionError("a mistake in a driver")

    with device() as fake, line_to(fake.url, up=False, on_connect=fails) as line:
        state_is(line, "Down")
        assert "a mistake in a driver" in line.status().error


def test_close_during_an_attempt_to_connect_does_not_wait_for_it():
    # 192.0.2.0/24 is reserved for documentation: nobody answers, or nobody can be reached.
    with line_to("tcp://192.0.2.1:7777", up=False, connect_timeout_s=60) as line:
        line.close()
        assert line._thread is not None
        assert not line._thread.is_alive()


def test_a_closed_line_does_not_speak_of_a_next_attempt():
    with device() as fake, line_to(fake.url) as line:
        line.close()
        with pytest.raises(LinkDown, match="it was closed") as error:
            line.exchange(b"a\n")
        assert "next try" not in str(error.value)


def test_a_pause_just_before_an_attempt_to_connect_holds_and_can_be_ended():
    with device() as fake:
        port = port_for_url(fake.url)
        paused = threading.Event()

        def renew() -> Port:
            if not paused.is_set():
                paused.set()
                line.pause()
            return port_for_url(fake.url)

        port.renew = renew
        line = Line(port, settings(), name="tc")
        try:
            line.start()
            assert paused.wait(10)
            line.resume()
            line.wait_until_up(timeout_s=30)
            assert line.exchange(b"a\n") == b"re a"
            assert fake.connections == 1
        finally:
            line.close()


def test_delays_double_up_to_the_longest_with_jitter():
    backoff = Backoff(first_s=0.5, longest_s=30, jitter=0.2, seed=1)
    delays = [backoff.next_delay_s() for _ in range(10)]
    for delay, plain in zip(delays, (0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30), strict=True):
        assert 0.8 * plain <= delay <= min(1.2 * plain, 30)
    backoff.reset()
    assert backoff.next_delay_s() <= 0.6
