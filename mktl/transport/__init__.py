"""The only place that knows ZeroMQ and sockets.

- ``context``: one ZeroMQ context a process, and what all its sockets have in common
- ``shared``: one socket used by several threads
- ``client``: requests to one daemon
- ``server``: requests from everybody
- ``publisher``, ``subscriber``: broadcasts
- ``beacon``: discovery datagrams, asking and answering
- ``ports``, ``hosts``: which port to bind, and under which name it is reached
"""
