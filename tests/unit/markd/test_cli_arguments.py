"""The command line of ``mark``, as far as no daemon is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from markd.cli import main
from markd.cli._arguments import VERBS, parse
from markd.cli._outcome import UsageError, one_line


@pytest.mark.parametrize(
    "words",
    ["-s cryo --terse get a b", "get a b -s cryo --terse", "get a --terse b --store=cryo"],
)
def test_options_stand_anywhere(words: str) -> None:
    found = parse(words.split())
    assert (found.verb, found.requests, found.store) == ("get", ["a", "b"], "cryo")
    assert found.terse
    assert found.timestamp is None


def test_values_are_taken_as_they_are() -> None:
    assert parse(["set", "cryo.a=-5", "cryo.b=x=y", "--serial"]).requests == [
        "cryo.a=-5",
        "cryo.b=x=y",
    ]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("gte cryo.temp", "did you mean get?"),
        ("frobnicate", "there are get, set"),
        ("cryo.temp", "did you mean: mark get cryo.temp?"),
        ("cryo.setpoint=80", "did you mean: mark set cryo.setpoint=80?"),
        ("get cryo.temp --ters", "did you mean --terse?"),
        ("help sett", "did you mean set?"),
        ("get", "for example"),
        ("set cryo.a=1 --count 3", "--count is for watch"),
        ("discover --at moon:1", "--at is for get"),
        ("watch cryo.temp --count 0", "whole number above 0"),
        ("get cryo.temp --timeout inf", "above 0"),
        ("get cryo.temp --units", "expected one argument"),
        ("get cryo.temp -u K --unformatted", "formatted values only"),
    ],
)
def test_a_mistake_says_what_would_do(words: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split())
    assert hint.lower() in str(caught.value).lower()


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gte"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "mark: unknown verb 'gte'; did you mean get?\n")


@pytest.mark.parametrize("words", ["", "--help", "help", *VERBS])
def test_there_is_help_with_examples(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [words, "--help"] if words in VERBS else words.split()
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "exit codes:" in out
    assert max(map(len, out.splitlines())) < 100


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mark 0.")


def test_what_would_break_a_line_is_written_out() -> None:
    assert one_line("77.3 °C") == "77.3 °C"
    assert one_line("a\nb\x1b[31m") == r"a\nb\x1b[31m"


def _imported_by(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
        ).stdout.split()
    )


def test_help_imports_nothing_of_the_library() -> None:
    found = _imported_by("from markd.cli import _arguments, _help")
    assert not {"mktl", "zmq", "msgspec"} & found


def test_get_imports_nothing_heavy() -> None:
    found = _imported_by(
        "import markd.cli.get, mktl._peer, mktl._remote, mktl.description; "
        "from markd.cli._arguments import parse; parse(['get', 'cryo.temp'])"
    )
    assert not {
        "numpy", "pint", "asyncio", "email", "importlib.metadata", "socket", "tempfile", "hashlib",
        "msgspec", "logging", "dataclasses", "inspect", "shutil",
    } & found  # fmt: skip
