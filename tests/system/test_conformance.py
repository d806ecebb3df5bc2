"""``markd FILE.toml --conformance`` as people run it, and the plugin that does it for pytest."""

from __future__ import annotations

import json
import signal
import sys
import tomllib
from pathlib import Path

import pytest

from markd import pytest_plugin
from tests._support import run_cli, running

# A bench has its times, and starts processes; a busy machine makes all of it longer.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]
CRYOSTAT = str(ROOT / "examples" / "cryostat.toml")
TEXT = """
store = "cryo"
alias = "hw"

[controllers.tc]
driver = "lakeshore336"
url = "tcp://192.168.10.21:7777"

[items.detector_temp]
channel = "tc.temperature.A"

[items.coldhead_temp]
channel = "tc.temperature.B"

[items.setpoint]
channel = "tc.setpoint.1"
range = [20, 120]
"""
NOT_COVERED = """
[controllers.spare]
driver = "drivers.lakeshore336:LakeShore336"
url = "tcp://127.0.0.1:9"
"""
MODBUS = """
store = "dome"
alias = "hw"

[controllers.io]
driver = "wago_750_352"
url = "modbus+tcp://192.168.10.30"
analog_inputs = ["4-20mA", "4-20mA", "+-10V", "+-10V", "pt100-461", "pt100-461"]
analog_outputs = ["0-10V", "0-10V"]
digital_inputs = 8
digital_outputs = 8

[items.lamp]
channel = "io.do.5"

[items.air_temp]
channel = "io.ai.5"

[items.structure_temp]
channel = "io.ai.6"
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_controller_of_text_stands_faults_and_the_table_says_how_well(tmp_path):
    file = written(tmp_path / "cryo.toml", TEXT + NOT_COVERED)
    out = tmp_path / "out.json"
    words = ["--faults", "half-open,mute,one-late,nak", "--json", str(out)]
    done = run_cli("markd", str(file), "--conformance", *words, timeout_s=120)
    assert done.returncode == 0, done.stdout
    assert "spare is not covered: driver drivers.lakeshore336:LakeShore336" in done.stdout
    assert "tc: setpoint is set from 77.0 to 82.0" in done.stdout
    assert "3 passed, 0 failed, 1 do not apply; the same again: --seed 1" in done.stdout
    found = json.loads(out.read_text())
    assert found["passed"] is True
    rows = {row["fault"]: row for row in found["rows"]}
    assert [*rows] == ["half-open", "mute", "one late", "nak"]
    assert rows["nak"]["result"] == "n/a"
    for name in ("half-open", "mute", "one late"):
        row = rows[name]
        assert (row["result"], row["wrong"], row["crossed"]) == ("pass", 0, 0)
        assert row["log_lines"] <= row["most_log_lines"]
        assert row["set"] in ("refused", "done")
    assert 0 < rows["mute"]["invalid_s"] <= rows["mute"]["invalid_within_s"]
    assert 0 <= rows["mute"]["good_s"] <= rows["mute"]["good_within_s"]


def test_a_modbus_controller_stands_faults(tmp_path):
    file = written(tmp_path / "dome.toml", MODBUS)
    words = ["--faults", "late,exception", "--controller", "IO", "--seed", "7"]
    done = run_cli("markd", str(file), "--conformance", *words, timeout_s=120)
    assert done.returncode == 0, done.stdout
    assert "2 passed, 0 failed, 0 do not apply; the same again: --seed 7" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--conformance", "--faults", "silense"], "there is no fault 'silense'"),
        (["--conformance", "--controller", "tk"], "the controllers are: tc"),
        (["--conformance", "--transport", "tc"], "not of the form NAME=TRANSPORT"),
        (["--conformance", "--transport", "tc=hislip", "--faults", "reset"], "hislip"),
        (["--conformance", "--simulate"], "--simulate does not go with --conformance"),
        (["--conformance", "--url", "tc=tcp://h:1"], "--url does not go with --conformance"),
        (["--faults", "silence"], "--faults goes with --conformance only"),
        (["--json", "out.json"], "--json goes with --conformance only"),
        (["--conformance", "--json", "/nowhere/out.json"], "no folder /nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(words, says):
    done = run_cli("markd", CRYOSTAT, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_which_nothing_can_be_simulated_does_not_pass(tmp_path):
    text = 'store = "cryo"\nalias = "hw"\n' + NOT_COVERED
    file = written(tmp_path / "spare.toml", f"{text}[items.t]\nchannel = 'spare.temperature.A'\n")
    done = run_cli("markd", str(file), "--conformance")
    assert done.returncode == 1
    assert "spare is not covered" in done.stdout
    assert "nothing to test" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_interrupted_and_leaves_nothing_behind(number):
    words = ["markd", CRYOSTAT, "--conformance"]
    with running(words, ready="in this run", timeout_s=60) as child:
        child.send_signal(number)
        assert child.wait(30) == 130
        assert "interrupted; what was started has been ended" in child.stderr_text
        assert "Traceback" not in child.stderr_text


PLUGIN_TESTS = """
import pytest

@pytest.mark.parametrize("fault", ["split", "nak", "dead-unit"])
def test_it_stands(conformance, fault):
    rows = conformance("cryo.toml", faults=[fault])
    assert [row["fault"] for row in rows] == [fault]

def test_what_is_not_there(conformance):
    conformance("nothing.toml")
"""


def test_the_plugin_is_there_wherever_this_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"markd": pytest_plugin.__name__}


def test_the_plugin_passes_skips_and_fails_as_the_command_does(tmp_path):
    written(tmp_path / "cryo.toml", TEXT)
    file = written(tmp_path / "test_site.py", PLUGIN_TESTS)
    done = run_cli(
        sys.executable, "-m", "pytest", "-p", "markd.pytest_plugin", "-p", "no:cacheprovider",
        "--rootdir", tmp_path, "-rA", file, timeout_s=120,
        # Where it is installed pytest would load it once more.
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert "1 failed, 1 passed, 2 skipped" in done.stdout, done.stdout + done.stderr
    assert "the device has no such answer" in done.stdout
    assert "no line with several units" in done.stdout
    assert "nothing.toml" in done.stdout
