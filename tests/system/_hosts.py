"""Hosts of a network of their own: network namespaces, joined by a bridge. Linux, as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests._support import Child, running

__all__ = ["Host", "Network", "network", "why_not"]

SUBNET = "10.213.77"
"""Nobody else sees it: it exists within the namespaces only."""


def _ip(*words: str, namespace: str = "") -> None:
    within = ["-n", namespace] if namespace else []
    done = subprocess.run(["ip", *within, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join([*within, *words])}: {done.stderr.strip()}")


class Host:
    """One host; *name* is also what it is called in errors."""

    def __init__(self, net: Network, name: str, number: int, home: Path) -> None:
        self.name = name
        self.namespace = f"{net.prefix}-{name}"
        self.address = f"{SUBNET}.{number}"
        self.environment = {
            "MKTL_HOME": str(home / name),
            "MKTL_BIND": "*",
            "MKTL_HOSTNAME": self.address,
            "MKTL_BROADCAST": f"{SUBNET}.255",
        }
        self._switch = net.switch
        self._port = f"to-{name}"[:15]

    def join(self) -> None:
        """Make it, and plug it in."""
        _ip("netns", "add", self.namespace)
        _ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns",
            self.namespace, namespace=self._switch)  # fmt: skip
        _ip("link", "set", self._port, "master", "bridge", "up", namespace=self._switch)
        _ip("link", "set", "lo", "up", namespace=self.namespace)
        _ip("link", "set", "eth0", "up", namespace=self.namespace)
        self.give_address()

    def cut(self) -> None:
        """Pull its cable out of the switch: it notices nothing itself."""
        _ip("link", "set", self._port, "nomaster", namespace=self._switch)

    def plug_in(self) -> None:
        """Put it back."""
        _ip("link", "set", self._port, "master", "bridge", namespace=self._switch)

    def down(self) -> None:
        """Take its interface down, with all routes over it."""
        _ip("link", "set", "eth0", "down", namespace=self.namespace)

    def up(self) -> None:
        """Take it up again."""
        _ip("link", "set", "eth0", "up", namespace=self.namespace)

    def take_address(self) -> None:
        """Have it lose its address."""
        _ip("addr", "flush", "dev", "eth0", namespace=self.namespace)

    def give_address(self) -> None:
        """Give it its address."""
        _ip("addr", "add", f"{self.address}/24", "brd", "+", "dev", "eth0",
            namespace=self.namespace)  # fmt: skip

    def delay(self, *netem: str) -> bool:
        """Have what it sends be late, or lost, as *netem* says; return whether the kernel can."""
        done = subprocess.run(
            ["tc", "-n", self.namespace, "qdisc", "add", "dev", "eth0", "root", "netem", *netem],
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    @contextlib.contextmanager
    def running(self, *words: str, ready: str | None = None) -> Iterator[Child]:
        """Run a process on it: Python with *words*."""
        command = ["ip", "netns", "exec", self.namespace, sys.executable, *words]
        with running(command, ready=ready, env=self.environment, timeout_s=30) as child:
            yield child


class Network:
    """Hosts, and the switch between them."""

    def __init__(self, home: Path) -> None:
        self.prefix = f"mktl{os.getpid()}"
        self.switch = f"{self.prefix}-switch"
        self.hosts: dict[str, Host] = {}
        self._home = home

    def start(self, *names: str) -> None:
        """Make a host of each of *names*."""
        _ip("netns", "add", self.switch)
        _ip("link", "add", "bridge", "type", "bridge", namespace=self.switch)
        _ip("link", "set", "bridge", "up", namespace=self.switch)
        for number, name in enumerate(names, 2):
            self.hosts[name] = Host(self, name, number, self._home)
            self.hosts[name].join()

    def stop(self) -> None:
        """Take all of it away."""
        for namespace in (self.switch, *(host.namespace for host in self.hosts.values())):
            with contextlib.suppress(OSError):
                _ip("netns", "del", namespace)


@contextlib.contextmanager
def network(home: Path, *names: str) -> Iterator[dict[str, Host]]:
    """Return hosts of *names* that can reach each other, and nobody else."""
    made = Network(home)
    try:
        made.start(*names)
        yield made.hosts
    finally:
        made.stop()


def why_not(home: Path) -> str:
    """Return why this machine does not allow it; empty if it does."""
    if shutil.which("ip") is None:
        return "there is no command ip"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    made = Network(home)
    try:
        made.start("trial")
    except OSError as error:
        return f"the machine allows no network namespaces: {error}"
    finally:
        made.stop()
    return ""
