"""Roles and rules, and keys on disk."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from typing import Any

import pytest

from drivers import _wiring_access
from mktl import config, keyring, known_keys
from mktl._access import Access
from mktl._callers import ITSELF, Caller
from mktl.authorised import AuthorisedKey, AuthorisedKeys, authorised_keys
from mktl.catalog import Block, Origin
from mktl.errors import (
    BadMessage,
    BadValue,
    ConfigurationError,
    NotAllowed,
    UnknownKey,
    UntrustedDaemon,
)
from mktl.security import BUILT_IN_ROLES, Role, Rules, fingerprint, key_text, parse_key
from mktl.transport.curve import Gate, Guard, new_pair
from mktl.trust import key_at, key_for

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


# Rules.


@pytest.mark.parametrize(
    ("role", "read", "set_"),
    [
        ("none", set(), set()),
        ("read", {"temp", "_hwclk", "_hwdev", "_hwack"}, set()),
        ("operator", {"temp", "_hwclk", "_hwdev", "_hwack"}, {"temp", "_hwack"}),
        (
            "engineer",
            {"temp", "_hwclk", "_hwdev", "_hwack"},
            {"temp", "_hwclk", "_hwdev", "_hwack"},
        ),
        ("set", {"temp", "_hwclk", "_hwdev", "_hwack"}, {"temp", "_hwclk", "_hwdev", "_hwack"}),
    ],
)
def test_built_in_roles_may_do_what_they_say(role: str, read: set[str], set_: set[str]) -> None:
    access, caller = Access(Rules(curve=True)), Caller("x", role)
    keys = {"temp", "_hwclk", "_hwdev", "_hwack"}
    assert {key for key in keys if access.may_read(key, caller)} == read
    assert {key for key in keys if access.may_set(key, caller)} == set_


def test_the_check_of_files_has_the_roles_that_daemons_have() -> None:
    assert {
        name: (role.read, role.set) for name, role in BUILT_IN_ROLES.items()
    } == _wiring_access.BUILT_IN_ROLES


def test_rules_say_who_may_read_and_set_by_pattern() -> None:
    rules = Rules.from_mapping(
        {
            "curve": True,
            "unknown": "guest",
            "roles": {
                "guest": {"read": ["temp", "HEATER_?"]},
                "operator": {"read": ["*"], "set": ["setpoint"]},
            },
        }
    )
    access = Access(rules)
    guest, operator = Caller("", "guest"), Caller("ana", "operator")
    assert access.restricts_reading
    assert access.may_read("heater_1", guest)
    assert not access.may_read("heater_12", guest)
    assert access.may_read("_hwclk", guest)
    assert access.may_set("setpoint", operator)
    with pytest.raises(NotAllowed, match=r"'ana', with the role 'operator'; engineer may"):
        access.check_set("heater_1", operator)
    with pytest.raises(NotAllowed, match="no authorised key"):
        access.check_get("setpoint", guest)
    access.check_set("heater_1", ITSELF)
    access.check_get("heater_1", ITSELF)


def test_a_pattern_can_take_away_and_operators_send_no_raw_commands() -> None:
    roles = {"x": {"read": ["*", "!cam_*"], "set": ["a*", "!ab*"]}}
    access = Access(Rules.from_mapping({"curve": True, "roles": roles}))
    assert access.restricts_reading
    keys = {"a", "ab", "abc", "ac", "cam_1", "tc_raw"}
    assert {key for key in keys if access.may_set(key, Caller("", "x"))} == {"a", "ac"}
    assert not access.may_read("cam_1", Caller("", "x"))
    assert access.may_read("tc_raw", Caller("", "operator"))
    assert not access.may_set("tc_raw", Caller("", "operator"))
    assert access.may_set("tc_raw", Caller("", "engineer"))


def test_who_may_read_something_may_know_how_the_daemon_is_and_no_more() -> None:
    access = Access(Rules(curve=True, roles={"guest": Role(read=("temp",))}))
    guest = Caller("", "guest")
    assert all(access.may_read(f"_hw{one}", guest) for one in ("clk", "cat", "uuid", "dev"))
    assert not any(access.may_read(f"_hw{one}", guest) for one in ("history", "alarms"))
    assert not access.may_read("_hwclk", Caller("", "none"))


def test_without_rules_everybody_may_do_everything() -> None:
    access = Access()
    assert access.caller("", "10.0.0.1") == Caller("", "set", "10.0.0.1")
    assert access.may_set("_hwdev", Caller("", "set"))
    assert not access.restricts_reading


@pytest.mark.parametrize(
    ("fields", "restricts"),
    [
        ({}, False),
        ({"curve": True}, False),
        ({"curve": True, "unknown": "none"}, False),
        ({"unknown": "read"}, False),
        ({"roles": {"guest": {"read": ["a"]}}}, False),
        ({"unknown": "guest", "roles": {"guest": {"read": ["a"]}}}, True),
        ({"curve": True, "roles": {"guest": {"read": ["a"]}}}, True),
        ({"curve": True, "roles": {"guest": {"read": ["a", "*"]}}}, False),
    ],
)
def test_it_is_known_whether_anybody_may_not_read_everything(
    fields: dict[str, Any], restricts: bool
) -> None:
    assert Access(Rules.from_mapping(fields)).restricts_reading is restricts


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"curv": True}, "'curv' is unknown"),
        ({"curve": 1}, "true or false"),
        ({"unknown": "raed"}, "did you mean read"),
        ({"unknown": 3}, "no role 3"),
        ({"unknown": ["read"]}, r"no role \['read'\]"),
        ({"unknown": "none"}, "nobody could do anything"),
        ({"roles": ["read"]}, "what it may do"),
        ({"roles": {"A b": {}}}, "no name of a role"),
        ({"roles": {"a": {"sets": []}}}, "read and set"),
        ({"roles": {"a": {"set": "x"}}}, "list of patterns"),
        ({"roles": {"a": {"set": [3]}}}, "list of patterns"),
    ],
)
def test_rules_that_cannot_be_understood_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Rules.from_mapping(fields)


def test_a_role_of_the_rules_takes_the_place_of_one_that_is_built_in() -> None:
    access = Access(Rules(curve=True, roles={"engineer": Role(read=("a",))}))
    assert not access.may_set("a", Caller("x", "engineer"))


# Keys as texts.


def test_a_key_is_understood_in_hexadecimal_and_in_z85() -> None:
    from zmq.utils import z85

    assert parse_key(key_text(KEY)) == parse_key(f" {KEY.hex().upper()}\n") == KEY
    assert parse_key(z85.encode(KEY).decode()) == KEY
    assert key_text(KEY).startswith(fingerprint(KEY).rstrip("…"))


@pytest.mark.parametrize("text", ["", "00", "x" * 64, "~" * 40, "é" * 40, "#" * 40, "0" * 66])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="public key"):
        parse_key(text)


# Pairs.


def test_a_pair_is_made_once_whoever_is_first() -> None:
    pairs: list[keyring.KeyPair] = []
    threads = [
        threading.Thread(target=lambda: pairs.append(keyring.server_pair())) for _one in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pairs)) == 1
    assert keyring.read_pair(keyring.server_key_file()) == pairs[0]
    folder = keyring.server_key_file().parent
    assert [path.name for path in folder.iterdir()] == ["server.key"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_secret_of_a_pair_does_not_print() -> None:
    pair = keyring.server_pair()
    assert repr(pair.secret) not in repr(pair)
    assert pair.secret.hex() not in repr(pair)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_pair_that_others_could_have_read_is_refused(mode: int) -> None:
    secret = keyring.server_pair().secret
    keyring.server_key_file().chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        keyring.server_pair()
    assert secret.hex() not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "public 00\nsecret 00\n", f"public {KEY.hex()}\n", "\x80", "public\nsecret\n"]
)
def test_a_file_that_is_no_pair_is_refused_without_telling_what_is_in_it(text: str) -> None:
    keyring.server_pair()
    keyring.server_key_file().write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match="not a pair"):
        keyring.server_pair()


def test_a_pair_named_by_the_environment_is_used_and_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = keyring.make_pair(keyring.own_key_file("night"), "for a test")
    assert keyring.own_pair() != pair
    monkeypatch.setenv("MKTL_KEY", "night")
    assert keyring.own_pair() == pair
    monkeypatch.setenv("MKTL_KEY", "day")
    with pytest.raises(ConfigurationError, match="mark keys new day"):
        keyring.own_pair()
    monkeypatch.setenv("MKTL_KEY", "../day")
    with pytest.raises(BadValue, match="no name of a key"):
        keyring.own_pair()


def test_who_has_no_pair_is_the_same_unknown_for_as_long_as_the_process_lives() -> None:
    assert keyring.own_pair() == keyring.own_pair()
    assert not keyring.own_key_file().exists()


# Authorised keys.


def authorised() -> AuthorisedKeys:
    return authorised_keys()


def test_keys_are_allowed_changed_and_revoked_and_others_see_it_at_once() -> None:
    keys, others = authorised(), authorised()
    assert others.find(key_text(KEY)) is None
    keys.allow(AuthorisedKey("ana", "read", KEY))
    assert others.find(key_text(KEY)) == AuthorisedKey("ana", "read", KEY)
    keys.allow(AuthorisedKey("ana", "operator", KEY))
    assert others.roles() == {KEY: "operator"}
    with pytest.raises(BadValue, match="already, as 'ana'"):
        keys.allow(AuthorisedKey("bob", "read", KEY))
    keys.allow(AuthorisedKey("ana", "operator", OTHER))
    assert others.find(key_text(KEY)) is None
    with pytest.raises(UnknownKey, match="did you mean ana"):
        keys.revoke("anna")
    keys.revoke("ana")
    assert others.all() == []
    assert keys.path.stat().st_mode & 0o777 == 0o600


def test_lines_that_are_none_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    authorised().allow(AuthorisedKey("ana", "read", KEY))
    path = authorised().path
    good = path.read_text()
    path.write_text(f"{good}\n# a comment\nbob read\nbob read 00\nb/b read {OTHER.hex()}\n")
    assert [one.name for one in authorised().all()] == ["ana"]
    assert [record.args[1] for record in caplog.records] == [5, 6, 7]  # type: ignore[index]
    authorised().revoke("ana")
    assert path.read_text().splitlines()[1:4] == ["", "# a comment", "bob read"]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_in_which_others_could_authorise_themselves_is_not_used(
    mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    authorised().allow(AuthorisedKey("ana", "read", KEY))
    authorised().path.chmod(mode)
    assert authorised().all() == []
    assert "chmod 600" in caplog.text
    with pytest.raises(ConfigurationError, match="others can write"):
        authorised().allow(AuthorisedKey("bob", "read", OTHER))


def test_a_file_that_cannot_be_read_is_not_written_anew() -> None:
    authorised().allow(AuthorisedKey("ana", "read", KEY))
    path = authorised().path
    path.write_bytes(b"\xff\xfe")
    assert authorised().all() == []
    with pytest.raises(ConfigurationError, match="cannot be read"):
        authorised().allow(AuthorisedKey("bob", "read", OTHER))
    assert path.read_bytes() == b"\xff\xfe"


def test_a_file_that_could_not_be_read_for_a_moment_is_read_again() -> None:
    authorised().allow(AuthorisedKey("ana", "read", KEY))
    keys = authorised()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        assert keys.all() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [one.name for one in keys.all()] == ["ana"]


def test_many_at_once_lose_no_key() -> None:
    pairs = [bytes([number] * 32) for number in range(1, 17)]
    threads = [
        threading.Thread(
            target=authorised().allow, args=(AuthorisedKey(f"k{key[0]}", "read", key),)
        )
        for key in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(authorised().roles()) == set(pairs)


def test_a_key_has_one_role_even_if_the_file_names_it_twice() -> None:
    authorised().allow(AuthorisedKey("ana", "read", KEY))
    path = authorised().path
    path.write_text(f"ana read {KEY.hex()}\neve engineer {KEY.hex()}\n")
    (only,) = authorised().all()
    assert only.name == "ana"


def test_the_gate_can_be_opened_again_as_soon_as_it_was_closed() -> None:
    guard = Guard(new_pair(), "cryo.hw", "u-1", lambda _key: True)
    for _again in range(50):
        Gate.open(guard)
        Gate.close(guard)


# Keys of daemons.


def block(curve: bytes | None = KEY, *, host: str = "moon", uuid: str = "u-1") -> Block:
    origin = Origin(0, host, 10079, 10139, "" if curve is None else key_text(curve))
    return Block("cryo", "hw", uuid, 0.0, 0, {}, (origin,))


def test_the_first_key_of_a_daemon_is_kept_and_another_one_is_refused() -> None:
    assert key_for(block(None)) is None
    assert key_for(block()) == KEY
    assert key_for(block(None)) == KEY
    with pytest.raises(UntrustedDaemon, match="mark keys trust moon"):
        key_for(block(OTHER))
    known_keys.forget("cryo.hw")
    assert key_for(block(OTHER)) == OTHER


def test_another_identity_under_the_name_of_a_known_daemon_needs_the_same_key() -> None:
    assert key_for(block()) == KEY
    assert key_for(block(uuid="u-2", host="sun")) == KEY
    with pytest.raises(UntrustedDaemon, match="another key"):
        key_for(block(OTHER, uuid="u-3", host="sun"))
    assert key_for(block(None, uuid="u-3", host="sun")) == KEY  # nor in clear text
    known_keys.trust("sun", OTHER)
    assert key_for(block(OTHER, uuid="u-3", host="sun")) == OTHER


def test_what_is_trusted_counts_more_than_what_was_seen_first() -> None:
    assert key_for(block()) == KEY
    known_keys.trust("moon", OTHER)
    assert key_for(block(OTHER)) == OTHER
    assert key_for(block(None)) == OTHER
    assert key_for(block(OTHER, uuid="u-2")) == OTHER
    with pytest.raises(UntrustedDaemon):
        key_for(block(KEY, uuid="u-3"))


def test_an_address_alone_is_known_by_host_or_by_host_and_port() -> None:
    assert key_at("moon", 10079) is None
    known_keys.trust("moon", KEY)
    known_keys.trust("moon:7", None)
    assert key_at("moon", 10079) == KEY
    assert key_at("moon", 7) is None
    with pytest.raises(UnknownKey, match="mark keys list"):
        known_keys.forget("sun")


def test_daemons_of_this_home_are_known_without_being_asked() -> None:
    known_keys.note_serving("u-1", (10079, 10139))
    public = keyring.server_pair().public
    assert key_for(block(OTHER)) == public
    assert key_at("127.0.0.1", 10139) == public
    assert key_at("127.0.0.1", 10140) is None
    assert key_at("moon.invalid", 10139) is None
    known_keys.note_serving("u-1", None)
    assert key_at("127.0.0.1", 10139) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user for a while")
def test_daemons_of_another_user_in_the_same_home_are_unknown_and_no_error() -> None:
    known_keys.note_serving("u-1", (10079, 10139))
    keyring.server_pair()
    os.seteuid(65534)
    try:
        assert key_at("127.0.0.1", 10139) is None
        assert key_for(block(None)) is None
        known_keys.note_serving("u-2", None)
    finally:
        os.seteuid(0)


def test_a_disk_that_cannot_be_written_keeps_no_daemon_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config.home().mkdir(parents=True)
    (config.home() / "daemon").write_text("in the way")
    known_keys.note_serving("u-1", None)
    assert caplog.text == ""
    known_keys.note_serving("u-1", (10079, 10139))
    assert "are not told whether" in caplog.text


def test_a_first_key_that_cannot_be_kept_is_used_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config.home().mkdir(parents=True)
    (config.home() / "client").write_text("in the way")
    assert key_for(block()) == KEY
    assert "was not kept" in caplog.text


def test_a_block_keeps_the_key_and_refuses_what_is_none() -> None:
    (fields,) = block().to_json()["provenance"]
    assert fields["curve"] == key_text(KEY)
    assert Origin.from_json(fields).curve == key_text(KEY)
    passed_on = block().passed_on_by("sun", 1)
    assert Block.from_json(passed_on.to_json()).daemon == passed_on.daemon
    for wrong in ("00", KEY, 3, "x" * 64):
        with pytest.raises(BadMessage, match="public key"):
            Origin.from_json({**fields, "curve": wrong})


def test_a_home_of_which_only_the_owner_knows_the_keys_stays_open_otherwise(
    mktl_home: Path,
) -> None:
    os.umask(os.umask(0o022))
    keyring.make_pair(keyring.own_key_file(), "for a test")
    assert (mktl_home / "client").stat().st_mode & 0o777 == 0o755
    assert (mktl_home / "client" / "keys").stat().st_mode & 0o777 == 0o700
    assert keyring.own_key_file().parent.stat().st_mode & 0o777 == 0o700
