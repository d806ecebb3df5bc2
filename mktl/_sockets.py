"""The two sockets of a daemon: on the ports that it had before, protected as its rules want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import home
from .transport.ports import PUBLISH_PORTS, REQUEST_PORTS, bind, reserved_ports
from .transport.publisher import Publisher
from .transport.server import RequestServer

if TYPE_CHECKING:
    from ._protection import Protection
    from ._service import Service

__all__ = ["open_sockets"]


def open_sockets(service: Service, uuid: str, protection: Protection) -> RequestServer:
    """Give *service* its publisher, and return the server of its requests; both bound.

    Args:
        service: Of the daemon.
        uuid: Of the daemon.
        protection: Of the daemon.
    """
    service.protection, service.access = protection, protection.access
    protection.begin(service.name, uuid)
    directory = home() / "daemon" / "port"
    remembered = directory / service.store / uuid
    reserved = reserved_ports(directory)
    service.publisher = Publisher(
        lambda socket: bind(socket, remembered.with_suffix(".pub"), PUBLISH_PORTS, reserved),
        guard=protection.guard,
        audience=protection.audience,
    )
    # A port serves both kinds, so the one just taken is reserved as well.
    reserved.add(service.publisher.port)
    server = RequestServer(
        lambda socket: bind(socket, remembered.with_suffix(".req"), REQUEST_PORTS, reserved),
        service.handle,
        service.name,
        identify=service.access.caller,
        guard=protection.guard,
        batch=service.audit,
    )
    server.attend(service.publisher)
    protection.note_serving((server.port, service.publisher.port))
    return server
