"""The command ``marksim``: run a simulated instrument, and control one that runs.

Exit codes: 0 done (also after SIGTERM or SIGINT), 1 it could not be done, 2 wrong usage. Errors
are one line on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from simulators import MODELS
from simulators._ctl import add_ctl, run_ctl
from simulators.clock import MAX_FACTOR
from simulators.device import SimulatorError

EXAMPLES = """\
examples:
  marksim lakeshore336 --tcp 127.0.0.1:7777
  marksim lakeshore336 --pty /tmp/tc --control 127.0.0.1:9000 --time-factor 10
  marksim ctl 127.0.0.1:9000 get mount_k heater_1_w
  marksim ctl 127.0.0.1:9000 set cooler_on=0
  marksim ctl 127.0.0.1:9000 fault late delay_s=2 count=1
  marksim ctl 127.0.0.1:9000 cut
  marksim list
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``marksim`` with the arguments *argv* and return its exit code."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "list":
            return _list()
        if options.command == "ctl":
            return run_ctl(options)
        return _serve(options)
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SimulatorError, OSError) as error:
        print(f"marksim: {error}", file=sys.stderr)
        return 1


def address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, e.g. ``127.0.0.1:7777`` or ``[::1]:7777``.

    Raises:
        ValueError: it is none; argparse makes a usage error of it.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    return host, int(port)


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_FACTOR:
        raise argparse.ArgumentTypeError(f"not within 0 to {MAX_FACTOR:g}: {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="marksim",
        description="Run simulated instruments, and control those that run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="list the models")
    add_ctl(commands, address)
    for name, model in MODELS.items():
        _add_model(commands, name, model.summary)
    return parser


def _add_model(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> None:
    parser = commands.add_parser(
        name,
        help=f"run: {summary}",
        description=f"Run a simulated {summary}. When hosts can connect, one line of JSON on "
        "stdout says where: model, url, urls, control, pid.",
    )
    parser.add_argument(
        "--tcp",
        type=address,
        metavar="HOST:PORT",
        help="listen here; port 0: a free one (default, without --pty: 127.0.0.1:0)",
    )
    parser.add_argument(
        "--pty",
        nargs="?",
        const="",
        metavar="LINK",
        help="serve a pseudo-terminal; LINK: path of a symbolic link to it",
    )
    parser.add_argument(
        "--control",
        type=address,
        default=("127.0.0.1", 0),
        metavar="HOST:PORT",
        help="control port, on loopback (default: 127.0.0.1:0)",
    )
    parser.add_argument(
        "--time-factor",
        type=_factor,
        default=1.0,
        metavar="FACTOR",
        help="simulated seconds in a real one; 0 stops time (default: 1)",
    )
    parser.add_argument("--seed", type=int, help="make noise and mishaps repeatable")
    parser.add_argument("--baud", type=int, help="pace of the pseudo-terminal, bits per second")


def _list() -> int:
    for name, model in MODELS.items():
        print(f"{name:<14} {','.join(model.transports):<12} {model.summary}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from simulators.serve import Simulator  # asyncio takes time that `list` should not

    # Blocked before the thread starts, which inherits it, so that only sigwait gets them.
    stopping = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        simulator = Simulator(
            MODELS[options.command].load()(seed=options.seed),
            tcp=options.tcp or (("127.0.0.1", 0) if options.pty is None else None),
            pty=False if options.pty is None else (Path(options.pty) if options.pty else True),
            control=options.control,
            baud=options.baud,
            time_factor=options.time_factor,
            seed=options.seed,
        )
        with simulator:
            _announce(options.command, simulator.urls, simulator.control_address)
            while simulator.running:
                received = signal.sigtimedwait(stopping, 1.0)
                # After Ctrl-Z and fg it may return something that is no signal of ours.
                if received is not None and received.si_signo in stopping:
                    break
            broken = not simulator.running
            # A second signal ends the process even if closing should hang.
            previous = {each: signal.signal(each, _give_up) for each in stopping}
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)
        for each, handler in previous.items():
            signal.signal(each, handler)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if broken:
        raise SimulatorError(f"{options.command} has broken; see above")
    print(f"marksim: {options.command} stopped", file=sys.stderr)
    return 0


def _give_up(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _announce(model: str, urls: dict[str, str], control: tuple[str, int]) -> None:
    where = f"{control[0]}:{control[1]}"
    ready = {
        "model": model,
        "url": next(iter(urls.values())),
        "urls": urls,
        "control": where,
        "pid": os.getpid(),
    }
    print(json.dumps(ready), flush=True)
    print(
        f"marksim: {model} on {', '.join(urls.values())}; control: marksim ctl {where}",
        file=sys.stderr,
        flush=True,
    )
