"""``marksim`` with transports, units and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

import simulators
from simulators import cli
from simulators._served import ServedLine


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Start what the command would serve, note it, and stop at once."""
    found: dict[str, Any] = {}

    def once(lines: Sequence[ServedLine]) -> int:
        for line in lines:
            with line.simulator as simulator:
                for name in line.units:
                    found[name] = SimpleNamespace(urls=simulator.urls, names=set(simulator.get()))
        return 0

    monkeypatch.setattr(cli, "run_until_stopped", once)
    return found


def test_a_model_is_served_the_usual_way_by_default(served: dict[str, Any]) -> None:
    assert cli.main(["wago_750_352"]) == 0
    assert list(served["wago_750_352"].urls) == ["modbus+tcp"]
    assert cli.main(["watlow_f4"]) == 0
    assert list(served["watlow_f4"].urls) == ["modbus+rtu"]


def test_every_transport_has_its_option(served: dict[str, Any], tmp_path: Any) -> None:
    arguments = ["--modbus-rtu", f"{tmp_path}/f4", "--modbus-rtu-tcp", "127.0.0.1:0"]
    assert cli.main(["watlow_f4", *arguments, "--unit", "9"]) == 0
    urls = served["watlow_f4"].urls
    assert urls["modbus+rtu"].startswith(f"modbus+rtu://{tmp_path}/f4?baud=19200")
    assert all(url.endswith("unit=9") for url in urls.values())
    assert cli.main(["lakeshore336", "--visa", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]) == 0
    assert list(served["lakeshore336"].urls) == ["tcp", "visa"]


def test_several_units_share_the_line(served: dict[str, Any]) -> None:
    assert cli.main(["watlow_f4", "--units", "1,2,3", "--seed", "1"]) == 0
    assert "unit3.chamber_c" in served["watlow_f4"].names
    assert "baud=19200" in served["watlow_f4"].urls["modbus+rtu"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["watlow_f5"], "did you mean watlow_f4?"),
        (["watlow_f4", "--tcp", "127.0.0.1:0"], "unrecognized"),
        (["lakeshore336", "--unit", "2"], "unrecognized"),
        (["watlow_f4", "--unit", "248"], "not a unit address"),
        (["watlow_f4", "--units", "1,1"], "appears twice"),
        (["watlow_f4", "--units", "1,2", "--unit", "3"], "not allowed"),
    ],
)
def test_wrong_usage_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)
    assert exited.value.code == 2
    assert complaint in capsys.readouterr().err


def test_an_empty_log_and_a_jump_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(simulators.start_twin("wago_750_352", time_factor=0.0)) as twin:
        where = "{}:{}".format(*twin.control_address)
        assert cli.main(["ctl", where, "log"]) == 0
        assert capsys.readouterr().out == "(no message has come yet)\n"
        assert cli.main(["ctl", where, "skip", "60"]) == 0
        assert capsys.readouterr().out == "now_s=60.0\n"
        assert cli.main(["ctl", "--json", where, "skip", "1"]) == 0
        assert json.loads(capsys.readouterr().out) == {"ok": True, "now_s": 61.0}
