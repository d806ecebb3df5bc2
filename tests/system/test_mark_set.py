"""``mark set`` as a real process against a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests._support import Child, run_cli
from tests.system._cryo import cryo


@pytest.fixture
def daemon() -> Iterator[Child]:
    with cryo() as child:
        yield child


def test_set_says_what_it_has_set(daemon: Child) -> None:
    done = run_cli("mark", "set", "cryo.setpoint=80", "cryo.mode=on", "cryo.note=a = b")
    assert done.returncode == 0
    assert done.stdout == (
        "Set cryo.setpoint to 80 kelvin\nSet cryo.mode to on\nSet cryo.note to a = b\n"
    )
    shown = run_cli("mark", "get", "-s", "cryo", "setpoint", "mode", "note", "--terse").stdout
    assert shown == "80.0\nOn\na = b\n"


def test_set_takes_other_units_and_negative_numbers(daemon: Child) -> None:
    done = run_cli("mark", "-u", "degC", "set", "cryo.setpoint=-193.15")
    assert done.stdout == "Set cryo.setpoint to -193.15 degC\n"
    assert run_cli("mark", "get", "cryo.setpoint").stdout == "cryo.setpoint: 80.0 kelvin\n"


def test_unformatted_sets_values_as_they_are_stored(daemon: Child) -> None:
    assert run_cli("mark", "set", "--unformatted", "cryo.mode=1", "cryo.note=5").returncode == 0
    lines = run_cli("mark", "get", "--json", "cryo.mode", "cryo.note").stdout.splitlines()
    assert [json.loads(line)["value"] for line in lines] == [1, "5"]


@pytest.mark.parametrize("serial", [[], ["--serial"]])
def test_one_that_fails_is_told_and_holds_up_no_other(daemon: Child, serial: list[str]) -> None:
    done = run_cli(
        "mark", "set", *serial,
        "cryo.setpoint=-3", "cryo.mode=Onn", "cryo.temp=4", "cryo.nte=x", "cryo.note=last",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == "Set cryo.note to last\n"
    failures = dict(sorted(line.split(" failed: ") for line in done.stderr.splitlines()))
    assert sorted(failures) == ["cryo.mode", "cryo.nte", "cryo.setpoint", "cryo.temp"]
    assert "0 to 325" in failures["cryo.setpoint"]
    assert "On" in failures["cryo.mode"]
    assert "did you mean cryo.note?" in failures["cryo.nte"]


def test_no_wait_returns_when_acknowledged_and_does_not_call_it_done(daemon: Child) -> None:
    done = run_cli("mark", "set", "--no-wait", "cryo.stage=5")
    assert done.stdout == "Setting cryo.stage to 5 mm (acknowledged)\n"


def test_no_wait_never_calls_a_set_done_that_is_refused(daemon: Child) -> None:
    done = run_cli("mark", "set", "--no-wait", "cryo.setpoint=-3")
    # The refusal comes just before or just after the command has ended.
    assert (done.returncode, done.stdout) in (
        (1, ""),
        (0, "Setting cryo.setpoint to -3 kelvin (acknowledged)\n"),
    )


def test_a_set_that_takes_longer_than_the_timeout_is_no_answer(daemon: Child) -> None:
    done = run_cli("mark", "set", "--timeout", "0.4", "cryo.stage=5")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("cryo.stage failed: ")
    assert run_cli("mark", "set", "cryo.stage=6").stdout == "Set cryo.stage to 6 mm\n"


def test_nothing_is_sent_when_a_word_is_no_assignment(daemon: Child) -> None:
    for wrong in (
        "cryo.note",
        "cryo=5",
        "cryo.*=5",
        "=5",
        b"cryo.note=\xff".decode(errors="surrogateescape"),
    ):
        done = run_cli("mark", "set", "cryo.note=changed", wrong)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
    assert run_cli("mark", "get", "--terse", "cryo.note").stdout == "quiet\n"


def test_a_key_that_cannot_be_read_can_be_set(daemon: Child) -> None:
    assert run_cli("mark", "set", "cryo.key_code=1234").returncode == 0
    assert run_cli("mark", "get", "cryo.key_code").returncode == 1


def test_set_as_json(daemon: Child) -> None:
    done = run_cli("mark", "set", "--json", "cryo.setpoint=80", "cryo.mode=nonsense")
    assert json.loads(done.stdout) == {
        "key": "cryo.setpoint", "value": "80", "units": "kelvin", "done": True,
    }  # fmt: skip
    assert done.returncode == 1
