"""Which processes have a serial port open, and which of them has locked it.

What a process has open is seen by its own user and by root only; who holds a lock is seen by all.
Source: proc(5), ``/proc/PID/fd``, ``/proc/PID/fdinfo``, ``/proc/locks``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from drivers.ports._nodes import Node, Roots, node_at, read_text

__all__ = ["Holder", "Holders", "find_holders", "lock_holders"]

_ROOTS = Roots()


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str
    """Of the program; of what it runs, where that is Python."""
    uid: int
    """The user."""
    command: str
    """The command line; empty where it cannot be seen."""
    locked: bool = False
    """Whether it has locked the port (``flock``), as we do, and pyserial with ``exclusive``."""
    far_end: bool = False
    """Whether it is at the device's end of a pseudo-terminal, as a simulator is."""

    def __str__(self) -> str:
        """Name it as an error text does."""
        return f"{self.name} (process {self.pid})"


class Holders:
    """What :func:`find_holders` has found.

    Attributes:
        complete: Whether all processes could be looked into.
    """

    def __init__(self, by_key: dict[tuple[int, ...], list[Holder]], *, complete: bool) -> None:
        """Take over what was found."""
        self._by_key = by_key
        self.complete = complete

    def of(self, node: Node) -> list[Holder]:
        """Return who has *node* open; first who has locked it, last who is at the far end.

        Who makes a pseudo-terminal may hold both ends, so that it lives on without a host. This
        counts as the far end alone.
        """
        found = self._by_key.get(node.key, [])
        makers = {one.pid for one in found if one.far_end}
        users = (one for one in found if one.far_end or one.locked or one.pid not in makers)
        return sorted(users, key=lambda one: (one.far_end, not one.locked, one.pid))


def find_holders(nodes: Iterable[Node], roots: Roots = _ROOTS) -> Holders:
    """Look through all processes for those that have one of *nodes* open."""
    search = _Search(list(nodes), roots)
    for pid in search.pids:
        search.look_into(pid)
    search.add_locks()
    return search.result()


def lock_holders(node: Node, roots: Roots = _ROOTS) -> list[Holder]:
    """Return who has locked *node*, without a look at what everybody has open."""
    search = _Search([node], roots)
    search.add_locks()
    return search.result().of(node)


class _Search:
    """One look through the processes."""

    def __init__(self, nodes: list[Node], roots: Roots) -> None:
        self._proc = roots.proc
        self._below_dev = f"{roots.dev}/"
        self._nodes = nodes
        self._keys = {node.key for node in nodes}
        self._ptys = {node.number[1]: node for node in nodes if node.is_pty}
        self._locks = _locks(roots.proc)
        self._found: dict[tuple[tuple[int, ...], int, bool], Holder] = {}
        self.pids = _pids(roots.proc)
        # Process 1 is hidden together with all of other users (hidepid).
        self._complete = 1 in self.pids

    def look_into(self, pid: int) -> None:
        """Note which of the nodes a process has open."""
        folder = f"{self._proc}/{pid}/fd"
        try:
            names = os.listdir(folder)  # noqa: PTH208 - a Path for each open file is slow
        except PermissionError:
            self._complete = False
            return
        except OSError:
            return  # it has ended
        for name in names:
            try:
                # What a link says is free; to follow it to a server that is gone may hang.
                target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
                if target.startswith(self._below_dev):
                    self._look_at(pid, name, target)
            except OSError:
                continue  # closed meanwhile

    def _look_at(self, pid: int, name: str, target: str) -> None:
        if target.endswith("/ptmx"):
            pty = self._pty_of_master(pid, name) if self._ptys else None
            if pty is not None:
                self._note(pid, pty, far_end=True)
            return
        node = node_at(f"{self._proc}/{pid}/fd/{name}")
        if node is not None and node.key in self._keys:
            info = read_text(self._proc / str(pid) / "fdinfo" / name)
            # A lock stays with the open file where the process that took it has forked and ended.
            inherited = any("FLOCK" in line for line in info.splitlines() if line[:5] == "lock:")
            self._note(pid, node, locked=inherited or pid in self._locks.get(node.file, ()))

    def _pty_of_master(self, pid: int, name: str) -> Node | None:
        """Return the node whose device's end this is. The kernel tells since Linux 4.14."""
        for line in read_text(self._proc / str(pid) / "fdinfo" / name).splitlines():
            key, _, value = line.partition(":")
            if key == "tty-index" and value.strip().isdecimal() and self._same_mounts(pid):
                return self._ptys.get(int(value))
        return None

    def _same_mounts(self, pid: int) -> bool:
        """Tell whether a process sees the same ``/dev/pts``: a container has one of its own."""
        theirs, ours = (self._proc / who / "ns" / "mnt" for who in (str(pid), "self"))
        return _link(theirs) == _link(ours)

    def _note(self, pid: int, node: Node, *, locked: bool = False, far_end: bool = False) -> None:
        place = (node.key, pid, far_end)
        known = self._found.get(place) or _holder(self._proc, pid, far_end)
        if known is not None:
            self._found[place] = replace(known, locked=known.locked or locked)

    def add_locks(self) -> None:
        """Note who has locked one of the nodes, whether or not the open file was seen."""
        for node in self._nodes:
            for pid in self._locks.get(node.file, ()):
                self._note(pid, node, locked=True)

    def result(self) -> Holders:
        by_key: dict[tuple[int, ...], list[Holder]] = {}
        for (key, _pid, _far_end), holder in self._found.items():
            by_key.setdefault(key, []).append(holder)
        return Holders(by_key, complete=self._complete)


def _pids(proc: Path) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(proc) if name.isdecimal())  # noqa: PTH208
    except OSError:
        return []


def _locks(proc: Path) -> dict[tuple[int, int], set[int]]:
    """Return which processes have locked which files.

    A line is ``1: FLOCK  ADVISORY  WRITE 4711 00:06:91 0 EOF``; who waits for a lock has an arrow
    behind the number, and one of another namespace has no process id.
    """
    found: dict[tuple[int, int], set[int]] = {}
    for line in read_text(proc / "locks").splitlines():
        words = line.split()
        if len(words) < 6 or words[1] != "FLOCK":
            continue
        try:
            pid = int(words[4])
            major, minor, inode = words[5].split(":")
            file = (os.makedev(int(major, 16), int(minor, 16)), int(inode))
        except ValueError:
            continue
        if pid > 0:
            found.setdefault(file, set()).add(pid)
    return found


def _holder(proc: Path, pid: int, far_end: bool) -> Holder | None:
    folder = proc / str(pid)
    try:
        uid = folder.stat().st_uid
    except OSError:
        return None  # it has ended
    words = [word for word in read_text(folder / "cmdline").split("\0") if word]
    name = _program(read_text(folder / "comm") or "unknown", words)
    return Holder(pid, name, uid, " ".join(words), far_end=far_end)


def _program(name: str, words: list[str]) -> str:
    """Say what an interpreter runs: ``python -m markd`` rather than ``python``."""
    if not name.startswith("python"):
        return name
    for index, word in enumerate(words[1:], 1):
        if word in ("-m", "-c"):
            return " ".join([name, word, *(words[index + 1 : index + 2] if word == "-m" else [])])
        if not word.startswith("-"):
            return f"{name} {PurePath(word).name}"
    return name


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
