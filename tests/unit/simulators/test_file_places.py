"""Where things stand in a file, and what URLs of real devices say."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators._toml_source import TomlSource
from simulators._urls import address_of
from simulators.device import SimulatorError

FILE = '''store = "a"  # [controllers.x]
text = """
[controllers.g]
url = 1
"""
[ controllers . "g h" ]
url = "tcp://h"
holes.holding = [
    [30, 39],
    [1, 2]
]
identify = {ask = "A", reply = "B"}

[[many]]
x = 1
'quoted key' = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("store",), 1),
        (("text",), 2),
        (("controllers",), 6),
        (("controllers", "g h"), 6),
        (("controllers", "g h", "url"), 7),
        (("controllers", "g h", "holes", "holding"), 8),
        (("controllers", "g h", "identify", "reply"), 12),
        (("controllers", "g h", "gone"), 6),
        (("many", "quoted key"), 16),
    ],
)
def test_a_key_is_found_on_its_line(tmp_path: Path, path: tuple[str, ...], line: int) -> None:
    file = tmp_path / "a.toml"
    file.write_text(FILE)
    assert TomlSource(file, "a.toml").where(*path) == f"a.toml, line {line}"


def test_what_is_nowhere_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("")
    assert TomlSource(file, "a.toml").where("items") == "a.toml"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = \n", "a.toml, line 1: is not TOML: invalid value"),
        (b"a = 1\nb = [", "a.toml, line 2: is not TOML: "),
        (b"a = '\xff'", "a.toml: is not text in UTF-8"),
        (None, "a.toml: cannot be read: No such file"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "a.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SimulatorError) as refused:
        TomlSource(file, "a.toml")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("url", "transport", "unit", "baud"),
    [
        ("tcp://192.0.2.1:7777", "tcp", None, None),
        ("socket://h:1?baud=4800&bits=7&parity=even", "tcp", None, 4800),
        ("rfc2217://h:1", "tcp", None, None),
        ("serial:///dev/ttyS0?baud=9600&unit=3", "serial", 3, 9600),
        ("modbus+rtu:///dev/ttyS0?unit=0", "modbus+rtu", 0, None),
        ("modbus+rtu+tcp://h?baud=9600", "modbus+rtu+tcp", None, 9600),
        ("MODBUS+TCP://h:502?unit=255", "modbus+tcp", 255, None),
        ("visa://TCPIP::h::5025::SOCKET?backend=@py", "visa", None, None),
        ("visa://TCPIP::h::INSTR", "vxi11", None, None),
        ("visa://tcpip0::h::hislip0::INSTR?unit=2", "hislip", 2, None),
        ("visa://USB0::1::2::3::INSTR", "vxi11", None, None),
        ("visa://ASRL/dev/ttyS0::INSTR?baud=9600", "serial", None, 9600),
    ],
)
def test_a_url_says_how_its_device_is_reached(
    url: str, transport: str, unit: int | None, baud: int | None
) -> None:
    found = address_of(url)
    assert (found.transport, found.unit, found.baud) == (transport, unit, baud)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("modbus+rtu:///dev/ttyS0?unit=1&baud=9600", "modbus+rtu:///dev/ttyS0?unit=2", True),
        ("modbus+tcp://Host?unit=1", "modbus+tcp://host:502?unit=2", True),
        ("modbus+tcp://[::1]?unit=1", "modbus+tcp://[::1]:502?unit=2", True),
        ("tcp://h:1", "tcp://h:1/", True),
        ("tcp://h:1", "tcp://h:2", False),
        ("serial:///dev/ttyS0", "serial:///dev/ttys0", False),
    ],
)
def test_urls_that_differ_in_their_unit_lead_to_one_line(one: str, other: str, same: bool) -> None:
    assert (address_of(one).line == address_of(other).line) == same


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("tcp:h", "is not a URL, such as"),
        ("://h", "no kind of URL named ''"),
        ("vxi11://h", "no kind of URL named 'vxi11'"),
        ("sreial:///dev/ttyS0", "did you mean serial"),
        ("tcp://h?unit=256", "unit must be a number, 0 to 255, not '256'"),
        ("tcp://h?unit=", "unit must be a number"),
        ("serial:///dev/ttyS0?baud=fast", "baud must be a number"),
    ],
)
def test_what_is_no_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(SimulatorError) as refused:
        address_of(url)
    assert says in str(refused.value)
