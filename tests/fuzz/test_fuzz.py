"""Each target for a moment, the same inputs each time; and the drivers that run them for long."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests._support import run_cli
from tests.fuzz.__main__ import main
from tests.fuzz._engine import Hang, at_most, fuzz, lines_of, mutated, smaller
from tests.fuzz.targets import LONGEST, TARGETS

RUNS = {"instrument-file": 15, "pattern": 50, "regex": 50, "reply": 60, "twin": 80, "units": 40,
        "packet": 60}  # fmt: skip
"""What takes longer is done less often; kept inputs and seeds are tried in any case."""
USUAL_RUNS = 100


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused_as_documented(name: str) -> None:
    target = TARGETS[name]
    tried, _pool, broken = fuzz(
        target.check, target.inputs(), seed=1, runs=RUNS.get(name, USUAL_RUNS), longest=LONGEST
    )
    if broken is not None:
        data, error = broken
        raise AssertionError(f"broken by {data!r}") from error
    assert tried >= RUNS.get(name, USUAL_RUNS)


def strict(data: bytes) -> None:
    assert b"NaN" not in data


def test_an_input_that_gets_further_reaches_more_lines() -> None:
    check = TARGETS["datagram"].check
    assert lines_of(check, b"E komo mai:99") - lines_of(check, b"E komo mai:")


def test_what_breaks_something_is_found_and_made_small() -> None:
    tried, _pool, broken = fuzz(strict, [b"seed"], seed=3, runs=20_000)
    assert broken is not None, f"not in {tried} runs"
    data, error = broken
    assert isinstance(error, AssertionError)

    def fails(candidate: bytes) -> bool:
        try:
            strict(candidate)
        except AssertionError:
            return True
        return False

    assert smaller(fails, data + b" and much that does not matter") == b"NaN"


def test_the_same_seed_tries_the_same_inputs() -> None:
    one, other = random.Random(5), random.Random(5)
    for _ in range(50):
        made = mutated(b"what is", b"and another", one, 20)
        assert made == mutated(b"what is", b"and another", other, 20)
        assert len(made) <= 20


def test_what_takes_for_ever_is_told() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(Hang, match=r"longer than 0\.05 s"), at_most(0.05):
        endless()


def test_the_command_runs_a_target_and_says_what_came_of_it() -> None:
    done = run_cli("-m", "tests.fuzz", "datagram", "--seconds", "1", "--seed", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--seed 4" in done.stdout
    assert "nothing has broken" in done.stdout


def test_the_command_tries_one_input_and_knows_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "one"
    one.write_bytes(b"E komo mai:99")
    monkeypatch.setattr("sys.argv", ["fuzz", "datagram", "--input", str(one)])
    assert main() == 0
    monkeypatch.setattr("sys.argv", ["fuzz", "datagramm"])
    with pytest.raises(SystemExit):
        main()
    assert "there are request, response" in capsys.readouterr().err
