"""A client that subscribes: ``python -m benchmarks._watching ITEMS``.

It knows nothing but the name of the store. When it knows the values of all, and broadcasts keep
them true, it prints a line of JSON, and goes on until the end of its standard input.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import mktl


def main() -> None:
    """Subscribe."""
    keys = [f"n{number}" for number in range(int(sys.argv[1]))]
    began = time.perf_counter()
    store = mktl.get("bench")
    known = store.subscribe(keys)
    ready = time.perf_counter()
    wrong = [
        key
        for number, key in enumerate(keys)
        if not (store[key].live and store[key].value == number) or key not in known
    ]
    figures = {
        "wrong": len(wrong),
        "subscribed_s": ready - began,
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }
    print(json.dumps(figures), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
