"""``mark list``, ``describe`` and ``discover`` as real processes against a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests._support import Child, run_cli
from tests.system._cryo import ITEMS, cryo


@pytest.fixture
def daemon() -> Iterator[Child]:
    with cryo() as child:
        yield child


def test_list_prints_type_and_access_sorted_and_aligned(daemon: Child) -> None:
    done = run_cli("mark", "list", "cryo")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines == sorted(lines)
    longest = max(len(line.split()[0]) for line in lines)
    assert f"{'cryo.temp':{longest}}   numeric      r" in lines
    assert f"{'cryo.key_code':{longest}}   string       w" in lines
    assert f"{'cryo.mode':{longest}}   enumerated   rw" in lines
    assert f"{'cryo._tc1cat':{longest}}   untyped      r" in lines
    assert run_cli("mark", "list").stdout == done.stdout
    assert run_cli("mark", "list", "cryo.mo*").stdout == "cryo.mode   enumerated   rw\n"
    objects = map(json.loads, run_cli("mark", "list", "-s", "cryo", "--json").stdout.splitlines())
    assert {"key": "cryo.mode", **ITEMS["mode"]} in list(objects)


def test_describe_prints_descriptions_as_json(daemon: Child) -> None:
    one = run_cli("mark", "describe", "cryo.mode")
    assert json.loads(one.stdout) == ITEMS["mode"]
    assert one.stdout.startswith('{\n  "type": "enumerated"')
    some = json.loads(run_cli("mark", "describe", "-s", "cryo", "mode", "note").stdout)
    assert some == {"cryo.mode": ITEMS["mode"], "cryo.note": ITEMS["note"]}
    whole = json.loads(run_cli("mark", "describe", "cryo").stdout)
    assert {f"cryo.{key}" for key in ITEMS} <= set(whole)
    assert run_cli("mark", "describe", "cryo.mod").returncode == 1


def test_discover_names_the_stores(daemon: Child) -> None:
    done = run_cli("mark", "discover")
    assert (done.returncode, done.stdout) == (0, "1 stores discovered: cryo\n")
    assert json.loads(run_cli("mark", "discover", "--json").stdout) == {"stores": ["cryo"]}


@pytest.mark.parametrize("command", [["discover"], ["list"], ["list", "cryo"], ["get", "cryo.x"]])
def test_where_nobody_answers_one_line_says_so(command: list[str]) -> None:
    done = run_cli("mark", *command)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
