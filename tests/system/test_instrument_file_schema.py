"""The published JSON Schema of instrument files: up to date, and of one mind with the check."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from drivers._modbus_register import REGISTER_KEYS
from drivers._schema import LINE_SETTINGS, schema
from drivers._schema_protocol import MODBUS_ITEM, MODBUS_SETTINGS, TEXT_ITEM, TEXT_SETTINGS
from drivers._wiring_check import PLAIN_KEYS
from drivers._wiring_items import DESCRIPTION_KEYS
from drivers.catalog import DRIVERS, driver_class
from drivers.settings import USER_SETTINGS
from markd._new import skeleton

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "docs" / "instrument-file.schema.json"

VALIDATOR = jsonschema.Draft202012Validator(schema())


def errors_of(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))]


def test_the_published_file_is_up_to_date() -> None:
    assert PUBLISHED.read_text() == json.dumps(schema(), indent=2) + "\n", (
        "markd --schema > docs/instrument-file.schema.json"
    )


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_every_example_fits(path: Path) -> None:
    assert errors_of(path.read_text()) == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_markd_new_writes_fits(driver: str) -> None:
    assert errors_of(skeleton(driver)) == []


def test_it_has_every_key_that_the_drivers_understand() -> None:
    assert set(LINE_SETTINGS) == set(USER_SETTINGS)
    for name, settings, keys in (
        ("text", TEXT_SETTINGS, TEXT_ITEM),
        ("modbus", MODBUS_SETTINGS, MODBUS_ITEM),
    ):
        driver = driver_class(name)
        # Scripts have channels; a file has items, or is a driver file.
        assert set(settings) - {"restore"} == set(driver.driver_settings) - {"channels"}
        assert set(keys) == set(driver.item_keys)
    assert set(MODBUS_ITEM["register"]["properties"]) == set(REGISTER_KEYS)
    plain = schema()["$defs"]["item"]["else"]["else"]["properties"]
    assert set(plain) == set(PLAIN_KEYS)
    assert set(DESCRIPTION_KEYS) < set(PLAIN_KEYS)


HEAD = 'store = "a"\nalias = "b"\n'
TEXT = HEAD + '[controllers.g]\ndriver = "text"\nurl = "tcp://h:1"\n'
MODBUS = HEAD + '[controllers.m]\ndriver = "modbus"\nurl = "modbus+tcp://h"\n'
NOTE = '[items.n]\ntype = "string"\n'


@pytest.mark.parametrize(
    "text",
    [
        HEAD + NOTE,
        TEXT + '[items.p]\ncontroller = "g"\nask = "P"\nlimits = {warning = [1, 2]}\npoll_s = 1\n',
        MODBUS
        + '[items.p]\ncontroller = "m"\nregister = {table = "input", address = 1}\npoll_s = 0\n'
        '[items.q]\ncontroller = "m"\nsettable = true\n'
        'register = {numbering = "modicon", address = 40005, readable = false}\n',
        HEAD + '[controllers.x]\ndriver = "our.vacuum:Gauge"\nurl = "tcp://h:1"\nown = 1\n'
        '[items.p]\ncontroller = "x"\nown = "PR1"\n',
        'driver = "text"\nterminator = "\\r"\n[channels.p]\nask = "P"\n',
        'driver = "modbus"\n[channels.p]\nregister = {address = 40001}\n',
    ],
)
def test_what_is_right_fits(text: str) -> None:
    assert errors_of(text) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NOTE, "'store' is a required property"),
        (HEAD, "'items' is a required property"),
        (HEAD + "itmes = 3\n" + NOTE, "'itmes' was unexpected"),
        (HEAD + '[items."a/b"]\ntype = "string"\n', "does not match"),
        (HEAD + '[items.a]\ntype = "strng"\n', "'strng' is not one of"),
        (HEAD + '[items.a]\nchannel = "tc"\n', "does not match"),
        (HEAD + '[items.a]\nchannel = "tc.t"\npoll_s = -1\n', "minimum of 0"),
        (HEAD + '[items.a]\nchannel = "tc.t"\nrange = [1]\n', "too short"),
        (HEAD + '[items.a]\nchannel = "tc.t"\nlimits = {waring = [1, 2]}\n', "'waring' was"),
        (HEAD + '[items.a]\nchannel = "tc.t"\npoll = 1\n', "'poll' was unexpected"),
        (HEAD + '[items.a]\nask = "P"\n', "'ask' was unexpected"),
        (TEXT + "timeout = 1\n" + NOTE, "'timeout' was unexpected"),
        (TEXT + '[items.p]\ncontroller = "g"\nask = 1\n', "1 is not of type 'string'"),
        (TEXT + '[items.p]\ncontroller = "g"\nask = "P"\naks = 1\n', "'aks' was unexpected"),
        (TEXT + '[controllers.g.channels.p]\nask = "P"\n' + NOTE, "'channels' was unexpected"),
        (MODBUS + "max_registers = 126\n" + NOTE, "maximum of 125"),
        (
            MODBUS + '[items.p]\ncontroller = "m"\nregister = {address = 1, type = "u16"}\n',
            "'u16' is not one of",
        ),
        (HEAD + '[controllers.g]\ndriver = "lakeshore336"\n' + NOTE, "'url' is a required"),
        ('driver = "text"\nurl = "tcp://h"\n[channels.p]\nask = "P"\n', "'url' was unexpected"),
        ('driver = "text"\n', "'channels' is a required property"),
        ('driver = "julabo"\n[channels.p]\nask = "P"\n', "'julabo' is not one of"),
    ],
)
def test_what_is_wrong_does_not_fit(text: str, says: str) -> None:
    assert any(says in error for error in errors_of(text)), errors_of(text)
