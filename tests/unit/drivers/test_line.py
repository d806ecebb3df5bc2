"""Turns, deadlines and pacing of a line, on real sockets."""

from __future__ import annotations

import re
import threading
import time

import pytest

from drivers.exchanged import Exchanged
from drivers.line import Line
from drivers.ports import port_for_url
from drivers.ports.scripted import ScriptedPort
from drivers.settings import LineSettings
from mktl.errors import DeviceLost, DeviceTimeout, LinkDown, ProtocolMismatch
from tests._support import wait_until
from tests.unit.drivers.fakes import answer_with_name, device, line_to, settings


def started(target, *args) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def test_a_scripted_conversation_needs_no_network():
    port = ScriptedPort((b"KRDG? A\r\n", b"+77.350\r\n"))
    line = Line(port)
    assert line.exchange(b"KRDG? A\r\n") == b"+77.350"
    assert port.finished
    line.close()


def test_an_exchange_gives_the_reply_without_its_end():
    with device() as fake, line_to(fake.url) as line:
        assert line.exchange(b"hello\n") == b"re hello"


def test_a_reply_in_pieces_is_put_together():
    def in_pieces(message: str) -> bytes | None:
        if message == "ID?":
            return answer_with_name(message)
        for piece in (b"+7", b"7.3", b"50\r"):
            fake.send(piece)
            time.sleep(0.02)
        return b"\n"

    with device(in_pieces) as fake, line_to(fake.url) as line:
        assert line.exchange(b"KRDG? A\n") == b"+77.350"


def test_a_message_without_a_reply_does_not_wait():
    with (
        device(lambda m: answer_with_name(m) if "?" in m else None) as fake,
        line_to(fake.url) as line,
    ):
        assert line.exchange(b"SET 1\n", reply=False) == b""
        assert line.exchange(b"Q?\n") == b"re Q?"


def test_eight_threads_each_get_their_own_answers():
    wrong: list[str] = []

    def ask(who: int) -> None:
        for n in range(40):
            answer = line.exchange(f"{who}-{n}\n".encode())
            if answer != f"re {who}-{n}".encode():
                wrong.append(f"{who}-{n}: {answer!r}")

    with device() as fake, line_to(fake.url) as line:
        threads = [started(ask, who) for who in range(8)]
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(fake.received) == 8 * 40 + 1


def test_a_set_goes_before_a_refresh_before_a_poll():
    def ask(kind) -> None:
        with line.prioritised(kind):
            line.exchange(f"{kind}\n".encode())

    with device() as fake, line_to(fake.url) as line:
        threads = []
        with line.turn():
            for n, kind in enumerate(("poll", "refresh", "set"), 1):
                threads.append(started(ask, kind))
                wait_until(lambda n=n: line._turns.waiting == n)
        for thread in threads:
            thread.join()
    assert fake.received[1:] == ["set", "refresh", "poll"]


def test_equals_are_served_in_the_order_of_their_coming():
    with device() as fake, line_to(fake.url) as line:
        threads = []
        with line.turn():
            for n in range(5):
                threads.append(started(line.exchange, f"{n}\n".encode()))
                wait_until(lambda n=n: line._turns.waiting == n + 1)
        for thread in threads:
            thread.join()
    assert fake.received[1:] == ["0", "1", "2", "3", "4"]


def test_an_unknown_kind_of_turn_is_refused():
    line = Line(ScriptedPort())
    with pytest.raises(ValueError, match="set, refresh, poll"), line.prioritised("urgent"):
        pass


def test_a_group_is_not_interrupted():
    with device() as fake, line_to(fake.url) as line:
        with line.turn():
            line.exchange(b"a\n")
            other = started(line.exchange, b"other\n")
            wait_until(lambda: line._turns.waiting == 1)
            with line.turn():
                line.exchange(b"b\n")
            line.exchange(b"c\n")
        other.join()
    assert fake.received[1:] == ["a", "b", "c", "other"]


def test_a_turn_that_does_not_come_is_given_up_and_nothing_is_sent():
    failures = []

    def ask() -> None:
        try:
            line.exchange(b"late\n")
        except DeviceTimeout as error:
            failures.append(str(error))

    with device() as fake, line_to(fake.url, wait_s=0.05) as line:
        with line.turn():
            started(ask).join()
        assert "nothing was sent" in failures[0]
        assert line.exchange(b"next\n") == b"re next"
    assert fake.received[1:] == ["next"]


def test_messages_keep_their_distance():
    with device() as fake, line_to(fake.url, min_gap_s=0.03) as line:
        for n in range(5):
            line.exchange(f"{n}\n".encode())
    after = [
        asked - answered
        for (_, answered), (_, asked) in zip(fake.events[1::2], fake.events[2::2], strict=False)
    ]
    assert len(after) == 5
    assert min(after) >= 0.03


def test_a_device_is_given_time_after_a_slow_command():
    slow = ((b"SLOW", 0.15),)
    with device() as fake, line_to(fake.url, settle_after=slow) as line:
        begin = time.monotonic()  # the device itself may look at the clock late
        line.exchange(b"SLOW\n")
        line.exchange(b"a\n")
    assert fake.events[4][1] - begin >= 0.15


def test_two_replies_to_one_question_are_a_mismatch_and_the_next_is_right():
    def twice(message: str) -> bytes | None:
        return b"+1.0\r\n+2.0\r\n" if message == "twice" else answer_with_name(message)

    with device(twice) as fake, line_to(fake.url) as line:
        with pytest.raises(ProtocolMismatch, match=r"tc at tcp://.*\+1\.0.*\+2\.0"):
            line.exchange(b"twice\n")
        assert line.exchange(b"next\n") == b"re next"


def test_a_mismatch_that_the_caller_finds_puts_the_line_in_step_again():
    with device() as fake, line_to(fake.url) as line:
        with pytest.raises(ProtocolMismatch), line.turn():
            line.exchange(b"a\n")
            raise ProtocolMismatch("not a number")
        line.exchange(b"b\n")
        assert line.status().errors == 1
    assert fake.received == ["ID?", "a", "ID?", "b"]


def test_an_error_counts_once_however_deep_it_was():
    with (
        device(lambda m: answer_with_name(m) if m == "ID?" else None) as fake,
        line_to(fake.url) as line,
    ):
        with pytest.raises(DeviceTimeout), line.turn(), line.turn():
            line.exchange(b"silence\n", timeout_s=0.05)
        status = line.status()
        assert status.errors == 1
        assert "silence" in status.error


@pytest.mark.parametrize("echo", [False, True])
def test_a_reply_that_was_there_in_time_is_taken_though_we_come_to_it_late(echo):
    class Busy(ScriptedPort):
        def write(self, data: bytes, deadline: float) -> None:
            super().write(data, deadline)
            if data == b"a\n":
                wait_until(lambda: time.monotonic() > deadline)

    echoed = [b"ID?\n", b"a\n"] if echo else [b"", b""]
    port = Busy((b"ID?\n", echoed[0] + b"FAKE,1\r\n"), (b"a\n", echoed[1] + b"A\r\n"))
    line = Line(port, settings(echo=echo))
    try:
        assert line.exchange(b"a\n", timeout_s=0.05) == b"A"
    finally:
        line.close()


def test_an_interrupted_exchange_gives_the_turn_back_and_leaves_the_line_in_doubt():
    class Interrupted(ScriptedPort):
        interrupts = 1

        def read(self, deadline: float) -> bytes:
            if self.interrupts and b"a\n" in self.written:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().read(deadline)

    port = Interrupted(
        (b"ID?\n", b"FAKE,1\r\n"), (b"a\n", b""), (b"ID?\n", b"FAKE,1\r\n"), (b"b\n", b"B\r\n")
    )
    line = Line(port, settings())
    with pytest.raises(KeyboardInterrupt):
        line.exchange(b"a\n")
    port.arrive(b"A\r\n")
    assert line.exchange(b"b\n") == b"B"
    line.close()


def test_the_first_turn_starts_the_line_and_waits_for_it():
    with device() as fake:
        line = Line(ScriptedPort(), settings())
        line.close()
        with line_to(fake.url, up=False) as line:
            line.close()
        fresh = Line(line._port.renew(), settings())
        try:
            answers: list[bytes] = []
            threads = [started(lambda: answers.append(fresh.exchange(b"a\n"))) for _ in range(3)]
            for thread in threads:
                thread.join()
            assert answers == [b"re a"] * 3
        finally:
            fresh.close()


def test_figures_are_there_after_the_first_exchange():
    with device() as fake, line_to(fake.url, min_gap_s=0.05) as line:
        assert line.status().latency_ms is None
        for _ in range(4):
            line.exchange(b"a\n")
        status = line.status()
        assert status.latency_ms is not None
        assert 0 < status.load_percent <= 100


def test_close_ends_waiting_turns_and_the_thread():
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            line.exchange(b"a\n")
        except LinkDown as error:
            errors.append(error)

    with device() as fake, line_to(fake.url) as line:
        thread = line._thread
        with line.turn():
            waiting = [started(ask) for _ in range(3)]
            wait_until(lambda: line._turns.waiting == 3)
            line.close()
            for other in waiting:
                other.join(30)
        assert len(errors) == 3
        assert "closed" in str(errors[0])
        assert thread is not None
        assert not thread.is_alive()
        line.close()
        with pytest.raises(LinkDown, match="closed"):
            line.start()
        assert line.status().state == "Down"


def test_close_ends_an_exchange_that_waits_for_its_reply():
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            line.exchange(b"silence\n", timeout_s=30)
        except ConnectionError as error:
            errors.append(error)

    with (
        device(lambda m: answer_with_name(m) if m == "ID?" else None) as fake,
        line_to(fake.url) as line,
    ):
        asking = started(ask)
        wait_until(lambda: "silence" in fake.received)
        line.close()
        asking.join(10)
    assert "may or may not have been carried out" in str(errors[0])


def test_an_exchange_that_a_pause_ends_does_not_speak_of_a_next_attempt():
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            line.exchange(b"silence\n", timeout_s=30)
        except DeviceLost as error:
            errors.append(error)

    with (
        device(lambda m: answer_with_name(m) if m == "ID?" else None) as fake,
        line_to(fake.url) as line,
    ):
        asking = started(ask)
        wait_until(lambda: "silence" in fake.received)
        line.pause()
        asking.join(30)
    assert str(errors[0]).endswith("; it was paused by hand, and the port is free for others")


@pytest.mark.parametrize("query", [True, False])
def test_only_what_may_change_something_may_have_been_carried_out(query):
    with (
        device(lambda m: None if m == "silence" else answer_with_name(m)) as fake,
        line_to(fake.url) as line,
    ):
        with pytest.raises(DeviceTimeout, match="nothing came back; ") as caught:
            line.exchange(b"silence\n", timeout_s=0.05, query=query)
        assert ("may or may not have been carried out" in str(caught.value)) is not query
        assert "put back in step" in str(caught.value)


def test_what_was_told_in_a_turn_may_have_been_carried_out_where_a_query_after_it_fails():
    with (
        device(lambda m: None if m == "silence" else answer_with_name(m)) as fake,
        line_to(fake.url) as line,
    ):
        with pytest.raises(DeviceTimeout, match="may or may not"), line.turn():
            line.exchange(b"told\n")
            line.exchange(b"silence\n", timeout_s=0.05, query=True)
        with pytest.raises(DeviceTimeout) as caught:
            line.exchange(b"silence\n", timeout_s=0.05, query=True)
        assert "may or may not" not in str(caught.value)


@pytest.mark.parametrize("query", [True, False])
def test_what_was_told_in_a_turn_is_not_denied_where_the_link_is_lost_after_it(query):
    with device(answer_with_name) as fake, line_to(fake.url) as line:
        with pytest.raises(LinkDown) as caught, line.turn():
            line.exchange(b"first\n", query=query)
            line.reconnect("somebody stumbled over the cable")
            line.exchange(b"second\n", query=True)
        assert ("sent before in this turn may or may not" in str(caught.value)) is not query
        assert bool(re.search("nothing (more )?was sent", str(caught.value))) is query


def test_settings_without_identity_reopen_a_line_in_doubt():
    with (
        device(lambda m: None if m == "silence" else answer_with_name(m)) as fake,
        line_to(fake.url, identity=None) as line,
    ):
        with pytest.raises(DeviceTimeout):
            line.exchange(b"silence\n", timeout_s=0.05)
        wait_until(lambda: fake.connections == 2)
        line.wait_until_up(timeout_s=30)
        assert line.exchange(b"a\n") == b"re a"


def test_settings_that_do_not_exist_are_refused_with_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'timeout_s'"):
        LineSettings().updated({"timeout": 3})
    for bad in (-1, 0, True, "1", float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout_s must be"):
            LineSettings().updated({"timeout_s": bad})
    assert LineSettings().updated({"min_gap_s": 0}).min_gap_s == 0


def test_an_echo_is_read_before_the_reply():
    def echoing(message: str) -> bytes | None:
        return f"{message}\n".encode() + (answer_with_name(message) or b"")

    with device(echoing) as fake, line_to(fake.url, echo=True) as line:
        assert line.exchange(b"a\n") == b"re a"
        assert line.exchange(b"b\n") == b"re b"
        assert line.status().errors == 0


def test_a_wrong_echo_is_no_reply():
    def echoing(message: str) -> bytes | None:
        if message == "b":
            return b"x\nre b\r\n"
        return f"{message}\n".encode() + (answer_with_name(message) or b"")

    with device(echoing) as fake, line_to(fake.url, echo=True) as line:
        with pytest.raises(ProtocolMismatch, match="echo"):
            line.exchange(b"b\n")
        wait_until(lambda: line.status().state == "Up")
        assert line.exchange(b"a\n") == b"re a"


def test_bytes_to_be_ignored_are_dropped_wherever_they_come():
    def noisy(message: str) -> bytes | None:
        answer = answer_with_name(message) or b""
        return b"\x13" + answer[:2] + b"\x11" + answer[2:]

    with device(noisy) as fake, line_to(fake.url, ignore=b"\x11\x13") as line:
        assert line.exchange(b"a\n") == b"re a"


def test_characters_are_sent_one_by_one_where_the_device_wants_it():
    with device() as fake, line_to(fake.url, char_delay_s=0.001) as line:
        assert line.exchange(b"slowly\n") == b"re slowly"


def test_lines_that_come_unasked_are_heard_and_never_taken_for_a_reply():
    heard: list[str] = []

    def chatty(message: str) -> bytes | None:
        return b"!ALARM 1\r\n" + (answer_with_name(message) or b"") + b"!ALARM 2\r\n"

    def plain(message: str) -> bytes | None:
        return answer_with_name(message)

    unsolicited = (re.compile(r"!ALARM \d+"),)
    with device(plain) as fake:
        port = port_for_url(fake.url)
        line = Line(port, settings(unsolicited=unsolicited), heard=heard.append)
        try:
            line.wait_until_up(timeout_s=30)
            fake.send(b"!ALARM 7\r\n")
            wait_until(lambda: heard == ["!ALARM 7"])
            fake.answer = chatty
            assert line.exchange(b"a\n") == b"re a"
            assert line.exchange(b"b\n") == b"re b"
            wait_until(lambda: heard[1:] == ["!ALARM 1", "!ALARM 2"] * 2)
            assert line.status().errors == 0
        finally:
            line.close()


def test_the_first_half_of_a_line_that_comes_unasked_waits_for_the_second():
    heard: list[str] = []
    with device() as fake:
        made = settings(unsolicited=(re.compile(r"!ALARM \d+"),))
        line = Line(port_for_url(fake.url), made, heard=heard.append)
        try:
            line.wait_until_up(timeout_s=30)
            fake.send(b"!ALA")
            fake.answer = lambda message: b"RM 5\r\n" + (answer_with_name(message) or b"")
            assert line.exchange(b"a\n") == b"re a"
            assert heard == ["!ALARM 5"]
        finally:
            line.close()


def test_each_exchange_can_be_traced():
    traced: list[Exchanged] = []
    with device() as fake, line_to(fake.url) as line:
        line.wait_until_up(timeout_s=30)
        line.trace = traced.append
        line.exchange(b"a\n")
        line.exchange(b"b\n", reply=False)
        line.trace = None
        line.exchange(b"c\n")
    assert [(one.sent, one.received) for one in traced] == [(b"a\n", b"re a"), (b"b\n", None)]


def test_a_paused_line_releases_the_port_until_it_is_resumed():
    with device() as fake, line_to(fake.url) as line:
        line.wait_until_up(timeout_s=30)
        line.pause()
        wait_until(lambda: line.status().state == "Paused")
        with pytest.raises(LinkDown, match="paused"):
            line.exchange(b"a\n")
        assert fake.connections == 1
        line.resume()
        line.wait_until_up(timeout_s=30)
        assert line.exchange(b"a\n") == b"re a"
        assert fake.connections == 2
