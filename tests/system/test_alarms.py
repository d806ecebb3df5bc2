"""Limits, alarms and what people do about them: a daemon, and its clients over real sockets."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from mktl import _alarm_log, _alarm_summary, _alarms
from mktl.errors import BadValue, InvalidReading, NotSaved, UnknownKey, WrongType
from mktl.persistence import PersistentValues
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import (
    client_of,
    daemon_process,
    ports_of,
    raw_client,
    serving,
    store_at,
)

LIMITS = {"warning": [70, 90], "alarm": [60, 100]}
TEMP = {"type": "numeric", "units": "K", "initial": 80, "limits": LIMITS}
KEPT = {**TEMP, "limits": {**LIMITS, "latch": True}}
MODE = {
    "type": "enumerated",
    "enumerators": {"0": "Idle", "1": "Fault"},
    "initial": 0,
    "limits": {"alarm": ["Fault"]},
}
PLAIN = {"type": "numeric", "initial": 1}
AS_THE_FILE_SAYS = {"temp": KEPT, "kept": KEPT, "mode": MODE, "plain": PLAIN}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(AS_THE_FILE_SAYS) as daemon:
        yield daemon


@pytest.fixture
def store(daemon: mktl.Daemon) -> Iterator[Store]:
    with client_of(daemon) as store:
        yield store


def quality(item: mktl.Item) -> tuple[str, str | None]:
    """Return what the daemon says now: what was broadcast last may be on its way yet."""
    payload = item.store.read([item.key])[item.key]
    assert isinstance(payload, mktl.Payload)
    return payload.quality, payload.reason


def listed(store: Store) -> list[dict[str, Any]]:
    rows = store["_hwalarmlist"].get(refresh=True)
    assert isinstance(rows, list)
    return rows


def summary(store: Store) -> tuple[str, int]:
    return store["_hwalarm"].formatted, store["_hwalarms"].value


def summary_is(store: Store, worst: str, waiting: int) -> None:
    """Wait for it: it is told a moment after the items themselves."""
    wait_until(lambda: summary(store) == (worst, waiting), what=f"{worst} and {waiting}")


class Heard:
    """All payloads of an item, as a client hears them."""

    def __init__(self, item: mktl.Item) -> None:
        self.payloads: list[mktl.Payload] = []
        item.register(self._take, prime=True, payloads=True)

    def _take(self, _item: mktl.Item, payload: mktl.Payload) -> None:
        self.payloads.append(payload)

    @property
    def last(self) -> mktl.Payload:
        return self.payloads[-1]


# --- limits ---------------------------------------------------------------------------------------


def test_a_value_beyond_its_limits_says_so_to_everybody(daemon: mktl.Daemon, store: Store) -> None:
    temp = store["temp"]
    for value, expected in ((80, "valid"), (95, "warning"), (102.3, "alarm"), (59, "alarm")):
        daemon.store["temp"].publish(value)
        wait_until(lambda value=value: temp.value == value)
        assert temp.quality == expected
    assert temp.reason == "59 K is below the alarm limit of 60 K"


def test_a_peer_of_others_sees_an_ordinary_item_with_fields_that_it_may_ignore(
    daemon: mktl.Daemon,
) -> None:
    with raw_client(daemon) as client:
        client.subscribe(b"cryo.temp.")
        assert client.set("cryo.temp", 102.3) == {"value": True}
        topic, version, payload = client.next_broadcast()
        fields = json.loads(payload)
        assert (topic, version) == (b"cryo.temp.", b"a")
        assert fields.keys() == {"value", "time", "quality", "reason"}
        assert client.get("cryo.temp") == fields
        assert client.set("cryo._hwack", "temp") == {"value": True}
        wait_until(lambda: client.get("cryo._hwalarms")["value"] == 0)
        assert client.set("cryo._hwack", "temp")["error"]["type"] == "ValueError"
        assert client.set("cryo._hwalarms", 3)["error"]["type"] == "TypeError"


def test_what_has_no_limits_is_not_watched_at_all(daemon: mktl.Daemon, store: Store) -> None:
    store["plain"].set(1e9)
    daemon.store["plain"].doubt(InvalidReading("nothing"))
    assert daemon.store["plain"]._source.watch is None
    assert store["plain"].quality == "invalid"
    assert summary(store) == ("OK", 0)


def test_limits_never_make_a_value_better(daemon: mktl.Daemon, store: Store) -> None:
    own, temp = daemon.store["temp"], store["temp"]
    own.publish(95, quality="alarm", reason="the sensor says so")
    assert quality(own) == ("alarm", "the sensor says so")
    own.publish(105, quality="warning", reason="it is late")
    assert quality(own) == ("alarm", "105 K is above the alarm limit of 100 K; it is late")
    own.publish(95, quality="changing", reason="it moves")
    assert quality(own)[0] == "alarm"  # of before, and not acknowledged
    own.doubt(InvalidReading("the sensor is open"))
    assert quality(own) == ("invalid", "the sensor is open")
    wait_until(lambda: temp.reason == "the sensor is open")
    summary_is(store, "Invalid", 1)
    assert [row["severity"] for row in listed(store)] == ["Invalid", "Alarm"]


def test_an_alarm_begins_when_its_delay_is_over_though_no_value_comes() -> None:
    limits = {"alarm": [None, 100], "delay_s": 0.3}
    with serving({"temp": {**TEMP, "limits": limits}}) as daemon, client_of(daemon) as store:
        heard = Heard(store["temp"])
        began = time.monotonic()
        store["temp"].set(101)
        wait_until(lambda: heard.last.quality == "alarm")
        assert time.monotonic() - began >= 0.3
        values = [(payload.value, payload.quality) for payload in heard.payloads]
        assert values == [(80, "valid"), (101, "valid"), (101, "alarm")]
        assert heard.payloads[-1].time == heard.payloads[-2].time  # it took its value then
        store["temp"].set(80)
        wait_until(lambda: heard.last.quality == "valid")


def test_a_delay_that_nobody_waits_for_any_more_does_nothing() -> None:
    limits = {"alarm": [None, 100], "delay_s": 0.2}
    items = {"temp": {**TEMP, "limits": limits}, "other": {**TEMP, "limits": limits}}
    with serving(items) as daemon, client_of(daemon) as store:
        store["temp"].set(101)
        store["temp"].set(80)
        store["other"].set(101)
        wait_until(lambda: store["other"].quality == "alarm")
        assert store["temp"].quality == "valid"
        assert [row["key"] for row in listed(store)] == ["other"]


def test_a_delay_waits_for_nothing_while_the_value_is_not_known() -> None:
    limits = {"alarm": [None, 100], "delay_s": 600}
    with serving({"temp": {**TEMP, "limits": limits}}) as daemon:
        temp, clock = daemon.store["temp"], daemon._service.alarms.clock
        temp.publish(101)
        assert temp._source.watch in clock._dues
        temp.doubt(InvalidReading("the sensor is open"))
        assert temp._source.watch not in clock._dues
        temp.publish(101)
        assert temp._source.watch in clock._dues


def test_states_and_elements_are_watched_too() -> None:
    array = {"type": "numeric array", "initial": [1, 2], "limits": {"warning": [0, 5]}}
    with serving({"mode": MODE, "array": array}) as daemon, client_of(daemon) as store:
        store["mode"].formatted = "Fault"
        assert quality(store["mode"]) == ("alarm", "Fault is an alarm state")
        store["array"].value = [1, 7]
        assert quality(store["array"])[1] == "element 1: 7 is above the warning limit of 5"


def test_a_persistent_value_that_is_beyond_its_limits_is_so_again_after_a_restart() -> None:
    items = {"temp": {**TEMP, "persist": True}}
    with serving(items) as daemon:
        daemon.store["temp"].set(105)
    with serving(items) as daemon, client_of(daemon) as store:
        assert quality(store["temp"]) == ("alarm", "105 K is above the alarm limit of 100 K")
        summary_is(store, "Alarm", 1)
        store["temp"].set(80)
        assert quality(store["temp"]) == ("valid", None)


# --- dead bands -----------------------------------------------------------------------------------


def test_small_changes_are_known_to_who_asks_and_told_to_nobody() -> None:
    items = {"temp": {**TEMP, "deadband": 0.1, "limits": {"warning": [None, 80.12]}}}
    with serving(items) as daemon, raw_client(daemon) as client:
        client.subscribe(b"cryo.temp.")
        own = daemon.store["temp"]
        for value in (80.0, 80.05, 80.09, 80.11, 80.2, 80.15):
            own.publish(value)
            assert client.get("cryo.temp")["value"] == value
        own.publish(-1.0)
        told = [
            (json.loads(frames[2])["value"], json.loads(frames[2]).get("quality"))
            for frames in client.broadcasts_until(b"cryo.temp.", value=-1.0)
        ]
        # 80.11 is far from 80, which was told last, though not from 80.09; 80.2 is a warning, and
        # 80.15 hardly different from it.
        assert told == [(80.11, None), (80.2, "warning")]


def test_what_somebody_sets_is_told_however_small_the_change() -> None:
    items = {"temp": {**TEMP, "deadband": 10.0, "persist": True}}
    with serving(items) as daemon, client_of(daemon) as store:
        heard = Heard(store["temp"])
        store["temp"].set(80.001)
        wait_until(lambda: heard.last.value == 80.001)
    with serving(items) as daemon:
        assert daemon.store["temp"].value == 80.001


# --- following a set-point ------------------------------------------------------------------------

FOLLOWS = {
    "setpoint": {"type": "numeric", "units": "K", "initial": 80},
    "temp": {
        "type": "numeric",
        "units": "K",
        "initial": 80,
        "tracks": {"item": "setpoint", "tolerance": 0.5, "within_s": 0.2},
    },
}


def test_a_value_that_does_not_follow_its_set_point_is_an_alarm_until_it_does() -> None:
    with serving(FOLLOWS) as daemon, client_of(daemon) as store:
        store["setpoint"].set(90)
        wait_until(lambda: store["temp"].quality == "alarm")
        assert store["temp"].reason == (
            "80 K does not follow cryo.setpoint within 0.2 s: it is to be 90 K, give or take 0.5 K"
        )
        daemon.store["temp"].publish(89.6)
        wait_until(lambda: store["temp"].quality == "valid")
        daemon.store["temp"].publish(85)  # by itself, with no change of the set-point
        wait_until(lambda: store["temp"].quality == "alarm")


def test_a_set_point_that_is_not_known_makes_no_alarm_and_says_so() -> None:
    with serving(FOLLOWS) as daemon, raw_client(daemon) as client:
        daemon.store["setpoint"].doubt(InvalidReading("no reply"))
        unwatched = "not watched: cryo.setpoint is invalid (no reply)"
        wait_until(lambda: client.get("cryo.temp").get("unwatched") == unwatched)
        daemon.store["temp"].publish(20)
        daemon.store["setpoint"].publish(80)
        wait_until(lambda: "unwatched" not in client.get("cryo.temp"))
        wait_until(lambda: client.get("cryo.temp").get("quality") == "alarm")


def test_the_set_point_may_be_of_another_daemon_that_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mktl._alarm_tracks.RETRY_S", 0.2)
    with serving({"temp": FOLLOWS["temp"]}) as daemon:
        own = daemon.store["temp"]
        wait_until(lambda: "cryo" in own._source.payload.extra.get("unwatched", ""))
        with serving({"setpoint": FOLLOWS["setpoint"]}, alias="other") as other:
            wait_until(lambda: "unwatched" not in own._source.payload.extra, 20)
            other.store["setpoint"].set(90)
            wait_until(lambda: own.quality == "alarm", 20)
            own.publish(90)
            assert own.quality == "valid"


def test_a_set_point_in_other_units_is_not_compared() -> None:
    items = {**FOLLOWS, "setpoint": {"type": "numeric", "units": "degC", "initial": 80}}
    with serving(items) as daemon:
        extra = daemon.store["temp"]._source
        wait_until(
            lambda: (
                extra.payload.extra.get("unwatched")
                == "not watched: cryo.setpoint is in degC, and this in K"
            )
        )


# --- kept until acknowledged ----------------------------------------------------------------------


def test_a_kept_alarm_stays_until_it_is_acknowledged(store: Store) -> None:
    kept = store["kept"]
    kept.set(105)
    kept.set(80)
    assert kept.quality == "alarm"
    assert kept.reason is not None
    assert kept.reason.startswith("was above the alarm limit of 100 K from ")
    assert kept.reason.endswith("; not acknowledged")
    summary_is(store, "Alarm", 1)
    store["_hwack"].set("kept")
    assert quality(kept) == ("valid", None)
    summary_is(store, "OK", 0)
    wait_until(lambda: store["_hwack"].value == {})


def test_an_acknowledged_alarm_that_goes_on_is_still_one_but_was_seen(store: Store) -> None:
    store["kept"].set(105)
    store["_hwack"].set({"key": "kept", "why": "being looked into", "who": "night shift"})
    assert store["kept"].quality == "alarm"
    summary_is(store, "Alarm", 0)
    by = store["_hwack"].value["kept"]["acknowledged"]
    assert by["why"] == "being looked into"
    assert by["who"].startswith("night shift (")
    assert listed(store)[0]["acknowledged"] == by
    assert store.read(["kept"])["kept"].extra["acknowledged"] == by
    store["kept"].set(80)
    assert quality(store["kept"]) == ("valid", None)
    store["kept"].set(95)
    summary_is(store, "Warning", 1)


def test_a_worse_alarm_than_the_one_acknowledged_waits_again(store: Store) -> None:
    store["temp"].set(95)
    store["_hwack"].set("*")
    summary_is(store, "Warning", 0)
    store["temp"].set(105)
    summary_is(store, "Alarm", 1)


def test_patterns_and_lists_acknowledge_what_there_is(store: Store) -> None:
    for key in ("temp", "kept"):
        store[key].set(105)
    store["mode"].formatted = "Fault"
    store["_hwack"].set(["cryo.temp", "MODE"])
    assert [row["key"] for row in listed(store) if row["acknowledged"] is False] == ["kept"]
    store["_hwack"].set("k*")
    assert not [row for row in listed(store) if row["acknowledged"] is False]


NOT_ACKNOWLEDGED: list[tuple[Any, type[Exception], str]] = [
    ("temp", BadValue, "cryo.temp has no alarm to acknowledge"),
    ("*", BadValue, "none of 4 items has an alarm to acknowledge"),
    ("tepm", UnknownKey, "did you mean temp"),
    (3, WrongType, "must be an object"),
    ({"why": "x"}, BadValue, "key must be a key"),
    ({"key": []}, BadValue, "1 to 10000 items"),
    ({"key": "temp", "whi": "x"}, BadValue, "did you mean why?"),
    ({"key": "temp", "why": "x" * 501}, BadValue, "at most 500 characters"),
]


def test_what_cannot_be_acknowledged_says_why(store: Store) -> None:
    for value, error, hint in NOT_ACKNOWLEDGED:
        with pytest.raises(error) as caught:
            store["_hwack"].set(value)
        assert hint in str(caught.value)


def test_an_alarm_is_not_acknowledged_where_that_cannot_be_written(
    daemon: mktl.Daemon, store: Store
) -> None:
    store["kept"].set(105)
    assert daemon._service.persistent is not None
    daemon._service.persistent.close()
    for key, value in (
        ("_hwack", "kept"),
        ("_hwshelve", {"key": "kept", "for_s": 60, "why": "x"}),
        ("_hwlimits", {"key": "kept", "limits": {}}),
    ):
        with pytest.raises(NotSaved):
            store[key].set(value)
    summary_is(store, "Alarm", 1)
    assert [(row["acknowledged"], row["shelved"]) for row in listed(store)] == [(False, None)]
    assert store["_hwlimits"].value["kept"] == {"limits": KEPT["limits"]}


def test_what_could_not_be_written_is_written_later(
    daemon: mktl.Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_alarms, "SAVE_AGAIN_S", 0.2)
    closed, path = daemon._service.persistent, mktl.home() / "daemon" / "persist" / "other.sqlite"
    assert closed is not None
    closed.close()
    daemon.store["kept"].publish(105)
    wait_until(lambda: "could not be saved" in caplog.text)
    daemon._service.persistent = PersistentValues(path)  # as if there were room again
    wait_until(lambda: not daemon._service.alarms._is_unsaved)
    wait_until(lambda: "kept" in dict(daemon._service.persistent.load())["_hwack"].value)


# --- shelved --------------------------------------------------------------------------------------


def test_what_is_shelved_is_marked_by_nothing_and_comes_back_by_itself(store: Store) -> None:
    kept = Heard(store["kept"])
    store["kept"].set(105)
    store["_hwshelve"].set({"key": "kept", "for_s": 600, "why": "new sensor"})
    wait_until(lambda: kept.last.extra.get("shelved"))
    assert kept.last.quality == "valid"
    shelved = kept.last.extra["shelved"]
    assert shelved["why"] == "new sensor"
    assert shelved["until"] == pytest.approx(time.time() + 600, abs=60)
    assert store["_hwshelve"].value["kept"] == shelved
    summary_is(store, "OK", 0)
    assert [row["shelved"] for row in listed(store)] == [shelved]
    store["_hwshelve"].set({"key": "kept", "for_s": 0.3, "why": "soon over"})
    wait_until(lambda: kept.last.quality == "alarm")
    assert "shelved" not in kept.last.extra
    summary_is(store, "Alarm", 1)
    wait_until(lambda: store["_hwshelve"].value == {})


def test_an_equal_value_tells_that_shelving_is_over_where_the_clock_has_not_yet(
    daemon: mktl.Daemon, store: Store
) -> None:
    store["_hwshelve"].set({"key": "kept", "for_s": 600, "why": "new sensor"})
    own = daemon.store["kept"]
    watch = own._source.watch
    assert watch.shelf is not None
    assert "shelved" in own._source.payload.extra
    watch.shelf = dataclasses.replace(watch.shelf, ends=0.0)
    own.publish(80)
    assert "shelved" not in own._source.payload.extra


def test_what_came_and_went_while_it_was_shelved_is_not_kept(store: Store) -> None:
    store["_hwshelve"].set({"key": "kept", "until": time.time() + 60, "why": "new sensor"})
    store["kept"].set(105)
    store["kept"].set(80)
    store["_hwshelve"].set({"key": "kept", "until": 0})
    assert quality(store["kept"]) == ("valid", None)
    assert listed(store) == []


def test_what_is_shelved_is_invalid_all_the_same(daemon: mktl.Daemon, store: Store) -> None:
    store["_hwshelve"].set({"key": "temp", "for_s": 60, "why": "new sensor"})
    daemon.store["temp"].doubt(InvalidReading("no sensor"))
    wait_until(lambda: quality(store["temp"]) == ("invalid", "no sensor"))
    assert summary(store) == ("OK", 0)
    store["_hwshelve"].set({"key": "*", "until": 1})
    summary_is(store, "Invalid", 0)


NOT_SHELVED: list[tuple[Any, str]] = [
    ({"key": "temp", "for_s": 31 * 86400, "why": "x"}, "within 30 days"),
    ({"key": "temp", "until": 10**400, "why": "x"}, "within 30 days"),
    ({"key": "temp", "for_s": 60}, "has to say why"),
    ({"key": "temp", "for_s": 60, "why": "  "}, "has to say why"),
    ({"key": "temp", "why": "x"}, "say until"),
    ({"key": "temp", "for_s": "1h", "why": "x"}, "number of seconds"),
    ({"key": "temp", "until": 0}, "cryo.temp is not shelved"),
    ({"key": "plain", "for_s": 60, "why": "x"}, "cryo.plain has no limits to shelve"),
    ({"key": "p*", "for_s": 60, "why": "x"}, "cryo.plain has no limits to shelve"),
    ({"key": "zz", "for_s": 60, "why": "x"}, "does not contain 'zz'"),
    ("temp", "must be an object such as"),
]


def test_what_cannot_be_shelved_says_why(store: Store) -> None:
    for value, hint in NOT_SHELVED:
        with pytest.raises(mktl.MktlError) as caught:
            store["_hwshelve"].set(value)
        assert hint in str(caught.value)
    assert store["_hwshelve"].value == {}


# --- changed while it runs ------------------------------------------------------------------------


def test_limits_can_be_changed_and_taken_back(store: Store) -> None:
    store["temp"].set(80)
    store["_hwlimits"].set({"key": "temp", "limits": {"alarm": [None, 70]}, "why": "warm"})
    assert quality(store["temp"]) == ("alarm", "80 K is above the alarm limit of 70 K")
    in_force = store["_hwlimits"].value["temp"]
    assert in_force["limits"] == {"alarm": [None, 70]}
    assert in_force["set"]["limits"]["why"] == "warm"
    store["_hwlimits"].set({"key": "temp", "limits": {}})
    assert quality(store["temp"]) == ("valid", None)
    store["temp"].set(200)
    assert quality(store["temp"]) == ("valid", None)
    store["_hwlimits"].set({"key": "temp", "limits": None})
    assert quality(store["temp"])[0] == "alarm"
    assert store["_hwlimits"].value["temp"] == {"limits": KEPT["limits"]}
    assert store["temp"].description.limits is not None  # the description stays as it was


def test_limits_can_be_given_to_what_had_none(daemon: mktl.Daemon, store: Store) -> None:
    store["_hwlimits"].set({"key": "plain", "limits": {"warning": [None, 5]}, "deadband": 0.5})
    heard = Heard(store["plain"])
    store["plain"].set(6)
    wait_until(lambda: heard.last.quality == "warning")
    daemon.store["plain"].publish(6.2)
    daemon.store["plain"].publish(6.6)
    wait_until(lambda: heard.last.value == 6.6)
    assert [payload.value for payload in heard.payloads] == [1, 6, 6.6]
    store["_hwlimits"].set({"key": "plain", "limits": None, "deadband": None})
    assert quality(store["plain"]) == ("valid", None)
    assert "plain" not in store["_hwlimits"].value


def test_what_follows_what_can_be_changed(store: Store) -> None:
    store["temp"].set(80)
    tracks = {"item": "plain", "tolerance": 1, "within_s": 0}
    store["_hwlimits"].set({"key": "temp", "tracks": tracks})
    wait_until(lambda: "does not follow cryo.plain" in (store["temp"].reason or ""))
    store["plain"].set(80)
    wait_until(lambda: store["temp"].quality == "valid")
    store["_hwlimits"].set({"key": "temp", "tracks": None})
    store["plain"].set(10)
    assert store["temp"].quality == "valid"


NO_LIMITS: list[tuple[Any, str]] = [
    ({"key": "temp", "limits": {"alrm": [1, 2]}}, "did you mean 'alarm'?"),
    ({"key": "temp", "limits": {"alarm": [2, 1]}}, "low not above high"),
    ({"key": "mode", "limits": {"alarm": ["Falt"]}}, "did you mean 'Fault'?"),
    ({"key": "temp", "deadband": -1}, "zero or more"),
    ({"key": "temp", "tracks": {"item": "moode"}}, "did you mean cryo.mode?"),
    ({"key": "temp"}, "nothing is to change"),
    ({"key": ["temp", "kept"], "limits": {}}, "one key at a time"),
    ({"key": "t*", "limits": {}, "limit": 1}, "did you mean limits?"),
    ({"key": "_hwalarms", "limits": {"alarm": [None, 0]}}, "is about alarms"),
    ({"key": "tmep", "limits": {}}, "did you mean temp"),
]


def test_limits_that_cannot_be_are_refused_and_change_nothing(store: Store) -> None:
    before = store["_hwlimits"].value
    for value, hint in NO_LIMITS:
        with pytest.raises(mktl.MktlError) as caught:
            store["_hwlimits"].set(value)
        assert hint in str(caught.value)
    assert store["_hwlimits"].value == before


# --- over restarts --------------------------------------------------------------------------------


def test_what_was_acknowledged_shelved_and_changed_is_so_after_a_restart() -> None:
    with serving(AS_THE_FILE_SAYS) as daemon, client_of(daemon) as store:
        store["_hwlimits"].set({"key": "plain", "limits": {"alarm": [None, 0.5], "latch": True}})
        wait_until(lambda: store["plain"].quality == "alarm")
        store["_hwack"].set({"key": "plain", "why": "known"})
        store["_hwshelve"].set({"key": "temp", "for_s": 600, "why": "new sensor"})
        store["kept"].set(105)
        store["kept"].set(80)
        since = listed(store)[0]["since"]
    with serving(AS_THE_FILE_SAYS) as daemon, client_of(daemon) as store:
        rows = {row["key"]: row for row in listed(store)}
        assert rows.keys() == {"plain", "kept"}
        assert rows["plain"]["acknowledged"]["why"] == "known"
        assert rows["kept"]["acknowledged"] is False
        assert rows["kept"]["since"] == since
        assert "not acknowledged" in (store["kept"].reason or "")
        summary_is(store, "Alarm", 1)
        assert store["_hwshelve"].value["temp"]["why"] == "new sensor"
        store["temp"].set(105)
        assert quality(store["temp"]) == ("valid", None)
        store["plain"].set(0.1)
        assert quality(store["plain"]) == ("valid", None)


def test_what_was_acknowledged_is_so_after_a_kill(tmp_path: Path) -> None:
    items = {"temp": {**KEPT, "persist": True}}
    with daemon_process(tmp_path, items) as child, store_at("cryo", ports_of(child)[0]) as store:
        store["temp"].set(105)
        store["_hwack"].set({"key": "temp", "why": "known"})
        child.kill()
    with daemon_process(tmp_path, items) as child, store_at("cryo", ports_of(child)[0]) as store:
        assert store["temp"].quality == "alarm"
        assert store["_hwack"].value["temp"]["acknowledged"]["why"] == "known"
        summary_is(store, "Alarm", 0)
        store["temp"].set(80)
        assert quality(store["temp"]) == ("valid", None)
        store["temp"].set(105)
        summary_is(store, "Alarm", 1)


def test_what_is_left_of_an_earlier_run_may_be_nonsense(caplog: pytest.LogCaptureFixture) -> None:
    with serving(AS_THE_FILE_SAYS) as daemon:
        path = mktl.home() / "daemon" / "persist" / f"{daemon.uuid}.sqlite"
    database = PersistentValues(path)
    for name in ("ack", "shelve", "limits"):
        nonsense = {"temp": {"set": {"limits": 3}}, "kept": 3, "gone": {}}
        database.save(f"_hw{name}", mktl.Payload(nonsense, 1.0))
    database.close()
    with serving(AS_THE_FILE_SAYS) as daemon, client_of(daemon) as store:
        store["temp"].set(105)
        summary_is(store, "Alarm", 1)
    assert caplog.text.count("of an earlier run cannot be read for") == 8


# --- all in all -----------------------------------------------------------------------------------


def test_an_alarm_by_the_daemons_own_code_counts_and_can_be_acknowledged(
    daemon: mktl.Daemon, store: Store
) -> None:
    own = daemon.store["plain"]
    own.publish(3, quality="alarm", reason="the interlock has tripped")
    assert quality(store["plain"]) == ("alarm", "the interlock has tripped")
    summary_is(store, "Alarm", 1)
    store["_hwack"].set("plain")
    summary_is(store, "Alarm", 0)
    assert quality(store["plain"]) == ("alarm", "the interlock has tripped")
    own.publish(3)
    assert listed(store) == []


class Early(mktl.Daemon):
    """Its code finds something wrong before it is on the air."""

    def setup(self) -> None:
        item = self.add_item(mktl.Item, "early", description={"type": "numeric"})
        item.publish(1, quality="warning", reason="it is early")


def test_what_is_wrong_from_the_start_and_what_has_no_value_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    never = {"type": "numeric", "limits": {"alarm": [0, 1]}}
    with serving({"never": never}, daemon_class=Early) as daemon, client_of(daemon) as store:
        assert summary(store) == ("Invalid", 1)
        assert [(row["key"], row["reason"]) for row in listed(store)] == [
            ("never", "it has no value"),
            ("early", "it is early"),
        ]
        store["never"].set(0.5)
        summary_is(store, "Warning", 1)
    assert "Traceback" not in caplog.text


def test_the_worst_comes_first_and_the_summary_says_it(daemon: mktl.Daemon, store: Store) -> None:
    store["temp"].set(95)
    summary_is(store, "Warning", 1)
    store["mode"].formatted = "Fault"
    summary_is(store, "Alarm", 2)
    daemon.store["kept"].doubt(InvalidReading("no reply"))
    summary_is(store, "Invalid", 2)
    rows = listed(store)
    assert [(row["key"], row["severity"]) for row in rows] == [
        ("kept", "Invalid"),
        ("mode", "Alarm"),
        ("temp", "Warning"),
    ]
    assert rows[0]["reason"] == "no reply"
    assert rows[0]["acknowledged"] is None
    wait_until(lambda: store["_hwalarmlist"].value == rows)


def test_the_summary_of_many_items_is_right_and_the_list_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_alarm_summary, "MOST_LISTED", 100)
    count = 300
    items = {f"t{number}": TEMP for number in range(count)}
    with serving(items) as daemon, client_of(daemon) as store:

        def publish(first: int) -> None:
            for number in range(first, count, 2):
                daemon.store[f"t{number}"].publish(95 if number % 10 else 105)

        threads = [threading.Thread(target=publish, args=(first,)) for first in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        summary_is(store, "Alarm", count)
        payload = store.read(["_hwalarmlist"], refresh=True)["_hwalarmlist"]
        assert len(payload.value) == 100
        assert payload.extra["more"] == 200
        assert [row["severity"] for row in payload.value] == ["Alarm"] * 30 + ["Warning"] * 70
        store["_hwack"].set("*")
        summary_is(store, "Alarm", 0)


def test_each_change_is_a_line_in_the_log_but_no_flood_is(
    daemon: mktl.Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mktl")
    own = daemon.store["mode"]

    def lines() -> list[str]:
        return [record.message for record in caplog.records if "cryo.mode" in record.message]

    own.publish("Fault")
    own.publish("Fault")
    own.publish("Idle")
    assert lines() == [
        "cryo.mode: alarm: Fault is an alarm state",
        "cryo.mode: alarm is over: was Fault, an alarm state",
    ]
    for _ in range(50):
        own.publish("Fault")
        own.publish("Idle")
    own.publish("Fault")
    assert len(lines()) == _alarm_log.MOST_LINES
    daemon._service.alarms._logs["mode"].wake()  # as it is done after a while
    assert lines()[-1] == (
        "cryo.mode: alarm: Fault is an alarm state "
        "(and 96 changes before, since the last such line)"
    )
    daemon._service.alarms._logs["mode"].wake()
    assert len(lines()) == _alarm_log.MOST_LINES + 1
