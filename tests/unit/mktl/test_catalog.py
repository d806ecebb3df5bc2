"""Blocks: read, written, hashed, compared."""

from __future__ import annotations

from typing import Any

import pytest

from mktl._record import replace
from mktl.catalog import Block, Origin, find_conflicts, hash_items
from tests._support.wire import from_recording, load, payload_of

RECORDED = next(one for one in load("reference-daemon.json") if one["note"] == "GET catalog")
(FIELDS,) = payload_of(from_recording(RECORDED["responses"][1]))["value"].values()


def test_recorded_block_is_read_and_written_again_unchanged() -> None:
    block = Block.from_json(FIELDS)
    assert block.to_json() == FIELDS
    assert block.daemon == Origin(0, "localhost", 10080, 10140)
    assert block.name == "cryo.tc1"


def test_fields_that_are_not_known_are_carried() -> None:
    assert Block.from_json({**FIELDS, "new": [1]}).to_json() == {**FIELDS, "new": [1]}


@pytest.mark.parametrize(
    "change",
    [
        {"store": "a/b"},
        {"alias": ".."},
        {"uuid": "../x"},
        {"uuid": None},
        {"hash": None},
        {"hash": 1.5},
        {"hash": True},
        {"time": 10**400},
        {"time": float("inf")},
        {"time": float("nan")},
        {"time": "now"},
        {"items": []},
        {"items": {"a": 3}},
        {"items": {"a/b": {}}},
        {"provenance": {}},
        {"provenance": [3]},
        {"provenance": [{"hostname": "", "rep": 1}]},
        {"provenance": [{"hostname": "x", "rep": 0}]},
        {"provenance": [{"hostname": "x", "rep": True}]},
        {"provenance": [{"hostname": "x", "rep": 1, "pub": 70000}]},
        {"provenance": [{"hostname": "x", "rep": 1, "stratum": -1}]},
    ],
    ids=str,
)
def test_block_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Block.from_json({**FIELDS, **change})


def test_hash_depends_on_the_items_and_not_on_their_order() -> None:
    items = {"a": {"type": "numeric", "x": {"1": 1, "2": [1, 2]}}, "b": {}}
    turned = {"b": {}, "a": {"x": {"2": [1, 2], "1": 1}, "type": "numeric"}}
    assert hash_items(items) == hash_items(turned)
    assert hash_items(items) != hash_items({**items, "c": {}})
    assert hash_items(items) != hash_items({**items, "b": {"x": [2, 1]}})
    assert 0 <= hash_items(items) < 2**128


def test_registry_adds_itself_to_the_provenance_and_the_daemon_stays_found() -> None:
    passed = Block.from_json(FIELDS).passed_on_by("moon", 10079).passed_on_by("sun", 10080)
    assert [origin.stratum for origin in passed.provenance] == [0, 1, 2]
    assert passed.daemon == Origin(0, "localhost", 10080, 10140)


def test_conflicts_are_shared_keys_a_shared_alias_and_one_uuid_at_two_addresses() -> None:
    block = Block.from_json(FIELDS)
    elsewhere = (Origin(0, "moon", 10080, 10140),)
    assert not find_conflicts(block, [block])
    assert not find_conflicts(block, [replace(block, store="other", uuid="u2")])
    (identity,) = find_conflicts(block, [replace(block, store="other")])
    assert "is that of other.tc1" in identity.reason
    (alias,) = find_conflicts(block, [replace(block, uuid="u2", items={"z": {}})])
    assert "alias" in alias.reason
    (keys,) = find_conflicts(block, [replace(block, uuid="u2", alias="b")])
    assert "is held by cryo.b" in keys.reason
    assert not keys.same_daemon
    (moved,) = find_conflicts(block, [replace(block, provenance=elsewhere)])
    assert moved.same_daemon
    other_broadcasts = (Origin(0, "localhost", 10080, 10141, "ab" * 32),)
    assert not find_conflicts(block, [replace(block, provenance=other_broadcasts)])
    assert not find_conflicts(block, [replace(block, uuid="u2", alias="b", items={"z": {}})])
