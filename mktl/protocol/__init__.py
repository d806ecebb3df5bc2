"""The wire contract without any input or output: bytes in, messages out, and back.

- ``names``: what a store, a key or an alias may look like
- ``message``: frames of requests, responses and broadcasts
- ``bulk``: arrays as bytes
- ``exchange``: which response belongs to which request
- ``discovery``: the datagrams with which peers find each other

Nothing in here knows sockets, threads or the clock.
"""
