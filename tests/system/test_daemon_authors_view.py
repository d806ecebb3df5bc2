"""What the author of a daemon relies on: hooks and their order, polls, controllers."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mktl
from mktl.controllers import ControllerStatus
from mktl.errors import LinkDown
from tests._support import wait_until
from tests._support.daemons import client_of, raw_client, serving
from tests._support.wire import payload_of


class Recorder(mktl.Daemon):
    """Notes in which order its hooks are called, and with what at hand."""

    fail_in = ""

    def note(self, hook: str) -> None:
        self.calls.append(hook)
        if hook == self.fail_in:
            raise ZeroDivisionError(hook)

    def parse_options(self, options: Any) -> None:
        self.calls: list[str] = options.calls
        self.note("parse_options")

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        self.note("describe_items")
        assert self._server is None
        return {"plain": {"initial": 1}, "Kept": {"initial": 2, "persist": True}, "made": {}}

    def setup(self) -> None:
        assert self.ports
        self.made = self.add_item(mktl.Item, "MADE")
        assert self.store["made"] is self.made
        self.made.publish("early")
        self.note("setup")

    def setup_final(self) -> None:
        assert self.store["plain"].value == 1
        assert self.store["kept"].value in (2, 5)
        self.values = (self.store["kept"].value, self.store["made"].value)
        self.note("setup_final")

    def cleanup(self) -> None:
        self.note("cleanup")


def test_hooks_are_called_in_the_documented_order_and_cleanup_once() -> None:
    calls: list[str] = []
    daemon = Recorder("cryo", "hw", False, SimpleNamespace(calls=calls))
    assert calls == ["parse_options", "describe_items", "setup", "setup_final"]
    assert daemon.values == (2, "early")
    daemon.store["kept"].set(5)
    daemon.stop()
    daemon.stop()
    assert calls[4:] == ["cleanup"]
    assert daemon.wait(0)
    again = Recorder("cryo", "hw", False, SimpleNamespace(calls=[]))
    assert again.values == (5, "early")
    again.stop()


@pytest.mark.parametrize(
    ("hook", "cleanups"),
    [("parse_options", 0), ("describe_items", 0), ("setup", 1), ("setup_final", 1)],
)
def test_hook_that_raises_ends_the_start_and_leaves_nothing_behind(
    hook: str, cleanups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(Recorder, "fail_in", hook)
    with pytest.raises(ZeroDivisionError):
        Recorder("cryo", "hw", False, SimpleNamespace(calls=calls))
    assert calls.count("cleanup") == cleanups
    monkeypatch.setattr(Recorder, "fail_in", "")
    Recorder("cryo", "hw", False, SimpleNamespace(calls=[])).stop()


def test_cleanup_that_raises_does_not_keep_the_daemon_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Recorder, "fail_in", "cleanup")
    daemon = Recorder("cryo", "hw", False, SimpleNamespace(calls=[]))
    daemon.stop()
    monkeypatch.setattr(Recorder, "fail_in", "")
    Recorder("cryo", "hw", False, SimpleNamespace(calls=[])).stop()


@pytest.mark.parametrize("bad", ["", "a/b", "..", "a.b", "x" * 300, "a b", "a\n", "\u212a"])
def test_store_and_alias_that_are_no_names_are_refused(bad: str, mktl_home: Path) -> None:
    for names in ((bad, "hw"), ("cryo", bad)):
        with pytest.raises(ValueError):
            mktl.Daemon(*names)
    assert not mktl_home.exists()


def test_descriptions_that_contradict_themselves_are_all_named_at_once() -> None:
    items = {"one": {"type": "nonsense"}, "two": {"type": "numeric", "range": [3, 1]}}
    with pytest.raises(ValueError, match=r"one.*two"), serving(items):
        pass


def test_two_items_on_one_key_are_refused() -> None:
    class Twice(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(mktl.Item, "a")
            self.add_item(mktl.Item, "A")

    with pytest.raises(mktl.MktlError, match="exists already"), serving({}, daemon_class=Twice):
        pass


class Chain(mktl.Item):
    """Notes the chain of its requests."""

    def __init__(self, store: Any, key: str) -> None:
        super().__init__(store, key)
        self.chain: list[Any] = []
        self.hardware = 1.0

    def req_get(self, request: Any) -> Any:
        self.chain.append(("get", request.refresh))
        return super().req_get(request)

    def req_refresh(self) -> Any:
        self.chain.append("refresh")
        return self.hardware

    def validate(self, value: Any) -> Any:
        self.chain.append(("validate", value))
        if value > 10:
            raise ValueError("ten at most")
        return round(value)

    def req_set(self, request: Any) -> Any:
        self.chain.append(("set", request.value, request.origin.get("user")))
        self.hardware = request.value
        self.req_poll()


class Chained(mktl.Daemon):
    def describe_items(self) -> Any:
        return {"item": {"type": "numeric"}}

    def setup(self) -> None:
        self.chain = self.add_item(Chain, "item")


def test_set_goes_through_type_check_validation_and_req_set_and_is_published() -> None:
    with serving({}, daemon_class=Chained) as daemon, raw_client(daemon) as client:
        item = daemon.store["item"]
        assert isinstance(item, Chain)
        payload = {"value": "3.2", "_user": "me"}
        assert payload_of(client.ask("SET", "cryo.item", payload)) == {"value": True}
        assert item.chain == [("validate", 3.2), ("set", 3, "me"), "refresh"]
        assert item.value == 3
        item.chain.clear()
        assert client.set("cryo.item", 11)["error"]["text"] == "ten at most"
        assert client.set("cryo.item", "x")["error"]["type"] == "ValueError"
        assert item.chain == [("validate", 11)]
        assert client.get("cryo.item")["value"] == 3
        item.hardware = 4
        assert client.get("cryo.item", refresh=True)["value"] == 4
        assert item.chain[1:] == [("get", False), ("get", True), "refresh"]


def test_payload_that_req_set_returns_is_the_reply() -> None:
    class Answering(mktl.Item):
        def req_set(self, request: Any) -> Any:
            return mktl.Payload({"moved": request.value})

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Answering, "item")

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        assert client.set("cryo.item", 3) == {"value": {"moved": 3}}


def test_refresh_that_fails_is_answered_with_the_reason_and_keeps_the_value() -> None:
    with serving({}, daemon_class=Chained) as daemon, client_of(daemon) as store:
        item = daemon.store["item"]
        assert isinstance(item, Chain)
        assert store["item"].value == 1.0
        item.req_refresh = _raise  # type: ignore[method-assign]
        with pytest.raises(OSError, match="no such line"):
            store["item"].get(refresh=True)
        wait_until(lambda: store["item"].quality == "invalid")
        assert store["item"].value == 1.0
        assert store["item"].reason == "no such line"
        del item.req_refresh  # type: ignore[attr-defined]
        assert store["item"].get(refresh=True) == 1.0
        wait_until(lambda: store["item"].quality == "valid")


def _raise() -> None:
    raise OSError("no such line")


def test_item_that_was_never_read_is_not_shown_as_a_value() -> None:
    class Dead(mktl.Item):
        def req_refresh(self) -> Any:
            raise OSError("switched off")

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Dead, "dead")

    with (
        serving({"dead": {"initial": 5}}, daemon_class=Daemon) as daemon,
        raw_client(daemon) as client,
        client_of(daemon) as store,
    ):
        found = client.get("cryo.dead")
        assert found["quality"] == "invalid"
        assert client.get("cryo.dead", refresh=True)["error"]["type"] == "OSError"
        assert store["dead"].quality == "invalid"


def test_reference_names_of_hooks_work_as_ours() -> None:
    written: list[Any] = []
    heard: list[Any] = []

    class Old(mktl.Item):
        publish_on_set = True
        log_on_set = True

        def perform_get(self) -> Any:
            return self.to_payload("read")

        def perform_set(self, value: Any) -> None:
            written.append(value)

    def performer(value: Any) -> None:
        written.append(("performer", value))

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Old, "old")
            plain = self.add_item(mktl.Item, "plain")
            plain.add_performers(performer)
            plain.add_get_performer(lambda: "performed")
            plain.add_handlers(self.handle)
            assert plain.from_payload(mktl.Payload(3)) == 3

        def handle(self, item: Any, value: Any, _time: float) -> None:
            heard.append((item.key, value))

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        assert client.get("cryo.old", refresh=True)["value"] == "read"
        assert client.set("cryo.old", 5) == {"value": True}
        # What the hardware says, and not what it was asked for.
        assert client.get("cryo.old")["value"] == "read"
        assert client.get("cryo.plain", refresh=True)["value"] == "performed"
        assert client.set("cryo.plain", 6) == {"value": True}
        assert written == [5, ("performer", 6)]
        wait_until(lambda: heard == [("plain", "performed")])
        daemon.store["old"].perform_poll()
        assert client.get("cryo.old")["value"] == "read"


def test_an_overridden_perform_poll_is_what_polls() -> None:
    polled = threading.Event()

    class Old(mktl.Item):
        def __init__(self, store: Any, key: str) -> None:
            super().__init__(store, key)
            self.poll(0.05)

        def perform_poll(self) -> None:
            polled.set()

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Old, "old")

    with serving({}, daemon_class=Daemon):
        assert polled.wait(10)


def test_an_overridden_to_payload_makes_what_is_published() -> None:
    class Old(mktl.Item):
        def to_payload(self, value: Any = None, timestamp: float | None = None) -> Any:
            return mktl.Payload(value, timestamp, note="made here")

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Old, "old").publish(7)

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        assert client.get("cryo.old")["note"] == "made here"


def test_a_set_that_holds_the_bus_and_polls_does_not_wait_for_a_poll_that_waits_for_the_bus() -> (
    None
):
    bus = threading.RLock()
    reading = threading.Event()

    class Valve(mktl.Item):
        def req_refresh(self) -> float:
            reading.set()
            if not bus.acquire(timeout=20):
                raise TimeoutError("the bus was never free")
            bus.release()
            return 1.0

        def req_set(self, request: Any) -> None:
            with bus:
                reading.clear()
                asking = threading.Thread(target=self.store["valve"].req_poll)
                asking.start()
                assert reading.wait(20)  # another reading is under way, and waits for the bus
                self.req_poll()
            asking.join()

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Valve, "valve")

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        assert client.set("cryo.valve", 2) == {"value": True}


def test_a_value_that_was_only_set_does_not_claim_that_the_hardware_confirmed_it() -> None:
    class Blind(mktl.Item):
        def perform_set(self, value: Any) -> None:
            pass

        def perform_get(self) -> Any:
            return None

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Blind, "blind")

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        assert client.set("cryo.blind", 5) == {"value": True}
        answer = client.get("cryo.blind")
        assert answer["value"] == 5
        assert "checked" not in answer


def test_daemon_sets_its_own_items_as_a_client_would() -> None:
    with serving({}, daemon_class=Chained) as daemon:
        item = daemon.store["item"]
        item.set(4.4)
        assert item.value == 4
        with pytest.raises(ValueError, match="ten at most"):
            item.set(11)
        item += 1
        assert item.value == 5
        pending = item.set(6, wait=False)
        assert pending is not None
        pending.wait(10)
        assert item.get(refresh=True) == 6
        assert item.authoritative


def test_item_may_set_itself_and_others_while_it_is_polled_or_set() -> None:
    class Both(mktl.Item):
        def req_poll(self, repeat: bool = False) -> None:
            self.set("polled")
            self.store["other"].set("polled")

        def req_set(self, request: Any) -> None:
            self.publish(request.value)
            if request.value == "again":
                self.set("nested")
                self.store["other"].set("nested")

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Both, "both").poll(30)
            self.add_item(mktl.Item, "other")

    with serving({}, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        wait_until(lambda: daemon.store["other"].value == "polled")
        assert client.set("cryo.both", "again") == {"value": True}
        assert client.get("cryo.both")["value"] == "nested"
        assert client.get("cryo.other")["value"] == "nested"


def test_polls_keep_their_cadence_count_overruns_and_survive_errors() -> None:
    class Polled(mktl.Item):
        release = threading.Event()
        times: list[float]

        def __init__(self, store: Any, key: str) -> None:
            super().__init__(store, key)
            self.times = []
            self.poll(0.02)

        def req_refresh(self) -> Any:
            self.times.append(time.monotonic())
            if len(self.times) == 3:
                raise ZeroDivisionError
            if len(self.times) == 5:
                self.release.wait(30)
            return len(self.times)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Polled, "polled")

    with serving({}, daemon_class=Daemon) as daemon:
        item = daemon.store["polled"]
        assert isinstance(item, Polled)
        poll = item._source._poll  # type: ignore[union-attr]
        wait_until(lambda: len(item.times) == 5)
        wait_until(lambda: poll.overruns >= 3)
        assert len(item.times) == 5
        Polled.release.set()
        wait_until(lambda: len(item.times) >= 10)
        assert item.quality == "valid"
        # However late some were, they stay on the grid of their period, or after it.
        assert all(
            later > earlier for earlier, later in zip(item.times, item.times[1:], strict=False)
        )
        item.poll(None)
        wait_until(lambda: not poll._busy)
        count = len(item.times)
        daemon.store["_hwclk"].req_poll()
        assert len(item.times) == count
        with pytest.raises(ValueError):
            item.poll(-1)


class Switch:
    """A controller that is up or down as the test likes."""

    def __init__(self) -> None:
        self.state = "Down"
        self.react: Callable[[ControllerStatus], None] = lambda _status: None
        self.kinds: list[str] = []
        self.closed = 0
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def close(self) -> None:
        self.closed += 1

    def status(self) -> ControllerStatus:
        error = "" if self.state == "Up" else "no cable"
        return ControllerStatus(self.state, error, 3, 1.5, 12.0)  # type: ignore[arg-type]

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        self.react = callback

    def go(self, state: str) -> None:
        self.state = state
        self.react(self.status())

    @contextlib.contextmanager
    def prioritised(self, kind: str) -> Any:
        self.kinds.append(kind)
        yield

    def raw(self, text: str) -> str:
        return text.upper()

    def read(self) -> float:
        if self.state != "Up":
            raise LinkDown("controller tc is down: no cable")
        return 4.2


class Switched(mktl.Daemon):
    def setup(self) -> None:
        self.switch = Switch()
        self.add_controller("tc", self.switch)

        class Reading(mktl.Item):
            controller = self.switch

            def req_refresh(self) -> float:
                return self.controller.read()

        self.reading = self.add_item(Reading, "reading")


def test_items_of_a_controller_are_invalid_while_it_is_down_and_read_when_it_returns() -> None:
    with serving({}, daemon_class=Switched) as daemon, client_of(daemon) as store:
        switch: Switch = daemon.switch  # type: ignore[attr-defined]
        assert switch.started == 1
        assert store["tc_link"].formatted == "Down"
        with pytest.raises(ConnectionError, match="no cable"):
            store["reading"].get(refresh=True)
        switch.go("Up")
        wait_until(lambda: store["reading"].value == 4.2)
        wait_until(lambda: store["tc_link"].formatted == "Up")
        wait_until(lambda: store["reading"].quality == "valid")
        switch.go("Down")
        wait_until(lambda: store["reading"].quality == "invalid")
        assert store["reading"].value == 4.2
        assert "no cable" in str(store["reading"].reason)
        assert store["tc_error"].value == "no cable"
        assert store["tc_errors"].value == 3
        switch.go("Up")
        wait_until(lambda: store["reading"].quality == "valid")
        store["tc_raw"].set("kRDG?")
        assert store["tc_raw"].value == "KRDG?"
        with pytest.raises(TypeError):
            store["tc_link"].set(2)
        with pytest.raises(TypeError, match="settable"):
            store["reading"].set(5)
    assert switch.closed == 1
    assert {"poll", "set", "refresh"} >= set(switch.kinds)


def test_value_that_is_not_saved_when_published_is_saved_when_it_is_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mktl.errors import NotSaved

    caplog.set_level(logging.ERROR)
    with serving({"kept": {"persist": True}}) as daemon, raw_client(daemon) as client:
        persistent = daemon._service.persistent
        assert persistent is not None
        with monkeypatch.context() as broken:
            broken.setattr(persistent, "save", _full)
            with pytest.raises(NotSaved):
                daemon.store["kept"].publish("x")
            assert client.set("cryo.kept", "x")["error"]["type"] == "OSError"
            assert client.get("cryo.kept")["value"] == "x"
        assert client.set("cryo.kept", "x") == {"value": True}
        assert dict(persistent.load())["kept"].value == "x"


def _full(key: str, payload: Any) -> None:
    from mktl.errors import NotSaved

    raise NotSaved("the disk is full")


def test_equal_value_is_published_once_unless_it_is_to_be_repeated() -> None:
    heard: list[Any] = []

    def hear(_item: Any, value: Any, _time: float) -> None:
        heard.append(value)

    with serving({"any": {}}) as daemon:
        item = daemon.store["any"]
        item.register(hear)
        for value in (None, 1, 1, 1.0, True, [1], [1], [True], {"a": 1}, {"a": 1.0}, None, None):
            item.publish(value)
        item.publish(None, repeat=True)
        item.publish("end")
        wait_until(lambda: heard[-1:] == ["end"])
    shown = [repr(value) for value in heard]
    assert shown == [
        "1",
        "1.0",
        "True",
        "[1]",
        "[True]",
        "{'a': 1}",
        "{'a': 1.0}",
        "None",
        "None",
        "'end'",
    ]


def test_requests_beyond_the_limit_are_told_that_the_daemon_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mktl import _service

    release = threading.Event()

    class Slow(mktl.Item):
        def req_set(self, request: Any) -> None:
            release.wait(30)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Slow, "slow")

    monkeypatch.setattr(_service, "MOST_WAITING", 3)
    with (
        serving({"x": {"initial": 1}}, daemon_class=Daemon) as daemon,
        raw_client(daemon) as client,
    ):
        ids = [client.send_request("SET", "cryo.slow", {"value": n}) for n in range(5)]
        answers: dict[bytes, dict[str, Any]] = {}

        def take() -> None:
            frames = client.receive()
            assert frames is not None
            if frames[2] == b"REP":
                answers[frames[1]] = payload_of(frames)

        while ids[4] not in answers:
            take()
        assert answers[ids[4]]["error"]["class"] == "Busy"
        with raw_client(daemon) as other:
            assert other.get("cryo.x")["value"] == 1
        release.set()
        while len(answers) < len(ids):
            take()
        # The first counts as one that waits, unless the thread that had read it began it at once.
        assert [answers[id_] for id_ in ids[:3]] == [{"value": True}] * 3
        assert answers[ids[3]] in ({"value": True}, answers[ids[4]])


def test_items_and_controllers_are_added_before_the_daemon_is_on_the_air_or_not_at_all() -> None:
    with serving({}) as daemon:
        with pytest.raises(mktl.NotSupported, match=r"in setup\(\)"):
            daemon.add_item(mktl.Item, "late")
        with pytest.raises(mktl.NotSupported, match=r"in setup\(\)"):
            daemon.add_controller("late", object())  # type: ignore[arg-type]


def test_the_time_of_a_block_is_when_its_items_changed_and_not_when_the_daemon_started() -> None:
    with serving({"a": {}}) as daemon:
        first = daemon.block
    with serving({"a": {}}) as daemon:
        second = daemon.block
    with serving({"a": {}, "b": {}}) as daemon:
        third = daemon.block
    assert (second.hash, second.time) == (first.hash, first.time)
    assert third.hash != first.hash
    assert third.time > first.time
