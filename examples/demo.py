"""``make demo``: a simulated cryostat with real processes, shown by the commands one would type.

A simulator of a Lake Shore 336 listens on a port, ``markd`` runs ``examples/cryostat.toml`` against
it, ``markregistryd`` tells clients where it is. With ``--tour`` it ends by itself, with exit code 0
only if every step did what it should.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMANDS = Path(sys.executable).parent
TIME_FACTOR = 10
"""How much faster than a real one the simulated cryostat warms up and cools down."""


class StepFailed(Exception):
    """A step of the tour did not do what it should."""


class Demo:
    """The processes of the demo, and the commands that are typed at them."""

    def __init__(self, *, tour: bool) -> None:
        self.tour = tour
        self.directory = Path(tempfile.mkdtemp(prefix="mktl-demo-"))
        self.children: list[tuple[str, subprocess.Popen[bytes]]] = []
        # On this host alone, with files and ports of its own: there may be a real cryostat.
        self.settings = {
            "MKTL_HOME": str(self.directory / "home"),
            "MKTL_BIND": "127.0.0.1",
            "MKTL_BROADCAST": "127.255.255.255",
            "PATH": f"{COMMANDS}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        self.settings.update(free_ports())
        self.environment = {**os.environ, **self.settings, "PYTHONUNBUFFERED": "1"}
        self.control = ""

    # Processes.

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in the background, its output in a file of its own."""
        show_command(words)
        with self.log_of(words[0]).open("wb") as log:
            child = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, env=self.environment, cwd=HERE.parent,
                # Ctrl-C in the terminal is for the demo, which then stops its children in order.
                start_new_session=True,
            )  # fmt: skip
        self.children.append((words[0], child))
        return child

    def log_of(self, name: str) -> Path:
        """Return the file with the output of the process *name*."""
        return self.directory / f"{name}.log"

    def wait_for(self, name: str, pattern: str, timeout_s: float = 20.0) -> re.Match[str]:
        """Wait until the process *name* has printed something that matches *pattern*."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            text = self.log_of(name).read_text(errors="replace")
            found = re.search(pattern, text)
            if found:
                return found
            self.check_children()
            time.sleep(0.05)
        raise StepFailed(f"{name} did not print {pattern!r} within {timeout_s:g} s:\n{text}")

    def check_children(self) -> None:
        """Fail if a process has ended that should be running."""
        for name, child in self.children:
            if child.poll() is not None:
                text = self.log_of(name).read_text(errors="replace")
                raise StepFailed(f"{name} has ended with exit code {child.returncode}:\n{text}")

    def stop(self) -> None:
        """Stop all processes, last started first, and remove their files."""
        for name, child in reversed(self.children):
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                print(f"{name} did not stop by itself and is killed")
                child.kill()
                child.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What is typed.

    def run(self, line: str, *, shows: str = "", exit_code: int = 0) -> str:
        """Type a command and show what it prints.

        Args:
            line: What one would type.
            shows: Regular expression that has to match somewhere in the output.
            exit_code: The one that it has to end with.
        """
        words = shlex.split(line)
        show_command(words, line)
        done = subprocess.run(
            words, capture_output=True, text=True, env=self.environment, timeout=60,
            cwd=HERE.parent, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        print("".join(f"    {one}\n" for one in output.splitlines()), flush=True)
        if done.returncode != exit_code:
            raise StepFailed(f"{line!r} ended with {done.returncode}, not with {exit_code}")
        if not re.search(shows, output):
            raise StepFailed(f"the output of {line!r} does not match {shows!r}")
        return output

    def value(self, key: str) -> str:
        """Return the value of *key*, without showing the command."""
        done = subprocess.run(
            ["mark", "get", "--terse", key], capture_output=True, text=True,
            env=self.environment, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    def wait_until(self, key: str, wanted: str, timeout_s: float = 60.0) -> None:
        """Wait until *key* has the value *wanted*."""
        deadline = time.monotonic() + timeout_s
        while (found := self.value(key)) != wanted:
            if time.monotonic() > deadline:
                raise StepFailed(f"{key} is {found!r}, not {wanted!r}, after {timeout_s:g} s")
            time.sleep(0.2)

    def say(self, text: str) -> None:
        """Tell what comes next, and leave a moment to read it."""
        print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)
        if not self.tour:
            time.sleep(2.5)


def show_command(words: tuple[str, ...] | list[str], line: str = "") -> None:
    """Print a command as it is typed."""
    print(f"  $ {line or shlex.join(words)}", flush=True)


def free_ports() -> dict[str, str]:
    """Return settings for discovery on ports of our own."""
    settings = {}
    with contextlib.ExitStack() as probes:
        for name in ("MKTL_REGISTRY_PORT", "MKTL_DISCOVERY_PORT"):
            probe = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            probe.bind(("", 0))
            settings[name] = str(probe.getsockname()[1])
    return settings


def bring_up(demo: Demo) -> None:
    """Start the simulator, the registry and the daemon."""
    demo.say("\nThe box: a simulated Lake Shore 336, on a TCP port as the real one.")
    demo.start("marksim", "lakeshore336", "--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0",
               "--time-factor", str(TIME_FACTOR))  # fmt: skip
    ready = json.loads(demo.wait_for("marksim", r"(?m)^\{.*\}$").group())
    demo.control = ready["control"]
    demo.say("\nThe registry, and the daemon that makes items of the box.")
    demo.start("markregistryd")
    demo.wait_for("markregistryd", "on the air")
    demo.start("markd", "examples/cryostat.toml", "--url", f"tc={ready['url']}")
    demo.wait_for("markd", "on the air")
    demo.wait_until("cryo.tc_link", "Up")


def tour(demo: Demo) -> None:
    """Show what one can do, and check that it is done."""
    demo.say("\nWhat is there?")
    demo.run("mark list cryo", shows=r"cryo\.setpoint +numeric +rw")
    demo.say("Values, with units; shell patterns work.")
    demo.run("mark get 'cryo.*temp*' cryo.setpoint", shows=r"cryo\.detector_temp: \d+\.\d+ kelvin")
    demo.run("mark describe cryo.setpoint", shows='"range"')
    demo.say("Ramp to 80 K, and watch the temperature follow.")
    demo.run("mark set cryo.ramp_rate=5 cryo.ramp=On", shows="Set cryo.ramp to On")
    demo.run("mark set cryo.setpoint=80", shows="Set cryo.setpoint to 80 kelvin")
    demo.run("mark watch cryo.detector_temp --for 8", shows=r"cryo\.detector_temp: 7[789]\.\d+")
    demo.say("What is not allowed is refused, before the box hears of it.")
    demo.run("mark set cryo.setpoint=300", shows="20 to 120", exit_code=1)
    demo.run("mark get cryo.detector_tmp", shows=r"did you mean cryo\.detector_temp", exit_code=1)
    demo.say("Now somebody pulls the cable.")
    demo.run(f"marksim ctl {demo.control} cut")
    demo.wait_until("cryo.tc_link", "Down")
    demo.run("mark get cryo.tc_link cryo.tc_error cryo.detector_temp", shows="invalid: .*down")
    demo.run("mark get --refresh cryo.detector_temp", shows="link is down", exit_code=1)
    demo.say("And puts it back.")
    demo.run(f"marksim ctl {demo.control} restore")
    demo.wait_until("cryo.tc_link", "Up")
    demo.run("mark get cryo.tc_link cryo.detector_temp", shows=r"(?m)detector_temp: [\d.]+ kelvin$")
    demo.say("What the daemon's log says of all this:")
    log = demo.log_of("markd").read_text()
    print("".join(f"    {line}\n" for line in log.splitlines()))


def leave_running(demo: Demo) -> None:
    """Say what to type, and wait for Ctrl-C."""
    settings = demo.directory / "env"
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in demo.settings.items())
    settings.write_text("".join(lines))
    print("Everything is left running. In another terminal, the first line once:\n")
    print(f"    . {settings}             # finds the demo, and nothing but the demo")
    print("    mark set cryo.setpoint=90")
    print("    mark watch cryo.detector_temp cryo.heater")
    print(f"    marksim ctl {demo.control} cut           # and: restore")
    print("\nCtrl-C here ends it.", flush=True)
    while True:
        demo.check_children()
        time.sleep(0.5)


@contextlib.contextmanager
def terminated_as_by_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that nothing is left behind either way."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tour", action="store_true", help="end after the tour, as a test does")
    options = parser.parse_args()
    os.environ["PATH"] = f"{COMMANDS}{os.pathsep}{os.environ.get('PATH', '')}"
    demo = Demo(tour=options.tour)
    try:
        with terminated_as_by_ctrl_c():
            bring_up(demo)
            tour(demo)
            if options.tour:
                print("Every step did what it should.")
            else:
                leave_running(demo)
    except StepFailed as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEverything is stopped.")
    finally:
        demo.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
