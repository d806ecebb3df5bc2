"""An instrument file with anything in the place of anything else is checked, or refused."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._toml_lines import line_numbers
from drivers.plan import overloads, plan
from drivers.wiring import BadInstrumentFile, InstrumentFile, loads

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = ("cryostat.toml", "water_plant.toml", "chamber.toml", "filter_stage.toml")
FILES = {name: tomllib.loads((EXAMPLES / name).read_text()) for name in NAMES}
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 3, 10**30, 1e300, float("inf"), float("nan"), "", "x", "\x1b[2J", "{value",
    "{", "(", "a.b", "tcp://", "serial:///dev/x", "é\u202e", [], {}, [1], ["a", {}], {"a": 1},
    {"": {}},
    [[1, 2], [3]], {"warning": [2, 1]}, "K", "(a+)+$", "{a:d}{b:d}",
)  # fmt: skip
"""``None``: the key is left out."""


def paths(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    entries = content.items() if isinstance(content, dict) else enumerate(
        content if isinstance(content, list) else ()
    )  # fmt: skip
    for name, inner in entries:
        yield from paths(inner, (*path, name))


def put(content: Any, path: tuple[str | int, ...], value: Any) -> None:
    *outer, last = path
    for name in outer:
        content = content[name]
    if value is None:
        del content[last]
    else:
        content[last] = copy.deepcopy(value)


def inline(value: Any) -> str:
    """Return *value* as TOML on one line."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {inline(inner)}" for name, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
    return str(value).lower()  # true, inf and nan are written so


def written(content: dict[str, Any]) -> str:
    """Return *content* as TOML, a table of each item as people write it."""
    lines = [f"{json.dumps(key)} = {inline(value)}" for key, value in content.items()
             if not isinstance(value, dict)]  # fmt: skip
    for section, tables in content.items():
        if isinstance(tables, dict) and not tables:
            lines.append(f"[{json.dumps(section)}]")
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if not isinstance(table, dict):
                lines += [f"[{json.dumps(section)}]", f"{json.dumps(name)} = {inline(table)}"]
                break  # the tables behind it would be defined twice
            lines.append(f"[{json.dumps(section)}.{json.dumps(name)}]")
            lines += [f"{json.dumps(key)} = {inline(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def checked(text: str) -> InstrumentFile | None:
    """Check *text*; ``None``: it is refused, as it should be."""
    try:
        found = loads(text)
    except BadInstrumentFile as error:
        assert error.problems
        count = text.count("\n") + 1
        for problem in error.problems:
            assert str(problem)
            assert problem.line is None or 1 <= problem.line <= count
        return None
    overloads(found, plan(found, {}))
    return found


@pytest.mark.parametrize("name", FILES)
def test_an_example_that_was_written_anew_is_the_same(name: str) -> None:
    found = checked(written(FILES[name]))
    assert found is not None
    original = loads((EXAMPLES / name).read_text(), folder=EXAMPLES)
    assert found.items.keys() == original.items.keys()


@given(st.data())
@settings(max_examples=120)
def test_a_file_with_junk_in_it_is_checked_or_refused(data: st.DataObject) -> None:
    content = copy.deepcopy(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(1, 3))):
        known = list(paths(content))
        if known:
            put(content, data.draw(st.sampled_from(known)), data.draw(st.sampled_from(JUNK)))
    checked(written(content))


@given(st.data())
@settings(max_examples=120)
def test_every_key_of_a_valid_file_has_its_line(data: st.DataObject) -> None:
    keys = st.text("ab\"' .#=[]{}\u00e9", min_size=1, max_size=4)
    leaves = st.integers() | st.booleans() | st.text("a\"'#[]{}=,\\\n", max_size=6)
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3)
                          | st.dictionaries(keys, inner, max_size=3), max_leaves=8)  # fmt: skip
    content = data.draw(st.dictionaries(keys, values, max_size=4))
    text = "\n".join(f"{json.dumps(key)} = {inline(value)}" for key, value in content.items())
    assert tomllib.loads(text) == content
    lines = line_numbers(text)
    for number, key in enumerate(content, 1):
        assert lines[key,] == number
    for path in paths(content):
        assert lines[tuple(map(str, path))] == lines[path[0],]  # type: ignore[index]
