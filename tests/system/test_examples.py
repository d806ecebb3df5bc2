"""Every instrument file in ``examples``: right as it stands, and alive against simulators."""

from __future__ import annotations

from pathlib import Path

import pytest

import mktl
from drivers import wiring
from drivers._driver_file import GENERIC
from tests._support import run_cli, running, wait_until

ROOT = Path(__file__).resolve().parents[2]


def is_instrument_file(path: Path) -> bool:
    return "[items." in path.read_text()


FILES = sorted(filter(is_instrument_file, (ROOT / "examples").rglob("*.toml")))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each_file
def test_it_passes_the_check(path: Path) -> None:
    done = run_cli("markd", str(path), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no problems" in done.stdout


@each_file
@pytest.mark.timeout(90)
def test_simulated_it_answers_for_every_item(path: Path) -> None:
    checked = wiring.load(path)
    with running(["markd", str(path), "--simulate"], ready="on the air", timeout_s=30) as child:
        assert "is not simulated" not in child.stderr_text
        store = mktl.get(checked.store)
        for name in checked.controllers:
            wait_until(
                lambda name=name: store[f"{name}_link"].formatted == "Up", 20, f"{name} to be up"
            )
        keys = [key for key, item in checked.items.items() if is_readable(item)]
        done = run_cli("mark", "get", *(f"{checked.store}.{key}" for key in keys))
        assert done.returncode == 0, done.stdout + done.stderr
        answers = store.read(keys, refresh=True)
        wrong = {key: one for key, one in answers.items() if isinstance(one, Exception)}
        assert not wrong
        for key in (key for key, item in checked.items.items() if is_heard(item)):
            wait_until(lambda key=key: store[key].quality == "valid", 20, f"{key} to be heard")


def is_readable(item: wiring.ItemSpec) -> bool:
    """Whether it can be asked for: not only set, and not only told by the device."""
    if item.protocol is not None and not {"ask", "register"} & item.protocol.keys():
        return False
    return bool(item.description.get("gettable", True))


def is_heard(item: wiring.ItemSpec) -> bool:
    """Whether the device says it by itself, and cannot be asked."""
    return "heard" in (item.protocol or {}) and not is_readable(item)


def test_there_is_an_example_for_each_way_to_say_a_protocol() -> None:
    used = {spec.generic for path in FILES for spec in wiring.load(path).controllers.values()}
    assert set(GENERIC) <= used
