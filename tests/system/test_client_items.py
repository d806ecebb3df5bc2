"""An item as a client sees it, over real sockets."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mktl
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import client_of, raw_client, serving

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {
        "type": "numeric",
        "units": "kelvin",
        "format": "%.2f",
        "initial": 77.35,
        "settable": False,
    },
    "setpoint": {
        "type": "numeric",
        "units": {"": "kelvin", "formatted": "degC"},
        "format": "%.2f",
        "range": [0, 325],
        "initial": 80.0,
    },
    "count": {"type": "numeric", "initial": 6},
    "power": {"type": "boolean", "enumerators": {"0": "Off", "1": "On"}, "initial": False},
    "mode": {"type": "enumerated", "enumerators": {"0": "Idle", "1": "Run"}, "initial": 0},
    "flags": {"type": "mask", "enumerators": {"None": "OK", "0": "Timeout"}, "initial": 0},
    "label": {"type": "string", "initial": "abc"},
    "secret": {"type": "string", "gettable": False},
    "list": {"type": "numeric array", "initial": [1, 2, 3]},
    "image": {"type": "bulk"},
    "any": {},
}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as running:
        yield running


@pytest.fixture
def store(daemon: mktl.Daemon) -> Iterator[Store]:
    with client_of(daemon) as made:
        yield made


class Hearer:
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.calls: list[tuple[object, ...]] = []

    def hear(self, *call: object) -> None:
        self.values.append(call[1])
        self.calls.append(call)


def test_get_finds_an_item_by_its_full_key_and_by_store_and_key(daemon: mktl.Daemon) -> None:
    item = mktl.get("cryo.temp")
    assert item is mktl.get("CRYO", "Temp")
    assert item is mktl.get("cryo")["TEMP"]
    assert item.value == 77.35


@pytest.mark.parametrize("bad", ["cr/yo.temp", "..", "", ".", "cryo.te mp", "../x.y", "a.b.c"])
def test_get_of_what_is_no_name_is_a_value_error(bad: str) -> None:
    with pytest.raises(ValueError) as caught:
        mktl.get(bad)
    assert isinstance(caught.value, mktl.MktlError)


def test_get_of_an_unknown_store_says_who_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.1")
    with pytest.raises(TimeoutError, match="registr"):
        mktl.get("nowhere.temp")


def test_unknown_key_is_a_key_error_that_suggests_the_nearest(store: Store) -> None:
    with pytest.raises(KeyError, match=r"did you mean cryo\.temp") as caught:
        store["tmep"]
    assert isinstance(caught.value, mktl.MktlError)
    assert str(caught.value)[0] != "'"


def test_discover_without_registries_finds_what_daemons_hold(daemon: mktl.Daemon) -> None:
    assert mktl.discover() == ["cryo"]


def test_home_can_be_asked_for_and_changed(mktl_home: object, tmp_path: Any) -> None:
    assert mktl.home() == mktl_home
    try:
        assert mktl.home(tmp_path / "other") == tmp_path / "other"
        assert mktl.home() == tmp_path / "other"
    finally:
        from mktl.config import set_home

        set_home(None)


def test_value_formatted_and_quantity_are_read_and_set(store: Store, daemon: mktl.Daemon) -> None:
    pint = pytest.importorskip("pint")
    setpoint = store["setpoint"]
    assert (setpoint.value, setpoint.formatted) == (80.0, "-193.15")
    setpoint.value = 100
    assert daemon.store["setpoint"].value == 100
    setpoint.formatted = "0"
    assert setpoint.value == pytest.approx(273.15)
    setpoint.quantity = pint.get_application_registry().Quantity(10, "degC")
    assert setpoint.value == pytest.approx(283.15)
    assert setpoint.quantity.to("degC").magnitude == pytest.approx(10)
    store["power"].formatted = "oN"
    assert store["power"].value is True
    assert store["power"].formatted == "On"
    with pytest.raises(KeyError, match="Idle"):
        store["mode"].formatted = "Rum"
    with pytest.raises(ValueError, match="units"):
        store["any"].quantity  # noqa: B018


def test_refused_sets_raise_the_built_in_that_fits_and_change_nothing(store: Store) -> None:
    for key, value, kind in [
        ("setpoint", 1000, ValueError),
        ("setpoint", None, TypeError),
        ("temp", 3, TypeError),
        ("mode", 9, KeyError),
        ("label", 3, TypeError),
    ]:
        before = None if key == "secret" else store[key].value
        with pytest.raises(kind) as caught:
            store[key].set(value)
        assert isinstance(caught.value, mktl.MktlError)
        assert isinstance(caught.value, RuntimeError)
        assert store[key].value == before


def test_item_that_is_not_gettable_cannot_be_read_but_can_be_set(store: Store) -> None:
    with pytest.raises(TypeError):
        store["secret"].value  # noqa: B018
    store["secret"].set("x")


def test_item_takes_part_in_arithmetic_comparison_and_formatting_as_its_value(
    store: Store,
) -> None:
    temp, count = store["temp"], store["count"]
    assert temp > 77
    assert 78 > temp >= 77.35
    assert temp == 77.35
    assert temp != count
    assert temp + 1 == 78.35
    assert 1 - count == -5
    assert count**2 == 36
    assert divmod(int(count), 4) == (1, 2)
    assert count // 4 == 1
    assert count % 4 == 2
    assert -count == -6
    assert abs(-count) == 6
    assert count << 1 == 12
    assert count & 4 == 4
    assert f"{temp:.1f}" == "77.3"
    assert f"{temp}" == "77.35"
    assert str(temp) == "77.35"
    assert round(temp, 1) == 77.3
    assert range(10)[count] == 6
    assert float(count) == 6.0
    assert store["label"] + "d" == "abcd"
    assert len(store["label"]) == 3
    assert store["list"][1] == 2
    assert 3 in store["list"]
    assert np.asarray(store["list"]).sum() == 6
    assert not store["power"]
    assert {temp: 1, count: 2}[temp] == 1
    assert temp in [count, temp]


def test_arithmetic_in_place_sets_the_item(store: Store, daemon: mktl.Daemon) -> None:
    count = store["count"]
    same = count
    count += 1
    assert count is same
    assert daemon.store["count"].value == 7
    count *= 2
    store["count"] -= 4
    assert count.value == 10
    with pytest.raises(TypeError):
        store["count"] = 3


def test_store_is_a_read_only_mapping_of_its_items(store: Store) -> None:
    assert set(ITEMS) <= set(store)
    own = [key for key in store if key.startswith("_hw")]
    assert len(store) == len(list(store)) == len(ITEMS) + len(own)
    assert "temp" in store
    assert "TEMP" in store
    assert "nope" not in store
    assert 3 not in store
    assert store.get("nope") is None
    assert store["temp"] is store["temp"]
    assert not hasattr(store, "__delitem__")
    assert store.describe("temp") == ITEMS["temp"]


def test_store_reads_many_values_at_once_and_reports_errors_beside_them(store: Store) -> None:
    found = store.read(["temp", "secret", "nope", "any"])
    assert list(found) == ["temp", "secret", "nope", "any"]
    assert found["temp"].value == 77.35  # type: ignore[union-attr]
    assert isinstance(found["secret"], TypeError)
    assert isinstance(found["nope"], KeyError)


def test_callback_is_primed_and_then_called_with_item_value_and_time(
    store: Store, daemon: mktl.Daemon
) -> None:
    hearer = Hearer()
    store["temp"].register(hearer.hear, prime=True)
    wait_until(lambda: hearer.values == [77.35])
    daemon.store["temp"].publish(80.0, timestamp=1234.5)
    wait_until(lambda: hearer.values == [77.35, 80.0])
    assert hearer.calls[1][0] is store["temp"]
    assert hearer.calls[1][2] == 1234.5


def test_callback_registered_twice_is_called_once_and_after_unregister_never(
    store: Store, daemon: mktl.Daemon
) -> None:
    hearer, other = Hearer(), Hearer()
    store["temp"].register(hearer.hear)
    store["temp"].register(hearer.hear)
    store["temp"].register(other.hear)
    daemon.store["temp"].publish(1)
    wait_until(lambda: other.values == [1])
    wait_until(lambda: hearer.values == [1])
    store["temp"].unregister(hearer.hear)
    store["temp"].unregister(hearer.hear)
    daemon.store["temp"].publish(2)
    wait_until(lambda: other.values == [1, 2])
    assert hearer.values == [1]


def test_callbacks_are_held_weakly(store: Store, daemon: mktl.Daemon) -> None:
    hearer, other = Hearer(), Hearer()
    calls = hearer.values
    store["temp"].register(hearer.hear)
    store["temp"].register(other.hear)
    del hearer
    gc.collect()
    daemon.store["temp"].publish(1)
    wait_until(lambda: other.values == [1])
    assert calls == []


def test_two_objects_that_register_the_same_method_are_both_called(
    store: Store, daemon: mktl.Daemon
) -> None:
    hearers = [Hearer() for _ in range(3)]
    for hearer in hearers:
        store["temp"].register(hearer.hear)
    daemon.store["temp"].publish(1)
    wait_until(lambda: all(hearer.values == [1] for hearer in hearers))


def test_callbacks_of_an_item_come_in_the_order_of_publishing(
    store: Store, daemon: mktl.Daemon
) -> None:
    hearer = Hearer()
    store["count"].register(hearer.hear)
    for value in range(1000):
        daemon.store["count"].publish(value + 0.5)
    wait_until(lambda: len(hearer.values) >= 1000)
    assert hearer.values == [value + 0.5 for value in range(1000)]


def test_slow_callback_of_one_item_holds_up_no_other_item(
    store: Store, daemon: mktl.Daemon
) -> None:
    release = threading.Event()
    entered: list[object] = []

    def slow(_item: object, value: object, _time: float) -> None:
        entered.append(value)
        release.wait(30)

    others = [key for key in ITEMS if key not in ("secret", "image")]
    slow_keys, quick_key = others[:6], others[6]
    for key in slow_keys:
        store[key].register(slow)
        daemon.store[key].publish(daemon.store[key].value, repeat=True)
    hearer = Hearer()
    store[quick_key].register(hearer.hear)
    try:
        wait_until(lambda: len(entered) == len(slow_keys))
        daemon.store[quick_key].publish(daemon.store[quick_key].value, repeat=True)
        wait_until(lambda: hearer.values)
    finally:
        release.set()


def test_callback_that_raises_does_not_keep_others_from_the_value(
    store: Store, daemon: mktl.Daemon
) -> None:
    def broken(*_call: object) -> None:
        raise ZeroDivisionError

    def leaves(*_call: object) -> None:
        raise SystemExit

    hearer = Hearer()
    for callback in (broken, hearer.hear):
        store["temp"].register(callback)
    store["count"].register(leaves)
    daemon.store["count"].publish(1)
    daemon.store["temp"].publish(1)
    daemon.store["temp"].publish(2)
    wait_until(lambda: hearer.values == [1, 2])


def test_callback_may_set_its_own_item_and_wait(store: Store, daemon: mktl.Daemon) -> None:
    for side in (store, daemon.store):
        done = threading.Event()

        def limit(
            item: mktl.Item, value: float, _time: float, done: threading.Event = done
        ) -> None:
            if value > 10:
                item.set(10)
                done.set()

        side["count"].register(limit)
        store["count"].set(50)
        assert done.wait(10)
        assert store["count"].value == 10
        side["count"].unregister(limit)


def test_watch_yields_the_present_value_and_then_each_new_one(
    store: Store, daemon: mktl.Daemon
) -> None:
    for side in (store, daemon.store):
        daemon.store["any"].publish("begin")
        found = []
        for payload in side["any"].watch(timeout=10):
            found.append(payload.value)
            if len(found) == 1:
                for value in range(100):
                    daemon.store["any"].publish(value)
            if len(found) == 101:
                break
        assert found == ["begin", *range(100)]


def test_watch_ends_when_nothing_has_come_for_the_given_time(store: Store) -> None:
    assert [payload.value for payload in store["temp"].watch(timeout=0.05)] == [77.35]


def test_set_without_waiting_returns_a_request_to_poll_and_wait_for(store: Store) -> None:
    pending = store["count"].set(8, wait=False)
    assert pending is not None
    wait_until(pending.poll)
    pending.wait(1)
    assert store["count"].value == 8
    refused = store["setpoint"].set(1000, wait=False)
    assert refused is not None
    with pytest.raises(ValueError):
        refused.wait()
    assert refused.poll()


def test_set_without_a_reply_is_carried_out_all_the_same(store: Store, daemon: mktl.Daemon) -> None:
    assert store["count"].set(9, wait=False, reply=False) is None
    wait_until(lambda: daemon.store["count"].value == 9)


def test_value_is_what_was_just_set_each_time(store: Store, daemon: mktl.Daemon) -> None:
    count = store["count"]
    assert count.value == 6
    for value in range(300):
        count.value = value
        assert count.value == value


def test_value_is_what_was_just_set_while_others_are_publishing(
    store: Store, daemon: mktl.Daemon
) -> None:
    assert store["count"].value == 6
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            daemon.store["count"].publish(daemon.store["count"].value, repeat=True)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for value in range(100):
            store["any"].set(value)
            assert store["any"].value == value
    finally:
        stop.set()
        thread.join()


def test_reading_a_subscribed_item_asks_nobody(store: Store, daemon: mktl.Daemon) -> None:
    item = store["temp"]
    assert item.value == 77.35
    wait_until(lambda: item.live)
    assert daemon._server is not None
    handled: list[str] = []
    handle = daemon._server._handle
    daemon._server._handle = lambda responder: (
        handled.append(responder.target),
        handle(responder),
    )[0]
    for _attempt in range(100):
        assert item.value == 77.35
        assert item.formatted == "77.35"
    daemon.store["temp"].publish(5.0)
    wait_until(lambda: item.value == 5.0)
    assert handled == []


def test_item_that_was_refreshed_before_it_was_ever_read_is_kept_true_all_the_same(
    store: Store, daemon: mktl.Daemon
) -> None:
    assert store["count"].value == 6
    wait_until(lambda: store["count"].live)
    item, hearer = store["temp"], Hearer()
    assert item.get(refresh=True) == 77.35
    item.register(hearer.hear)
    daemon.store["temp"].publish(5.0)
    wait_until(lambda: item.value == 5.0)
    wait_until(lambda: hearer.values == [5.0])


def test_timestamp_quality_and_reason_travel_with_the_value(
    store: Store, daemon: mktl.Daemon
) -> None:
    item = store["temp"]
    assert item.value == 77.35
    daemon.store["temp"].publish(5.0, timestamp=99.5, quality="alarm", reason="too warm")
    wait_until(lambda: item.value == 5.0)
    assert (item.timestamp, item.quality, item.reason) == (99.5, "alarm", "too warm")
    daemon.store["temp"].publish(float("nan"))
    wait_until(lambda: item.value is None)
    assert item.quality == "invalid"


def test_client_cannot_publish_or_poll(store: Store) -> None:
    with pytest.raises(TypeError):
        store["temp"].publish(3)
    with pytest.raises(TypeError):
        store["temp"].poll(1)


DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def test_arrays_of_every_dtype_layout_and_shape_come_back_the_same(
    store: Store, daemon: mktl.Daemon
) -> None:
    item = store["image"]
    grid = np.arange(24).reshape(2, 3, 4)
    for name in DTYPES:
        for order in "<>":
            dtype = np.dtype(name).newbyteorder(order)
            base = grid.astype(dtype)
            for array in (
                base,
                np.asfortranarray(base),
                base[::-1, ::2, 1:],
                base.T,
                base[0, 0, 1],
                np.array(base[1, 1, 1], dtype),
                base[:0],
                np.zeros((0, 3), dtype),
            ):
                item.set(np.asarray(array))
                for side in (item.get(refresh=True), daemon.store["image"].value, item.value):
                    assert side.dtype == np.asarray(array).dtype
                    assert side.shape == array.shape
                    assert np.array_equal(side, array)


def test_large_array_is_broadcast_to_subscribers(store: Store, daemon: mktl.Daemon) -> None:
    hearer = Hearer()
    store["image"].register(hearer.hear)
    frame = np.arange(1_000_000, dtype="uint16").reshape(1000, 1000)
    daemon.store["image"].publish(frame)
    frame[:] = 0  # its owner goes on with it
    wait_until(lambda: hearer.values)
    received = hearer.values[0]
    assert received[999, 999] == 999_999 % 65536  # type: ignore[index]
    with pytest.raises(ValueError):
        received[0, 0] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.array(["x"]), np.array([np.datetime64(1, "s")])],
    ids=["object", "text", "date"],
)
def test_array_that_cannot_travel_is_refused_before_anything_is_sent(
    store: Store, array: Any
) -> None:
    with pytest.raises(TypeError, match="dtype"):
        store["image"].set(array)


def test_item_of_a_store_of_two_daemons_is_asked_at_its_own_daemon() -> None:
    with serving({"here": {"initial": 1}}, alias="one"):
        with serving({"there": {"initial": 2}}, alias="two") as two, client_of(two) as store:
            assert store["there"].value == 2
        store = mktl.get("cryo")
        assert store["here"].value == 1


def test_raw_client_sees_the_same_as_ours(store: Store, daemon: mktl.Daemon) -> None:
    store["any"].set({"a": [1, 2.5, None, True, "x"]})
    with raw_client(daemon) as client:
        assert client.get("cryo.any")["value"] == {"a": [1, 2.5, None, True, "x"]}
        client.set("cryo.any", {"a": 1})
        assert store["any"].get(refresh=True) == {"a": 1}
        client.set("cryo.any", {"a": True})
        assert store["any"].get(refresh=True)["a"] is True
