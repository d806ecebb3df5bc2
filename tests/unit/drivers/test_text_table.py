"""What can be wrong in the tables of a text device, told with the key that it is about."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from drivers import _text_settings, _text_table, wiring
from drivers.base import BadItem
from drivers.framing.checksum import CHECKSUMS
from drivers.text import TextDriver
from mktl.errors import BadValue, ConfigurationError
from tests.unit.drivers.pages import names_in_table, toml_blocks

NOWHERE = "tcp://nowhere.invalid:1"


@pytest.fixture
def driver() -> Iterator[TextDriver]:
    made = TextDriver(NOWHERE)
    yield made
    made.close()


def item(text: str) -> dict[str, Any]:
    """Return the table that *text*, lines of TOML, describes."""
    return tomllib.loads(text)


# --- items ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "ask", "is missing"),
        ('reply = "{value}"', "ask", "is missing"),
        ('ask = ""', "ask", "must be a text"),
        ("ask = 5", "ask", "must be a text"),
        ('ask = "a\\u0007"', "ask", "only printable characters"),
        ('ask = "é"', "ask", "cannot be sent as ascii"),
        ('ask = "{unit}A"', "ask", "the unit number in the URL"),
        ('ask = "A"\nreply = "{value:g}{unit}"', "reply", "another name, such as {unit_is}"),
        ('heard = "A {value:g}"\nno_reading = "A -"', "no_reading", "means nothing without ask"),
        ('ask = "A"\nno_reading = "("', "no_reading", "is no regular expression"),
        ('tell = "A"\nack_optional = true', "ack_optional", "means nothing without ack"),
        ('tell = "A"\nack = "OK"\nack_optional = 1', "ack_optional", "must be true or false"),
        ('tell = "A"\nack = "OK"\nack_optional = true', "ack_optional", "needs an identify"),
        ('ask = "A"\ntell_values = {1 = true}', "tell_values", "means nothing without tell"),
        (
            'tell = "A {value}"\ntell_values = {1 = true}\ntype = "boolean"',
            "tell_values",
            "values would do",
        ),
        (
            'ask = "A"\ntell = "A {value}"\nvalues = {L = true}\ntell_values = {1 = 5}',
            "tell_values",
            "1 = 5",
        ),
        (
            'ask = "A"\ntell = "A"\nvalues = {L = true}\ntell_values = {1 = true}',
            "tell_values",
            "without {value}",
        ),
        (
            'ask = "A"\ntell = "A {value:d}"\nvalues = {L = true}\ntell_values = {ON = true}',
            "tell_values",
            "'ON' is not a number",
        ),
        ('tell = "A {value}"\nreply = "{value}"', "reply", "means nothing without ask"),
        ('ask = "A"\nack = "OK"', "ack", "means nothing without tell"),
        ('ask = "A"\ncheck = false', "check", "means nothing without tell"),
        ('ask = "A"\nread_back = true', "read_back", "means nothing without tell"),
        ('ask = "A"\nsilence_s = 5', "silence_s", "means nothing without heard"),
        ('ask = "A"\nreasons = {status = {1 = "x"}}', "reasons", "means nothing without valid"),
        ('ask = "A"\nsettable = true', "settable", "there is no tell"),
        ('tell = "A {value:d}"\nread_back = true', "read_back", "means nothing without ask"),
        ('ask = "A"\ntype = "number"', "type", "'number': "),
        ('ask = "A"\ntype = ["numeric"]', "type", "did you mean 'numeric'?"),
        ('ask = "A"\ntype = "enumerated"', "type", "enumerators must be there"),
        ('ask = "A"\nenumerators = {x = "Off"}', "enumerators", "enumerators"),
        ('ask = "A"\nreply = 5', "reply", "must be a text"),
        ('ask = "A"\nreply = "{value"', "reply", "expected '}'"),
        ('ask = "A"\nreply = "{value:.2f}"', "reply", "is no spec"),
        ('ask = "A"\nreply = "{a:s}{value:g}"', "reply", "nobody can tell where"),
        ('ask = "A"\nreply = "{status:d}"', "reply", "has no field 'value': choose from status"),
        ('ask = "A"\nreply = "ON"', "reply", "has no field 'value': it has none"),
        ('ask = "A"\ntype = "numeric array"', "reply", "an array needs to know the fields"),
        ('ask = "A"\nfield = ["a", "b"]', "reply", "an array needs to know the fields"),
        ('ask = "A"\nfield = 5', "field", "must be the name of a field, not 5"),
        ('ask = "A"\nfield = {a = 1}', "field", "must be the name of a field"),
        ('ask = "A"\nreply = "{a:g}"\nfield = ["a", 5]', "field", "not 5"),
        ('ask = "A"\nreply = "{a:g}"\nfield = []', "field", "at least one field"),
        ('ask = "A"\nreply = "{a:g}"\nfield = "b"', "field", "has no field 'b'"),
        ('ask = "A"\nreply = "{a:g},{b:g}"\nfield = ["a", "a"]', "field", "a name twice"),
        (
            'ask = "A"\nreply = "{a:g}"\nfield = ["a"]\ntype = "numeric"',
            "field",
            "a list is for type 'numeric array'",
        ),
        (
            'ask = "A"\nreply = "{a:g}"\nfield = "a"\ntype = "numeric array"',
            "field",
            "a list is for type 'numeric array'",
        ),
        ('ask = "A"\nreply = "{value:s}"\ntype = "numeric"', "type", "the value is a text"),
        ('ask = "A"\nreply = "{value:g}"\ntype = "string"', "type", "the value is a number"),
        ('ask = "A"\nreply = "{value:s}"\ntype = "boolean"', "type", "the value is a text"),
        (
            'ask = "A"\nreply = "{value:s}"\nheard = "!{value:g}"',
            "reply",
            "a number in one place, a text in another",
        ),
        ('ask = "A"\nvalues = 5', "values", "must be a table"),
        ('ask = "A"\nvalues = {}', "values", "must be a table"),
        ('ask = "A"\nreply = "{value:d}"\nvalues = {on = true}', "values", "'on' is not a number"),
        (
            'ask = "A"\nvalues = {ON = 1, OFF = 5}\nenumerators = {0 = "Off", 1 = "On"}',
            "values",
            "OFF = 5",
        ),
        ('ask = "A"\nvalues = {ON = true, YES = true}', "values", "another one like that"),
        (
            'ask = "A"\nreply = "{value:d}"\nvalues = {1 = 5, 01 = 6}',
            "values",
            "another one like that",
        ),
        (
            'ask = "A"\nvalues = {X = 1}\ntype = "mask"\nenumerators = {0 = "a"}',
            "values",
            "are not for type 'mask'",
        ),
        ('ask = "A"\nscale = 0\nunits = "K"', "scale", "a number other than 0"),
        ('ask = "A"\nscale = "2"', "scale", "must be a number"),
        ('ask = "A"\noffset = nan', "offset", "must be a number"),
        ('ask = "A"\nreply = "{value:s}"\nscale = 2', "scale", "is for numbers only"),
        ('ask = "A"\nvalues = {A = 1, B = 2}\noffset = 2', "offset", "is for numbers only"),
        ('ask = "A"\nplausible = 5', "plausible", "must be two numbers"),
        ('ask = "A"\nplausible = [1]', "plausible", "must be two numbers"),
        ('ask = "A"\nplausible = [1, "2"]', "plausible", "must be two numbers"),
        ('ask = "A"\nplausible = [3, 1]', "plausible", "the smaller one"),
        ('ask = "A"\nvalid = 5', "valid", "must be a table"),
        ('ask = "A"\nvalid = {status = 0}', "valid.status", "has no such field"),
        ('tell = "A {value}"\nvalid = {status = 0}', "valid", "means nothing"),
        (
            'ask = "A"\nreply = "{status:d},{value:g}"\nvalid = {status = "0"}',
            "valid.status",
            "must be a number",
        ),
        (
            'ask = "A"\nreply = "{status:s},{value:g}"\nvalid = {status = [0]}',
            "valid.status",
            "must be a text",
        ),
        (
            'ask = "A"\nreply = "{s:d},{value:g}"\nvalid = {s = 0}\nreasons = 5',
            "reasons",
            "must be a table of tables",
        ),
        (
            'ask = "A"\nreply = "{s:d},{value:g}"\nvalid = {s = 0}\nreasons = {t = {1 = "x"}}',
            "reasons.t",
            "valid does not say",
        ),
        (
            'ask = "A"\nreply = "{s:d},{value:g}"\nvalid = {s = 0}\nreasons = {s = {1 = 5}}',
            "reasons.s",
            "must be a table of texts",
        ),
        (
            'ask = "A"\nreply = "{s:d},{value:g}"\nvalid = {s = 0}\nreasons = {s = {x = "y"}}',
            "reasons.s",
            "'x' is not a number",
        ),
        ('tell = "A {value:q}"', "tell", "'q' is no format"),
        ('tell = "A {}"', "tell", "a field needs a name"),
        ('tell = "A {valeu:d}"', "tell", "unknown field 'valeu'"),
        ('tell = "A"\ntype = "numeric"', "tell", "has no {value}"),
        ('ask = "A"\nreply = "{value:g}"\ntell = "A {value:s}"', "tell", "a number is no 's'"),
        ('ask = "A"\nreply = "{value:s}"\ntell = "A {value:d}"', "tell", "a text is no 'd'"),
        (
            'ask = "A"\nreply = "{a:g},{b:g}"\nfield = ["a", "b"]\ntell = "A {a:g}"',
            "tell",
            "must have the fields a, b",
        ),
        ('tell = "A{value:d}"\nvalues = {"1.5" = true}', "tell", "not a whole number"),
        ('tell = "A \\u0007{value:d}"', "tell", "only printable characters"),
        ('tell = "A {value:s}"\nvalues = {"é" = true}', "tell", "cannot be sent as ascii"),
        ('tell = "A {value:d}"\nack = "("', "ack", "is no regular expression"),
        ('tell = "A {value:d}"\nack = 5', "ack", "must be a text"),
        ('tell = "A {value:d}"\ncheck = 1', "check", "must be true or false"),
        ('ask = "A"\ntell = "A {value}"\nread_back = 1', "read_back", "must be true or false"),
        ('heard = "T={value:g}"\nsilence_s = 0', "silence_s", "must be a positive number"),
        ('heard = "T={value:g}"\nsilence_s = "5"', "silence_s", "must be a positive number"),
        ('heard = "T={value:g}\\r\\n"', "heard", "is a single line"),
        ('heard = "{other:g}"', "heard", "has no field 'value'"),
        (
            'ask = "T?"\nreply = "T={value:g}"\nheard = "T={value:g}"',
            "heard",
            "the reply to 'T?' and what x hears look the same",
        ),
    ],
)
def test_a_table_that_cannot_be_is_refused_with_its_key(driver, text, key, words):
    with pytest.raises(BadItem, match=re.escape(words)) as caught:
        driver.channel_for("x", item(text))
    assert caught.value.field == key


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('ask = "A"', "string"),
        ('ask = "A"\nunits = "K"', "numeric"),
        ('ask = "A"\nplausible = [0, 1]', "numeric"),
        ('ask = "A"\nreply = "{value:g}"', "numeric"),
        ('ask = "A"\nreply = "{value:w}"', "string"),
        ('ask = "A"\nreply = "{value:d}"\ntype = "boolean"', "boolean"),
        ('ask = "A"\ntype = "mask"\nenumerators = {0 = "Fault"}', "mask"),
        ('ask = "A"\nenumerators = {0 = "Off", 1 = "On"}', "enumerated"),
        ('ask = "A"\nvalues = {ON = true, OFF = false}', "boolean"),
        ('ask = "A"\nvalues = {1 = true, 0 = false}', "boolean"),
        ('ask = "A"\nvalues = {M = "manual", A = "automatic"}', "string"),
        ('ask = "A"\nvalues = {LO = 1, HI = 2.5}', "numeric"),
        ('ask = "A"\nvalues = {S = 0, R = 1}\nenumerators = {0 = "Stop", 1 = "Run"}', "enumerated"),
        ('ask = "A"\nreply = "{a:g},{b:g}"\nfield = ["a", "b"]', "numeric array"),
        ('heard = "!{value:d}"', "numeric"),
        ('tell = "RST"', "boolean"),
        ('tell = "SP {value:.2f}"', "numeric"),
        ('tell = "NAME {value}"', "string"),
        ('ask = "NAME?"\ntell = "NAME {value}"', "string"),
        ('ask = "SP?"\ntell = "SP {value:.1f}"', "numeric"),
        ('tell = "SP {value}"\nunits = "K"', "numeric"),
    ],
)
def test_the_type_of_an_item_follows_from_what_it_says(driver, text, kind):
    channel = driver.channel_for("x", item(text))
    assert channel.item["type"] == kind
    assert channel.item["settable"] is ("tell" in text)
    assert channel.item["gettable"] is ("ask" in text or "heard" in text)


def test_two_items_that_ask_the_same_expect_as_many_lines(driver):
    driver.channel_for("a", item('ask = "S"\nreply = "A={value:g}\\r\\n{:s}"'))
    with pytest.raises(BadItem, match="has 1 lines, and the reply of a, which asks the same"):
        driver.channel_for("b", item('ask = "S"\nreply = "A={value:g}"'))


def test_an_item_that_hears_what_another_one_is_answered_is_refused(driver):
    driver.channel_for("a", item('ask = "T?"\nreply = "T={value:g} {:s}"'))
    with pytest.raises(BadItem, match=r"reply to 'T\?' and what b hears look the same"):
        driver.channel_for("b", item('heard = "T={t:g} {value:s}"'))
    driver.channel_for("b", item('heard = "T={t:g};{value:s}"'))


def test_what_cannot_be_set_by_its_table_is_not_settable(driver):
    channel = driver.channel_for("x", item('ask = "A"\ntell = "A {value:d}"\nsettable = false'))
    assert channel.write is None


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ('tell = "RST"', False, "can only be set to true"),
        ('tell = "SP {value:.1f}"', 1.25, "another number"),
        ('tell = "SP {value:d}"\nscale = 0.1', 1.234, "not a whole number"),
        ('tell = "SP {value:d}"\nrange = [0, 5]', 6, "5"),
        ('tell = "O {value}"\nvalues = {ON = true}', False, "only to True"),
        ('ask = "A"\nreply = "{a:g},{b:g}"\nfield = ["a", "b"]\ntell = "{a},{b}"', [1], "2 num"),
        ('tell = "N {value}"', "a\r\nRST", "only printable"),
        ('tell = "N {value}"', "é", "cannot be sent as ascii"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_before_anything_is_sent(driver, text, value, words):
    channel = driver.channel_for("x", item(text))
    with pytest.raises(BadValue, match=re.escape(words)):
        channel.write(value)
    assert driver.status().state not in ("Up", "Connecting")


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('terminator = ""', "terminator: a reply needs an end"),
        ('reply_terminator = ""', "reply_terminator: a reply needs an end"),
        ("terminator = 13", "terminator: must be a text"),
        ('terminator = "☃"', "terminator: '☃' cannot be sent"),
        ("send_terminator = 13", "send_terminator: must be a text"),
        ("prefix = 2", "prefix: must be a text"),
        ("reply_prefix = 2", "reply_prefix: must be a text"),
        ('encoding = "utf-16"', "encoding: 'utf-16': did you mean 'utf-8'?"),
        ('checksum = "crc"', "checksum: unknown check sum 'crc'"),
        ("checksum = 5", "checksum: must be a table of name, on"),
        ('checksum = {name = "nmea", on = "all"}', "checksum.on: 'all': choose from"),
        ('checksum = {name = "nmea", no = "both"}', "checksum: unknown key 'no'"),
        ('checksum = {on = "both"}', "checksum: unknown check sum None"),
        ('identify = "ID?"', "identify: must be a table of ask, reply"),
        ('identify = {ask = "ID?"}', "identify: 'reply' is missing"),
        ('identify = {ask = "", reply = "A"}', "identify.ask: must be a text"),
        ('identify = {ask = "ID?", reply = "("}', "identify.reply: '(' is no regular expression"),
        ('identify = {ask = "ID?", reply = "{unit}"}', "identify.reply: '{unit}' has {unit} in it"),
        ('identify = {ask = "ID?", answer = "A"}', "identify: unknown key 'answer'"),
        ('start = "REMOTE"', "start: must be a list"),
        ("start = [5]", "start: must be a table of ask, reply, tell, ack, check"),
        ('start = ["\\u0007"]', "start: '\\x07' cannot be sent"),
        ('start = [{ask = "A"}]', "start: {'ask': 'A'}: ask has a reply"),
        ('start = [{ask = "A", tell = "B"}]', "either ask or tell"),
        ('start = [{ask = "A", reply = "B", ack = "C"}]', "ask has a reply, and nothing else"),
        ('start = [{tell = "A", reply = "B"}]', "tell has no reply, but an ack"),
        ('start = [{tell = "A", check = 1}]', "start: check: must be true or false"),
        ("restore = [5]", "restore: must be a table"),
        ('refused = "["', "refused: '[' is no regular expression"),
        ("refused = 5", "refused: must be a text"),
        ("refusals = 5", "refusals: must be texts"),
        ("refusals = {3 = 5}", "refusals: must be texts"),
        ("busy = []", "busy: must be a text"),
        ('restarted = "("', "restarted: '(' is no regular expression"),
        ("retry_s = 0", "retry_s: must be a positive number of seconds"),
        ("retry_s = true", "retry_s: must be a positive number of seconds"),
        ('no_value = "("', "no_value: '(' is no regular expression"),
        ('error_query = {ask = "E?"}', "error_query: 'ok' is missing"),
        ('error_query = {ask = "E?", ok = "("}', "error_query.ok: '(' is no regular expression"),
        ('handshake = "OK"', "handshake: must be a table of ack, nak, enquiry, bare"),
        ('handshake = {nak = "?"}', "handshake: ack is missing"),
        ('handshake = {ack = ""}', "handshake: ack must be a text, and another one than nak"),
        ('handshake = {ack = "A", nak = "A"}', "handshake: ack must be a text, and another one"),
        ("handshake = {ack = 6}", "handshake.ack: must be a text"),
        ('handshake = {ack = "A", bare = 1}', "handshake.bare: must be true or false"),
        ('handshake = {ack = "A", nak = "", bare = true}', "handshake: without a terminator"),
        ("settle_after = 5", "settle_after: must be like"),
        ('settle_after = {OUT = "x"}', "settle_after.OUT: must be a number of seconds"),
        ("settle_after = {OUT = -1}", "settle_after.OUT: must be a number of seconds"),
        ('settle_after = {"" = 1}', "settle_after: must be a text"),
        ("echo = 1", "echo: must be true or false"),
        ("ignore = 5", "ignore: must be a text"),
        ('ignore = "☃"', "ignore: '☃' has characters that are more than one byte"),
        ('ignore = "\\r"', "ignore: '\\r' has what begins or ends replies in it"),
        (
            'ignore = "\\u0006"\nhandshake = {ack = "\\u0006"}',
            "ignore: '\\x06' has what begins or ends replies in it, or an ack",
        ),
        ('unsolicited = "A"', "unsolicited: must be a list"),
        ('unsolicited = ["("]', "unsolicited: '(' is no regular expression"),
        ("channels = 5", "channels: must be tables by name"),
        ("channels = {a = 5}", "channels.a: must be a table"),
        ('channels = {a = {ask = "A", scale = 0, units = "K"}}', "channels.a.scale: "),
        ("timeout_s = 0", "timeout_s must be a positive number"),
        ("color = 1", "unknown setting 'color'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(text, words):
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        TextDriver(NOWHERE, **tomllib.loads(text))
    name = re.split(r"\W", text, maxsplit=1)[0]
    assert re.match(rf"(unknown setting ')?{name}\b", str(caught.value))


def test_flags_of_a_regular_expression_are_for_the_whole_of_it():
    driver = TextDriver(
        NOWHERE, refused="(?i)error.*", unsolicited=["(?i)alarm"], no_value="(?i)na"
    )
    try:
        assert driver._speech.refused.fullmatch("ERROR 5")
        assert driver.settings.unsolicited[0].fullmatch("Alarm")
        driver.channel_for("x", item('ask = "A"\nreply = "{value:g}"'))
    finally:
        driver.close()


# --- the page and the code ------------------------------------------------------------


def test_the_page_names_all_settings_and_no_others():
    # Those of scripts are described where the driver is used from Python.
    assert names_in_table("text-driver.md", "A controller") == {
        *_text_settings.SETTINGS,
        "restore",
    } - {"channels"}


def test_the_page_names_all_keys_of_an_item_and_no_others():
    assert names_in_table("text-driver.md", "An item") == set(_text_table.ITEM_KEYS)


def test_the_page_names_all_check_sums_and_no_others():
    assert names_in_table("text-driver.md", "Check sums", r"[\w-]+") == set(CHECKSUMS)


def test_the_files_that_the_page_shows_are_good(tmp_path):
    first, station, pumps, driver_file, instrument = toml_blocks("text-driver.md")
    (tmp_path / "vg1.toml").write_text(driver_file, encoding="utf-8")
    head = 'store = "a"\nalias = "b"\n'
    for text in (first, head + station, head + pumps, head + instrument):
        assert wiring.loads(text, folder=tmp_path).items
