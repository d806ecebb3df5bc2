"""One target under atheris, in a process of its own: it ends the process when it is done.

``python -m tests.fuzz._atheris TARGET [options of libFuzzer] [directories]``
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mktl", "drivers", "simulators"]):
    from .targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]].check)
    atheris.Fuzz()
