"""``marksim ctl``: one request to the control port of a simulator that runs."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable
from typing import Any

from simulators.device import SimulatorError

TIMEOUT_S = 30.0
"""Longest wait for an answer; jumping far ahead in time takes a while."""


def add_ctl(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    address: Callable[[str], tuple[str, int]],
) -> None:
    """Add the sub-command to the parser."""
    parser = commands.add_parser("ctl", help="control a simulator that runs")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    parser.add_argument("control", type=address, metavar="HOST:PORT", help="its control port")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in (
        ("status", "where it is, and what is wrong with it"),
        ("names", "what can be read and set"),
        ("faults", "list the kinds of fault"),
        ("hold", "have every reading stay as it is"),
        ("cut", "pull the cable"),
        ("restore", "put the cable back"),
    ):
        verbs.add_parser(verb, help=text)
    get = verbs.add_parser("get", help="read physical quantities")
    get.add_argument("names", nargs="*", metavar="NAME", help="without any: all")
    setting = verbs.add_parser("set", help="set physical quantities")
    setting.add_argument("values", nargs="+", type=_pair, metavar="NAME=VALUE")
    timing = verbs.add_parser("time", help="run time faster, or stop it")
    timing.add_argument("factor", metavar="FACTOR", type=_factor, help="a number, or: stop")
    skip = verbs.add_parser("skip", help="jump ahead in simulated time")
    skip.add_argument("step_s", metavar="SECONDS", type=float)
    fault = verbs.add_parser("fault", help="start a fault; none: end all of them")
    fault.add_argument("name", metavar="NAME")
    fault.add_argument("parameters", nargs="*", type=_pair, metavar="KEY=VALUE")
    log = verbs.add_parser("log", help="show the last exchanges")
    log.add_argument("last", nargs="?", type=int, default=20, metavar="COUNT")


def run_ctl(options: argparse.Namespace) -> int:
    """Send the request, print the answer and return the exit code.

    Raises:
        SimulatorError: the simulator refuses, or nobody answers there.
    """
    answer = _ask(options.control, _request(options))
    if not answer.get("ok"):
        raise SimulatorError(str(answer.get("error")))
    if options.verb == "skip":
        # The answer to a jump tells the factor only; what people want to know is where it ended.
        answer = {"ok": True, "now_s": _ask(options.control, {"cmd": "status"}).get("now_s")}
    if options.json:
        print(json.dumps(answer))
        return 0
    for line in _lines(answer):
        print(line)
    return 0


_FIELDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "get": lambda options: {"names": options.names},
    "set": lambda options: {"values": dict(options.values)},
    "time": lambda options: {"factor": options.factor},
    "skip": lambda options: {"cmd": "time", "step_s": options.step_s},
    "fault": lambda options: {**dict(options.parameters), "name": options.name},
    "log": lambda options: {"last": options.last},
}


def _request(options: argparse.Namespace) -> dict[str, Any]:
    fields = _FIELDS.get(options.verb)
    return {"cmd": options.verb, **(fields(options) if fields else {})}


def _lines(answer: dict[str, Any]) -> list[str]:
    """Write an answer for people: one line a value, exchange, name or fault."""
    if "values" in answer:
        return [f"{name}={value:.10g}" for name, value in answer["values"].items()]
    if "exchanges" in answer:
        lines = [_exchange_line(each) for each in answer["exchanges"]]
        return lines or ["(no message has come yet)"]
    if "quantities" in answer:
        return _quantity_lines(answer["quantities"])
    if "kinds" in answer:
        return [_kind_line(name, each) for name, each in answer["kinds"].items()]
    return [f"{key}={json.dumps(value)}" for key, value in answer.items() if key != "ok"]


def _quantity_lines(quantities: dict[str, dict[str, Any]]) -> list[str]:
    names = max(map(len, quantities), default=0)
    units = max((len(each["units"]) for each in quantities.values()), default=0)
    return [
        f"{name:<{names}} {'rw' if each['settable'] else 'r '} {each['units']:<{units}} "
        f"{each['doc']}"
        for name, each in quantities.items()
    ]


def _exchange_line(exchange: dict[str, Any]) -> str:
    sent = "(nothing)" if exchange["sent"] is None else exchange["sent"]
    early = "  (early)" if exchange["early"] else ""
    received = exchange["received"] or "(unasked)"
    return f"{exchange['at_s']:>12.3f} {exchange['link']} {received} -> {sent}{early}"


def _kind_line(name: str, kind: dict[str, Any]) -> str:
    parameters = " ".join(f"{key}={value}" for key, value in kind["parameters"].items())
    return f"{name:<15} {kind['doc']}" + (f" [{parameters}]" if parameters else "")


def _ask(control: tuple[str, int], request: dict[str, Any]) -> dict[str, Any]:
    host, port = control
    try:
        with socket.create_connection(control, timeout=TIMEOUT_S) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as replies:
                line = replies.readline()
        answer = json.loads(line)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SimulatorError(f"no simulator answers at {host}:{port}: {reason}") from error
    except ValueError as error:
        raise SimulatorError(f"{host}:{port} is not a control port") from error
    if not isinstance(answer, dict):
        raise SimulatorError(f"{host}:{port} is not a control port")
    return answer


def _pair(text: str) -> tuple[str, float | str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _factor(text: str) -> float:
    if text == "stop":
        return 0.0
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number, nor 'stop': {text!r}") from None
