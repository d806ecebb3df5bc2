"""Serial ports found in a machine laid out as udev and the kernel do it, and who has them.

A device file is a link to a harmless device here, so that no port is needed, and no root.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.ports import port_for_url
from drivers.ports._nodes import node_at
from drivers.ports.holders import find_holders, lock_holders
from drivers.ports.inventory import Inventory, PortInfo, Roots
from drivers.ports.serial import SerialPort, why_not_open
from mktl.errors import BadValue, DeviceLost
from tests._support import running

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import os, serial, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
port = serial.Serial({!r}, exclusive=True)
print("ready", flush=True)
while True:
    signal.pause()
"""
AS_NOBODY = """
import json, os, sys
from drivers.ports._nodes import node_at
from drivers.ports.holders import find_holders
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
node = node_at(sys.argv[1])
found = find_holders([node])
print(json.dumps([[[one.pid, one.uid, one.locked] for one in found.of(node)], found.complete]))
"""
FTDI = {"manufacturer": "FTDI", "product": "FT232R USB UART"}


class Machine:
    """Folders such as ``/dev``, ``/sys`` and ``/proc``."""

    def __init__(self, home: Path) -> None:
        self.roots = Roots(home / "dev", home / "sys", home / "proc")
        self._devices = [Path("/dev") / name for name in ("null", "zero", "full", "random")]
        for folder in (self.roots.dev, self.roots.sys / "class" / "tty", self.roots.proc / "1"):
            folder.mkdir(parents=True)
        self.locks("")

    def inventory(self) -> Inventory:
        return Inventory(self.roots)

    def port(self, name: str) -> PortInfo:
        return self.inventory().at(str(self.roots.dev / name))

    def terminal(self, name: str, below: str = "", **files: str) -> Path:
        """Add a terminal; *below*: the folder of its hardware within ``/sys/devices``."""
        real = self._devices.pop()
        number = os.stat(real).st_rdev  # noqa: PTH116
        (self.roots.dev / name).symlink_to(real)
        hardware = self.roots.sys / "devices" / below
        entry = hardware / "tty" / name
        entry.mkdir(parents=True)
        if below:
            (entry / "device").symlink_to("../..")
        write(entry, dev=f"{os.major(number)}:{os.minor(number)}\n", **files)
        (self.roots.sys / "class" / "tty" / name).symlink_to(entry)
        return hardware

    def bus(self, folder: Path, name: str) -> None:
        target = self.roots.sys / "bus" / name
        target.mkdir(parents=True, exist_ok=True)
        (folder / "subsystem").symlink_to(target)

    def usb(self, name: str, socket: str, interface: int = 0, **says: str) -> None:
        """Add a port of a USB adapter, with a layer between it and the interface."""
        place = f"pci0000:00/0000:00:14.0/usb1/{socket}/{socket}:1.{interface}"
        hardware = self.terminal(name, f"{place}/{name}")
        self.bus(hardware, "usb-serial")
        write(hardware.parent, bInterfaceNumber=f"{interface:02d}\n")
        # The root hub is a USB device too, and the controller below it a PCI one.
        unit, hub = hardware.parents[1], hardware.parents[2]
        write(hub, idVendor="1d6b\n", idProduct="0002\n", manufacturer="Linux\n", serial="hub\n")
        write(unit, **{"idVendor": "0403\n", "idProduct": "6001\n", **says})

    def link(self, kind: str, link: str, target: str) -> str:
        path = self.roots.dev / "serial" / kind / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(f"../../{target}")
        return str(path)

    def process(self, pid: int, name: str, *words: str, opened: str = "", info: str = "") -> None:
        folder = self.roots.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "fdinfo").mkdir()
        write(folder, comm=f"{name}\n", cmdline="\0".join(words))
        (folder / "fd" / "0").symlink_to("/a/server/that/is/gone")
        (folder / "fd" / "1").symlink_to("pipe:[4711]")
        if opened:
            (folder / "fd" / "3").symlink_to(opened)
            write(folder / "fdinfo", **{"3": f"pos:\t0\n{info}"})

    def locks(self, text: str) -> None:
        write(self.roots.proc, locks=text)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The device's end of a pseudo-terminal, and a link to the host's end."""
    device_end, host_end = pty.openpty()
    link = tmp_path / "tc"
    link.symlink_to(os.ttyname(host_end))
    os.close(host_end)
    yield device_end, link
    os.close(device_end)


def holder(path: Path) -> str:
    return HOLDER.format(str(path))


def lock_line(path: Path, pid: int, *, waits: bool = False) -> str:
    found = path.stat()
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    arrow = "-> " if waits else ""
    return f"1: {arrow}FLOCK  ADVISORY  WRITE {pid} {device}:{found.st_ino} 0 EOF\n"


# --- names and adapters ---------------------------------------------------------------------------


def test_an_adapter_tells_who_it_is_and_is_named_by_that(machine):
    machine.usb("ttyUSB0", "1-2", **FTDI, serial="A5XK3RJT\n")
    by_id = machine.link("by-id", "usb-FTDI_FT232R_USB_UART_A5XK3RJT-if00-port0", "ttyUSB0")
    by_path = machine.link("by-path", "pci-0000:00:14.0-usb-0:2:1.0-port0", "ttyUSB0")
    (machine.roots.dev / "gauge").symlink_to("ttyUSB0")
    (port,) = machine.inventory().ports
    assert (port.by_id, port.by_path) == ((by_id,), (by_path,))
    assert port.links == (str(machine.roots.dev / "gauge"),)
    assert (port.best, port.caution) == (by_id, "")
    assert port.url == f"serial://{by_id}"
    assert port.adapter is not None
    assert (port.adapter.bus, port.adapter.hardware_id) == ("usb", "0403:6001")
    assert (port.adapter.manufacturer, port.adapter.product) == ("FTDI", "FT232R USB UART")
    assert (port.adapter.serial_number, port.adapter.location) == ("A5XK3RJT", "1-2:1.0")


def test_without_a_serial_number_the_socket_is_named(machine):
    machine.usb("ttyUSB0", "1-2", product="USB2.0-Serial")
    machine.link("by-id", "usb-1a86_USB2.0-Serial-if00-port0", "ttyUSB0")
    by_path = machine.link("by-path", "pci-0000:00:14.0-usb-0:2:1.0-port0", "ttyUSB0")
    machine.link("by-path", "pci-0000:00:14.0-usbv2-0:2:1.0-port0", "ttyUSB0")
    port = machine.port("ttyUSB0")
    assert port.best == by_path
    assert "no serial number" in port.caution


def test_of_two_adapters_that_say_the_same_each_is_named_by_its_socket(machine):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="0001")
    machine.usb("ttyUSB1", "1-2", **FTDI, serial="0001")
    machine.link("by-id", "usb-FTDI_FT232R_USB_UART_0001-if00-port0", "ttyUSB1")
    sockets = [
        machine.link("by-path", f"pci-usb-0:{socket}:1.0", name)
        for socket, name in ((1, "ttyUSB0"), (2, "ttyUSB1"))
    ]
    ports = machine.inventory().ports
    assert [port.best for port in ports] == sockets
    assert all("the same serial number" in port.caution for port in ports)


def test_two_ports_of_one_adapter_are_told_apart_by_their_ids(machine):
    for index in (0, 1):
        machine.usb(f"ttyUSB{index}", "1-1", index, **FTDI, serial="FT4")
    ids = [machine.link("by-id", f"usb-FTDI_FT4-if0{index}", f"ttyUSB{index}") for index in (0, 1)]
    assert [port.best for port in machine.inventory().ports] == ids


def test_the_plain_name_is_the_last_resort_and_said_to_change(machine):
    machine.usb("ttyACM0", "1-1", serial="X1")
    machine.terminal("ttyS0", "pnp0/00:05")
    assert machine.port("ttyACM0").best == str(machine.roots.dev / "ttyACM0")
    assert "whenever adapters are plugged in" in machine.port("ttyACM0").caution
    assert "may change" in machine.port("ttyS0").caution


def test_an_id_without_a_number_is_better_than_a_plain_name(machine):
    machine.usb("ttyUSB0", "1-1", product="Gauge")
    by_id = machine.link("by-id", "usb-Gauge-if00", "ttyUSB0")
    assert machine.port("ttyUSB0").best == by_id
    assert "another one like it" in machine.port("ttyUSB0").caution


def test_a_name_of_an_own_rule_is_better_than_a_plain_name(machine):
    machine.terminal("ttyS0", "pnp0/00:05")
    (machine.roots.dev / "gauge").symlink_to("ttyS0")
    assert machine.port("ttyS0").best == str(machine.roots.dev / "gauge")


def test_ports_without_hardware_are_left_out(machine):
    machine.terminal("tty1")
    machine.terminal("ttyS1", "platform/serial8250", type="0\n")
    machine.terminal("ttyS0", "pnp0/00:05", type="4\n", console="Y\n")
    (port,) = machine.inventory().ports
    assert port.path.endswith("/ttyS0")
    assert port.adapter is not None
    assert port.adapter.is_console
    for name in ("tty1", "ttyS1"):
        with pytest.raises(BadValue, match="without a serial port behind it"):
            machine.port(name)


def test_built_in_ports_and_cards_say_where_they_are(machine):
    pnp = machine.terminal("ttyS0", "pnp0/00:05/00:05:0/00:05:0.0")
    machine.bus(pnp, "serial-base")
    machine.bus(pnp.parents[1], "pnp")
    card = machine.terminal("ttyS4", "pci0000:00/0000:02:00.0")
    machine.bus(card, "pci")
    write(card, vendor="0x1415\n", device="0xc158\n")
    first, second = (port.adapter for port in machine.inventory().ports)
    assert first is not None
    assert second is not None
    assert (first.bus, first.location, first.hardware_id) == ("pnp", "00:05", "")
    assert (second.bus, second.location, second.hardware_id) == ("pci", "0000:02:00.0", "1415:c158")


def test_a_container_has_no_file_for_some_and_another_name_for_others(machine):
    machine.usb("ttyUSB7", "1-1", **FTDI, serial="A")
    machine.usb("ttyUSB8", "1-2", **FTDI, serial="B")
    (machine.roots.dev / "ttyUSB7").rename(machine.roots.dev / "ttyUSB0")
    (machine.roots.dev / "ttyUSB8").unlink()
    (port,) = machine.inventory().ports
    assert port.path.endswith("/ttyUSB0")
    assert port.adapter is not None
    assert port.adapter.serial_number == "A"


def test_ports_are_in_the_order_of_their_numbers(machine):
    for index in (10, 9, 0):
        machine.usb(f"ttyUSB{index}", f"1-{index}", serial=str(index))
    assert [port.path[-8:].strip("/") for port in machine.inventory().ports] == [
        "ttyUSB0",
        "ttyUSB9",
        "ttyUSB10",
    ]


def test_a_machine_of_which_nothing_can_be_seen_has_no_ports(tmp_path):
    nowhere = Roots(tmp_path / "dev", tmp_path / "sys", tmp_path / "proc")
    inventory = Inventory(nowhere)
    assert inventory.ports == []
    with pytest.raises(BadValue, match="this machine has no serial ports"):
        inventory.matching("ttyUSB0")
    node = node_at("/dev/null")
    assert node is not None
    assert find_holders([node], nowhere).of(node) == []
    assert not find_holders([node], nowhere).complete


def test_files_of_the_kernel_that_make_no_sense_are_passed_over(machine):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A")
    (says,) = machine.roots.sys.glob("devices/*/*/*/1-1/product")
    says.write_bytes(b"\xff\xfe\n")
    for name, text in (("ttyX", "what?"), ("ttyY", ""), ("ttyZ", "1:")):
        (machine.roots.sys / "class" / "tty" / name).mkdir()
        write(machine.roots.sys / "class" / "tty" / name, dev=text)
    machine.link("by-id", "usb-dangling", "ttyUSB9")
    (machine.roots.dev / "stdin").symlink_to("/proc/self/fd/0")
    assert len(machine.inventory().ports) == 1


@pytest.mark.parametrize(
    "pattern", ["ttyUSB0", "TTYusb*", "*/ttyUSB0", "usb-FTDI*", "FTDI", "*uart*", "A5*", "0403:*"]
)
def test_a_pattern_is_part_of_a_name_or_what_the_adapter_says(machine, pattern):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A5XK3RJT")
    machine.link("by-id", "usb-FTDI_FT232R-if00", "ttyUSB0")
    machine.terminal("ttyS0", "pnp0/00:05")
    assert [port.path[-7:] for port in machine.inventory().matching(pattern)] == ["ttyUSB0"]


def test_a_pattern_that_means_none_is_told_the_nearest_names(machine):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A")
    with pytest.raises(BadValue, match=r"ttyUSB1: .* did you mean 'ttyUSB0'\?"):
        machine.inventory().matching("ttyUSB1")


# --- paths ----------------------------------------------------------------------------------------


def test_a_path_is_described_by_the_port_that_it_leads_to(machine, tmp_path):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A")
    by_id = machine.link("by-id", "usb-A", "ttyUSB0")
    (tmp_path / "gauge").symlink_to(by_id)
    port = machine.inventory().at(str(tmp_path / "gauge"))
    assert (port.best, port.links) == (by_id, (str(tmp_path / "gauge"),))


def test_a_missing_path_is_told_the_nearest_names(machine):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A")
    with pytest.raises(BadValue, match=r"no such file or directory; did you mean '.*/ttyUSB0'\?"):
        machine.port("ttyUSB1")
    (machine.roots.dev / "gauge").symlink_to("ttyUSB1")
    with pytest.raises(BadValue, match=r"leads to .*/ttyUSB1, which is gone; did you mean '.*0'"):
        machine.port("gauge")


def test_a_path_to_something_else_is_told_what_it_is(machine, tmp_path):
    machine.usb("ttyUSB0", "1-1", **FTDI, serial="A")
    inventory = machine.inventory()
    (tmp_path / "file").touch()
    (tmp_path / "round").symlink_to("round")
    for name, what in {
        tmp_path / "file": "it is a file, and no device",
        machine.roots.dev: "it is a folder",
        Path("/dev/urandom"): "it is a device, but no serial port",
        tmp_path / "round": "symbolic links",
        tmp_path / "file" / "x": "not a directory",
        Path("/dev/a\0b"): "null byte",
    }.items():
        with pytest.raises(BadValue, match=what):
            inventory.at(str(name))


def test_a_pseudo_terminal_is_best_named_by_its_link(machine, terminal):
    link = terminal[1]
    port = machine.inventory().at(str(link))
    assert (port.path, port.best, port.caution) == (str(link.resolve()), str(link), "")
    port = machine.inventory().at(str(link.resolve()))
    assert "given out anew" in port.caution


def test_the_url_of_any_name_leads_back_to_it(machine, terminal):
    odd = terminal[1].with_name("a #1? 100% é\\x20")
    odd.symlink_to(terminal[1])
    url = machine.inventory().at(str(odd)).url
    assert url.isascii()
    port = port_for_url(url)
    port.open(time.monotonic() + 5)
    port.close()


# --- who has it -----------------------------------------------------------------------------------


def test_who_has_a_port_open_is_named_with_its_user_and_lock(machine):
    machine.usb("ttyUSB0", "1-1", serial="A")
    path = machine.roots.dev / "ttyUSB0"
    machine.process(42, "minicom", "minicom", "-D", "ttyUSB0", opened=str(path))
    machine.process(43, "markd", "markd", "cryo.toml", opened=str(path))
    machine.process(44, "bash", "bash")
    machine.locks(f"garbage\n{lock_line(path, 43)}{lock_line(path, 44, waits=True)}")
    node = machine.port("ttyUSB0").node
    found = find_holders([node], machine.roots)
    assert [str(holder) for holder in found.of(node)] == [
        "markd (process 43)",
        "minicom (process 42)",
    ]
    locked, other = found.of(node)
    assert (locked.locked, other.locked) == (True, False)
    assert (locked.uid, other.command) == (os.getuid(), "minicom -D ttyUSB0")
    assert [holder.pid for holder in lock_holders(node, machine.roots)] == [43]
    # No process 1 with files to look into: of others nothing is known.
    assert found.complete


def test_a_lock_names_its_process_though_its_files_are_not_seen(machine):
    machine.usb("ttyUSB0", "1-1", serial="A")
    machine.process(43, "markd")
    machine.locks(
        lock_line(machine.roots.dev / "ttyUSB0", 43)
        + lock_line(machine.roots.dev / "ttyUSB0", 99)  # it has ended
        + lock_line(machine.roots.dev / "ttyUSB0", 0)  # of another namespace
    )
    node = machine.port("ttyUSB0").node
    (holder,) = find_holders([node], machine.roots).of(node)
    assert (holder.pid, holder.locked, holder.command) == (43, True, "")


def test_a_lock_that_was_inherited_is_seen_too(machine):
    machine.usb("ttyUSB0", "1-1", serial="A")
    info = "lock:\t1: FLOCK  ADVISORY  WRITE 99 00:06:91 0 EOF\n"
    machine.process(43, "gauge", opened=str(machine.roots.dev / "ttyUSB0"), info=info)
    node = machine.port("ttyUSB0").node
    (holder,) = find_holders([node], machine.roots).of(node)
    assert holder.locked


def test_where_processes_of_others_are_hidden_the_search_is_not_complete(machine):
    machine.usb("ttyUSB0", "1-1", serial="A")
    (machine.roots.proc / "1").rmdir()
    machine.process(43, "bash")
    node = machine.port("ttyUSB0").node
    found = find_holders([node], machine.roots)
    assert found.of(node) == []
    assert not found.complete


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("/usr/bin/python3", "-u", "-m", "markd", "cryo.toml"), "python3 -m markd"),
        (("python3", "/home/me/gauge.py", "-m"), "python3 gauge.py"),
        (("python3", "-c", "import this"), "python3 -c"),
        (("python3",), "python3"),
        ((), "python3"),
    ],
)
def test_of_python_the_name_says_what_it_runs(machine, words, name):
    machine.usb("ttyUSB0", "1-1", serial="A")
    machine.process(43, "python3", *words, opened=str(machine.roots.dev / "ttyUSB0"))
    node = machine.port("ttyUSB0").node
    (holder,) = find_holders([node], machine.roots).of(node)
    assert holder.name == name


def test_both_ends_of_a_pseudo_terminal_are_seen(terminal):
    link = terminal[1]
    node = node_at(link)
    assert node is not None
    (maker,) = find_holders([node]).of(node)
    assert (maker.pid, maker.far_end) == (os.getpid(), True)
    host_end = os.open(link, os.O_RDWR | os.O_NOCTTY)
    try:  # a maker that holds both ends, to keep it alive, counts once
        assert find_holders([node]).of(node) == [maker]
        with running(["-c", holder(link)], ready="ready") as child:
            first, second = find_holders([node]).of(node)
            assert (first.pid, first.locked, first.far_end) == (child.pid, True, False)
            assert second == maker
            assert lock_holders(node) == [first]
    finally:
        os.close(host_end)


def test_of_a_process_of_another_user_the_lock_is_seen(terminal):
    """As root it is looked at as nobody; otherwise the lock is that of another process anyway."""
    with running(["-c", holder(terminal[1])], ready="ready") as child:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(terminal[1].resolve())],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            cwd=ROOT,
        )
        holders, complete = json.loads(done.stdout)
        assert [child.pid, os.getuid(), True] in holders
        assert complete is False or os.geteuid() != 0


# --- what errors say of it ------------------------------------------------------------------------


def opening(path: object) -> str:
    with pytest.raises(DeviceLost) as caught:
        SerialPort(str(path)).open(time.monotonic() + 5)
    return str(caught.value)


def test_a_port_in_use_names_who_has_it(terminal):
    with running(["-c", holder(terminal[1])], ready="ready") as child:
        assert opening(terminal[1]) == (
            f"cannot open {terminal[1]}: it is in use by another program: "
            f"{Path(sys.executable).name} -c (process {child.pid})"
        )


def test_a_port_that_this_process_has_itself_says_so(terminal):
    port = SerialPort(str(terminal[1]))
    port.open(time.monotonic() + 5)
    assert "in use by this process itself" in opening(terminal[1].resolve())
    port.close()


def test_a_port_that_was_taken_without_a_lock_names_who_has_it_open(terminal):
    # Root may open what others have made their own (TIOCEXCL), so the error is made here.
    busy = OSError(errno.EBUSY, "busy")
    shown = f"another program (as root, mark ports {terminal[1]} shows which)"
    assert why_not_open(str(terminal[1]), busy) == f"it is in use by {shown}"
    with running(["-c", holder(terminal[1]).replace("True)", "False)")], ready="ready") as child:
        assert f"-c (process {child.pid})" in why_not_open(str(terminal[1]), busy)


def test_a_missing_port_names_the_nearest_that_exist(terminal):
    link = terminal[1]
    near = opening(link.with_name("td"))
    assert near.startswith(f"cannot open {link.with_name('td')}: no such file or directory; ")
    assert f"did you mean '{link}'" in near


def test_a_link_whose_end_is_gone_says_where_it_led(tmp_path):
    (tmp_path / "tc").symlink_to("/dev/pts/987654")
    (tmp_path / "gauge").symlink_to(tmp_path / "nothing")
    assert "it leads to /dev/pts/987654, which is gone: a pseudo-terminal" in opening(
        tmp_path / "tc"
    )
    assert f"it leads to {tmp_path / 'nothing'}, which is gone; " in opening(tmp_path / "gauge")
