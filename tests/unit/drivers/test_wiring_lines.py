"""Where each key of a TOML file stands."""

from __future__ import annotations

import tomllib

import pytest

from drivers._toml_lines import line_numbers
from drivers.wiring import BadInstrumentFile, loads

TEXT = '''# c [x]
a = 1
[b."x.y".c]  # hi
k = """
 z = 3
[no]
"""
arr = [
  1, # one
  {p = 1, q = [ "a,]",
     3]},
]
"q\\u0041" = {m = 1, n = {o = '#'}}
[[t]]
u = '''


def test_tables_keys_and_elements_are_found_however_they_are_written():
    text = TEXT + "'''\n\\'''\n[[t]]\nv.w = 2024-01-01 00:00:00\n"
    tomllib.loads(text)
    found = line_numbers(text)
    b = ("b", "x.y", "c")
    assert found == {
        ("a",): 2,
        ("b",): 3,
        ("b", "x.y"): 3,
        b: 3,
        (*b, "k"): 4,
        (*b, "arr"): 8,
        (*b, "arr", "0"): 9,
        (*b, "arr", "1"): 10,
        (*b, "arr", "1", "p"): 10,
        (*b, "arr", "1", "q"): 10,
        (*b, "arr", "1", "q", "0"): 10,
        (*b, "arr", "1", "q", "1"): 11,
        (*b, "qA"): 13,
        (*b, "qA", "m"): 13,
        (*b, "qA", "n"): 13,
        (*b, "qA", "n", "o"): 13,
        ("t",): 14,
        ("t", "0"): 14,
        ("t", "0", "u"): 15,
        ("t", "1"): 17,
        ("t", "1", "v"): 18,
        ("t", "1", "v", "w"): 18,
    }


@pytest.mark.parametrize("text", ["", "\n\n# nothing", "x = 1", "x = [\n]", "x = {}", 'x = ""'])
def test_any_text_comes_to_an_end(text):
    assert set(line_numbers(text)) == {(key,) for key in tomllib.loads(text)}


def test_a_file_that_is_no_toml_says_where():
    with pytest.raises(BadInstrumentFile) as caught:
        loads('store = "a"\nalias = b\n')
    (problem,) = caught.value.problems
    assert str(problem) == "line 2: is not TOML: invalid value (column 9)"


@pytest.mark.parametrize(
    ("text", "column", "number"),
    [
        ("x = -0x80000000", 7, "-2147483648 for -0x80000000"),
        ("x = {a = 1, invalid = -0x8000}", 25, "-32768 for -0x8000"),
        ("x = [1, +0o1_7]", 11, "15 for +0o1_7"),
        ('x = "é", -0b11 #', 8, ""),
        ("x = 'a -0x1' -0x1", 14, ""),
        ("x = -0x", 7, ""),
        ("x = -0x_1", 7, "-1 for -0x_1"),
    ],
)
def test_a_sign_before_a_hexadecimal_number_is_named_as_what_toml_has_not(text, column, number):
    with pytest.raises(BadInstrumentFile) as caught:
        loads(f'store = "a"\n{text}\n')
    (problem,) = caught.value.problems
    start = "TOML has no sign before a hexadecimal, octal or binary number: write "
    found = str(problem)
    assert found.startswith("line 2: is not TOML: ")
    assert f"(column {column})" in found
    assert (f"{start}{number}" in found) == bool(number)
