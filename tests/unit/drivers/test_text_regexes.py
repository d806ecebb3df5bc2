"""Regular expressions of instrument files that could stop a daemon, and those that cannot."""

from __future__ import annotations

import re
import time

import pytest

from drivers.framing import TerminatedReplies
from drivers.framing.effort import may_take_for_ever
from drivers.text import TextDriver
from mktl.errors import ConfigurationError, ProtocolMismatch

SLOW = [
    r"(\w+\s?)*ERR",
    r"(a*)*b",
    r"(?:ERR|E\w*)*;",
    r"(\d+[,;]?)+",
    r"(a|ab|b)*;",
    r"(?i:(?:a|Ab|b)*);",
    r"(.*)*x",
    r"(?>(a*)*b)",
    r"(?=(a+)+b)a",
    r"(ab?a?b)*x",
    r"(x+x+)+y",
    r"(\w{1,30} ?){1,30}!",
]
QUICK = [
    "",
    r"ACME,VG-1,.*",
    r"\+?0,.*",
    r"(?!-(08|09|10|11|13)\b).*",
    r"[0-9]{10}(NO_DEF|_RANGE|_LOGIC)",
    r"(\d+,)*\d+",
    r"(a|b)*",
    r"(.|\n)*",
    r"([0-9A-F]{16})*",
    r"(\w+,\s*)*;",
    r"(?>\w+)*;",
    r"(\w++ ?)*!",
    r"(a?)*b",
    r"(?:(?!;).)*;",
    r"(ab|cd)+(?(1)x|y)",
    r"(\w)\1*",
]


@pytest.mark.parametrize("pattern", SLOW)
def test_an_expression_that_may_take_for_ever_is_known(pattern):
    assert may_take_for_ever(re.compile(pattern))


@pytest.mark.parametrize("pattern", QUICK)
def test_an_expression_that_takes_a_text_in_one_way_is_not_refused(pattern):
    assert not may_take_for_ever(re.compile(pattern))


def test_looking_at_an_expression_does_not_take_for_ever_itself():
    begin = time.monotonic()
    for pattern in (".*" * 60 + "x", "(" + "a?" * 140 + ")*", "(a|b?){1,7}" * 30):
        may_take_for_ever(re.compile(pattern))
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "settings",
    [
        {"refused": SLOW[0]},
        {"busy": SLOW[0]},
        {"restarted": SLOW[0]},
        {"no_value": SLOW[0]},
        {"unsolicited": [SLOW[0]]},
        {"identify": {"ask": "ID?", "reply": SLOW[0]}},
        {"error_query": {"ask": "ERR?", "ok": SLOW[0]}},
        {"start": [{"ask": "ID?", "reply": SLOW[0]}]},
        {"channels": {"a": {"tell": "A {value:d}", "ack": SLOW[0]}}},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_no_setting_takes_an_expression_that_could_stop_the_daemon(settings):
    with pytest.raises(ConfigurationError, match="may take for ever") as error:
        TextDriver("tcp://127.0.0.1:9", **settings)
    assert next(iter(settings)) in str(error.value)


def test_a_reply_is_not_longer_than_the_limit_however_it_comes():
    replies = TerminatedReplies(b"\r\n", limit=10)
    replies.feed(b"x" * 11 + b"\r\nok\r\n")
    with pytest.raises(ProtocolMismatch, match="11 bytes"):
        replies.next_reply()
    assert replies.next_reply() == b"ok"
