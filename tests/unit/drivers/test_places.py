"""One place, one controller: who holds it, for how long, and what is the same place."""

from __future__ import annotations

import os
import pty
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers._bus import BUSES
from drivers._places import Places, place_of
from drivers.base import OPEN
from drivers.controller import Controller
from drivers.ports import port_for_url
from drivers.settings import LineSettings
from drivers.wiring import BadInstrumentFile, loads
from mktl.errors import ConfigurationError
from tests._support import wait_until
from tests.unit.drivers.fakes import device, settings


class Gauge(Controller):
    driver_name = "gauge"
    line_defaults = settings()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A terminal, and a link to it."""
    far, near = pty.openpty()
    link = tmp_path / "usb-ACME-0001"
    link.symlink_to(os.ttyname(near))
    yield os.ttyname(near), str(link)
    os.close(far)
    os.close(near)


def test_a_controller_that_was_dropped_unclosed_is_in_nobodys_way():
    Gauge.open("tcp://127.0.0.1:1", timeout_s=2.0)
    Gauge("tcp://127.0.0.1:2?unit=1")
    with (
        Gauge.open("tcp://127.0.0.1:1", timeout_s=3.0) as one,
        Gauge.open("tcp://127.0.0.1:2?unit=1", min_gap_s=0.5) as other,
    ):
        assert one.settings.timeout_s == 3
        assert other.settings.min_gap_s == 0.5


def test_one_that_somebody_has_is_in_the_way_of_other_settings_without_having_been_started():
    with Gauge("tcp://127.0.0.1:2?unit=1") as one:
        with pytest.raises(ConfigurationError, match="min_gap_s"):
            Gauge.open("tcp://127.0.0.1:2?unit=2", min_gap_s=0.5)
        assert one.status().state == "Down"


@pytest.mark.parametrize("unit", ["", "?unit=1"])
def test_one_that_is_connected_holds_its_place_though_nobody_has_it(unit):
    with device() as fake:
        url = fake.url + unit
        Gauge.open(url).start()
        kept = weakref.ref(Gauge.open(url))
        with pytest.raises(ConfigurationError, match="timeout_s"):
            Gauge.open(url, timeout_s=7)
        for _ in range(2):
            found = kept()
            assert found is not None
            found.close()
    assert (OPEN.taken(), BUSES.taken()) == ([], [])


def test_a_unit_that_was_dropped_does_not_keep_a_dead_line_open():
    def answer(message: str) -> bytes | None:
        return b"FAKE,1\r\n" if alive.is_set() else None

    alive = threading.Event()
    alive.set()
    with device(answer) as fake:
        Gauge(f"{fake.url}?unit=2")
        with Gauge.open(f"{fake.url}?unit=1", timeout_s=1.0) as one:
            one.wait_until_up()
            with pytest.raises(ConfigurationError):
                Gauge.open(f"{fake.url}?unit=3", min_gap_s=1)  # what was dropped is collected
            alive.clear()
            one._line.reconnect("it is to be asked again")
            # Its only unit is silent, so the port is opened anew.
            wait_until(lambda: fake.connections >= 3)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("tcp://localhost:7", "tcp://127.0.0.1:7"),
        ("tcp://LocalHost.:7", "tcp://127.0.0.1:7"),
        ("tcp://Gauge.lab.:7", "tcp://gauge.lab:7"),
        ("tcp://[0:0::1]:7", "tcp://[::1]:7"),
        ("tcp://10.0.0.7:7", "tcp://10.0.0.7:7"),
        ("socket://localhost:7?baud=9600", "socket://127.0.0.1:7"),
        ("serial:///dev/localhost.", "serial:///dev/localhost."),
    ],
)
def test_one_host_is_always_written_alike(url, place):
    assert place_of(port_for_url(url)) == place


def test_names_of_this_machine_give_one_controller_and_one_line():
    with device() as fake:
        local = fake.url.replace("127.0.0.1", "localhost")
        with Gauge.open(fake.url) as one, Gauge.open(local) as two:
            assert one is two
        with Gauge.open(f"{fake.url}?unit=1") as one, Gauge.open(f"{local}?unit=2") as two:
            one.wait_until_up()
            two.wait_until_up()
        assert fake.connections == 1


def test_a_link_and_its_terminal_are_one_place_that_is_written_in_one_way(terminal):
    device_file, link = terminal
    with (
        Gauge.open(f"serial://{device_file}"),
        pytest.raises(ConfigurationError, match=rf"open already, .*{device_file}.*, not .*{link}"),
    ):
        Gauge.open(f"serial://{link}")
    with (
        Gauge.open(f"serial://{link}?unit=1"),
        pytest.raises(ConfigurationError, match=rf"{link}.* is shared already, not as .*"),
    ):
        Gauge.open(f"serial://{device_file}?unit=2")


def test_a_link_that_leads_elsewhere_by_now_is_another_place(terminal, tmp_path):
    device_file, link = terminal
    with Gauge.open(f"serial://{link}") as one:
        Path(link).unlink()
        Path(link).symlink_to("/dev/null")
        with Gauge.open(f"serial://{device_file}") as two:
            assert one is not two


def test_a_serial_server_behind_two_kinds_of_url_is_one_place():
    with (
        Gauge.open("tcp://127.0.0.1:7?unit=1"),
        pytest.raises(ConfigurationError, match="is shared already, not as socket://"),
    ):
        Gauge.open("socket://127.0.0.1:7?baud=9600&unit=2")


def test_an_instrument_file_cannot_have_a_link_and_its_terminal(terminal):
    text = 'store = "s"\nalias = "a"\n' + "".join(
        f'[controllers.{name}]\ndriver = "lakeshore336"\nurl = "serial://{path}"\n'
        for name, path in zip(("one", "two"), terminal, strict=True)
    )
    with pytest.raises(BadInstrumentFile, match="controller 'one' leads to the same place"):
        loads(text)


def test_what_closes_itself_while_it_is_collected_locks_nobody_out():
    class Careless(Gauge):
        def __del__(self) -> None:
            self.close()

    Careless.open("tcp://127.0.0.1:2", timeout_s=2.0)
    with Careless.open("tcp://127.0.0.1:2", timeout_s=3.0) as one:
        assert one.settings == Gauge.line_defaults.updated({"timeout_s": 3.0})
    assert isinstance(Gauge.line_defaults, LineSettings)


def test_places_are_told_apart_and_given_up():
    class Holder:
        users = 0

    def joined(holder: Holder) -> None:
        holder.users += 1

    places: Places[Holder] = Places()
    one = places.share("tcp://a:1", Holder, lambda _: "", joined)
    assert places.share("tcp://a:1", Holder, lambda _: "", joined) is one
    other = places.share("tcp://b:1", Holder, lambda _: "", joined)
    assert (one.users, other.users) == (2, 1)
    places.give_up("tcp://a:1", other)
    assert sorted(places.taken()) == ["tcp://a:1", "tcp://b:1"]
    places.give_up("tcp://a:1", one)
    assert places.taken() == ["tcp://b:1"]
