"""The tests' own tools: they must report what is wrong, or no other test means much."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drivers.watlow_f4 import WatlowF4
from mktl import config, errors
from tests._support import (
    Child,
    free_tcp_port,
    free_udp_port,
    leaks,
    process_alive,
    run_cli,
    running,
    wait_until,
)
from tests._support.state import State

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
time.sleep(60)
"""
LEAVES_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid)
"""
QUIET = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
WAITS = "import time; print('ready'); time.sleep(60)"


def test_wait_until_returns_the_first_true_result():
    results = iter([0, "", None, "done"])
    assert wait_until(lambda: next(results)) == "done"


def test_wait_until_says_what_did_not_happen_and_what_was_last_seen():
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: valve open \(last result: \[\]"):
        wait_until(list, 0.05, "valve open")


def test_wait_until_takes_a_failed_assert_as_not_yet():
    tries = []

    def third_time_lucky():
        tries.append(1)
        assert len(tries) == 3, "too early"
        return True

    assert wait_until(third_time_lucky)
    with pytest.raises(AssertionError, match="AssertionError: too early"):
        wait_until(third_time_lucky, 0.05)


def test_wait_until_does_not_hide_other_errors():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)


def test_ports_handed_out_are_free_and_never_the_same():
    tcp = [free_tcp_port() for _ in range(20)]
    udp = [free_udp_port() for _ in range(20)]
    assert len({*tcp, *udp}) == 40
    with socket.create_server(("127.0.0.1", tcp[0])) as server:
        assert server.getsockname()[1] == tcp[0]


def test_each_test_has_a_home_and_discovery_ports_of_its_own(mktl_home):
    assert os.environ["MKTL_HOME"] == str(mktl_home)
    assert os.environ["MKTL_REGISTRY_PORT"] != os.environ["MKTL_DISCOVERY_PORT"]
    assert os.environ["MKTL_BIND"] == "127.0.0.1"
    code = "import os; print(os.environ['MKTL_HOME'])"
    assert run_cli("-c", code).stdout.strip() == str(mktl_home)


def test_a_broadcast_of_the_test_network_arrives_on_this_machine():
    port = free_udp_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller,
    ):
        listener.bind(("", port))
        listener.settimeout(5)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        caller.sendto(b"anybody?", (os.environ["MKTL_BROADCAST"], port))
        assert listener.recv(100) == b"anybody?"


def test_a_child_is_ready_when_it_says_so_and_gone_afterwards():
    with running(["-c", WAITS], ready="^ready$") as child:
        assert child.returncode is None
        wait_until(lambda: child.stdout_text == "ready\n")  # which may come in two pieces
    assert child.returncode == -signal.SIGTERM
    assert not process_alive(child.pid)


def test_a_child_can_be_ready_by_a_predicate():
    def has_printed(child: Child) -> bool:
        return "ready" in child.stdout_text

    with running(["-c", WAITS], ready=has_printed, env={"EXTRA": "1"}) as child:
        child.send_signal(signal.SIGINT)
        assert child.wait() != 0
        assert "KeyboardInterrupt" in child.stderr_text


def test_a_child_that_ends_before_it_is_ready_fails_with_its_status(capfd):
    with (
        pytest.raises(AssertionError, match="ended with status 3 without printing 'ready'"),
        running(["-c", "import sys; print('no luck'); sys.exit(3)"], ready="ready"),
    ):
        pass
    assert "no luck" in capfd.readouterr().err


def test_a_child_that_never_becomes_ready_fails_and_is_stopped():
    with (
        pytest.raises(AssertionError, match=r"not within 0\.2 s: 'never'"),
        running(["-c", WAITS], ready="never", timeout_s=0.2),
    ):
        pass


def test_a_child_that_ignores_sigterm_is_killed_and_reported():
    with (
        pytest.raises(AssertionError, match=r"did not stop within 0\.2 s of SIGTERM"),
        running(["-c", IGNORES_SIGTERM], ready="ready", stop_timeout_s=0.2) as child,
    ):
        pass
    assert not process_alive(child.pid)


def test_a_child_that_leaves_processes_behind_is_reported_and_they_are_killed():
    code = LEAVES_A_CHILD.replace("])", f"], {QUIET})")
    with (
        pytest.raises(AssertionError, match="left processes behind"),
        running(["-c", code], ready="child") as child,
    ):
        grandchild = int(child.wait_for(r"child (\d+)").group(1))
    wait_until(lambda: not process_alive(grandchild), what="the grandchild ends")


def test_a_failure_in_the_block_is_not_hidden_by_the_end_of_the_child():
    with (
        pytest.raises(ZeroDivisionError),
        running(["-c", IGNORES_SIGTERM], ready="ready", stop_timeout_s=0.2),
    ):
        _ = 1 / 0


def test_run_cli_returns_status_and_both_outputs():
    done = run_cli("-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)")
    assert (done.returncode, done.stdout, done.stderr) == (4, "out\n", "err\n")


def test_run_cli_kills_what_takes_too_long():
    with pytest.raises(AssertionError, match=r"still running after 0\.5 s"):
        run_cli("-c", WAITS, timeout_s=0.5)


def test_a_leaked_thread_is_named():
    before = leaks.Snapshot()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()
    try:
        assert "thread 'forgotten'" in before.leaked(grace_s=0.05)[0]
    finally:
        release.set()
        thread.join()
    assert before.leaked() == []


def test_a_thread_that_ends_within_the_grace_is_no_leak():
    before = leaks.Snapshot()
    timer = threading.Timer(0.2, lambda: None)
    timer.start()
    assert before.leaked() == []


def test_a_leaked_child_is_described_and_killed():
    before = leaks.Snapshot()
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.DEVNULL) as child:
        leaked = before.leaked(grace_s=0.05)
        assert len(leaked) == 1
        assert f"child process {child.pid} (" in leaked[0]
        wait_until(lambda: not process_alive(child.pid))
    assert before.leaked() == []


def test_an_orphan_of_a_child_is_found_too():
    before = leaks.Snapshot()
    code = LEAVES_A_CHILD.replace("])", f"], start_new_session=True, {QUIET})")
    orphan = int(run_cli("-c", code).stdout.split()[1])
    leaked = before.leaked(grace_s=0.05)
    assert str(orphan) in leaked[0]
    wait_until(lambda: not process_alive(orphan))


def test_a_place_that_a_controller_still_holds_is_named_and_given_up():
    before = State()
    forgotten = WatlowF4("modbus+rtu:///dev/null?unit=3")
    opened = WatlowF4.open("modbus+tcp://127.0.0.1:1")
    assert before.changes() == [
        "tcp://127.0.0.1:1?unit=1 is still held by a controller: close it (drivers.base.OPEN)",
        "serial:///dev/null is still held by a controller: close it (drivers._bus.BUSES)",
        "tcp://127.0.0.1:1 is still held by a controller: close it (drivers._bus.BUSES)",
    ]
    assert before.changes() == []
    forgotten.close()
    opened.close()


def test_what_a_test_leaves_otherwise_in_the_process_is_named(monkeypatch, tmp_path):
    before = State()
    assert before.changes() == []
    with monkeypatch.context() as here:
        here.setattr(config, "_home", tmp_path)
        here.setitem(errors._BY_WIRE_TYPE, "Toasted", errors.MktlError)
        here.setenv("LEFT_BEHIND", "1")
        here.chdir(tmp_path)
        logging.getLogger("drivers.link").setLevel("DEBUG")
        handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        found = "\n".join(before.changes())
        signal.signal(signal.SIGTERM, handler)
        logging.getLogger("drivers.link").setLevel("NOTSET")
    assert f"mktl.config._home is PosixPath('{tmp_path}'), and was None" in found
    assert "mktl.errors._BY_WIRE_TYPE is " in found
    assert "the environment is " in found
    assert f"the working directory is '{tmp_path}'" in found
    assert "loggers of ours is {'drivers.link': (10," in found
    assert "the handler of SIGTERM is " in found
    assert before.changes() == []


LEAKY = """
import threading, pytest
from drivers.watlow_f4 import WatlowF4
from hypothesis import given, strategies

@given(strategies.integers())
def test_hypothesis_accepts_the_fixtures(number):
    assert isinstance(number, int)

@pytest.fixture
def release():
    event = threading.Event()
    yield event

def test_leaks(release):
    threading.Thread(target=release.wait, name="stray", daemon=True).start()

def test_holds():
    WatlowF4("modbus+rtu:///dev/null")

def test_thread_dies():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
"""


@pytest.mark.timeout(120)
def test_the_session_fails_on_a_stray_thread_and_on_an_exception_in_a_thread(tmp_path):
    root = Path(__file__).resolve().parents[2]
    leaky = tmp_path / "leaky"  # not "tests", which would stand before the package of that name
    leaky.mkdir()
    (leaky / "conftest.py").write_text((root / "tests" / "conftest.py").read_text())
    (leaky / "test_leaky.py").write_text(LEAKY)
    options = ["-c", root / "pyproject.toml", "--rootdir", tmp_path, "-p", "no:randomly", "-q"]
    path = {"PYTHONPATH": str(root)}
    done = run_cli("-m", "pytest", *options, leaky, env=path, cwd=tmp_path, timeout_s=100)
    assert done.returncode == 1
    assert "thread 'stray', now at:" in done.stdout
    assert "PytestUnhandledThreadExceptionWarning" in done.stdout
    assert "serial:///dev/null is still held by a controller" in done.stdout
    assert "1 failed, 3 passed, 2 errors" in done.stdout
