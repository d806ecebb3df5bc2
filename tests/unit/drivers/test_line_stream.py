"""Devices that sleep, or speak until they are spoken to: what a line does for them."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.line import Line
from drivers.ports import port_for_url
from drivers.settings import Wake
from mktl.errors import DeviceError, DeviceTimeout, LinkDown
from tests._support import wait_until
from tests.unit.drivers.fakes import FakeDevice, answer_with_name, device, settings


class Talker:
    """Sleeps until it gets an empty line, and says ticks between GO and the next line."""

    def __init__(self) -> None:
        self.deaf_for = 0
        self.goes = True
        self.chatters = False

    def __call__(self, message: str) -> bytes | None:
        if message == "":
            self.deaf_for -= 1
            if self.chatters:
                return b"!\r\n" + b"more" * 100
            return b"!\r\n" if self.deaf_for < 0 else None
        if message == "GO":
            return b"OK\r\nTICK 1\r\nTICK 2\r\nTI" if self.goes else b"NO\r\n"
        return answer_with_name(message)


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def peer(talker) -> Iterator[FakeDevice]:
    with device(talker) as made:
        yield made


@contextlib.contextmanager
def opened(
    peer: FakeDevice, heard: Callable[[str], None] = lambda line: None, **changes: Any
) -> Iterator[Line]:
    def go() -> None:
        if line.exchange(b"GO\n") != b"OK":
            raise DeviceError("it does not want to")

    usual: dict[str, Any] = {
        "unsolicited": (re.compile("TICK .*"),),
        "wake": Wake(b"\n", b"!\r\n", within_s=1.0, tries=3),
        "stream": True,
        "idle_probe_s": 30.0,
        "timeout_s": 2.0,
    }
    line = Line(
        port_for_url(peer.url),
        settings(**{**usual, **changes}),
        name="talker",
        heard=heard,
        start_stream=go,
    )
    try:
        line.start()
        yield line
    finally:
        line.close()


def test_a_question_ends_what_it_says_and_it_goes_on_when_the_line_is_left(peer):
    heard: list[str] = []
    with opened(peer, heard.append) as line:
        wait_until(lambda: heard == ["TICK 1", "TICK 2"])
        assert line.exchange(b"hello\n") == b"re hello"
        wait_until(lambda: len(heard) == 4)
        with line.turn():
            assert line.exchange(b"one\n") == b"re one"
            assert line.exchange(b"two\n") == b"re two"
            assert peer.received.count("GO") == 2
        wait_until(lambda: len(heard) == 6)
        assert line.status().errors == 0
        assert peer.received == [
            "", "ID?", "", "GO", "", "hello", "", "GO", "", "one", "two", "", "GO"
        ]  # fmt: skip


def test_what_has_ended_by_itself_begins_anew(peer):
    heard: list[str] = []
    with opened(peer, heard.append) as line:
        wait_until(lambda: heard)
        line.stream_ended()
        wait_until(lambda: peer.received.count("GO") == 2)
        wait_until(lambda: len(heard) == 4)


def test_while_it_speaks_it_is_not_asked_who_it_is(peer):
    heard: list[str] = []
    with opened(peer, heard.append, idle_probe_s=1.5) as line:
        wait_until(lambda: heard)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            count = len(heard)
            peer.send(b"CK 3\r\nTI")
            wait_until(lambda count=count: len(heard) > count)
        asked = peer.received.count("ID?")
        assert asked == 1
        wait_until(lambda: peer.received.count("ID?") == 2)
        wait_until(lambda: peer.received.count("GO") == 2)
        assert line.status().state == "Up"


@contextlib.contextmanager
def saying(peer: FakeDevice, line: bytes) -> Iterator[None]:
    """Have *peer* say *line* all the time."""
    ended = threading.Event()

    def say() -> None:
        while not ended.wait(0.02):
            peer.send(line)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_what_comes_unasked_all_the_time_does_not_keep_a_line_out_of_step(peer, talker):
    with opened(peer, wake=None, stream=False) as line:
        line.wait_until_up(timeout_s=30)
        with saying(peer, b"TICK 1\r\n"):
            peer.answer = lambda message: None if message == "mute" else talker(message)
            for _n in range(3):
                with pytest.raises(DeviceTimeout):
                    line.exchange(b"mute\n", timeout_s=0.1)
                peer.send(b"re mute\r\n")
                assert line.exchange(b"hello\n") == b"re hello"
        assert peer.connections == 1


@pytest.mark.parametrize("noise", [b"noise\r\n", b"noise", b"TICK 1\r\nnoise\r\n"])
def test_what_says_anything_else_all_the_time_is_no_link(peer, noise):
    # On a machine that is held up, silence could otherwise come between two of what it says.
    changes = {"wake": None, "stream": False, "drain_s": 0.1, "quiet_s": 1.5}
    with saying(peer, noise), opened(peer, **changes) as line:
        wait_until(lambda: line.status().state == "Down")
        assert "bytes keep coming that nobody asked for" in line.status().error
    assert "ID?" not in peer.received


def test_it_is_woken_as_often_as_it_takes(peer, talker):
    talker.deaf_for = 2
    with opened(peer) as line:
        line.wait_until_up(timeout_s=30)
        talker.deaf_for = 2
        assert line.exchange(b"hello\n") == b"re hello"


def test_what_does_not_wake_up_is_no_link(peer, talker):
    with opened(peer, stream=False) as line:
        line.wait_until_up(timeout_s=30)
        talker.deaf_for = 100
        with pytest.raises(LinkDown, match=r"does not wake up: b'\\n' was sent 3 times"):
            line.exchange(b"hello\n")
        assert "hello" not in peer.received
        talker.deaf_for = 0
        line.wait_until_up(timeout_s=30)
        assert line.exchange(b"hello\n") == b"re hello"


def test_what_goes_on_speaking_has_not_woken_up(peer, talker):
    talker.chatters = True
    with opened(peer) as line:
        wait_until(lambda: line.status().state == "Down")
        assert "b'\\n' was sent 3 times, and b'" in line.status().error
        assert "came back, not b'!\\r\\n'" in line.status().error


def test_what_cannot_be_told_to_speak_is_lost_after_the_second_try(peer, talker):
    talker.goes = False
    with opened(peer) as line:
        wait_until(lambda: line.status().state == "Down")
        assert "does not begin to speak by itself: it does not want to" in line.status().error
        assert peer.received.count("GO") == 2
        talker.goes = True
        wait_until(lambda: line.status().state == "Up")
        wait_until(lambda: peer.received.count("GO") == 3)
