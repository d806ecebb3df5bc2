"""The command ``marksim``: run a simulated instrument, and control one that runs.

Exit codes: 0 done (also after SIGTERM or SIGINT), 1 it could not be done, 2 wrong usage. Errors
are one line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from simulators import MODELS, Model, twins_of_file
from simulators._ctl import add_ctl, run_ctl
from simulators._names import unknown_name
from simulators._urls import PTY_TRANSPORTS
from simulators.clock import MAX_FACTOR
from simulators.device import SimulatorError

if TYPE_CHECKING:
    from simulators._served import ServedLine
    from simulators.device import Device
    from simulators.serve import Place

EXAMPLES = """\
examples:
  marksim lakeshore336 --tcp 127.0.0.1:7777
  marksim lakeshore336 --pty /tmp/tc --control 127.0.0.1:9000 --time-factor 10
  marksim wago_750_352 --modbus-tcp 127.0.0.1:5020
  marksim watlow_f4 --modbus-rtu /tmp/chambers --units 1,2,3
  marksim chiller.toml
  marksim ctl 127.0.0.1:9000 get mount_k heater_1_w
  marksim ctl 127.0.0.1:9000 set cooler_on=0
  marksim ctl 127.0.0.1:9000 fault late delay_s=2 count=1
  marksim ctl 127.0.0.1:9000 cut
  marksim list
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``marksim`` with the arguments *argv* and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    parser = _file_parser() if command.endswith(".toml") else _parser()
    if command and not command.startswith("-") and not command.endswith(".toml"):
        known = ["list", "ctl", *MODELS]
        if command not in known:
            parser.error(unknown_name("model or command", command, known))
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SimulatorError, OSError) as error:
        print(f"marksim: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "list":
        return _list()
    if options.command == "ctl":
        return run_ctl(options)
    if options.command.endswith(".toml"):
        return _serve_file(options)
    return _serve(options)


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
        _add_model(commands, name, model)
    return parser


def _file_parser() -> argparse.ArgumentParser:
    """Give the parser of ``marksim FILE.toml``."""
    parser = argparse.ArgumentParser(
        prog="marksim",
        description="Run a twin of each controller of an instrument file: of those whose driver "
        "has a model, and of those whose protocol the file describes. When hosts can connect, one "
        "line of JSON on stdout says for each where: controller, url, urls, control, pid.",
        epilog="With a port in --control, the first line has this one, and each further line the "
        "next one. Controllers that share a line share its control port.",
    )
    parser.add_argument("command", metavar="FILE.toml", help="the instrument file")
    _add_common(parser)
    return parser


def _add_model(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, model: Model
) -> None:
    parser = commands.add_parser(
        name,
        help=f"run: {model.summary}",
        description=f"Run a simulated {model.summary}. When hosts can connect, one line of JSON on "
        "stdout says where: model, url, urls, control, pid.",
    )
    usual = model.transports[0]
    for transport in model.transports:
        option, text = _OPTIONS[transport]
        if transport == usual:
            text += " (default)"
        if transport in PTY_TRANSPORTS:
            parser.add_argument(
                option, nargs="?", const="", metavar="LINK", dest=transport, help=text
            )
        else:
            parser.add_argument(
                option, type=address, metavar="HOST:PORT", dest=transport, help=text
            )
    if model.addressed:
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--unit",
            type=_unit,
            metavar="N",
            help="its address on the line (default: the one that it comes with)",
        )
        which.add_argument(
            "--units", type=_units, metavar="N,N...", help="several that share the line"
        )
    _add_common(parser)
    parser.add_argument("--baud", type=int, help="pace of the serial line, bits per second")


_OPTIONS = {
    "tcp": ("--tcp", "listen here; port 0: a free one"),
    "serial": ("--pty", "serve a pseudo-terminal; LINK: path of a symbolic link to it"),
    "modbus+tcp": ("--modbus-tcp", "serve Modbus TCP here; port 0: a free one"),
    "modbus+rtu": ("--modbus-rtu", "serve Modbus RTU on a pseudo-terminal; LINK: as for --pty"),
    "modbus+rtu+tcp": ("--modbus-rtu-tcp", "serve Modbus RTU through a TCP port"),
    "visa": ("--visa", "listen here for VISA sockets; port 0: a free one"),
    "vxi11": ("--vxi11", "serve VXI-11 here; there is no portmapper"),
    "hislip": ("--hislip", "serve HiSLIP here; port 0: a free one"),
}


def _add_common(parser: argparse.ArgumentParser) -> None:
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


def _unit(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 247:
        return int(text)
    raise argparse.ArgumentTypeError(f"not a unit address within 1 to 247: {text!r}")


def _units(text: str) -> list[int]:
    units = [_unit(part.strip()) for part in text.split(",")]
    if len(set(units)) < len(units):
        raise argparse.ArgumentTypeError(f"an address appears twice: {text!r}")
    return units


def _list() -> int:
    names = max(map(len, MODELS))
    ways = {name: ",".join(model.transports) for name, model in MODELS.items()}
    for name, model in MODELS.items():
        print(f"{name:<{names}}  {ways[name]:<{max(map(len, ways.values()))}}  {model.summary}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from simulators._served import ServedLine
    from simulators.serve import Simulator  # asyncio takes time that `list` should not

    model = MODELS[options.command]
    simulator = Simulator(
        _device(model, options),
        serve=_places(model, options),
        control=options.control,
        baud=options.baud,
        time_factor=options.time_factor,
        seed=options.seed,
    )
    return run_until_stopped([ServedLine(simulator, {options.command: None})])


def _serve_file(options: argparse.Namespace) -> int:
    found = twins_of_file(Path(options.command), seed=options.seed)
    for name, driver in found.without.items():
        print(
            f"marksim: controller {name} is not simulated: driver {driver} has no simulator, only "
            f"{', '.join((*MODELS, 'text', 'modbus'))} and driver files have",
            file=sys.stderr,
            flush=True,
        )
    if not found.lines:
        raise SimulatorError(f"{options.command}: none of its controllers has a simulator")
    lines = found.served(
        control=options.control, time_factor=options.time_factor, seed=options.seed
    )
    return run_until_stopped(lines, what="controller")


def _device(model: Model, options: argparse.Namespace) -> Device:
    make = model.load()
    if not model.addressed or (options.units is None and options.unit is None):
        return make(seed=options.seed)
    if options.units is None:
        return make(seed=options.seed, unit=options.unit)
    from simulators.bus import Bus

    seeds = {unit: None if options.seed is None else options.seed + unit for unit in options.units}
    return Bus({unit: make(seed=seeds[unit], unit=unit) for unit in options.units})


def _places(model: Model, options: argparse.Namespace) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for transport in model.transports:
        given = getattr(options, transport)
        if given is not None:
            pty = transport in PTY_TRANSPORTS
            places[transport] = (Path(given) if given else True) if pty else given
    usual = model.transports[0]
    return places or {usual: True if usual in PTY_TRANSPORTS else ("127.0.0.1", 0)}


def run_until_stopped(lines: Sequence[ServedLine], *, what: str = "model") -> int:
    """Start the simulators of *lines*, announce what is on each, and close them at a signal.

    Args:
        lines: Everything that is served.
        what: What the names on them are the names of.

    Returns:
        The exit code.

    Raises:
        SimulatorError: an address or path cannot be used, or one of them has broken.
    """
    # Blocked before the threads start, which inherit it, so that only sigwait gets them.
    stopping = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    names = [name for line in lines for name in line.units]
    try:
        with contextlib.ExitStack() as stack:
            for line in lines:
                stack.enter_context(line.simulator)
            for line in lines:
                for name in line.units:
                    _announce(what, name, line.urls_of(name), line.simulator.control_address)
            while all(line.simulator.running for line in lines):
                received = signal.sigtimedwait(stopping, 1.0)
                # After Ctrl-Z and fg it may return something that is no signal of ours.
                if received is not None and received.si_signo in stopping:
                    break
            broken = [name for line in lines for name in line.units if not line.simulator.running]
            # A second signal ends the process even if closing should hang.
            previous = {each: signal.signal(each, _give_up) for each in stopping}
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)
        for number, handler in previous.items():
            signal.signal(number, handler)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if broken:
        raise SimulatorError(f"{', '.join(broken)} has broken; see above")
    print(f"marksim: {', '.join(names)} stopped", file=sys.stderr)
    return 0


def _give_up(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _announce(what: str, name: str, urls: dict[str, str], control: tuple[str, int]) -> None:
    where = f"{control[0]}:{control[1]}"
    ready = {
        what: name,
        "url": next(iter(urls.values())),
        "urls": urls,
        "control": where,
        "pid": os.getpid(),
    }
    print(json.dumps(ready), flush=True)
    print(
        f"marksim: {name} on {', '.join(urls.values())}; control: marksim ctl {where}",
        file=sys.stderr,
        flush=True,
    )
