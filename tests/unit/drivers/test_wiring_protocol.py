"""Items with a protocol of their own, controllers on one line, and drivers from elsewhere."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from drivers import catalog
from drivers.wiring import BadInstrumentFile, load, loads
from mktl.errors import ConfigurationError

GAUGE = "tests.unit.drivers._wiring_gauge:Gauge"
HEAD = f"""store = "lab"
alias = "hw"
[controllers.gauge]
driver = "{GAUGE}"
url = "tcp://127.0.0.1"
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadInstrumentFile) as caught:
        loads(text)
    return [str(problem) for problem in caught.value.problems]


def test_an_item_with_protocol_keys_becomes_a_channel_of_its_controller():
    text = '[items.pressure]\ncontroller = "Gauge"\nask = "PR1"\nunits = "mbar"\npoll_s = 2\n'
    wiring = loads(f"{HEAD}{text}simulate = 3\nrange = [0, 5]\n")
    item = wiring.items["pressure"]
    assert (item.controller, item.channel) == ("gauge", "pressure")
    assert (item.poll_s, item.simulate) == (2, 3)
    assert item.protocol == {"ask": "PR1", "units": "mbar", "range": [0, 5]}
    assert item.description["units"] == "mbar"
    assert item.description["type"] == "numeric"
    assert item.description["settable"] is False
    with wiring.controllers["gauge"].open() as gauge:
        assert item.bind(gauge).read is not None


def test_every_problem_of_an_item_with_protocol_keys_is_told_with_its_line():
    found = problems_of(
        HEAD
        + """[items.a]
controller = "gauge"
ask = 3
scale = {by = "x"}
range = [2, 1]
aks = "PR1"
[items.b]
controller = "gauge"
units = "mbar"
[items.c]
controller = "guage"
ask = "PR1"
poll_s = -1
range = [3, 1]
[items.d]
ask = "PR1"
[items.e]
controller = "gauge"
channel = "gauge.pressure"
[items.f]
controller = "gauge"
ask = "X"
settable = true
type = "strng"
[items.g]
controller = 3
ask = "X"
"""
    )
    for (start, part), problem in zip(
        [
            ("line 8: items.a.ask:", "must be a text"),
            ("line 9: items.a.scale.by:", "must be a whole number"),
            ("line 10: items.a.range:", "low not above high"),
            ("line 11: items.a.aks:", "'ask'?"),
            ("line 12: items.b.ask:", "is missing"),
            ("line 16: items.c.controller:", "did you mean 'gauge'"),
            ("line 18: items.c.poll_s:", "a number of seconds"),
            ("line 19: items.c.range:", "low not above high"),
            (
                "line 20: items.d:",
                "has 'ask', but no controller: write, for instance, controller =",
            ),
            ("line 23: items.e.controller:", "a channel, or a controller"),
            ("line 24: items.e.channel:", "has no channels: write controller = 'gauge', and ask"),
            ("line 28: items.f.settable:", "cannot be set"),
            ("line 29: items.f.type:", "did you mean 'string'"),
            ("line 31: items.g.controller:", "must be the name of a controller"),
        ],
        found,
        strict=True,
    ):
        assert problem.startswith(start), problem
        assert part in problem, problem


def test_a_controller_whose_driver_has_channels_only_says_what_to_write_instead():
    (found,) = problems_of(
        'store = "a"\nalias = "b"\n[controllers.tc]\ndriver = "lakeshore336"\nurl = "tcp://h"\n'
        '[items.a]\ncontroller = "tc"\nask = "KRDG? A"\n'
    )
    assert found.startswith("line 7: items.a.controller: driver 'lakeshore336' has channels only")
    assert 'channel = "tc.temperature.A"' in found


def test_channels_of_a_controller_are_for_scripts_and_not_for_files():
    (found,) = problems_of(
        'store = "a"\nalias = "b"\n[controllers.g]\ndriver = "text"\nurl = "tcp://h:1"\n'
        '[controllers.g.channels.p]\nask = "P"\n[items.note]\ntype = "string"\n'
    )
    assert found.startswith("line 6: controllers.g.channels: is for scripts: write [items.KEY]")


def test_with_an_unknown_driver_the_rest_is_checked_all_the_same():
    found = problems_of(
        'store = "a"\nalias = "b"\n[controllers.g]\ndriver = "txet"\nurl = "tpc://h"\n'
        'timeout_s = "x"\n[items.p]\ncontroller = "g"\nask = "P"\nlimits = 3\n'
    )
    assert [problem.partition(": ")[0] for problem in found] == [
        "line 4", "line 5", "line 6", "line 10",
    ]  # fmt: skip
    assert "did you mean 'text'" in found[0]
    assert "'tpc'" in found[1]


def test_a_wrong_setting_is_told_where_it_stands_and_does_not_hide_another():
    found = problems_of(
        'store = "a"\nalias = "b"\n[controllers.g]\n'
        f'driver = "{GAUGE}"\nurl = "tcp://h/x"\nflavour = "salty"\nidentify = {{ask = "X",'
        ' reply = 3}\ntimeout_s = -1\n[items.p]\ncontroller = "g"\nask = "P"\n'
    )
    assert [problem.rpartition(": ")[0].partition(": must")[0] for problem in found[1:]] == [
        "line 6: controllers.g.flavour",
        "line 7: controllers.g.identify.reply",
        "line 8: controllers.g.timeout_s",
    ]
    assert found[0].startswith("line 5: controllers.g.url:")


# --- one line for several -------------------------------------------------------------------------


def two(first: str, second: str, more: str = "") -> str:
    return (
        f'store = "a"\nalias = "b"\n[controllers.one]\ndriver = "{GAUGE}"\nurl = "{first}"\n'
        f'[controllers.two]\ndriver = "{GAUGE}"\nurl = "{second}"\n{more}'
        '[items.note]\ntype = "string"\n'
    )


def test_units_share_a_line_and_nothing_is_left_open_after_the_check():
    loads(two("tcp://h?unit=1", "tcp://h:4001?unit=2"))
    # The line of the check must be gone: the next one may have other settings.
    with pytest.raises(BadInstrumentFile):
        loads(two("tcp://h?unit=1", "tcp://h?unit=2", "min_gap_s = 0.5\n"))
    loads(two("tcp://h?unit=1", "tcp://i?unit=2", "min_gap_s = 0.5\n"))
    loads(two("tcp://i?unit=1", "tcp://h?unit=2", "min_gap_s = 0.5\n"))


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("tcp://h", "tcp://h:4001", "controller 'one' leads to the same place: tcp://h:4001"),
        ("tcp://h?unit=3", "tcp://h?unit=3", "same place: tcp://h:4001, unit 3"),
        ("tcp://h?unit=3", "tcp://h", "only if each URL names a unit, as in tcp://h:4001?unit=1"),
        ("tcp://h", "tcp://h?unit=1", "only if each URL names a unit"),
    ],
)
def test_two_on_one_line_have_to_be_different_units(first, second, says):
    (found,) = problems_of(two(first, second))
    assert found.startswith("line 8: controllers.two.url: ")
    assert says in found


def test_units_of_one_line_cannot_have_different_timing():
    (found,) = problems_of(two("tcp://h?unit=1", "tcp://h?unit=2", "min_gap_s = 0.5\n"))
    assert found.startswith("line 9: controllers.two.min_gap_s: ")
    assert "has min_gap_s = 0.0 already, not 0.5" in found


# --- drivers from elsewhere -----------------------------------------------------------------------


def test_a_driver_of_another_package_is_found_by_its_entry_point(monkeypatch):
    points = [
        metadata.EntryPoint("vacuum", GAUGE, catalog.GROUP),
        metadata.EntryPoint("gone", "no_such_package.gauge:Gauge", catalog.GROUP),
        metadata.EntryPoint("odd", "pathlib:Path", catalog.GROUP),
        metadata.EntryPoint("twice", GAUGE, catalog.GROUP),
        metadata.EntryPoint("twice", "pathlib:Path", catalog.GROUP),
        metadata.EntryPoint("lakeshore336", "pathlib:Path", catalog.GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: points)
    assert catalog.driver_class("vacuum").driver_name == "gauge"
    assert catalog.driver_class("lakeshore336").driver_name == "lakeshore336"
    assert catalog.known_drivers()["vacuum"] == GAUGE
    for name, says in {
        "gone": "cannot be imported from 'no_such_package.gauge:Gauge': ModuleNotFoundError",
        "odd": "is not a subclass of drivers.Controller",
        "twice": "is there more than once",
        "vacum": "did you mean 'vacuum'",
    }.items():
        with pytest.raises(ConfigurationError, match=says):
            catalog.driver_class(name)


def test_the_entry_points_of_this_package_are_the_drivers_that_it_knows():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][catalog.GROUP] == catalog.DRIVERS


DRIVER_FILE = """driver = "text"
timeout_s = 3
identify = {ask = "*IDN?", reply = "ACME.*"}

[channels.pressure]
ask = "PR1"
units = "mbar"
range = [0, 1000]
tell = "PR {value}"
poll_s = 7
simulate = 12
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gauge.toml").write_text(DRIVER_FILE)
    return tmp_path


def instrument(folder: Path, more: str = "", channel: str = "pressure") -> Path:
    file = folder / "lab.toml"
    file.write_text(
        'store = "lab"\nalias = "hw"\n[controllers.g]\ndriver = "./gauge.toml"\n'
        f'url = "tcp://h:4001"\n{more}[items.p]\nchannel = "g.{channel}"\n'
    )
    return file


def test_a_driver_file_is_a_driver_whose_settings_the_instrument_file_may_change(folder):
    wiring = load(instrument(folder, "timeout_s = 4\n"))
    spec, item = wiring.controllers["g"], wiring.items["p"]
    assert (spec.driver, spec.generic) == ("./gauge.toml", "text")
    assert spec.settings == {"timeout_s": 4, "identify": {"ask": "*IDN?", "reply": "ACME.*"}}
    assert (item.channel, item.poll_s, item.simulate) == ("pressure", 7, 12)
    assert item.description["range"] == [0, 1000]
    assert item.description["settable"] is True
    with spec.open() as gauge:
        assert item.bind(gauge).write is not None


def test_an_item_is_held_to_what_the_driver_file_allows(folder):
    with pytest.raises(BadInstrumentFile, match="not within the driver's"):
        load(_with(instrument(folder), "range = [-1, 5]\n"))
    with pytest.raises(BadInstrumentFile, match="did you mean 'pressure'"):
        load(instrument(folder, channel="presure"))


def _with(file: Path, more: str) -> Path:
    file.write_text(file.read_text() + more)
    return file


def test_the_problems_of_a_driver_file_are_told_with_its_name_and_lines(folder):
    (folder / "gauge.toml").write_text(
        DRIVER_FILE + 'url = "x"\ntimeout = 3\n[channels.other]\naks = "X"\nask = "PR1"\n'
        '[channels."a b"]\nask = "PR1"\n'
    )
    with pytest.raises(BadInstrumentFile) as caught:
        load(instrument(folder, "settle_s = -1\n"))
    found = [str(problem) for problem in caught.value.problems]
    expected = [
        ("line 6: controllers.g.settle_s:", "positive"),
        ("./gauge.toml, line 12: channels.pressure.url:", "unknown key"),
        ("./gauge.toml, line 13: channels.pressure.timeout:", "unknown key"),
        ("./gauge.toml, line 15: channels.other.aks:", "did you mean 'ask'"),
        ("./gauge.toml, line 17: channels.a b:", "is not a name"),
    ]
    for (start, part), problem in zip(expected, found, strict=True):
        assert problem.startswith(start), problem
        assert part in problem, problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "./gauge.toml: cannot be read"),
        ("driver = ", "./gauge.toml, line 1: is not TOML"),
        ('driver = "lakeshore336"\n[channels.a]\nask = "X"', "line 1: driver: must be there"),
        ('driver = "text"', "./gauge.toml: channels: must be tables"),
        ('url = "x"\ndriver = "text"\n[channels.a]\nask = "X"', "line 1: url: belongs into"),
    ],
)
def test_a_driver_file_that_is_none_is_told_as_such(folder, text, says):
    (folder / "gauge.toml").unlink()
    if text is not None:
        (folder / "gauge.toml").write_text(text)
    with pytest.raises(BadInstrumentFile) as caught:
        load(instrument(folder))
    assert any(says in str(problem) for problem in caught.value.problems), caught.value
