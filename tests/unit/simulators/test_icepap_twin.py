"""Grammar and the section "Bad input" of the sheet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.device import SimulatorError
from simulators.icepap import IcePAP
from tests.unit.simulators.motion_talk import acknowledged, ask, value, write


@pytest.fixture
def unit() -> IcePAP:
    return IcePAP(seed=1)


# -- grammar -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("?VER", "?VER 3.17"),
        ("?MODE", "?MODE OPER"),
        ("?SYSSTAT", "?SYSSTAT 0x0003"),
        ("?sysstat 0", "?SYSSTAT 0x0F 0x0F"),
        ("?SYSSTAT 1", "?SYSSTAT 0x03 0x03"),
        ("1:?POS", "1:?POS 0"),
        ("11:?Enc", "11:?ENC 0"),
        ("?POS 1 2", "?POS 0 0"),
        ("?FPOS 1 11 12", "?FPOS 0 0 0"),
        ("?POS MEASURE 1", "?POS 0"),
        ("1:?STATUS", "1:?STATUS 0x00A00203"),
        ("?STATUS 1 2", "?STATUS 0x00A00203 0x00A00203"),
        ("?FSTATUS 1", "?FSTATUS 0x00A00203"),
        ("1:?VELOCITY", "1:?VELOCITY 20000"),
        ("1:?ACCTIME", "1:?ACCTIME 0.1"),
        ("1:?POWER", "1:?POWER ON"),
        ("1:?STOPCODE", "1:?STOPCODE 0x0000"),
        ("1:?HOMESTAT", "1:?HOMESTAT FOUND 1"),
        ("1:?WARNING", "1:?WARNING NONE"),
        ("1:?ALARM", "1:?ALARM NO"),
        ("1:?NAME", "1:?NAME axis1"),
        ("1:?ID SN", "1:?ID SN70001"),
        (" #1:?POS ", "1:?POS 0"),
    ],
)
def test_a_query_repeats_its_word_and_then_has_the_values(
    unit: IcePAP, query: str, reply: str
) -> None:
    assert unit.answer(query.encode()) == f"{reply}\r\n".encode()


@pytest.mark.parametrize(
    "query", ["0:?VER INFO", "?VER INFO", "1:?VER INFO", "1:?VSTATUS", "?HELP"]
)
def test_a_reply_of_several_lines_stands_between_two_dollar_signs(unit: IcePAP, query: str) -> None:
    first, *lines, last = ask(unit, query).split("\r\n")
    assert first == f"{query.removesuffix(' INFO')} $"
    assert last == "$"
    assert len(lines) > 4


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        ("1:POS -500", "1:?POS", "-500"),
        ("1:ENC 20", "1:?ENC", "20"),
        ("1:VELOCITY 1500.5", "1:?VELOCITY", "1500.5"),
        ("1:acctime 0.25", "1:?ACCTIME", "0.25"),
        ("1:POWER off", "1:?POWER", "OFF"),
        ("1:NAME theta", "1:?NAME", "theta"),
        ("POS 1 7 12 8", "?POS 1 12", "7 8"),
        ("POS AXIS 1 7", "?POS 1", "7"),
        ("POWER OFF 1 2", "?POWER 1 2 3", "OFF OFF ON"),
        ("VELOCITY 1 10 2 20", "?VELOCITY 1 2", "10 20"),
    ],
)
def test_an_action_is_silent_unless_it_is_to_be_acknowledged(
    unit: IcePAP, command: str, query: str, reply: str
) -> None:
    assert unit.answer(command.encode()) == b""
    assert value(unit, query) == reply
    word = command.split(maxsplit=1)[0].upper()
    assert ask(unit, f"#{command}") == f"{word} OK"


def test_a_broadcast_reaches_every_axis_and_is_silent(unit: IcePAP) -> None:
    acknowledged(unit, "1:POWER OFF")
    assert unit.answer(b":MOVE 1000") == b""
    unit.step(5)
    assert value(unit, "?POS 1 2 12") == "0 1000 1000"
    assert unit.answer(b":POWER OFF") == b""
    assert value(unit, "?POWER 1 2 12") == "OFF OFF OFF"


# -- the section "Bad input" ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("?FOO", "?FOO ERROR Command not recognised"),
        ("1:?FOO", "1:?FOO ERROR Command not recognised"),
        ("#FOO", "FOO ERROR Command not recognised"),
        ("#1:FOO 3", "1:FOO ERROR Command not recognised"),
        ("#0:MOVE 3", "0:MOVE ERROR Command not recognised"),
        ("0:?POS", "0:?POS ERROR Bad board address"),
        ("?NAME 1", "?NAME ERROR Command not recognised"),
        ("#1;MOVE 3", "1;MOVE ERROR Command not recognised"),
        ("?", "? ERROR Command not recognised"),
        ("#", "ERROR Command not recognised"),
        ("#\xe9", "ERROR Command not recognised"),
        ("#1:MOVE", "1:MOVE ERROR Wrong parameter(s)"),
        ("#1:MOVE far", "1:MOVE ERROR Wrong parameter(s)"),
        ("#1:MOVE 1.5", "1:MOVE ERROR Wrong parameter(s)"),
        ("#1:MOVE 1 2", "1:MOVE ERROR Wrong parameter(s)"),
        ("#1:MOVE 3000000000", "1:MOVE ERROR Wrong parameter(s)"),
        ("#1:POS nan", "1:POS ERROR Wrong parameter(s)"),
        ("#1:VELOCITY 0", "1:VELOCITY ERROR Wrong parameter(s)"),
        ("#1:VELOCITY -5", "1:VELOCITY ERROR Wrong parameter(s)"),
        ("#1:ACCTIME 0", "1:ACCTIME ERROR Wrong parameter(s)"),
        ("#1:ACCTIME soon", "1:ACCTIME ERROR Wrong parameter(s)"),
        ("#1:POWER PERHAPS", "1:POWER ERROR Wrong parameter(s)"),
        ("#1:HOME 2", "1:HOME ERROR Wrong parameter(s)"),
        ("#1:STOP now", "1:STOP ERROR Wrong parameter(s)"),
        ("#MOVE 1", "MOVE ERROR Wrong parameter(s)"),
        ("#MOVE 1 5 1 6", "MOVE ERROR Wrong parameter(s)"),
        ("#MOVE x 5", "MOVE ERROR Wrong parameter(s)"),
        ("#STOP", "STOP ERROR Wrong parameter(s)"),
        ("?POS", "?POS ERROR Wrong parameter(s)"),
        ("?POS x", "?POS ERROR Wrong parameter(s)"),
        ("1:?POS SIDEWAYS", "1:?POS ERROR Wrong parameter(s)"),
        ("1:?POS 2", "1:?POS ERROR Wrong parameter(s)"),
        ("?SYSSTAT x", "?SYSSTAT ERROR Wrong parameter(s)"),
        ("9:?POS", "9:?POS ERROR Bad board address"),
        ("#10:MOVE 3", "10:MOVE ERROR Bad board address"),
        ("161:?POS", "161:?POS ERROR Bad board address"),
        ("?POS 1 19", "?POS ERROR Bad board address"),
        ("5:?POS", "5:?POS ERROR Board is not present in the system"),
        ("#MOVE 1 5 21 5", "MOVE ERROR Board is not present in the system"),
        ("?SYSSTAT 2", "?SYSSTAT ERROR Board is not present in the system"),
        (":?POS", ":?POS ERROR Cannot broadcast a query"),
        ("#:STOP", ":STOP ERROR Cannot acknowledge a broadcast"),
    ],
)
def test_what_cannot_be_done_is_an_error_with_its_reason_and_changes_nothing(
    unit: IcePAP, command: str, reply: str
) -> None:
    before = ask(unit, "1:?VSTATUS")
    assert ask(unit, command) == reply
    unit.step(1)
    assert ask(unit, "1:?VSTATUS") == before


@pytest.mark.parametrize("command", ["FOO", "1:MOVE far", "5:MOVE 1", "99:STOP", ":FOO", "\x07"])
def test_without_hash_or_question_mark_bad_input_is_met_with_silence(
    unit: IcePAP, command: str
) -> None:
    assert unit.answer(command.encode()) == b""


def test_an_endless_line_is_an_error_and_takes_no_memory(unit: IcePAP) -> None:
    framer = unit.framer()
    for _ in range(100):
        assert framer.feed(b"?" * 4096) == []
    [message, after] = framer.feed(b"\r\n\r1:?POS\n")
    assert ask(unit, message.decode()).endswith(" ERROR Command not recognised")
    assert ask(unit, after.decode()) == "1:?POS 0"


@given(st.binary(max_size=80))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    unit = IcePAP()
    for prefix in (b"", b"#", b"1:", b"?"):
        unit.answer(prefix + message)
    unit.step(1)
    assert unit.answer(b"?MODE").startswith(b"?MODE ")


def test_addresses_that_cannot_be_are_refused() -> None:
    for address in (0, 9, 10, 159, 161, -1):
        with pytest.raises(SimulatorError, match=f"no axis {address}:"):
            IcePAP(axes=[address])


def test_a_board_that_is_not_alive_is_missing_for_all_who_ask_for_it_and_others(
    unit: IcePAP,
) -> None:
    write(unit, axis2_alive=0)
    assert value(unit, "?SYSSTAT 0") == "0x0F 0x0D"
    assert ask(unit, "?POS 1 2") == "?POS ERROR Board is not present in the system"
    assert ask(unit, "?POS 1 3") == "?POS 0 0"
