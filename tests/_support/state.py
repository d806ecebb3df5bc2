"""What one test could leave for the next one in the same process, threads and files aside."""

from __future__ import annotations

import faulthandler
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import types
from typing import Any

__all__ = ["State"]

PACKAGES = ("mktl", "drivers", "simulators", "markd")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1)
LIMITS = {
    name: getattr(resource, name) for name in ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE")
}
# One for the life of the process, made when it is first needed.
MADE_ONCE = {
    "mktl.transport.context": ("_context",),
    "mktl.protocol._json": ("decode", "encode", "errors"),
}
FILLED_BY_PYTHON = ("__builtins__", "__warningregistry__")
# Of pytest itself: which test runs.
TOOL_VARIABLES = ("PYTEST_CURRENT_TEST", "COLUMNS", "LINES")

_Globals = dict[str, dict[str, Any]]


class State:
    """What the process had at this moment, to compare with later."""

    def __init__(self) -> None:
        self._modules = _module_state()
        self._process = _process_state()

    def changes(self) -> list[str]:
        """Describe what is otherwise now, and give up the places that are still held.

        A place that is held makes trouble for whatever test comes next; a driver that was dropped
        without close() is not collected before this, so that it is found each time.
        """
        return [*_places(), *self._changed_modules(), *self._changed_process()]

    def _changed_modules(self) -> list[str]:
        found = []
        for name, now in _module_state().items():
            before = self._modules.get(name)
            if before is not None and before != now:
                found += [
                    f"{name}.{key} is {_short(now.get(key))}, and was {_short(before.get(key))}"
                    for key in sorted({*before, *now})
                    if before.get(key) != now.get(key)
                    and not isinstance(now.get(key), types.ModuleType)
                ]
        return found

    def _changed_process(self) -> list[str]:
        now = _process_state()
        return [
            f"{what} is {_short(now[what])}, and was {_short(before)}"
            for what, before in self._process.items()
            if now[what] != before
        ]


def _module_state() -> _Globals:
    """Return the globals of all modules of ours; what can change in place as it is now."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES and isinstance(module, types.ModuleType):
            found[name] = values = dict(vars(module))
            for key in _containers(name, values):
                values[key] = values[key].copy()
            for key in (*MADE_ONCE.get(name, ()), *FILLED_BY_PYTHON):
                values.pop(key, None)
    return found


def _containers(name: str, values: dict[str, Any]) -> list[str]:
    """Return which globals of a module can change in place."""
    known = _known_containers.get(name)
    if known is None or known[0] != len(values):
        keys = [key for key, value in values.items() if type(value) in (dict, list, set)]
        known = _known_containers[name] = (len(values), [key for key in keys if key[:2] != "__"])
    return known[1]


_known_containers: dict[str, tuple[int, list[str]]] = {}


def _process_state() -> dict[str, object]:
    root = logging.getLogger()
    return {
        "the environment": {
            name: value for name, value in os.environ.items() if name not in TOOL_VARIABLES
        },
        "the working directory": os.getcwd(),  # noqa: PTH109 - text is enough
        "the time zone": time.tzname,
        "the locale": locale.setlocale(locale.LC_ALL, None),
        "the mask of new files": _umask(),
        "sys.excepthook": sys.excepthook,
        "sys.unraisablehook": sys.unraisablehook,
        "threading.excepthook": threading.excepthook,
        "sys.path": list(sys.path),
        "the switch interval of threads": sys.getswitchinterval(),
        "whether garbage is collected": gc.isenabled(),
        "the timeout of sockets": socket.getdefaulttimeout(),
        "whether faulthandler is on": faulthandler.is_enabled(),
        **{f"the handler of {one.name}": signal.getsignal(one) for one in SIGNALS},
        **{f"the limit {name}": resource.getrlimit(one) for name, one in LIMITS.items()},
        "the level of all logging": (root.level, logging.root.manager.disable),
        "loggers of ours": {
            name: (one.level, one.disabled, one.propagate, list(one.handlers), list(one.filters))
            for name, one in list(logging.root.manager.loggerDict.items())
            if isinstance(one, logging.Logger)
            and name.partition(".")[0] in PACKAGES
            and (one.level, one.disabled, one.propagate, one.handlers, one.filters)
            != (logging.NOTSET, False, True, [], [])
        },
    }


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _places() -> list[str]:
    """Describe the places that controllers still hold, and give them up."""
    found = []
    for module, name in (("drivers.base", "OPEN"), ("drivers._bus", "BUSES")):
        places = getattr(sys.modules.get(module), name, None)
        if places is None:
            continue
        for place in places.taken():
            found.append(f"{place} is still held by a controller: close it ({module}.{name})")
            with places.lock:
                places._held.pop(place, None)
    return found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}..."
