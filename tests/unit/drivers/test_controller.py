"""What all drivers share: one controller a URL, and text in and out."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import drivers
from drivers.catalog import driver_class
from drivers.channel import Channel
from drivers.controller import Controller
from mktl.controllers import ControllerLike
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    LinkDown,
    ProtocolMismatch,
    UnknownKey,
)
from tests._support import wait_until
from tests.unit.drivers.fakes import answer_with_name, device, settings


class Fake(Controller):
    driver_name = "fake"
    line_defaults = settings()

    def channels(self):
        return (
            Channel("temperature.A", {"type": "numeric"}, read=lambda: 1.0),
            Channel("setpoint.1", {"type": "numeric"}, write=print),
        )

    def replies_to(self, text):
        return "?" in text


class Other(Fake):
    driver_name = "other"


def test_a_controller_is_what_a_daemon_wants():
    controller = Fake("tcp://127.0.0.1:1")
    assert isinstance(controller, ControllerLike)
    controller.close()


def test_opening_one_url_twice_gives_one_controller_until_all_closed_it():
    with device() as fake:
        first, second = Fake.open(fake.url), Fake.open(fake.url + "/")
        assert first is second
        assert first.ask("a") == "re a"
        first.close()
        assert second.ask("b") == "re b"
        second.close()
        with pytest.raises(LinkDown, match="closed"):
            second.ask("c")
        third = Fake.open(fake.url)
        assert third is not first
        assert third.ask("d") == "re d"
        third.close()
        first.close()


def test_opening_one_url_with_other_settings_is_refused():
    with Fake.open("tcp://127.0.0.1:1", timeout_s=2.0, restore=["X"]):
        for same in ({}, {"timeout_s": 2}, {"restore": ["X"]}):
            Fake.open("tcp://127.0.0.1:1", **same).close()
        with pytest.raises(ConfigurationError, match=r"timeout_s = 2.0, not 3"):
            Fake.open("tcp://127.0.0.1:1", timeout_s=3)
        with pytest.raises(ConfigurationError, match="other restore commands"):
            Fake.open("tcp://127.0.0.1:1", restore=[])
        with pytest.raises(ConfigurationError, match="as fake, not as other"):
            Other.open("tcp://127.0.0.1:1")
    with (
        Fake.open("serial:///dev/null?baud=1200"),
        pytest.raises(ConfigurationError, match=r"baud=1200.*not.*baud=9600"),
    ):
        Fake.open("serial:///dev/null?baud=9600")


def test_settings_are_checked_before_anything_is_opened():
    with pytest.raises(ConfigurationError, match="restore must be a list"):
        Fake("tcp://127.0.0.1:1", restore="RAMP 1")
    with pytest.raises(ConfigurationError, match="printable ASCII"):
        Fake("tcp://127.0.0.1:1", restore=["a\nb"])
    with pytest.raises(ConfigurationError, match=r"'RAMP\? 1' is a question"):
        Fake("tcp://127.0.0.1:1", restore=["RAMP? 1"])
    with pytest.raises(ConfigurationError, match="unknown setting"):
        Fake("tcp://127.0.0.1:1", colour="red")


def test_text_that_would_be_two_messages_is_not_sent():
    with device() as fake, Fake.open(fake.url) as controller:
        for text in ("a\nb", "a\r", "ä", "\0"):
            with pytest.raises(BadValue, match="printable ASCII"):
                controller.ask(text)
        assert controller.ask("a") == "re a"
    assert fake.received == ["ID?", "a"]


def test_a_reply_that_is_not_text_is_a_mismatch():
    def answer(message):
        return b"\xff\xfe\r\n" if message == "binary" else answer_with_name(message)

    with device(answer) as fake, Fake.open(fake.url, name="tc") as controller:
        with pytest.raises(ProtocolMismatch, match=r"tc at .*'binary'.*xff"):
            controller.ask("binary")
        assert controller.ask("a") == "re a"


def test_nobody_uses_the_line_between_a_bad_reply_and_its_being_put_in_step():
    begun: list[threading.Thread] = []

    def answer(message):
        if message != "binary":
            return answer_with_name(message)
        begun[0].start()
        wait_until(lambda: controller._line._turns.waiting == 1)
        return b"\xff\xfe\r\n"

    def ask_urgently():
        with controller.prioritised("set"):
            controller.ask("a")

    with device(answer) as fake, Fake.open(fake.url, name="tc") as controller:
        controller.wait_until_up()
        other = threading.Thread(target=ask_urgently)
        begun.append(other)
        with pytest.raises(ProtocolMismatch):
            controller.ask("binary")
        other.join(10)
    assert fake.received == ["ID?", "binary", "ID?", "a"]


def test_raw_waits_for_a_reply_only_where_one_is_due():
    with (
        device(lambda m: answer_with_name(m) if "?" in m else None) as fake,
        Fake.open(fake.url) as controller,
    ):
        assert controller.raw("SET 1") == ""
        assert controller.raw("Q?") == "re Q?"


def test_settings_are_restored_on_each_connect():
    with (
        device(lambda m: answer_with_name(m) if "?" in m else None) as fake,
        Fake.open(fake.url, restore=["R 1", "R 2"]) as controller,
    ):
        controller.wait_until_up()
        fake.hang_up()
        with pytest.raises(DeviceError):
            while True:
                controller.ask("Q?")
        controller.wait_until_up()
        wait_until(lambda: fake.received.count("R 2") == 2)
    assert fake.received[:3] == ["ID?", "R 1", "R 2"]


def test_an_unknown_channel_is_refused_with_the_nearest_ones():
    with Fake.open("tcp://127.0.0.1:1", name="tc") as controller:
        assert controller.channel("temperature.A").item["settable"] is False
        assert controller.channel("setpoint.1").item["gettable"] is False
        with pytest.raises(UnknownKey, match=r"tc has no channel.*did you mean 'temperature.A'"):
            controller.channel("temperture.a")


def test_drivers_are_found_by_name_or_by_class():
    assert driver_class("lakeshore336").__name__ == "LakeShore336"
    assert driver_class("drivers.lakeshore336:LakeShore336") is driver_class("lakeshore336")
    for name, reason in (
        ("lakeshore363", "did you mean 'lakeshore336'"),
        ("no.such.module:Class", "cannot be imported"),
        ("drivers.lakeshore336:Nothing", "cannot be imported"),
        ("drivers.channel:Channel", "not a subclass"),
        (":Class", "cannot be imported"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            driver_class(name)


def test_the_package_imports_nothing_before_it_is_needed():
    code = (
        "import sys, drivers; assert 'drivers.line' not in sys.modules; drivers.Controller;"
        "import drivers.lakeshore336;"
        "assert not {'zmq', 'numpy', 'serial', 'pint'} & set(sys.modules), 'too much'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
    assert drivers.Channel is Channel
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        drivers.Nothing  # noqa: B018
