"""``make observatory``: the tour, and what its interlocks do when things go wrong."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from examples.observatory import interlocks
from examples.observatory.box import Box, formatted
from tests._support import run_cli, running, wait_until
from tests._support.daemons import serving
from tests.system._instrument import Seen


@contextlib.contextmanager
def box_of(directory: Path, *stores: str) -> Iterator[Box]:
    """Run these stores and the interlocks."""
    with Box(directory, os.environ, stores=stores) as box:
        try:
            yield box
        finally:
            mktl.close()  # before its daemons stop, as they would be looked for


def says(full_key: str, text: str, timeout_s: float = 20.0) -> mktl.Item:
    """Wait until an item says *text*; its daemon need not be there all the time."""
    wait_until(lambda: formatted(full_key) == text, timeout_s, f"{full_key} to be {text}")
    item: mktl.Item = mktl.get(full_key)
    return item


class Site(mktl.Daemon):
    """A store with values that no hardware confirms."""

    def describe_items(self) -> dict[str, dict[str, Any]]:
        if self.store.name == "vacuum":
            return {"chamber": {"initial": 1e-6}}
        return {"hv_on": {"type": "boolean", "initial": False}}


def truth(box: Box, twin: str, quantity: str) -> float:
    """What is so in the simulated hardware, whatever items say."""
    return box.twins[twin].get(quantity)[quantity]


def becomes(box: Box, twin: str, quantity: str, value: float, timeout_s: float = 20.0) -> None:
    wait_until(lambda: truth(box, twin, quantity) == value, timeout_s, f"{quantity} to be {value}")


@pytest.mark.timeout(180)
def test_the_tour_ends_by_itself_and_every_step_does_what_it_should() -> None:
    done = run_cli("-m", "examples.observatory", "--tour", timeout_s=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step did what it should." in done.stdout


@pytest.mark.timeout(120)
def test_a_signal_stops_all_of_it_and_leaves_no_process() -> None:
    with running(["-m", "examples.observatory"], ready="Ctrl-C here", timeout_s=60) as child:
        settings = re.search(r"\. (\S+/env)", child.stdout_text)
        assert settings is not None
        assert Path(settings[1]).read_text().count("=127.0.0.1:") == 7  # control ports
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0
        assert "did not stop by itself" not in child.stdout_text
        assert not Path(settings[1]).exists()
    # Whatever it had started and left would be found by the check for leaks after this test.


@pytest.mark.timeout(240)
def test_a_soak_breaks_something_and_reports() -> None:
    done = run_cli("-m", "examples.observatory", "--soak", "6", "--seed", "83", timeout_s=220)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all is well again after" in done.stdout
    for what in ("longest recovery", "acknowledged SETs", "values compared"):
        assert re.search(rf"{what}: +[1-9]", done.stdout)


@pytest.mark.timeout(120)
def test_no_high_voltage_while_the_pressure_is_bad_or_not_known(tmp_path: Path) -> None:
    with box_of(tmp_path, "vacuum", "power") as box:
        interlock, switch = says("safety.high_voltage", "Armed"), mktl.get("safety.hv_on")
        switch.set(True)
        becomes(box, "psu", "ch2_on", 1)

        box.twins["gauges"].set(chamber_leak=1e-4)
        becomes(box, "psu", "ch2_on", 0)
        says("safety.high_voltage", "Tripped")
        assert interlock.quality == "alarm"
        assert re.match(r"vacuum\.chamber: .* mbar", interlock.reason)
        with pytest.raises(ValueError, match=r"stays off: high_voltage: vacuum\.chamber: .* mbar"):
            switch.set(True)
        mktl.get("power.hv_on").set(True)  # past the interlock
        becomes(box, "psu", "ch2_on", 0)
        action = mktl.get("safety.high_voltage_action")
        wait_until(lambda: action.value.startswith("power.hv_on was switched off at "))

        daemon = box.processes["vacuum"]
        daemon.send(signal.SIGSTOP)  # it is still connected, and says nothing
        try:
            wait_until(lambda: interlock.reason.startswith("vacuum.chamber is not known: "), 20)
            mktl.get("power.hv_on").set(True)
            becomes(box, "psu", "ch2_on", 0)
        finally:
            daemon.send(signal.SIGCONT)


def test_a_value_that_is_old_or_makes_no_sense_counts_as_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.5")
    monkeypatch.setattr(interlocks.VacuumHighVoltage, "patience_s", 0.0)
    monkeypatch.setattr(interlocks.VacuumHighVoltage, "clears_after_s", 0.0)
    with (
        serving(store="vacuum", daemon_class=Site) as vacuum,
        serving(store="power", daemon_class=Site) as power,
        serving(store="safety", daemon_class=interlocks.Interlocks) as safety,
    ):
        interlock, chamber = safety.store["high_voltage"], vacuum.store["chamber"]
        says("safety.high_voltage", "Armed")
        power.store["hv_on"].set(True)
        chamber.publish(2e-6, time.time() - 60)
        wait_until(lambda: power.store["hv_on"].value is False, 20, "it to be switched off")
        assert interlock.formatted == "Tripped"
        assert "for the last time" in interlock.reason
        chamber.publish(3e-6)
        says("safety.high_voltage", "Armed")
        for none in (0.0, -2e-7):
            chamber.publish(none)
            wait_until(lambda: f"{none:.1e} mbar" in (interlock.reason or ""))  # noqa: B023
            assert interlock.formatted == "Tripped"
        chamber.publish(3e-6)
        says("safety.high_voltage", "Armed")
        chamber.publish("high")
        says("safety.high_voltage", "Tripped")
        assert interlock.reason.startswith("vacuum.chamber is not known: ")


@pytest.mark.timeout(120)
def test_what_cannot_be_done_is_told_and_a_bypass_has_a_reason_that_stays(tmp_path: Path) -> None:
    with box_of(tmp_path, "vacuum", "power") as box:
        bypass, switch = mktl.get("safety.high_voltage_bypass"), mktl.get("safety.hv_on")
        interlock = says("safety.high_voltage", "Armed")
        switch.set(True)
        box.twins["psu"].cut()
        box.twins["gauges"].set(ch1_unplugged=1)
        says("safety.high_voltage", "Tripped")
        action = mktl.get("safety.high_voltage_action")
        wait_until(lambda: action.quality == "alarm", 20, "the action to have failed")
        assert action.value.startswith("failed, and is tried again: ")
        assert truth(box, "psu", "ch2_on") == 1
        box.twins["psu"].restore()
        becomes(box, "psu", "ch2_on", 0)
        wait_until(lambda: action.quality == "valid", 20, "the action to be done")

        with pytest.raises(ValueError, match="needs a reason"):
            bypass.set("later")
        bypass.set("the gauge is at the workshop, J. Doe, until Friday")
        assert says("safety.high_voltage", "Bypassed").quality == "warning"
        assert re.search(r"J\. Doe, until Friday.*vacuum\.chamber is not known", interlock.reason)
        switch.set(True)
        box.restart("safety")
        says("safety.high_voltage_bypass", "the gauge is at the workshop, J. Doe, until Friday")
        says("safety.high_voltage", "Bypassed")
        assert truth(box, "psu", "ch2_on") == 1
        bypass.set("")
        becomes(box, "psu", "ch2_on", 0)


@pytest.mark.timeout(120)
def test_rain_closes_the_shutter_and_a_restart_fools_nobody(tmp_path: Path) -> None:
    with box_of(tmp_path, "weather", "dome") as box:
        box.twins["station"].set(steady=1)
        interlock = says("safety.shutter", "Armed")
        seen = Seen(interlock)
        box.restart("weather")  # in dry weather that is borne
        mktl.get("dome.open_shutter").set(True)
        says("weather.station_link", "Up")
        becomes(box, "io", "shutter", 1)
        assert seen.doubts == []

        box.twins["station"].set(rain_mm_h=6)
        becomes(box, "io", "shutter", 0)
        becomes(box, "io", "output_1", 0)  # the motor does not stay on
        assert "weather.rain_rate: it rains, 6.1 mm/h" in interlock.reason
        mktl.get("dome.open_shutter").set(True)
        becomes(box, "io", "output_0", 0)
        becomes(box, "io", "shutter", 0)

        armed = len(seen.values)
        box.restart("weather")  # in the rain
        says("weather.rain_rate", "6.1")
        wait_until(lambda: "it rains" in interlock.reason)
        assert len(seen.values) == armed
        box.twins["station"].set(rain_mm_h=0)
        wait_until(lambda: interlock.reason.startswith("good since "), 20, "the rain to be over")
        assert interlock.formatted == "Tripped"  # for a while yet
        assert len(seen.values) == armed
