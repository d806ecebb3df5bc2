"""Errors: what they are in Python, and what they are on the wire."""

from __future__ import annotations

import builtins
import inspect
import json

import pytest

import mktl
from mktl import errors
from mktl.errors import error_from_wire, error_to_wire
from mktl.transport.server import error_payload

OWN = [
    one
    for _name, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, mktl.MktlError)
]


@pytest.mark.parametrize("kind", OWN)
def test_error_that_travelled_is_of_the_same_class_with_the_same_text(
    kind: type[mktl.MktlError],
) -> None:
    fields = json.loads(json.dumps(error_to_wire(kind("what happened"))))
    again = error_from_wire(fields)
    assert isinstance(again, RuntimeError)
    assert str(again) == "what happened"
    if kind is not errors.RemoteError:
        assert type(again) is kind or type(again) is errors._BY_WIRE_TYPE.get(kind.wire_type)


@pytest.mark.parametrize("kind", OWN)
def test_type_on_the_wire_is_a_built_in_that_the_error_is(kind: type[mktl.MktlError]) -> None:
    builtin = getattr(builtins, kind.wire_type)
    assert issubclass(kind, builtin)


@pytest.mark.parametrize(
    "name", [name for name in dir(builtins) if isinstance(getattr(builtins, name), type)]
)
def test_error_of_a_stranger_is_the_built_in_that_it_names_or_at_least_ours(name: str) -> None:
    error = error_from_wire({"type": name, "text": "what happened"})
    assert isinstance(error, mktl.MktlError)
    assert "what happened" in str(error)
    builtin = getattr(builtins, name)
    if name in ("ValueError", "TypeError", "KeyError", "OSError", "TimeoutError", "AttributeError"):
        assert isinstance(error, builtin)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        3,
        "x",
        [],
        {},
        {"type": None},
        {"type": []},
        {"class": "functools"},
        {"class": "Any", "type": "object"},
    ],
)
def test_error_that_is_none_is_ours_all_the_same(fields: object) -> None:
    error = error_from_wire(fields)
    assert type(error) is errors.RemoteError
    assert str(error)


def test_payload_of_an_error_is_one_line_of_text_and_always_json() -> None:
    for error in (
        ValueError("a\nb\r\nc"),
        ValueError("half \ud800"),
        KeyError("k"),
        ValueError(),
        errors.BadValue("x\u2028y"),
    ):
        fields = json.loads(error_payload(error))["error"]
        assert fields["text"]
        assert len(fields["text"].splitlines()) == 1
        assert ("debug" in fields) == (not isinstance(error, mktl.MktlError))
    assert json.loads(error_payload(KeyError("k")))["error"]["text"] == "k"
