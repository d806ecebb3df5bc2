"""``markd new``: a file to begin with, for every driver, that is right as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers import wiring
from drivers.catalog import DRIVERS, driver_class
from markd._new import skeleton, urls_of
from mktl.errors import ConfigurationError
from tests._support import run_cli

GENERIC = ("text", "modbus")


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_it_writes_is_right_and_names_the_driver(driver: str) -> None:
    text = skeleton(driver, store="Lab", alias="bench")
    checked = wiring.loads(text)
    assert (checked.store, checked.alias) == ("lab", "bench")
    (controller,) = checked.controllers.values()
    assert controller.driver == driver
    assert len(checked.items) > 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_all_of_it_is_right_with_nothing_commented_out(driver: str) -> None:
    text = re.sub(r"^# (\[items|channel|poll_s|\w+_s = )", r"\1", skeleton(driver), flags=re.M)
    checked = wiring.loads(text)
    if driver not in GENERIC:
        (spec,) = checked.controllers.values()
        with driver_class(driver)(spec.url, **spec.settings) as controller:
            assert len(checked.items) == len(controller.channels())


@pytest.mark.parametrize("driver", sorted(set(DRIVERS) - set(GENERIC)))
def test_every_url_that_it_shows_is_one_that_the_driver_takes(driver: str) -> None:
    shown = re.findall(r'^(?:# )?url = "(.*)"$', skeleton(driver), flags=re.M)
    assert shown == urls_of(driver_class(driver))
    for url in shown:
        text = skeleton(driver, url=url)
        assert url in text


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    done = run_cli("sh", "-c", "markd --schema | head -n 1")
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_it_writes_a_file_that_markd_takes_and_never_overwrites_one(tmp_path: Path) -> None:
    file = tmp_path / "cryostat.toml"
    words = ("new", "lakeshore336", str(file), "--store", "cryo", "--url", "tcp://h")
    done = run_cli("markd", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"markd {file} --check" in done.stdout
    checked = run_cli("markd", str(file), "--check")
    assert checked.returncode == 0, checked.stderr
    before = file.read_text()
    assert 'url = "tcp://h"' in before
    again = run_cli("markd", *words)
    assert again.returncode == 2
    assert "is there already, and was left alone" in again.stderr
    assert file.read_text() == before


def test_alone_it_lists_the_drivers() -> None:
    done = run_cli("markd", "new")
    assert done.returncode == 0
    for name in DRIVERS:
        (line,) = re.findall(rf"^{name} +(\S.*)$", done.stdout, re.M)
        assert "cannot be imported" not in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lakeshore363"], "did you mean 'lakeshore336'"),
        (["lakeshore336", "--url", "tpc://h"], "did you mean 'tcp'"),
        (["lakeshore336", "--store", "a/b"], "is not a name"),
        (["lakeshore336", "/no/such/folder/a.toml"], "cannot be written: No such file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_and_with_exit_code_2(words, says) -> None:
    done = run_cli("markd", "new", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_driver_file_is_a_driver_too(tmp_path: Path) -> None:
    (tmp_path / "gauge.toml").write_text(
        'driver = "text"\n[channels.pressure]\nask = "PR1"\nunits = "mbar"\n'
    )
    text = skeleton("./gauge.toml", folder=tmp_path)
    checked = wiring.loads(text, folder=tmp_path)
    assert checked.items["pressure"].channel == "pressure"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        skeleton("./gauge.toml", folder=tmp_path / "elsewhere")
