"""``marksim FILE.toml`` as a real process, and software of others that talks to what it serves."""

from __future__ import annotations

import json
import signal
import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pyvisa
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from tests._support import Child, free_tcp_port, run_cli, running, wait_until

ROOT = Path(__file__).resolve().parents[2]
Serve = Callable[..., dict[str, dict[str, Any]]]

HEAD = 'store = "lab"\nalias = "hw"\n'


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Run ``marksim`` on a file with this text; give what it announces, by controller."""
    with ExitStack() as stack:

        def served(text: str, *options: str) -> dict[str, dict[str, Any]]:
            file = tmp_path / "lab.toml"
            file.write_text(HEAD + text)
            count = text.count("[controllers.")
            argv = ["marksim", str(file), *options]
            child = stack.enter_context(
                running(argv, ready=lambda child: len(announced(child)) == count)
            )
            return {each["controller"]: each for each in announced(child)}

        yield served


def announced(child: Child) -> list[dict[str, Any]]:
    whole = child.stdout_text.rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


class Host:
    """A plain socket."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        assert where.hostname == "127.0.0.1"
        self._socket = socket.create_connection((where.hostname, where.port or 0), timeout=30)
        self._lines = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> bytes:
        return self._lines.readline()

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        return self.read()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def ctl(ready: dict[str, Any], *words: str) -> str:
    done = run_cli("marksim", "ctl", ready["control"], *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- several controllers -------------------------------------------------------------------------

SEVERAL = """
[controllers.tc]
driver = "lakeshore336"
url = "serial:///dev/ttyS1?baud=9600"

[controllers.psu]
driver = "rigol_dp832"
url = "visa://TCPIP::192.0.2.7::INSTR"

[controllers.remote]
driver = "julabo"
url = "rfc2217://192.0.2.8:4001?baud=9600"

[controllers.Gauge]
driver = "text"
url = "socket://192.0.2.9:4001?baud=57600"

[controllers.meter]
driver = "text"
url = "visa://TCPIP::192.0.2.10::5025::SOCKET"

[controllers.scope]
driver = "text"
url = "visa://TCPIP::192.0.2.11::hislip0::INSTR"

[controllers.io]
driver = "modbus"
url = "modbus+rtu+tcp://192.0.2.12:4001?baud=57600&unit=9"

[controllers.plc]
driver = "wago_750_352"
url = "modbus+tcp://192.0.2.13"

[items.pressure]
controller = "gauge"
ask = "PR1"
simulate = 3.5

[items.volts]
controller = "meter"
ask = "READ?"
simulate = -12.5

[items.time_base]
controller = "scope"
ask = "TB?"
simulate = 0.001

[items.flow]
controller = "io"
register = {table = "input", address = 4, type = "float32"}
simulate = 12.5
"""


def test_each_controller_is_served_the_way_its_url_says(serve: Serve) -> None:
    ready = serve(SEVERAL)
    schemes = {name: each["url"].partition("://")[0] for name, each in ready.items()}
    assert schemes == {
        "tc": "serial",
        "psu": "visa",
        "remote": "tcp",
        "gauge": "tcp",
        "meter": "visa",
        "scope": "visa",
        "io": "modbus+rtu+tcp",
        "plc": "modbus+tcp",
    }
    assert "?baud=9600&" in ready["tc"]["url"]
    assert list(ready["psu"]["urls"]) == ["vxi11"]
    assert list(ready["meter"]["urls"]) == ["visa"]
    assert list(ready["scope"]["urls"]) == ["hislip"]
    assert ready["io"]["url"].endswith("?unit=9")
    assert len({each["control"] for each in ready.values()}) == len(ready)
    with closing(Host(ready["gauge"]["url"])) as host:
        assert host.ask(b"PR1\r\n") == b"3.5\r\n"
    assert ctl(ready["gauge"], "get", "pressure") == "pressure=3.5\n"
    assert "mount_k=" in ctl(ready["tc"], "get", "mount_k")


def test_pyvisa_reads_what_a_file_describes_over_a_socket_and_over_hislip(serve: Serve) -> None:
    ready = serve(SEVERAL)
    with closing(pyvisa.ResourceManager("@py")) as manager:
        for name, question, value in (("meter", "READ?", -12.5), ("scope", "TB?", 0.001)):
            resource = ready[name]["url"].removeprefix("visa://")
            with manager.open_resource(
                resource, read_termination="\r\n", write_termination="\r\n", timeout=5000
            ) as instrument:
                assert float(instrument.query(question)) == value  # type: ignore[attr-defined]


def three_free_ports() -> int:
    """Return the first of three."""
    while True:
        first = free_tcp_port()
        with ExitStack() as stack:
            try:
                for port in range(first, first + 3):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return first


THREE = """
[controllers.a]
driver = "text"
url = "tcp://192.0.2.1:1"

[controllers.b]
driver = "lakeshore336"
url = "tcp://192.0.2.2:7777"

[controllers.c]
driver = "text"
url = "tcp://192.0.2.3:1"
"""


def test_control_ports_follow_the_one_that_is_given(serve: Serve) -> None:
    first = three_free_ports()
    ready = serve(THREE, "--control", f"127.0.0.1:{first}", "--time-factor", "0", "--seed", "7")
    ports = [int(each["control"].rpartition(":")[2]) for each in ready.values()]
    assert ports == [first, first + 1, first + 2]
    assert "factor=0.0" in ctl(ready["b"], "status")


def test_a_signal_stops_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + THREE)
    with running(["marksim", str(file)], ready=r'"controller": "c"') as child:
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0
        assert "marksim: a, b, c stopped" in child.stderr_text


# -- one line for several ------------------------------------------------------------------------

BUS = """
[controllers.one]
driver = "watlow_f4"
url = "modbus+rtu:///dev/ttyS7?unit=1"

[controllers.two]
driver = "watlow_f4"
url = "modbus+rtu:///dev/ttyS7?unit=2"

[controllers.io]
driver = "modbus"
url = "modbus+rtu:///dev/ttyS7?parity=none&unit=9"

[items.flow]
controller = "io"
register = {table = "holding", address = 4}
simulate = 77
"""


def test_pymodbus_finds_three_units_on_one_line(serve: Serve) -> None:
    ready = serve(BUS, "--time-factor", "0")
    places = {urlsplit(each["url"]).path for each in ready.values()}
    assert len(places) == 1
    assert [each["url"].rpartition("=")[2] for each in ready.values()] == ["1", "2", "9"]
    assert len({each["control"] for each in ready.values()}) == 1
    with closing(ModbusSerialClient(places.pop(), baudrate=19_200, timeout=10, retries=0)) as host:
        assert host.connect()

        def read(unit: int, address: int) -> int:
            found = host.read_holding_registers(address, count=1, device_id=unit)
            return int(found.registers[0])

        assert (read(1, 300), read(2, 300), read(9, 4)) == (230, 230, 77)
        ctl(ready["two"], "set", "unit2.chamber_c=50", "unit9.flow=78")
        assert (read(1, 300), read(9, 4)) == (230, 78)
        ctl(ready["io"], "fault", "dead-unit", "unit=2")
        host.comm_params.timeout_connect = 0.3
        with pytest.raises(ModbusIOException):
            read(2, 300)
        host.comm_params.timeout_connect = 10
        assert read(9, 4) == 78


PUMPS = r"""
[controllers.roughing]
driver = "text"
url = "tcp://192.0.2.5:4001?unit=3"
terminator = "\r"
checksum = "sum8-dec"
refused = "{unit:03d} NO"

[controllers.turbo]
driver = "text"
url = "tcp://192.0.2.5:4001?unit=12"
terminator = "\r"
checksum = "sum8-dec"
refused = "{unit:03d} NO"

[items.roughing_speed]
controller = "roughing"
ask = "{unit:03d} SPEED?"
reply = "{unit:03d} {value:d}"
simulate = 50

[items.turbo_speed]
controller = "turbo"
ask = "{unit:03d} SPEED?"
tell = "{unit:03d} SPEED {value:d}"
ack = "{unit:03d} OK"
reply = "{unit:03d} {value:d}"
simulate = 1000
"""


def summed(text: bytes) -> bytes:
    return text + b"%03d\r" % (sum(text) % 256)


def test_units_of_a_text_line_answer_for_themselves_alone(serve: Serve) -> None:
    ready = serve(PUMPS)
    assert ready["turbo"]["url"].endswith("?unit=12")
    where = urlsplit(ready["turbo"]["url"])
    assert urlsplit(ready["roughing"]["url"]).netloc == where.netloc
    with socket.create_connection((where.hostname, where.port), timeout=30) as host:

        def answer(to: bytes) -> bytes:
            host.sendall(to)
            came = b""
            while not came.endswith(b"\r"):
                came += host.recv(100)
            return came

        assert answer(summed(b"003 SPEED?")) == summed(b"003 50")
        assert answer(summed(b"012 SPEED?")) == summed(b"012 1000")
        assert answer(summed(b"012 SPEED 500")) == summed(b"012 OK")
        assert answer(summed(b"012 SPED?")) == summed(b"012 NO")
        # There is no unit 7, and a wrong sum is for nobody: the next answer is to the next message.
        unanswered = summed(b"007 SPEED?") + b"003 SPEED?000\r"
        assert answer(unanswered + summed(b"012 SPEED?")) == summed(b"012 500")


# -- protocols as data ---------------------------------------------------------------------------

DESCRIBED = r"""
[controllers.gauge]
driver = "./gauge.toml"
url = "tcp://192.0.2.1:4001"
refused = "WHAT"

[controllers.plc]
driver = "modbus"
url = "modbus+tcp://192.0.2.2?unit=5"
numbering = "modicon"
holes = {holding = [[40003, 40003]]}
identify = {address = 40101, value = 352}

[items.p]
channel = "gauge.pressure"
simulate = 2.5e-3

[items.range_of_it]
controller = "gauge"
ask = "RG?"
tell = "RG {value}"
ack = "OK"
type = "enumerated"
enumerators = {0 = "Low", 1 = "High"}
values = {LO = "Low", HI = "High"}
simulate = "High"

[items.temperature]
controller = "plc"
register = {address = 30001, type = "int16", scale = 0.1, invalid = 32767}
simulate = -3.2

[items.speed]
controller = "plc"
register = {address = 40001, type = "float32", words = "little"}
settable = true
range = [0, 100]
simulate = 12.5

[items.after_the_hole]
controller = "plc"
register = {address = 40004}
simulate = 4

[items.lamp]
controller = "plc"
register = {address = 7}
settable = true
"""
GAUGE = r"""driver = "text"
terminator = "\r\n"
refused = "NO"
identify = {ask = "*IDN?", reply = "ACME,VG-[12],.*"}

[channels.pressure]
ask = "PR1"
reply = "{status:d},{value:e}"
valid = {status = 0}
simulate = 1

[channels.setpoint]
ask = "SP?"
tell = "SP {value:.2f}"
range = [0, 10]

[channels.alarm]
heard = "!ALARM {value:d}"
simulate = 3
"""


@pytest.fixture
def described(serve: Serve, tmp_path: Path) -> dict[str, dict[str, Any]]:
    (tmp_path / "gauge.toml").write_text(GAUGE)
    return serve(DESCRIBED, "--time-factor", "0")


def test_a_driver_file_is_served_with_what_the_instrument_file_says_otherwise(
    described: dict[str, dict[str, Any]],
) -> None:
    assert ctl(described["gauge"], "get", "pressure") == "pressure=0.0025\n"
    with closing(Host(described["gauge"]["url"])) as host:
        assert host.ask(b"RG?\r\n") == b"HI\r\n"
        status, value = host.ask(b"PR1\r\n").split(b",")
        assert (int(status), float(value)) == (0, 2.5e-3)
        assert host.ask(b"*IDN?\r\n").startswith(b"ACME,VG-1,")
        assert host.ask(b"RG LO\r\n") == b"OK\r\n"
        assert host.ask(b"RG?\r\n") == b"LO\r\n"
        assert host.ask(b"RG MID\r\n") == b"WHAT\r\n"
        host.send(b"SP 5.25\r\n")
        assert float(host.ask(b"SP?\r\n")) == 5.25
        assert host.ask(b"SP 11\r\n") == b"WHAT\r\n"
        assert host.ask(b"nonsense\r\n") == b"WHAT\r\n"
    ctl(described["gauge"], "set", "invalid.pressure=1")
    with closing(Host(described["gauge"]["url"])) as host:
        assert not host.ask(b"PR1\r\n").startswith(b"0,")


def test_what_a_device_says_unasked_comes_by_itself_and_when_it_changes(
    described: dict[str, dict[str, Any]],
) -> None:
    with closing(Host(described["gauge"]["url"])) as host:
        ctl(described["gauge"], "time", "1")
        assert host.read() == b"!ALARM 3\r\n"
        assert host.read() == b"!ALARM 3\r\n"
        ctl(described["gauge"], "time", "stop")
        ctl(described["gauge"], "set", "alarm=4")
        while (line := host.read()) == b"!ALARM 3\r\n":
            continue
        assert line == b"!ALARM 4\r\n"
        ctl(described["gauge"], "fault", "garbage")
        ctl(described["gauge"], "set", "alarm=5")
        line = host.read()
        assert line != b"!ALARM 5\r\n"
        assert line.endswith(b"\r\n")


def test_pymodbus_reads_and_writes_what_a_file_describes(
    described: dict[str, dict[str, Any]],
) -> None:
    where = urlsplit(described["plc"]["url"])
    client = ModbusTcpClient(str(where.hostname), port=where.port or 0, timeout=10, retries=0)
    with closing(client) as host:
        assert host.connect()

        def float_at(address: int) -> float:
            words = host.read_holding_registers(address, count=2, device_id=5).registers
            found = host.convert_from_registers(words, host.DATATYPE.FLOAT32, word_order="little")
            assert isinstance(found, float)
            return found

        assert host.read_input_registers(0, count=1, device_id=5).registers == [65536 - 32]
        assert float_at(0) == 12.5
        words = host.convert_to_registers(75.5, host.DATATYPE.FLOAT32, word_order="little")
        assert not host.write_registers(0, words, device_id=5).isError()
        assert float_at(0) == 75.5
        too_much = host.convert_to_registers(101.0, host.DATATYPE.FLOAT32, word_order="little")
        assert host.write_registers(0, too_much, device_id=5).exception_code == 3
        assert float_at(0) == 75.5
        assert host.read_holding_registers(2, count=1, device_id=5).exception_code == 2
        assert host.read_holding_registers(0, count=4, device_id=5).exception_code == 2
        assert host.read_holding_registers(3, count=1, device_id=5).registers == [4]
        assert host.read_holding_registers(100, count=1, device_id=5).registers == [352]
        assert host.read_coils(6, count=1, device_id=5).bits[0] is False
        assert not host.write_coil(6, True, device_id=5).isError()
        assert host.read_coils(6, count=1, device_id=5).bits[0] is True
        ctl(described["plc"], "set", "invalid.temperature=1", "lamp=0")
        assert host.read_input_registers(0, count=1, device_id=5).registers == [32767]
        assert host.read_coils(6, count=1, device_id=5).bits[0] is False


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_example_is_served(path: Path) -> None:
    controllers = len(tomllib.loads(path.read_text())["controllers"])
    with running(
        ["marksim", str(path)], ready=lambda child: len(announced(child)) == controllers
    ) as child:
        assert "is not simulated" not in child.stderr_text


# -- what cannot be ------------------------------------------------------------------------------


def test_controllers_without_a_twin_are_named_and_the_others_served(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + '[controllers.x]\ndriver = "our.lab:Thing"\nurl = "tcp://h:1"\n' + THREE)
    with running(["marksim", str(file)], ready=r'"controller": "c"') as child:
        assert len(announced(child)) == 3
        assert "controller x is not simulated: driver our.lab:Thing has no" in child.stderr_text
        assert ", text, modbus and driver files have" in child.stderr_text


def test_a_control_port_in_use_is_named_and_nothing_is_left_running(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + THREE)
    first = three_free_ports()
    with socket.create_server(("127.0.0.1", first + 2)):
        done = run_cli("marksim", str(file), "--control", f"127.0.0.1:{first}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"127.0.0.1:{first + 2}" in done.stderr


TEXT = '[controllers.g]\ndriver = "text"\nurl = "tcp://h:1"\n'
MODBUS = '[controllers.m]\ndriver = "modbus"\nurl = "modbus+tcp://h?unit=1"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lab.toml: has no [controllers.NAME]"),
        ("[controllers.g\n", "lab.toml, line 3: is not TOML"),
        ("controllers = 3\n", "line 3: controllers: must be tables"),
        ('[controllers]\ng = "text"\n', "line 4: controllers.g: must be a table"),
        ('[controllers.g]\nurl = "tcp://h:1"\n', "line 3: controllers.g: 'driver' is missing"),
        (
            '[controllers.g]\ndriver = "text"\nurl = "tpc://h"\n',
            "line 5: controllers.g.url: no kind of URL named 'tpc' (did you mean tcp?)",
        ),
        ('[controllers.g]\ndriver = "text"\nurl = "h:1"\n', "line 5: controllers.g.url: 'h:1' is"),
        (TEXT.replace("h:1", "h:1?unit=x"), "line 5: controllers.g.url: unit must be a number"),
        (TEXT.replace("text", "gone.toml"), "line 4: controllers.g.driver: gone.toml: cannot be"),
        (
            '[controllers.t]\ndriver = "lakeshore336"\nurl = "tcp://h:1?unit=2"\n',
            "line 5: controllers.t.url: lakeshore336 has no address",
        ),
        (
            '[controllers.x]\ndriver = "our.lab:Thing"\nurl = "tcp://h:1"\n',
            "none of its controllers has a simulator",
        ),
        (TEXT + 'refused = "("\n', "line 6: controllers.g.refused: '(' is no regular expression"),
        (TEXT + "identify = 3\n", "line 6: controllers.g.identify: must be a table of texts"),
        (TEXT + '[items.p]\ncontroller = "g"\nask = 3\n', "line 8: items.p.ask: must be a text"),
        (
            TEXT + '[items.p]\ncontroller = "g"\nask = "P"\nreply = "{value:q}"\n',
            "line 9: items.p.reply: the field {value:q} is of an unknown kind",
        ),
        (
            TEXT + '[items.p]\ncontroller = "g"\nask = "P"\nsimulate = "high"\ntype = "numeric"\n',
            "line 9: items.p.simulate: 'high'",
        ),
        (MODBUS + '[items.p]\ncontroller = "m"\nask = "P"\n', "line 6: items.p.register: an item"),
        (
            MODBUS + '[items.p]\ncontroller = "m"\nregister = {table = "input"}\n',
            "line 8: items.p.register: its address must be a whole number",
        ),
        (MODBUS + "holes = [1]\n", "line 6: controllers.m.holes: must be spans"),
        (
            MODBUS + MODBUS.replace(".m", ".n"),
            "line 8: controllers.n.url: leads to the same place as that of m",
        ),
        (
            MODBUS + TEXT.replace("tcp://h:1", "modbus+tcp://h:502?unit=2"),
            "line 5: controllers.m.url: m, g cannot share a line",
        ),
    ],
)
def test_a_bad_file_is_one_line_that_says_where(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + text)
    done = run_cli("marksim", str(file))
    assert done.returncode == 1
    assert done.stdout == ""
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith(f"marksim: {file}"), last
    assert says in last
    assert "Traceback" not in done.stderr


def test_a_problem_of_a_driver_file_is_told_with_its_name_and_line(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(HEAD + TEXT.replace("text", "./gauge.toml"))
    (tmp_path / "gauge.toml").write_text('driver = "text"\n[channels.p]\nask = "P"\nscale = 0\n')
    done = run_cli("marksim", str(tmp_path / "lab.toml"))
    assert done.returncode == 1
    assert "./gauge.toml, line 4: channels.p.scale: must be a number other than 0" in done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [("gone.toml", "cannot be read"), ("gauge.toml", "is a driver file"), ("lab.txt", "no model")],
)
def test_what_is_no_instrument_file_is_told_as_such(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "gauge.toml").write_text(GAUGE)
    done = run_cli("marksim", str(tmp_path / name))
    assert done.returncode == (2 if name == "lab.txt" else 1)
    assert says in done.stderr


def test_markd_says_what_of_a_file_cannot_be_simulated(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    hard = r'identify = {ask = "ID?", reply = "(?=A)A(?<=A)1"}' + "\n"
    file.write_text(f'{HEAD}{TEXT}{hard}[items.p]\ncontroller = "g"\nask = "P"\n')
    assert run_cli("markd", str(file), "--check").returncode == 0
    done = run_cli("markd", str(file), "--simulate")
    assert done.returncode == 2
    assert f"cannot be simulated: {file}, line 6: controllers.g.identify" in done.stderr


def test_markd_leaves_a_controller_alone_that_is_given_another_url(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(HEAD + BUS)
    argv = ["markd", str(file), "--simulate", "--url", "io=modbus+rtu+tcp://127.0.0.1:1?unit=9"]
    with running(argv, ready="on the air") as child:
        wait_until(lambda: child.stderr_text.count(": up") == 2, what="two units to be up")
        assert child.stderr_text.count("is simulated at") == 2
