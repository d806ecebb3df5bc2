"""The SCPI piece: headers, chains, parameters, the error queue."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._scpi import (
    TEXTS,
    Command,
    Errors,
    Interpreter,
    ScpiError,
    boolean,
    number,
    parameters,
    whole,
    word,
)


def echo(_instrument: object, *values: object) -> str:
    return ",".join(map(str, values))


INTERPRETER = Interpreter(
    {
        "*IDN?": Command(lambda _: "me"),
        "*CLS": Command(lambda _: None),
        "[:SOURce<n>]:VOLTage[:LEVel][:IMMediate]?": Command(
            lambda _, suffix, *values: f"volts {suffix} {values}",
            parameters(word("MINimum", "MAXimum"), required=0),
        ),
        "[:SOURce<n>]:VOLTage:PROTection?": Command(lambda _, suffix: f"protection {suffix}"),
        "[:SOURce<n>]:CURRent?": Command(lambda _, suffix: f"amps {suffix}"),
        ":TEXT?": Command(echo, parameters(str)),
        ":PAIR?": Command(echo, parameters(number(0, 10, "V"), whole(0, 5), required=1)),
    }
)


def obeyed(text: str) -> tuple[list[str], list[str]]:
    errors = Errors(longest=50)
    replies = INTERPRETER.obey(None, text, errors)
    return replies, [errors.take() for _ in range(len(errors))]


@pytest.mark.parametrize(
    "header",
    [
        ":SOURce2:VOLTage:LEVel:IMMediate?",
        ":SOUR2:VOLT?",
        "SOUR2:VOLT?",
        "sour2:volt:lev?",
        "source2:Voltage:imm?",
    ],
)
def test_long_and_short_forms_in_either_case_are_the_same_header(header: str) -> None:
    assert obeyed(header) == (["volts 2 ()"], [])


@pytest.mark.parametrize(
    "header",
    [
        ":SOURC:VOLT?",
        ":SOUR2:VOLTA?",
        ":SOUR:VOLT2?",
        ":SOUR:VOLT",
        ":SOUR::VOLT?",
        "::VOLT?",
        ":VOLT:?",
        ":VOLT??",
        "VOLT ?",
        "IDN?",
        "*IDN",
        ":*IDN?",
        "*",
        ":",
        "?",
        "VOLT?MAX",
        "1",
    ],
)
def test_what_is_neither_form_is_an_undefined_header(header: str) -> None:
    assert obeyed(header) == ([], ['-113,"Undefined header"'])


def test_optional_nodes_can_be_left_out() -> None:
    assert obeyed("VOLT?") == (["volts None ()"], [])
    assert obeyed("VOLT? max") == (["volts None ('MAXimum',)"], [])


def test_a_chain_goes_on_below_the_header_before_it() -> None:
    replies, problems = obeyed(":SOUR1:VOLT?;CURR?;*IDN?;CURR?;:SOUR2:CURR?")
    assert replies == ["volts 1 ()", "amps 1", "me", "amps 1", "amps 2"]
    assert problems == []


def test_a_chain_that_goes_deeper_does_not_come_up_by_itself() -> None:
    replies, problems = obeyed(":SOUR1:VOLT:PROT?;:SOUR1:VOLT:PROT?;CURR?")
    assert replies == ["protection 1"] * 2
    assert problems == ['-113,"Undefined header"']


def test_empty_parts_and_blanks_around_parts_are_ignored() -> None:
    assert obeyed(" ; *IDN? ;; \t :CURR? ;") == (["me", "amps None"], [])


def test_separators_within_quotes_separate_nothing() -> None:
    assert obeyed(':TEXT? "a;b, c"') == (['"a;b, c"'], [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("PAIR?", -109),
        ("PAIR? ,1", -109),
        ("PAIR? 1,2,3", -108),
        ("*IDN? 1", -108),
        ("PAIR? volts", -104),
        ("PAIR? nan", -104),
        ("PAIR? 1 2", -104),
        ("PAIR? 1A", -131),
        ("PAIR? 1,2V", -131),
        ("PAIR? 10.01", -222),
        ("PAIR? -1", -222),
        ("PAIR? 1e999", -222),
        ("PAIR? 1,6", -222),
        ("VOLT? most", -224),
        ('TEXT? "open', -151),
        ("*IDN?\x07", -101),
        ("\xe9", -101),
    ],
)
def test_a_part_that_fails_gives_no_reply_and_one_error(text: str, code: int) -> None:
    replies, problems = obeyed(f"{text};*IDN?")
    assert problems == [f'{code},"{TEXTS[code]}"']
    assert replies == ([] if '"' in text else ["me"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("+1.", 1.0),
        (".5e1", 5.0),
        ("1 V", 1.0),
        ("500mV", 0.5),
        ("0.001kv", 1.0),
        ("2e6 UV", 2.0),
        ("min", 0.0),
        ("MAXIMUM", 10.0),
    ],
)
def test_numbers_may_have_a_unit_or_be_a_limit(text: str, value: float) -> None:
    assert number(0, 10, "V")(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"), [("ON", True), ("off", False), ("1", True), ("0", False), ("0.2", False)]
)
def test_a_boolean_is_a_word_or_a_number(text: str, value: bool) -> None:
    assert boolean(text) is value
    with pytest.raises(ScpiError):
        boolean("yes")


def test_errors_are_read_in_the_order_in_which_they_came() -> None:
    errors = Errors(longest=3)
    errors.add(-113)
    errors.add(-222)
    assert errors.take() == '-113,"Undefined header"'
    assert errors.take() == '-222,"Data out of range"'
    assert errors.take() == '0,"No error"'
    assert errors.take() == '0,"No error"'


def test_a_full_queue_says_so_with_its_last_entry() -> None:
    errors = Errors(longest=2)
    for code in (-113, -222, -224, -224):
        errors.add(code)
    assert [errors.take() for _ in range(3)] == [
        '-113,"Undefined header"',
        '-350,"Queue overflow"',
        '0,"No error"',
    ]


def test_the_event_register_tells_the_class_of_an_error_and_reading_clears_it() -> None:
    seen: list[Any] = []
    for code in (-113, -222, -363):
        errors = Errors(longest=5)
        errors.add(code)
        seen += [errors.take_events(), errors.take_events()]
    assert seen == ["32", "0", "16", "0", "8", "0"]


@given(st.text(max_size=60))
def test_no_text_whatever_breaks_it(text: str) -> None:
    replies, problems = obeyed(text)
    assert len(replies) + len(problems) <= len(text)
