"""Ways to a device, as bytes with deadlines: the only modules that see sockets and pyserial.

- ``base``: the :class:`Port` interface, and what the two below share.
- ``tcp``, ``serial``: the real ones.
- ``scripted``: an exact conversation, for tests.
- ``urls``: from ``tcp://host:port`` or ``serial:///dev/ttyS0?baud=9600`` to a port.

Whatever the operating system or pyserial raise is translated here, once, to
:class:`~mktl.errors.DeviceLost`, :class:`~mktl.errors.DeviceTimeout` or
:class:`~mktl.errors.ConfigurationError`.
"""

from drivers.ports.base import Port
from drivers.ports.urls import PortDefaults, port_for_url, split_unit

__all__ = ["Port", "PortDefaults", "port_for_url", "split_unit"]
