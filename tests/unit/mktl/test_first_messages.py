"""The first messages of a process are read without msgspec, and as msgspec reads them."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktl.protocol import _json

DECODER = msgspec.json.Decoder()

TEXT = st.text() | st.text('ab\\"/u0d8\x00\x1f\x7f\u00e9\U0001f600\u2028', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
PIECES = st.lists(
    st.sampled_from(
        [*'{}[],:"-+.eE0157 \\/\t\n', '\\u00e9', '\\ud83d', '\\ude00', "NaN", "Infinity",
         "true", "null", "\ufeff", "\u00a0", "é", '"a"', "1e400", "1e-400", "184467440737095516160"]
    ),
    max_size=12,
)  # fmt: skip


def is_same(one: object, other: object) -> bool:
    """Return whether two values are the same, down to the types of numbers and the sign of 0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


def check_agreement(text: str) -> None:
    try:
        ours = _json._First()._decode(text)
    except (ValueError, RecursionError):
        return  # msgspec has the last word
    assert is_same(ours, DECODER.decode(text.encode()))


@given(VALUES, st.booleans())
def test_what_is_read_at_first_is_what_msgspec_reads(value: object, as_ascii: bool) -> None:
    check_agreement(json.dumps(value, ensure_ascii=as_ascii))


@given(PIECES)
def test_what_msgspec_refuses_is_never_read(pieces: list[str]) -> None:
    check_agreement("".join(pieces))


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "[Infinity]", "-Infinity", "1e400", "[-1e400]", '"\\ud800"', '"\\udc00x"',
        "9" * 5000, "[" * 100_000, '"\x01"', "\ufeff1", "1,", "",
    ],
)  # fmt: skip
def test_what_might_be_read_in_another_way_is_left_to_msgspec(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        _json._First()._decode(text)


def test_plain_messages_are_read_without_msgspec() -> None:
    first = _json._First()
    text = r'{"value":-0.5e-3,"time":1795469729.125,"text":"20 °C, 1 \u00b5m","n":[1,null,1e5]}'
    assert is_same(first._decode(text), DECODER.decode(text.encode()))


SCRIPT = """\
import sys
from mktl.errors import BadMessage
from mktl.protocol.message import decode_json, encode_json

def loaded():
    return "msgspec" in sys.modules

assert decode_json(b'{"value":77.35}') == {"value": 77.35}
assert decode_json(memoryview('{"units":"°C"}'.encode())) == {"units": "°C"}
assert not loaded()
"""


def run(then: str) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT + then], check=True, timeout=50)


@pytest.mark.parametrize(
    "data",
    [b"{", b'{"a":1}x', b'{"a":"\xff"}', b'{"a":1e400}', b'{"a":"\\ud800"}'],
)
def test_a_broken_first_message_is_refused_in_the_words_of_msgspec(data: bytes) -> None:
    try:
        DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = f"the payload is not JSON: {error}"
    run(
        f"try:\n    decode_json({data!r})\n"
        f"except BadMessage as error:\n    assert str(error) == {text!r}, error\n"
        "else:\n    raise SystemExit('it was read')\n"
    )


def test_numbers_that_json_does_not_have_are_null_in_a_first_message_too() -> None:
    run('assert decode_json(b\'{"a":[NaN,-Infinity],"b":1.5}\') == {"a": [None, None], "b": 1.5}')


def test_msgspec_is_taken_by_who_writes_or_reads_more_than_a_few_messages() -> None:
    run("assert encode_json({'a': {2, 1}}) == b'{\"a\":[1,2]}'\nassert loaded()")
    run("for _ in range(100): decode_json(b'{\"a\":1}')\nassert loaded()")


def test_long_first_messages_are_read_by_msgspec() -> None:
    run(
        "assert len(decode_json(b'{\"a\":\"' + b'x' * 200_000 + b'\"}')['a']) == 200_000\n"
        "assert loaded()"
    )
