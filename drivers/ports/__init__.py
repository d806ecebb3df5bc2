"""Ways to a device, as bytes with deadlines: the only modules that see sockets and pyserial.

- ``base``: the :class:`Port` interface, and what the ports on a file descriptor share.
- ``tcp``, ``serial``: those on a file descriptor.
- ``rfc2217``, ``visa``: those on a library that blocks; ``_library`` is what they share.
- ``scripted``: an exact conversation, for tests.
- ``inventory``: the serial ports of this machine, without opening one; ``holders``: who has them.
- ``urls``: from ``tcp://host:port`` or ``serial:///dev/ttyS0?baud=9600`` to a port.

Whatever the operating system, pyserial or pyvisa raise is translated here, once, to
:class:`~mktl.errors.DeviceLost`, :class:`~mktl.errors.DeviceTimeout` or
:class:`~mktl.errors.ConfigurationError`.
"""

from drivers.ports.base import Port
from drivers.ports.urls import PortDefaults, port_for_url, split_unit

__all__ = ["Port", "PortDefaults", "port_for_url", "split_unit"]
