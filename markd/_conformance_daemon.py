"""The daemon of a conformance run: that of the instrument file, polled more often, in a process.

It has a process of its own so that its threads, its files and its log lines can be counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from drivers import wiring
from drivers.wiring import InstrumentFile

from . import runner
from .logs import add_log_options, set_up_logs
from .supervision import supervise

__all__ = ["altered", "main"]


def altered(
    file: InstrumentFile,
    settings: Mapping[str, Mapping[str, Any]],
    poll_s: Mapping[str, float],
    silence_s: Mapping[str, float] = MappingProxyType({}),
    without: Collection[str] = (),
) -> InstrumentFile:
    """Return *file* with other settings of its controllers, and other times of its items.

    Args:
        file: What an instrument file says.
        settings: By controller.
        poll_s: By item.
        silence_s: By item.
        without: Controllers that are left out, with their items: they would touch hardware.
    """
    controllers = {
        name: replace(spec, settings={**spec.settings, **settings.get(name, {})})
        for name, spec in file.controllers.items()
        if name not in without
    }
    items = {
        key: replace(item, poll_s=poll_s.get(key, item.poll_s))
        for key, item in file.items.items()
        if item.controller not in without
    }
    for key, longest_s in silence_s.items():
        protocol = {**(items[key].protocol or {}), "silence_s": longest_s}
        items[key] = replace(items[key], protocol=protocol)
    # It is the hardware that is put to the test; who tests it has no key.
    return replace(file, controllers=controllers, items=items, access={})


def main(argv: list[str] | None = None) -> int:
    """Run the daemon that a JSON file tells of, until it is told to stop."""
    parser = argparse.ArgumentParser(prog="markd._conformance_daemon")
    parser.add_argument("order", type=Path)
    add_log_options(parser)
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    set_up_logs(options)
    order = json.loads(options.order.read_text())
    file = wiring.load(order["file"])
    file = altered(file, order["settings"], order["poll_s"], order["silence_s"], order["without"])
    return supervise(
        lambda: runner.InstrumentDaemon(file, order["urls"]), f"{file.store}.{file.alias}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
