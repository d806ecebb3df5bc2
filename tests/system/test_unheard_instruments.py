"""Two instruments that nobody has heard of, wired from their manuals in instrument files alone.

The manuals, the simulators that were written from them, and the files are in ``unheard/``.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from tests._support import running, wait_until
from tests.system._instrument import Seen, in_doubt, link_is, mark, refused, served

HERE = Path(__file__).parent / "unheard"
FILE_A = HERE / "a.toml"
FILE_B = HERE / "b.toml"

QUICK = """\
timeout_s = 1
retry_first_s = 0.1
retry_longest_s = 0.2"""

UNCERTAIN = "may or may not have been carried out"

GARBLED = (
    "U-2 HL 0012",
    "U-2 HL 0012.5",
    "U-2 HL 0x12.5 mm",
    "U-2 HL 0012,5 mm",
    "U-2 HL OL mm",
    "U-2 HL 9.9E37 mm",
    "U-2 HL 0012.5 mmU-2 HL 9999.9 mm",
    "G-2 HL 0012.5 mm",
    "U-2 SP 0012.5",
    "U-2 ?? 1 HL",
    ">U-2 0012.5",
)


class Bench:
    """A simulator in a process of its own, by its control port."""

    def __init__(self, port: int, control: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", control), timeout=30)
        self._answers = self._socket.makefile("r")

    def order(self, text: str) -> str:
        self._socket.sendall(text.encode() + b"\n")
        answer = self._answers.readline().rstrip("\n")
        assert answer
        assert not answer.startswith("error"), answer
        return answer

    def set(self, **state: Any) -> None:
        for name, value in state.items():
            self.order(f"set {name} {json.dumps(value)}")

    def state(self, name: str) -> Any:
        return json.loads(self.order("show"))[name]

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


@contextlib.contextmanager
def bench(script: str, *options: str) -> Iterator[Bench]:
    with running([str(HERE / script), *options], ready="ready") as child:
        match = child.wait_for(r"ready (\d+) (\d+)")
        with contextlib.closing(Bench(int(match[1]), int(match[2]))) as simulator:
            yield simulator


@contextlib.contextmanager
def instrument_a(folder: Path) -> Iterator[tuple[mktl.Store, Bench]]:
    """Run the meter, and ``markd`` on its file."""
    file = quick(folder, FILE_A)
    with (
        bench("simulator_a.py", "--period", "60", "--measure", "60") as simulator,
        served(file, urls={"meter": f"tcp://127.0.0.1:{simulator.port}"}) as store,
    ):
        yield store, simulator


@contextlib.contextmanager
def instrument_b(folder: Path, *changes: tuple[str, str]) -> Iterator[tuple[mktl.Store, Bench]]:
    """Run the carousel, and ``markd`` on its file with *changes*."""
    file = quick(folder, FILE_B, *changes)
    with bench("simulator_b.py") as simulator:
        url = f"modbus+tcp://127.0.0.1:{simulator.port}?unit=17"
        with served(file, up=("tc9",), urls={"tc9": url}) as store:
            yield store, simulator


def quick(folder: Path, file: Path, *changes: tuple[str, str]) -> Path:
    """Save *file* with *changes* in *folder*, so that it asks more often and waits less."""
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    text = text.replace("poll_s = 0.2", "poll_s = 0.05").replace("\nurl =", f"\n{QUICK}\nurl =")
    path = folder / file.name
    path.write_text(text)
    return path


def shows(store: mktl.Store, **values: str) -> None:
    """Wait until the items are valid, and print so."""
    for key, text in values.items():
        item = store[key]
        wait_until(
            lambda item=item, text=text: item.quality == "valid" and item.formatted == text,
            what=f"{key} to be {text}",
        )


def doubted(store: mktl.Store, **reasons: str) -> None:
    """Wait until the items are invalid, for these reasons."""
    for key, reason in reasons.items():
        item = store[key]
        wait_until(lambda item=item, reason=reason: in_doubt(item, reason), what=f"doubt: {key}")


def not_set(item: mktl.Item, value: Any, reason: str) -> None:
    """Set an item, which has to fail for this reason."""
    with pytest.raises(Exception, match=re.escape(reason)):
        item.value = value


def test_the_files_have_simulators_of_their_own() -> None:
    with contextlib.ExitStack() as stack:
        daemons = [
            stack.enter_context(running(["markd", str(file), "--simulate"]))
            for file in (FILE_A, FILE_B)
        ]
        for daemon, key in zip(daemons, ("nivar.level", "shroud.temperature"), strict=True):
            daemon.wait_for("on the air")
            item = mktl.get(key)
            wait_until(lambda item=item: item.quality == "valid", what=key)


def test_a_says_what_the_meter_says_and_each_refusal_is_noticed(tmp_path: Path) -> None:
    with instrument_a(tmp_path) as (store, meter):
        a_says(store, meter)
        a_sets(store, meter)
        a_is_silent(store, meter)


def a_says(store: mktl.Store, meter: Bench) -> None:
    shows(
        store,
        level="437.5",
        locked="False",
        fill="None",
        alarms="Low level",
        sump="4.21",
        pressure_code="[413, -4]",
        stop_level="450.0",
        mode="Hold",
        fills="17",
    )
    assert mark("get", "nivar.level") == "nivar.level: 437.5 mm\n"
    meter.set(level=12.5, pressure="101+3", bits=13, fill="T")
    meter.order("unasked")
    shows(
        store,
        level="12.5",
        level_unasked="12.5",
        alarms="Sensor fault, High level, Heater on",
        fill="Timeout",
        pressure_code="[101, 3]",
    )


def a_sets(store: mktl.Store, meter: Bench) -> None:
    for key, value in {"mode": "Automatic", "stop_level": 400, "buzzer": 1, "measure": 1}.items():
        not_set(store[key], value, "was refused: 'UTD ?? 3")
        not_set(store[key], value, "came back (the keys have control)")
    assert (meter.state("mode"), meter.state("stop")) == ("H", 450)
    store["locked"].value = True
    shows(store, locked="True")
    assert mark("set", "nivar.mode=Automatic", "nivar.stop_level=400")
    assert (meter.state("mode"), meter.state("stop")) == ("A", 400)
    shows(store, mode="Automatic", stop_level="400.0")

    # Reduced instead of refused; more decimals than there are; out of range.
    assert "620.0 is what it has then" in refused("set", "nivar.stop_level=900")
    shows(store, stop_level="620.0")
    not_set(store["stop_level"], 333.33, "333.33")
    not_set(store["stop_level"], 1000, "must be within 0 to 999.9")
    assert meter.state("stop") == 620

    meter.set(fill="F")
    store["mode"].value = "Manual"
    not_set(store["mode"], "Automatic", "was refused: 'LFD ?? 4 MO' came back (filling)")
    assert meter.state("mode") == "M"


def a_is_silent(store: mktl.Store, meter: Bench) -> None:
    """Silence is an answer where the device is there; nothing is sent twice."""
    before = meter.state("counts")
    for key in ("buzzer", "measure"):
        store[key].value = 1
        store[key].value = 1
    meter.order("silent BZ 1")
    meter.order("silent ID 1000")
    not_set(store["buzzer"], 1, UNCERTAIN)
    meter.order("silent ID 0")
    shows(store, level="12.5")
    after = meter.state("counts")
    assert [after[name] - before[name] for name in ("BZ", "MS")] == [3, 2]


def test_a_never_shows_a_wrong_number_and_recovers(tmp_path: Path) -> None:
    with instrument_a(tmp_path) as (store, meter):
        a_link_lost_and_found(store, meter)
        a_never_shows_a_number_that_is_none(store, meter)


def a_never_shows_a_number_that_is_none(store: mktl.Store, meter: Bench) -> None:
    shows(store, level="437.5", sump="4.21")
    level, sump = Seen(store["level"]), Seen(store["sump"])
    for text in GARBLED:
        doubts = len(level.doubts)
        meter.order(f"instead HL {text}")
        wait_until(lambda doubts=doubts: len(level.doubts) > doubts, what=f"doubt of {text}")
        shows(store, level="437.5")
    meter.order("before HL")
    shows(store, level_unasked="437.5")
    for unit in ("%", "in"):
        meter.set(unit=unit, level=12.5)
        meter.order("unasked")
        doubted(store, level="", level_unasked="")
        meter.set(level=437.5, unit="mm")
        meter.order("unasked")
        shows(store, level="437.5", level_unasked="437.5")
    meter.set(level=None, temperature="<01.50K", pressure="OFF")
    meter.order("unasked")
    doubted(store, level="----.-", level_unasked="----.-", sump="<01.50", pressure_code="OFF")
    meter.set(temperature="OPEN")
    doubted(store, sump="TS OPEN' came back: there is no reading")
    assert set(level.values) == {437.5}
    assert set(sump.values) == {4.21}


def a_link_lost_and_found(store: mktl.Store, meter: Bench) -> None:
    shows(store, level="437.5")
    meter.order("unasked")
    shows(store, level_unasked="437.5")
    meter.order("silent * 1000")
    doubted(store, level="", fills="")
    meter.order("silent * 0")
    shows(store, level="437.5", fills="17")
    meter.set(model="NIVAR3 1.00")
    meter.order("drop")
    link_is(store, "meter", "Wrong device")
    doubted(store, level="NIVAR3", level_unasked="NIVAR3")
    meter.set(model="NIVAR2 4.08")
    shows(store, level="437.5")


def test_b_says_what_the_registers_hold_and_each_refusal_is_noticed(tmp_path: Path) -> None:
    with instrument_b(tmp_path) as (store, tc9):
        b_says(store, tc9)
        b_sets(store, tc9)
        b_starts_once_for_each_order(store, tc9)


def b_says(store: mktl.Store, tc9: Bench) -> None:
    shows(
        store,
        angle="12.345",
        temperature="-75.50",
        heater_current="842",
        powered="True",
        homed="True",
        moving="False",
        phase="Holding",
        position="4",
        door_open="False",
        hours="1234.5",
        serial_number="MW-TC9/00417-b",
        setpoint="-75.00",
        target="0.000",
        mode="Hold",
        speed="40",
        ramp="1.2",
        alarm="None",
        energy="70000",
    )
    assert mark("get", "shroud.temperature") == "shroud.temperature: -75.50 degC\n"
    tc9.set(angle=-170001, temperature=-1, phase=7, position=12, door=True, alarm=31)
    tc9.set(energy=4294967295, hours=0.5)
    shows(
        store,
        angle="-170.001",
        temperature="-0.05",
        phase="Fault",
        position="12",
        door_open="True",
        alarm="Encoder",
        energy="4294967295",
        hours="0.5",
    )


def b_sets(store: mktl.Store, tc9: Bench) -> None:
    assert mark("set", "shroud.setpoint=12.35", "shroud.target=-123.456", "shroud.mode=Ramp")
    assert [tc9.state(name) for name in ("setpoint", "target", "mode")] == [247, -123456, 2]
    store["speed"].value = 7
    store["ramp"].value = 3.3
    assert (tc9.state("speed"), tc9.state("ramp")) == (7, 33)
    shows(store, target="-123.456", speed="7", ramp="3.3")

    not_set(store["setpoint"], 12.36, "between two steps")
    not_set(store["setpoint"], 60.05, "must be within -80 to 60 degC")
    not_set(store["mode"], 3, "must be one of")
    assert "exception 4" in refused("set", "shroud.mode=Bake")  # the door is open
    tc9.order("exception 16 3")
    not_set(store["target"], 1, "exception 3")
    tc9.set(door=False)
    store["mode"].value = "Bake"
    # Answered as if it were done, and ignored.
    not_set(store["setpoint"], 20, "holds [247]")
    shows(store, setpoint="12.35", mode="Bake", target="-123.456")


def test_b_never_shows_a_wrong_number_and_recovers(tmp_path: Path) -> None:
    with instrument_b(tmp_path) as (store, tc9):
        b_link_lost_and_found(store, tc9)
        b_never_shows_a_number_that_is_none(store, tc9)


def b_starts_once_for_each_order(store: mktl.Store, tc9: Bench) -> None:
    start = store["start"]
    start.value = 4
    start.value = 4
    assert tc9.state("starts") == [4, 4]
    tc9.order("silent 6 1")
    not_set(start, 4, UNCERTAIN)
    assert tc9.state("starts") == [4, 4, 4]
    tc9.order("deaf 6 1")
    not_set(start, 4, UNCERTAIN)
    tc9.set(moving=True)
    not_set(start, 1, "busy (exception 6)")
    start.value = 3
    assert tc9.state("starts") == [4, 4, 4, 3]


def test_b_says_after_an_order_was_lost_what_it_may_have_come_to(tmp_path: Path) -> None:
    seldom = ("poll_s = 0.2", "poll_s = 0")
    mode = ("{address = 40204}", "{address = 40204, repeat = false}")
    with instrument_b(tmp_path, seldom, mode) as (store, tc9):
        shows(store, mode="Hold", setpoint="-75.00")
        tc9.order("deaf 6 1")
        lost = refused("set", "shroud.mode=Hold")
        assert UNCERTAIN in lost
        assert "40204 (holding 203 on the wire) holds 1, as it may have before" in lost
        # With nothing polled, what was read back is what it is.
        tc9.set(mode=5, setpoint=400)
        not_set(store["setpoint"], 30, "holds [400]")
        shows(store, setpoint="20.00", mode="Hold")
        assert "mode: Bake" in mark("get", "--refresh", "shroud.mode")


def b_never_shows_a_number_that_is_none(store: mktl.Store, tc9: Bench) -> None:
    good = {"angle": 12.345, "temperature": -75.5, "heater_current": 842, "position": 4}
    shows(store, angle="12.345", temperature="-75.50", heater_current="842", position="4")
    seen = {key: Seen(store[key]) for key in [*good, "mode", "alarm", "hours", "speed"]}
    tc9.set(homed=False, temperature=None, current=None, position=0)
    doubted(store, angle="no value", temperature="no value", heater_current="no value")
    doubted(store, position="bits 8 to 11 of 30105 (input 104 on the wire) are 0, which means: no")
    tc9.set(homed=True, temperature=-1510, current=842, position=4)
    shows(store, angle="12.345", temperature="-75.50", heater_current="842", position="4")
    for trouble in ("garbage 00ff0102030405", "short 1", "exception 3 4", "exception 4 4"):
        before = sum(len(each.doubts) for each in seen.values())
        tc9.order(trouble)
        wait_until(
            lambda before=before: sum(len(each.doubts) for each in seen.values()) > before,
            what=f"doubt after {trouble}",
        )
        shows(store, angle="12.345", hours="1234.5", mode="Hold", alarm="None", speed="40")
    assert {key: set(seen[key].values) for key in good} == {
        key: {value} for key, value in good.items()
    }


def b_link_lost_and_found(store: mktl.Store, tc9: Bench) -> None:
    shows(store, angle="12.345", energy="70000")
    tc9.order("deaf 0 1000")
    doubted(store, angle="", energy="")
    tc9.order("deaf 0 0")
    shows(store, angle="12.345", energy="70000")
    tc9.set(serial="MW-TC9/00418-b")
    tc9.order("drop")
    link_is(store, "tc9", "Wrong device")
    doubted(store, angle="MW-TC9/00418-b")
    tc9.set(serial="MW-TC9/00417-b")
    shows(store, angle="12.345")
