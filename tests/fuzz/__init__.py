"""Bytes from everywhere: what every codec, format and file reader does with whatever comes.

- ``targets``: what can be fuzzed, by name
- ``_wire``, ``_values``, ``_lines``, ``_replies``, ``_files``: the targets themselves
- ``_engine``: a driver that needs nothing installed, guided by the lines that an input reaches
- ``_atheris``: the same targets under atheris, in a process of its own
- ``corpus``: an input a file, by target; one that has broken something stays there for good

``make fuzz`` runs them for long, ``python -m tests.fuzz --help`` tells how.
"""
