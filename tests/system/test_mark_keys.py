"""``mark keys`` as a real process, and daemons that heed it."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from unittest import mock

import pytest

from markd.cli import main
from mktl import keyring
from mktl.security import key_text
from tests._support import run_cli, running

FILE = """
store = "cryo"
alias = "hw"

[access]
curve = true
unknown = "none"
roles.observer = {read = ["temp"], set = ["setpoint"]}

[items.temp]
type = "numeric"
initial = 77

[items.setpoint]
type = "numeric"
"""


def mark(*words: str, home: Path | None = None, **env: str) -> tuple[int, str, str]:
    """Run mark as a process; what asks nobody anything, in this one."""
    if home is not None:
        env["MKTL_HOME"] = str(home)
    if words[0] != "keys":
        done = run_cli("mark", *words, env={"MKTL_TIMEOUT": "5", **env})
        return done.returncode, done.stdout, done.stderr
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, env),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = main(list(words))
    return status, out.getvalue(), err.getvalue()


def test_new_prints_the_public_key_alone_and_makes_no_pair_twice(mktl_home: Path) -> None:
    done = run_cli("mark", "keys", "new")
    path = mktl_home / "client" / "keys" / "own" / "default.key"
    assert done.returncode == 0
    assert done.stdout == f"{key_text(keyring.read_pair(path).public)}\n"
    assert key_text(keyring.read_pair(path).secret) not in done.stdout + done.stderr
    before = path.read_bytes()
    status, _out, err = mark("keys", "new")
    assert status == 2
    assert "already" in err
    assert path.read_bytes() == before


def test_what_the_keeper_and_the_user_do_lets_one_in_and_out_again(tmp_path: Path) -> None:
    file = tmp_path / "cryo.toml"
    file.write_text(FILE)
    user = tmp_path / "user"
    public = mark("keys", "new", home=user)[1].strip()
    server = mark("keys", "server")[1].strip()
    with running(["markd", str(file)], ready="on the air") as daemon:
        found = daemon.wait_for(r"requests on port (\d+)")
        at = ("--at", f"localhost:{found[1]}")
        assert mark("keys", "trust", "localhost", server, home=user)[0] == 0
        status, _out, err = mark("get", "cryo.temp", *at, home=user)
        assert status == 3
        assert f"mark keys allow NAME {public}" in err
        status, out, err = mark("keys", "allow", "ana", public, "--role", "observer")
        assert (status, out) == (0, "Allowed ana as observer\n")
        assert "no role that all daemons have" in err
        assert mark("get", "cryo.temp", *at, home=user)[1] == "cryo.temp: 77\n"
        assert mark("set", "cryo.setpoint=5", *at, home=user)[0] == 0
        status, _out, err = mark("set", "cryo.temp=5", *at, home=user)
        assert status == 1
        assert "'ana', with the role 'observer'" in err
        assert mark("get", "cryo.setpoint", *at, home=user)[0] == 1
        assert mark("keys", "revoke", "ana")[:2] == (0, "Revoked ana, which was observer\n")
        assert mark("get", "cryo.temp", *at, home=user)[0] == 3


def test_list_shows_all_that_is_known_as_text_and_as_json() -> None:
    public = mark("keys", "new", "night")[1].strip()
    server = mark("keys", "server")[1].strip()
    mark("keys", "allow", "ana", public, "--role", "read")
    mark("keys", "trust", "moon", public)
    mark("keys", "trust", "moon:10103", "plain")
    rows = [line.split() for line in mark("keys", MKTL_KEY="night")[1].splitlines()]
    assert rows == [
        ["own", "night", public, "used"],
        ["server", "this", "home", server, "of", "our", "daemons"],
        ["allowed", "ana", public, "read"],
        ["known", "moon", public, "trusted"],
        ["known", "moon:10103", "plain", "trusted"],
    ]
    listed = [json.loads(line) for line in mark("keys", "list", "--json")[1].splitlines()]
    assert [one["kind"] for one in listed] == ["own", "server", "allowed", "known", "known"]
    assert "not used" in listed[0]["note"]
    assert mark("keys", "forget", "moon:10103")[1] == "Forgot plain of moon:10103\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lst"], "did you mean list?"),
        (["allow", "ana"], "it is: mark keys allow NAME KEY --role ROLE"),
        (["allow", "ana", "00" * 32], "Say --role"),
        (["allow", "a/b", "00" * 32, "--role", "read"], "no name of a key"),
        (["allow", "ana", "00", "--role", "read"], "not a public key"),
        (["allow", "ana", "00" * 32, "--role", "Read it"], "no name of a role"),
        (["revoke", "ana", "bob"], "it is: mark keys revoke NAME"),
        (["list", "--role", "read"], "--role is for keys allow"),
        (["trust", "mo on", "00" * 32], "not a host"),
        (["trust", "moon:x", "00" * 32], "not an address"),
        (["new", "../x"], "no name of a key"),
    ],
)
def test_wrong_usage_says_what_is_right_and_changes_nothing(
    words: list[str], says: str, mktl_home: Path
) -> None:
    status, _out, err = mark("keys", *words)
    assert status == 2
    assert says in err
    assert not mktl_home.exists()


@pytest.mark.parametrize("words", [["revoke", "ana"], ["forget", "moon"]])
def test_what_is_not_there_is_refused(words: list[str]) -> None:
    status, _out, err = mark("keys", *words)
    assert status == 1
    assert words[1] in err
