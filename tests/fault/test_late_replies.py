"""A reply that comes long after its question, from a device that cannot be asked who it is."""

from __future__ import annotations

import threading

import pytest

from mktl.errors import DeviceLost, DeviceTimeout, LinkDown
from tests.unit.drivers.text_fakes import opened, pty_device, read, read_at_last, text_device

ITEMS = {
    "temperature": {"ask": "T?", "reply": "{value:g}"},
    "pressure": {"ask": "P?", "reply": "{value:g}"},
}


class Slow:
    """One thing after the other, as a device does it; the first one takes long."""

    def __init__(self) -> None:
        self.begin = threading.Event()
        self.pause = threading.Event()

    def __call__(self, message: bytes) -> bytes:
        if message == b"T?":
            self.begin.wait(30)
            return b"77.1\r\n"
        self.pause.wait(0.05)
        return b"1013\r\n"


@pytest.mark.parametrize("query", ["", "&unit=1"], ids=["alone", "one of several"])
def test_a_late_reply_answers_no_other_question_after_the_port_was_opened_anew(query):
    # With nothing to ask it, the port is opened anew: the answer comes through the new one.
    slow = Slow()
    with pty_device(slow) as device, opened(device, ITEMS, query=query, timeout_s=1.0) as driver:
        with pytest.raises(DeviceTimeout):
            read(driver, "temperature")
        threading.Timer(0.5, slow.begin.set).start()
        for _ in range(3):
            assert read_at_last(driver, "pressure") == 1013


def test_a_serial_server_that_keeps_the_reply_for_the_next_connection_answers_nothing_with_it():
    kept, pause = threading.Event(), threading.Event()

    def reply(message: bytes) -> bytes | None:
        if message == b"T?":
            server.hang_up()
            threading.Timer(0.4, kept.set).start()
            return None
        kept.wait(30)
        pause.wait(0.05)
        return b"1013\r\n"

    def deliver() -> None:
        kept.wait(30)
        server.send(b"77.1\r\n")

    with text_device(reply) as server, opened(server, ITEMS, timeout_s=1.0) as driver:
        late = threading.Thread(target=deliver)
        late.start()
        with pytest.raises(DeviceLost):
            read(driver, "temperature")
        for _ in range(3):
            assert read_at_last(driver, "pressure") == 1013
        late.join(30)


def test_a_silent_unit_that_cannot_be_asked_who_it_is_is_left_alone_all_the_same():
    def answer(message: bytes) -> bytes | None:
        return b"77.1\r\n" if message == b"1T?" else None

    items = {"temperature": {"ask": "{unit}T?", "reply": "{value:g}"}}
    quick = {"timeout_s": 1.0, "retry_first_s": 30, "retry_longest_s": 30}
    with (
        text_device(answer) as device,
        opened(device, items, query="?unit=1", **quick) as healthy,
        opened(device, items, query="?unit=2", **quick) as silent,
    ):
        for _ in range(2):
            with pytest.raises(DeviceTimeout):
                read(silent, "temperature")
        with pytest.raises(LinkDown, match="it does not answer"):
            read(silent, "temperature")
        assert read(healthy, "temperature") == 77.1
        assert device.told(b"2T?") == 2
