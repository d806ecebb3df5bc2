"""Names, datagrams, ids and blocks, whatever is in them: what was written is read again."""

from __future__ import annotations

import json
import operator
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from mktl.arithmetic import ActsAsValue
from mktl.catalog import Block, Origin, find_conflicts, hash_items
from mktl.errors import BadMessage, BadName, MktlError, error_from_wire, error_to_wire
from mktl.protocol import discovery
from mktl.protocol.exchange import Exchange, Slot
from mktl.protocol.message import ACK, MOST_DEPTH, REP, Response, decode_json, encode_json
from mktl.protocol.names import _plausible, fold, join, nearest, split

NAMES = st.text(string.ascii_letters + string.digits + "_-:+", min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip
PORTS = st.integers(1, 65535)
ORIGINS = st.builds(
    Origin, st.integers(0, 9), st.sampled_from(["moon", "127.0.0.1", "::1"]), PORTS,
    st.none() | PORTS,
)  # fmt: skip


def blocks(descriptions: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[Block]:
    return st.builds(
        Block,
        store=st.sampled_from(["cryo", "dome"]),
        alias=st.sampled_from(["hw", "two"]),
        uuid=st.sampled_from(["u1", "u2"]),
        time=st.floats(0, 2e9),
        hash=st.integers(0, 2**128 - 1),
        items=st.dictionaries(st.sampled_from(["a", "b", "c", "d:e"]), descriptions, max_size=3),
        provenance=st.lists(ORIGINS, max_size=3).map(tuple),
    )


@given(NAMES, NAMES)
def test_a_full_key_is_split_where_it_was_joined(store: str, key: str) -> None:
    assert split(join(store, key)) == (store.lower(), key.lower())
    assert fold(fold(store)) == fold(store)


@given(st.text() | st.binary() | st.integers() | st.none())
def test_a_name_is_safe_in_a_path_and_a_log_or_is_refused(name: object) -> None:
    try:
        folded = fold(name)
    except BadName as error:
        assert str(error).isprintable()
    else:
        assert set(folded) <= set(string.ascii_lowercase + string.digits + "_-:+")


@given(st.integers(1, 65535), st.binary(max_size=8).map(bytes.strip))
def test_a_datagram_says_the_port_that_was_put_in_and_nothing_else(
    port: int, behind: bytes
) -> None:
    answer = discovery.answer(port)
    assert discovery.parse_answer(answer) == port
    assert not discovery.is_call(answer)
    if not behind.isdigit():
        assert discovery.parse_answer(answer + b"x" + behind) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ack", "rep", "forget"]))))
def test_each_reply_goes_to_who_asked_and_once(steps: list[tuple[int, str]]) -> None:
    exchange: Exchange[Slot] = Exchange()
    slots = {exchange.begin(slot): slot for slot in (Slot() for _ in range(4))}
    ids = [*slots, b"strange", b""]
    open_ = set(slots)
    for which, what in steps:
        id_ = ids[which]
        expected = slots[id_] if id_ in open_ else None
        if what == "forget":
            assert exchange.forget(id_) is expected
        else:
            assert exchange.receive(Response(id_, ACK if what == "ack" else REP)) is expected
        if what != "ack":
            open_.discard(id_)
    assert len(exchange) == len(open_)


@given(blocks(st.dictionaries(st.text(max_size=5), JSON, max_size=2)))
@settings(max_examples=50)
def test_a_block_is_the_same_after_any_number_of_registries(block: Block) -> None:
    again = Block.from_json(decode_json(encode_json(block.to_json())))
    assert again == block
    assert hash_items(dict(reversed(block.items.items()))) == hash_items(again.items)
    twice = again.passed_on_by("moon", 1).passed_on_by("sun", 2)
    assert twice.provenance[:-2] == block.provenance
    assert twice.provenance[-1].stratum == twice.provenance[-2].stratum + 1
    assert twice.daemon == block.daemon


@given(blocks(st.just({})), blocks(st.just({})))
def test_two_blocks_are_in_each_others_way_or_neither_is(one: Block, other: Block) -> None:
    there, back = find_conflicts(one, [other]), find_conflicts(other, [one])
    assert bool(there) == bool(back)
    assert not find_conflicts(one, [one])
    if not there and one.uuid != other.uuid and one.store == other.store:
        assert not one.items.keys() & other.items.keys()


@given(st.dictionaries(st.sampled_from(["type", "text", "class", "x"]), JSON, max_size=3) | JSON)
@settings(max_examples=50)
def test_an_error_of_a_stranger_is_one_of_ours_and_ends_no_loop(fields: object) -> None:
    error = error_from_wire(fields)
    assert isinstance(error, MktlError)
    assert not isinstance(error, (StopIteration, StopAsyncIteration))
    assert error_to_wire(error)["type"]


@given(st.sampled_from(["StopIteration", "StopAsyncIteration", "BrokenPipeError", "Exception"]))
def test_an_error_called_as_one_of_python_is_an_error(name: str) -> None:
    error = error_from_wire({"type": name, "text": "it failed"})
    assert str(error) == "it failed"
    assert not isinstance(error, (StopIteration, StopAsyncIteration))


@given(st.integers(1, 2 * MOST_DEPTH), st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
def test_json_is_taken_to_a_depth_that_can_be_written_again(
    depth: int, brackets: tuple[bytes, bytes]
) -> None:
    begin, end = brackets
    data = b'{"value":' + begin * depth + b"1" + end * depth + b"}"
    for written in (data, memoryview(data)):
        if depth < MOST_DEPTH:
            assert encode_json(decode_json(written)) == data
            continue
        try:
            decode_json(written)
        except BadMessage as error:
            assert "nested too deeply" in str(error)
        else:
            raise AssertionError(f"{depth} levels were taken")


@given(st.text(alphabet=st.characters(categories=["Cs", "Lu"]), min_size=1), st.booleans())
def test_json_of_other_writers_can_always_be_written_again(text: str, nan: bool) -> None:
    other = ', "b": NaN, "c": 1e999, "d": -Infinity' if nan else ""
    data = f'{{"a": {json.dumps(text)}{other}}}'.encode()
    try:
        found = decode_json(data)
    except BadMessage:
        assert any(0xD800 <= ord(char) < 0xE000 for char in text)
        return
    assert decode_json(encode_json(found)) == found
    assert not nan or (found["b"], found["c"], found["d"]) == (None, None, None)


class Held(ActsAsValue):
    """Something with a value."""

    def __init__(self, value: object) -> None:
        self.value = value


NUMBERS = st.integers(-1000, 1000) | st.floats(-1e6, 1e6)


@given(NUMBERS, NUMBERS, st.sampled_from(["add", "sub", "mul", "eq", "lt", "ge", "truediv", "mod"]))
def test_an_item_calculates_as_its_value_does(one: float, other: float, name: str) -> None:
    calculate = getattr(operator, name)
    try:
        expected = calculate(one, other)
    except ZeroDivisionError:
        return
    assert calculate(Held(one), other) == expected
    assert calculate(one, Held(other)) == expected
    assert calculate(Held(one), Held(other)) == expected


def test_among_many_names_few_are_compared_and_the_right_ones_found() -> None:
    names = [f"detector_{number}_temperature" for number in range(5000)]
    for typed in ("detector_77_temprature", "etector_77_temperature", "detector_77_temperature_"):
        assert "detector_77_temperature" in nearest(typed, names)
        assert len(_plausible(typed, names)) <= 200
    assert "detector_4999_temperature" in nearest("or_4999_temp", names)
    assert nearest("x" * 200, names) == []
