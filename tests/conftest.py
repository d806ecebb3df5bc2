"""Every test is alone on its network and in its home, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import mktl
from tests._support import free_udp_port, leaks, ports
from tests._support.state import State

# How fast the machine is decides no test; a test that hangs meets the timeout of pytest.
hypothesis.settings.register_profile(
    "any-speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-speed")

# A shell has what runs in its background ignore Ctrl-C, and whatever that starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# More than caches of the libraries need, less than one descriptor a test.
FILES_SLACK = 60


@pytest.fixture(scope="session", autouse=True)
def _no_leaked_files() -> Iterator[None]:
    leaks.adopt_orphans()
    before = leaks.open_files()
    yield
    after = leaks.open_files()
    if after > before + FILES_SLACK:
        pytest.fail(f"{after} files are open at the end of the tests, {before} at their begin")


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose threads, child processes or open places outlive it.

    So does what it has changed in this process: another test would find it, in another order.
    """
    before, state = leaks.Snapshot(), State()
    yield
    leaked = state.changes()
    if not request.node.get_closest_marker("leaks_threads"):
        leaked += before.leaked()
    if leaked:
        pytest.fail("left behind by this test:\n" + "\n".join(leaked), pytrace=False)


@pytest.fixture(autouse=True)
def _isolated(
    _nothing_left_behind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give the test, and the processes that it starts, a home and discovery ports of their own."""
    for name in [name for name in os.environ if name.startswith("MKTL_")]:
        monkeypatch.delenv(name)
    # Where the commands are installed, for tests that have a shell look for them.
    commands = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ.get('PATH', '')}")
    registry_port, discovery_port = free_udp_port(), free_udp_port()
    monkeypatch.setenv("MKTL_HOME", str(tmp_path / "mktl-home"))
    monkeypatch.setenv("MKTL_BIND", "127.0.0.1")
    monkeypatch.setenv("MKTL_BROADCAST", "127.255.255.255")
    monkeypatch.setenv("MKTL_REGISTRY_PORT", str(registry_port))
    monkeypatch.setenv("MKTL_DISCOVERY_PORT", str(discovery_port))
    # Far from where others look: a daemon that is restarted must find its port still free.
    monkeypatch.setenv("MKTL_FIRST_PORT", str(10150 + (37 * discovery_port + os.getpid()) % 3400))
    yield
    mktl.close()
    ports.release_all()


@pytest.fixture
def mktl_home(tmp_path: Path) -> Path:
    """The home of this test, where ``MKTL_HOME`` points. Not there until somebody makes it."""
    return tmp_path / "mktl-home"
