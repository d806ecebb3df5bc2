"""``markd``: instrument files and Python daemons, from the command line to the hardware."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
import simulators
from mktl.errors import DeviceError
from simulators.serve import Simulator
from tests._support import run_cli, running, wait_until

ROOT = Path(__file__).resolve().parents[2]
CRYOSTAT = str(ROOT / "examples" / "cryostat.toml")
ON_THE_AIR = r"on the air"


@pytest.fixture
def twin() -> Iterator[Simulator]:
    with contextlib.closing(simulators.start_twin("lakeshore336")) as twin:
        yield twin


def test_help_says_how_it_is_called_and_what_its_exit_codes_mean() -> None:
    done = run_cli("markd", "--help")
    assert done.returncode == 0
    for word in ("FILE.toml", "STORE ALIAS", "--simulate", "--check", "exit codes", "SIGTERM"):
        assert word in done.stdout


def test_check_touches_nothing_and_finds_nothing_wrong_with_the_example(tmp_path: Path) -> None:
    done = run_cli("markd", CRYOSTAT, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 controller, 12 items, no problems" in done.stdout
    assert not (tmp_path / "mktl-home").exists()


def test_check_reports_every_problem_with_its_line_and_a_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        'store = "cryo"\nalias = "hw"\n\n[controllers.tc]\ndriver = "lakeshore36"\n'
        'url = "tcp://127.0.0.1:7777"\n\n[items.temp]\nchanel = "tc.temperature.A"\npoll_s = -1\n'
    )
    done = run_cli("markd", str(file), "--check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for words in (
        "line 5: controllers.tc.driver",
        "lakeshore336",
        "line 9: items.temp.chanel: unknown key: did you mean 'channel'",
    ):
        assert words in done.stderr


def test_describe_prints_the_items_without_any_hardware() -> None:
    done = run_cli("markd", CRYOSTAT, "--describe")
    assert done.returncode == 0
    described = json.loads(done.stdout)
    assert described["setpoint"]["range"] == [20, 120]
    assert described["detector_temp"]["units"] == "kelvin"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.toml"], "nothing.toml"),
        (["cryo"], "neither an instrument file"),
        (["cryo", "hw", "more"], "too many words"),
        (["cryo", "hw", "--simulate"], "--simulate goes with FILE.toml only"),
        ([CRYOSTAT, "-m", "cryostat"], "--module goes with STORE ALIAS only"),
        ([CRYOSTAT, "--url", "nonsense"], "not of the form NAME=URL"),
        ([CRYOSTAT, "--url", "gauge=tcp://127.0.0.1:1"], "the controllers are: tc"),
        (["cryo", "hw", "-m", "no_such_module"], "there is no Python module 'no_such_module'"),
        (["cryo", "hw", "-m", "no_such.py"], "there is no file no_such.py"),
        (["cryo", "hw", "-m", "json"], "Daemon in module json does not exist"),
        (["cryo", "hw", "-c", "no_such.json"], "no catalog file no_such.json"),
        (["cryo/..", "hw"], "letters, digits"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_and_with_exit_code_2(
    words: list[str], says: str
) -> None:
    done = run_cli("markd", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_daemon_in_python_is_short_and_works(twin: Simulator) -> None:
    module = ROOT / "examples" / "cryostat.py"
    assert len(module.read_text().splitlines()) < 60
    with running(["markd", "cryo", "hw", "-m", str(module), "-a", str(twin.url)], ready=ON_THE_AIR):
        link, setpoint = mktl.get("cryo.tc_link"), mktl.get("cryo.setpoint")
        wait_until(lambda: link.formatted == "Up", what="the link to be up")
        setpoint.formatted = "-190"
        assert setpoint == pytest.approx(83.15)
        with pytest.raises(ValueError, match=r"not be above cryo\.limit"):
            setpoint.set(200.0)
        assert mktl.get("cryo.tc_raw").set("SETP? 1") is None
        assert mktl.get("cryo.tc_raw").value == "+83.150"


def test_simulate_starts_a_twin_and_answers_for_every_item() -> None:
    with running(["markd", CRYOSTAT, "--simulate"], ready=ON_THE_AIR) as child:
        store = mktl.get("cryo")
        wait_until(lambda: store["tc_link"].formatted == "Up", what="the link to be up")
        for key in store:
            answer = store.read([key], refresh=True)[key]
            assert not isinstance(answer, Exception), (key, answer)
        assert "marksim ctl" in child.stderr_text


def test_a_daemon_starts_without_its_hardware_and_comes_up_with_it() -> None:
    with contextlib.closing(simulators.start_twin("lakeshore336")) as twin:
        url = twin.url
        twin.cut()
        with running(["markd", CRYOSTAT, "--url", f"tc={url}"], ready=ON_THE_AIR):
            store = mktl.get("cryo")
            wait_until(lambda: store["tc_link"].formatted == "Down", what="the link to be down")
            with pytest.raises(DeviceError, match=r"tc at .* down"):
                store["detector_temp"].get(refresh=True)
            with pytest.raises(DeviceError, match="nothing was sent"):
                store["setpoint"].set(80)
            assert "connection refused" in store["tc_error"].value
            twin.restore()
            wait_until(
                lambda: store["tc_link"].formatted == "Up", 20, "the link to come up by itself"
            )
            assert store["detector_temp"].get(refresh=True) == pytest.approx(77, abs=1)


def test_items_are_marked_invalid_while_the_cable_is_pulled_and_valid_again_after(
    twin: Simulator,
) -> None:
    with running(["markd", CRYOSTAT, "--url", f"tc={twin.url}"], ready=ON_THE_AIR):
        temperature = mktl.get("cryo.detector_temp")
        wait_until(lambda: mktl.get("cryo.tc_link").formatted == "Up", what="the link to be up")
        wait_until(lambda: temperature.quality == "valid", what="a valid temperature")
        before = temperature.value
        twin.cut()
        wait_until(lambda: temperature.quality == "invalid", what="an invalid temperature")
        wait_until(lambda: "down" in (temperature.reason or ""), what="the reason")
        assert temperature.quality == "invalid"
        assert temperature.value == pytest.approx(before, abs=1)
        twin.restore()
        wait_until(lambda: temperature.quality == "valid", 20, "a valid temperature again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number: int) -> None:
    with running(["markd", CRYOSTAT, "--simulate"], ready=ON_THE_AIR) as child:
        child.send_signal(number)
        assert child.wait() == 0
        assert "cryo.hw has stopped" in child.stderr_text
        assert "Traceback" not in child.stderr_text


def test_a_signal_during_the_start_stops_it_too(tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import logging, threading\nimport mktl\n\n\nclass Daemon(mktl.Daemon):\n"
        "    def setup(self):\n        logging.warning('in setup')\n"
        "        threading.Event().wait(60)\n\n"
        "    def cleanup(self):\n        logging.warning('in cleanup')\n"
    )
    with running(["markd", "cryo", "slow", "-m", str(slow)], ready="in setup") as child:
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0
        assert child.stderr_text.count("in cleanup") == 1


def test_a_second_signal_ends_a_daemon_whose_cleanup_hangs(tmp_path: Path) -> None:
    stuck = tmp_path / "stuck.py"
    stuck.write_text(
        "import logging, threading\nimport mktl\n\n\nclass Daemon(mktl.Daemon):\n"
        "    def cleanup(self):\n        logging.warning('in cleanup')\n"
        "        threading.Event().wait(60)\n"
    )
    with running(["markd", "cryo", "stuck", "-m", str(stuck)], ready=ON_THE_AIR) as child:
        child.send_signal(signal.SIGTERM)
        child.wait_for("in cleanup")
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 128 + signal.SIGTERM


def test_a_second_copy_says_who_holds_the_place() -> None:
    with running(["markd", "cryo", "notes"], ready=ON_THE_AIR) as first:
        second = run_cli("markd", "cryo", "notes")
        assert second.returncode == 3
        assert f"cryo.notes is already running: process {first.pid} on" in second.stderr
        assert "answering at localhost:" in second.stderr


def test_a_mistake_in_the_authors_code_is_shown_with_its_traceback(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import mktl\n\n\nclass Daemon(mktl.Daemon):\n    def setup(self):\n        1 / 0\n"
    )
    done = run_cli("markd", "cryo", "broken", "-m", str(broken))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "broken.py" in done.stderr


def test_a_module_of_the_current_directory_and_its_only_daemon_class_are_found(
    tmp_path: Path,
) -> None:
    (tmp_path / "lab.py").write_text("import mktl\n\n\nclass Bench(mktl.Daemon):\n    pass\n")
    with running(["markd", "lab", "bench", "-m", "lab"], ready=ON_THE_AIR, cwd=tmp_path):
        assert mktl.get("lab._benchpid").value > 0


def test_a_catalog_given_once_is_used_at_later_starts(tmp_path: Path) -> None:
    catalog = tmp_path / "notes.json"
    catalog.write_text(json.dumps({"Note": {"type": "string", "initial": "none"}}))
    with running(["markd", "cryo", "notes", "-c", str(catalog)], ready=ON_THE_AIR):
        assert mktl.get("cryo.note").value == "none"
    mktl.close()
    with running(["markd", "cryo", "notes"], ready=ON_THE_AIR):
        assert mktl.get("cryo.note").value == "none"


def test_logs_are_json_lines_on_request() -> None:
    with running(["markd", "cryo", "notes", "--log-json"], ready=ON_THE_AIR) as child:
        records = [json.loads(line) for line in child.stderr_text.splitlines()]
    assert {"time", "level", "logger", "message"} <= records[0].keys()
    with running(["markd", "cryo", "notes", "--log-level", "warning"]) as quiet:
        wait_until(
            lambda: run_cli("mark", "get", "cryo._notespid").returncode == 0,
            what="the quiet daemon to answer",
        )
        assert quiet.stderr_text == ""
