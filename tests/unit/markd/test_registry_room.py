"""How much a registry keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markd._registry_room import Room
from mktl.errors import Busy


def announced(room: Room, uuid: str, size: int) -> None:
    room.let_in(uuid, size)
    room.let_go(size)
    room.keep(uuid, size)


def test_so_many_daemons_and_no_more_but_those_that_are_known_may_change() -> None:
    room = Room(most_blocks=2)
    announced(room, "a", 10)
    announced(room, "b", 10)
    with pytest.raises(Busy, match="knows 2 daemons, and takes no more"):
        room.let_in("c", 10)
    announced(room, "a", 500)
    room.forget("b")
    announced(room, "c", 10)


def test_so_many_bytes_and_no_more_those_that_wait_counted() -> None:
    room = Room(most_bytes=100)
    announced(room, "a", 60)
    room.let_in("b", 40)
    with pytest.raises(Busy, match="keeps 100 bytes about daemons at most, and has 100"):
        room.let_in("c", 1)
    room.let_go(40)  # it was refused
    announced(room, "c", 40)
    with pytest.raises(Busy):
        room.let_in("a", 61)  # in the place of the 60


def test_so_many_wait_and_no_more() -> None:
    room = Room(most_waiting=1)
    room.let_in("a", 10)
    with pytest.raises(Busy, match="1 announcements wait"):
        room.let_in("b", 10)
    room.let_go(10)
    room.let_in("b", 10)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60), st.booleans())))
def test_what_is_counted_is_what_is_kept(steps: list[tuple[str, int, bool]]) -> None:
    room = Room(most_blocks=2, most_bytes=100)
    kept: dict[str, int] = {}
    for uuid, size, comes in steps:
        if not comes:
            room.forget(uuid)
            kept.pop(uuid, None)
            continue
        try:
            announced(room, uuid, size)
        except Busy:
            full = uuid not in kept and len(kept) == 2
            assert full or sum(kept.values()) - kept.get(uuid, 0) + size > 100
        else:
            kept[uuid] = size
        assert sum(kept.values()) <= 100
