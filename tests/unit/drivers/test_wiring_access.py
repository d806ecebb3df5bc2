"""``[access]`` of an instrument file: what is wrong with it, and on which line."""

from __future__ import annotations

import pytest

from drivers.wiring import BadInstrumentFile, InstrumentFile, loads
from mktl.security import Rules

HEAD = 'store = "cryo"\nalias = "hw"\n'
ITEMS = """
[controllers.tc]
driver = "lakeshore336"
url = "tcp://127.0.0.1:1"

[items.temp]
channel = "tc.temperature.A"

[items.setpoint]
channel = "tc.setpoint.1"

[items.heater_note]
type = "string"
"""


def loaded(access: str) -> InstrumentFile:
    return loads(f"{HEAD}[access]\n{access}\n{ITEMS}")


@pytest.mark.parametrize(
    ("access", "says"),
    [
        ("curv = true", "line 4: access.curv: unknown key: did you mean 'curve'?"),
        ("curve = 1", "line 4: access.curve: must be true or false, not 1"),
        ('\nunknown = "raed"', "line 5: access.unknown: there is no role 'raed': did you mean"),
        ('unknown = ["read"]', "line 4: access.unknown: there is no role ['read']"),
        ('unknown = "none"', "line 4: access.unknown: without curve everybody is unknown"),
        ("roles = 3", "line 4: access.roles: must be a table"),
        ('roles.a = "x"', "line 4: access.roles.a: must say what it may do"),
        ('roles."A b" = {}', "line 4: access.roles.A b: 'A b' cannot be a role"),
        ('roles.a.sets = ["x"]', "line 4: access.roles.a.sets: unknown key: did you mean 'set'?"),
        ('roles.a.set = "x"', "line 4: access.roles.a.set: must be a list"),
        ("roles.a.set = [1]", "line 4: access.roles.a.set: must be a list"),
        (
            'curve = true\n[access.roles]\na.set = [\n  "temp",\n  "setpiont",\n]',
            "line 8: access.roles.a.set.1: 'setpiont' matches no item: did you mean 'setpoint'?",
        ),
        ('roles.a.set = ["*", "!hater_note"]', "'!hater_note' matches no item: did you mean"),
        ('roles.a.read = ["hater_*"]', "access.roles.a.read.0: 'hater_*' matches no item"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(access: str, says: str) -> None:
    with pytest.raises(BadInstrumentFile) as caught:
        loaded(access)
    assert says in str(caught.value)


def test_access_that_is_no_table_is_refused() -> None:
    with pytest.raises(BadInstrumentFile, match=r"access: must be a table: \[access\]"):
        loads(f"{HEAD}access = true\n{ITEMS}")


def test_what_is_right_is_what_a_daemon_takes() -> None:
    checked = loaded(
        'curve = true\nroles.operator = {read = ["*"], set = ["SETPOINT", "heater_*", "_*ack"]}\n'
        'roles.links = {read = ["tc_link", "tc_error"]}'
    )
    rules = Rules.from_mapping(checked.access)
    assert rules.curve
    assert rules.unknown == "read"
    assert rules.roles["operator"].set == ("setpoint", "heater_*", "_*ack")
    assert checked.notes == ()
    assert loads(f"{HEAD}{ITEMS}").access == {}


def test_what_nobody_could_set_any_more_is_a_note() -> None:
    (note,) = loaded('unknown = "read"').notes
    assert "nobody can set setpoint, heater_note over the network" in str(note)
    assert "without curve everybody has the role 'read'" in str(note)
    (note,) = loaded('unknown = "x"\nroles.x = {set = ["*", "!heater_*"]}').notes
    assert "nobody can set heater_note over" in str(note)
    roles = "\n".join(
        f'roles.{name} = {{read = ["*"]}}' for name in ("operator", "engineer", "set")
    )
    (note,) = loaded(f"curve = true\n{roles}\nroles.x = {{set = ['setpoint']}}").notes
    assert str(note).startswith("line 3: access: nobody can set heater_note over")
