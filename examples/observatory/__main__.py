"""``make observatory``: an observatory in a box, until Ctrl-C. See README.md beside this file."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import mktl
from examples.demo import COMMANDS, Demo, StepFailed, terminated_as_by_ctrl_c

from .box import Box, NotReady
from .soak import soak
from .tour import tour

WATCHED = ("safety.shutter", "safety.high_voltage", "safety.*_action", "safety.*_bypass")


def say(text: str) -> None:
    """Print what has happened, at once."""
    print(f"{time.strftime('%X')} {text}", flush=True)


def write_settings(demo: Demo, box: Box) -> Path:
    """Write a file that a shell reads to find this observatory, and the control ports by name."""
    settings = demo.directory / "env"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in demo.settings.items()]
    lines += [f"{name}={box.control_of(name)}" for name in box.twins]
    settings.write_text("\n".join(lines) + "\n")
    return settings


def show(box: Box) -> None:
    """Print what there is."""
    print("\n  store    instrument  its simulator")
    for name, key in box.links.items():
        print(f"  {key.partition('.')[0]:8} {name:11} marksim ctl {box.control_of(name)} names")
    print("  safety   interlocks: shutter and rain, high voltage and bad vacuum\n", flush=True)


def leave_running(demo: Demo, box: Box) -> NoReturn:
    """Say what to type, and show what the interlocks do, until Ctrl-C."""
    print("In another terminal, the first line once:\n")
    print(f"    . {write_settings(demo, box)}     # finds this observatory, and nothing else")
    print("    mark set dome.open_shutter=On safety.hv_on=On")
    print("    marksim ctl $station set rain_mm_h=6        # it rains: 0 ends it")
    print("    marksim ctl $gauges set chamber_leak=1e-3   # air comes in: 1e-5 ends it")
    print("    marksim ctl $gauges cut                     # pull the cable: restore")
    print("    mark get --terse vacuum._hwpid | xargs kill -9\n")
    print("Ctrl-C here ends it. What the interlocks say:\n", flush=True)
    watch = subprocess.Popen(
        ["mark", "watch", *WATCHED], env=demo.environment, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        watch.wait()
        say("the watch has ended; all the rest runs on")
        while True:
            threading.Event().wait()
    finally:
        watch.terminate()
        watch.wait()


def show_off(options: argparse.Namespace, demo: Demo, box: Box) -> int:
    """Do what the command line asks for; return the exit code."""
    show(box)
    if options.soak:
        return soak(box, options.soak, options.seed, say)
    if not options.tour:
        leave_running(demo, box)
    box.twins["station"].set(steady=1)  # it rains when the tour says so
    tour(demo, box)
    print("Every step did what it should.")
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.observatory", description=__doc__)
    parser.add_argument("--tour", action="store_true", help="go through the tour, and end")
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS",
                        help="break things at random for so long, report, and end")  # fmt: skip
    parser.add_argument("--seed", type=int, help="of --soak, to have the same things break again")
    return parser.parse_args()


def main() -> int:
    """Run it and return the exit code."""
    options = parse()
    os.environ["PATH"] = f"{COMMANDS}{os.pathsep}{os.environ.get('PATH', '')}"
    demo = Demo(tour=options.tour)
    os.environ.update(demo.settings)  # we are a client of it, too
    try:
        with terminated_as_by_ctrl_c():
            say("an observatory is started, in processes of its own, on this host alone")
            with Box(demo.directory, demo.environment, say=say) as box:
                try:
                    return show_off(options, demo, box)
                finally:
                    mktl.close()  # before the daemons stop, as they would be looked for
    except (StepFailed, NotReady) as failure:
        print(f"\nThe observatory failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEverything is stopped.")
    finally:
        demo.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
