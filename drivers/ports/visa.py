"""A VISA resource, through pyvisa and, unless told otherwise, pyvisa-py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

from drivers.ports._library import LibraryPort
from drivers.ports._settings import SerialSettings
from drivers.ports._visa_hislip import Hislip, hislip
from drivers.ports._visa_library import (
    Watched,
    close_left_open,
    inside,
    library,
    manager,
    translated,
)
from drivers.ports._visa_names import VisaName
from drivers.ports.serial import import_pyserial, settings_for
from mktl.errors import DeviceLost, DeviceTimeout

__all__ = ["VisaPort"]

_SLICE_S = 0.2  # close() by another thread waits no longer for a read that is under way
# No power of two: pyvisa-py takes a message of exactly the size asked for as one that goes on.
_MESSAGE_SIZE = 1_000_003
_STREAM_SIZE = 65536
_LONGEST_MESSAGE = 32 << 20
"""More than any reading or picture of an instrument has: it is not waited for what comes then."""
_REST_S = 1.0  # longest wait for the rest of a message that has begun unasked
_FLOWS = {"none": "none", "xonxoff": "xon_xoff", "rtscts": "rts_cts", "dsrdtr": "dtr_dsr"}
_STOPS = {1: "one", 1.5: "one_and_a_half", 2: "two"}

Result = TypeVar("Result")


class VisaPort(LibraryPort):
    """One resource, as a stream of bytes (SOCKET, ASRL) or of whole messages (INSTR)."""

    def __init__(
        self,
        name: VisaName,
        backend: str = "@py",
        *,
        settings: SerialSettings | None = None,
        end: bytes = b"\n",
    ) -> None:
        """Note what to open; nothing is opened, and pyvisa not imported, yet.

        Args:
            name: The resource.
            backend: As pyvisa has it: ``@py``, ``@ivi``, or the path of a library.
            settings: Of the line, for ASRL.
            end: What replies end with; a SOCKET is read up to its last byte.
        """
        super().__init__()
        self._name = name
        self._backend = backend
        self._settings = (settings or SerialSettings()) if name.interface == "ASRL" else None
        self._end = end
        self._resource: Any = None
        self._watched = Watched(None)
        self._hislip: Hislip | None = None
        self._timeout_ms = 0
        self._faulty = False
        self._torn = False

    @property
    def url(self) -> str:
        """``visa://RESOURCE``, the name in full, with what is not usual behind it."""
        parts = [] if self._backend == "@py" else [f"backend={self._backend}"]
        if self._settings is not None:
            parts.append(self._settings.query)
        return f"visa://{self._name.text}" + (f"?{'&'.join(parts)}" if parts else "")

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on a serial line; 0 elsewhere."""
        return self._settings.char_s if self._settings is not None else 0.0

    @property
    def whole_messages(self) -> bool:
        """True for INSTR resources other than ASRL: VXI-11, HiSLIP, USB-TMC, GPIB."""
        return self._name.whole_messages

    def renew(self) -> VisaPort:
        """Return an unopened port to the same resource."""
        return VisaPort(self._name, self._backend, settings=self._settings, end=self._end)

    def read(self, deadline: float) -> bytes:
        """Wait for bytes, or for one whole message; see :meth:`Port.read`.

        Of a message that did not come in time a part may be lost. So nothing more is read after
        that until :meth:`clear`: the rest of it is not taken for a message.
        """
        read = self._message if self.whole_messages else self._stream
        try:
            return self._do_in_time(lambda: read(deadline), deadline)
        except DeviceTimeout as error:
            raise DeviceLost(str(error)) from error

    def write(self, data: bytes, deadline: float) -> None:
        """Hand over all of *data*, as one message where there are messages."""
        self._do_in_time(lambda: self._write(data, deadline), deadline)

    def discard(self) -> bytes:
        """Return what came unasked; of messages, those only that can be seen without asking.

        To ask an instrument for a message that it does not have is an error, which it would note.
        """
        if not self.whole_messages:
            return self._do_in_time(self._discard, 0.0)
        fault = self._watched.fault()
        if fault or self._closing:
            raise DeviceLost(self._closing or fault)
        if self._hislip is None or self._torn:
            return b""
        return self._do_in_time(self._discard_messages, 0.0)

    def clear(self, deadline: float) -> None:
        """Send a device clear; nothing to do for streams. See :meth:`Port.clear`."""
        if self.whole_messages:
            self._do_in_time(lambda: self._clear(deadline), deadline)

    # --- in the thread of the port ----------------------------------------------------------------

    def _library(self, action: Callable[[], Result]) -> Result:
        """Call pyvisa, and translate what it raises."""
        try:
            return action()
        except Exception as error:  # pyvisa-py raises everything, Exception itself included
            failure = translated(error)
        if isinstance(failure, DeviceLost):
            self._faulty = True
        # Outside of the handler: its traceback would keep all that pyvisa-py had in hand.
        raise failure

    def _open(self, deadline: float) -> None:
        rm = manager(self._backend)
        left_ms = max(1, math.ceil((deadline - time.monotonic()) * 1000))

        def opened() -> Any:
            try:
                return rm.open_resource(self._name.text, open_timeout=left_ms)
            except Exception as error:  # of whatever library: it is raised again
                close_left_open(error)
                raise

        try:
            self._resource = self._library(opened)
            self._watched = Watched(inside(self._resource))
            if fault := self._watched.fault():  # a refused connection, of which pyvisa-py is silent
                raise DeviceLost(fault)
            self._hislip = hislip(inside(self._resource))
            self._library(self._set_up)
        except (DeviceLost, DeviceTimeout) as error:
            raise type(error)(f"cannot open {self._name.text}: {error}") from None

    def _set_up(self) -> None:
        constants = library().constants
        resource = self._resource
        resource.read_termination = resource.write_termination = None
        if self._name.text.endswith("::SOCKET"):
            # Up to the end of a reply, or to a pause: nothing is lost when the timeout comes.
            resource.set_visa_attribute(constants.ResourceAttribute.termchar, self._end[-1])
            resource.set_visa_attribute(constants.ResourceAttribute.termchar_enabled, True)
            resource.set_visa_attribute(constants.ResourceAttribute.suppress_end_enabled, False)
        if self._settings is None:
            return
        interface = inside(resource)
        if hasattr(interface, "exclusive"):
            import_pyserial()
            interface.exclusive = True
        path = self._name.text.removeprefix("ASRL").removesuffix("::INSTR")
        settings = settings_for(path, self._settings)
        resource.baud_rate = settings.baud
        resource.data_bits = settings.bits
        resource.parity = constants.Parity[settings.parity]
        resource.stop_bits = constants.StopBits[_STOPS[settings.stop]]
        resource.flow_control = constants.ControlFlow[_FLOWS[settings.flow]]
        # Bytes are counted, so none of them ends a read, and none is added.
        resource.end_input = constants.SerialTermination.none

    def _release(self) -> None:
        if self._faulty:
            self._watched.end()  # pyvisa-py would say goodbye, and wait for an answer
        resource, self._resource = self._resource, None
        if resource is not None:
            try:
                self._library(resource.close)
            except (DeviceLost, DeviceTimeout):
                self._faulty = True  # it was so before, or it is the same to us
        self._watched.release()

    def _set_timeout(self, deadline: float, longest_s: float = 3600.0) -> None:
        left_s = min(deadline - time.monotonic(), longest_s)
        timeout_ms = max(1, math.ceil(left_s * 1000))
        if timeout_ms != self._timeout_ms:
            self._resource.timeout = self._timeout_ms = timeout_ms

    def _message(self, deadline: float) -> bytes:
        if self._torn:
            with self._changed:
                self._changed.wait_for(lambda: self._closing, max(0.0, deadline - time.monotonic()))
            return b""
        self._torn = True
        if self._hislip is not None and not self._hislip.wait(deadline):
            return b""
        try:
            data = self._read_message(deadline)
        except DeviceTimeout:
            return b""
        self._torn = False
        return data

    def _read_message(self, deadline: float) -> bytes:
        """Read to the end of a message; pyvisa would take whatever comes, as long as it comes."""
        found = bytearray()
        goes_on = True
        while goes_on:
            part, goes_on = self._library(lambda: self._part(deadline))
            found += part
            if len(found) > _LONGEST_MESSAGE:
                self._faulty = True
                raise DeviceLost(
                    f"more than {_LONGEST_MESSAGE} bytes came without the end of a message; they "
                    f"begin with {bytes(found[:40])!r}"
                )
            if goes_on and time.monotonic() > deadline:
                raise DeviceTimeout("a message did not end in time")
        return bytes(found)

    def _part(self, deadline: float) -> tuple[bytes, bool]:
        """Return a part of a message, and whether it goes on."""
        self._set_timeout(deadline)
        more = library().constants.StatusCode.success_max_count_read
        part, status = self._read_some(_MESSAGE_SIZE)
        return part, status == more

    def _stream(self, deadline: float) -> bytes:
        while not self._closing:
            last = deadline - time.monotonic() <= _SLICE_S
            if data := self._slice(deadline):
                return data
            if fault := self._watched.fault():
                self._faulty = True
                raise DeviceLost(fault)
            if last:
                break
        return b""

    def _slice(self, deadline: float) -> bytes:
        try:
            return self._library(lambda: self._receive(deadline))
        except DeviceTimeout:
            return b""

    def _receive(self, deadline: float) -> bytes:
        self._set_timeout(deadline, _SLICE_S)
        if self._settings is None:
            return self._read(_STREAM_SIZE)
        # pyvisa-py throws away what it has read when the timeout comes before all of it: ask for
        # one byte, and then for those that are there.
        first = self._read(1)
        count = min(self._resource.bytes_in_buffer, _STREAM_SIZE)
        return first + self._read(count) if count else first

    def _read(self, count: int) -> bytes:
        return self._read_some(count)[0]

    def _read_some(self, count: int) -> tuple[bytes, Any]:
        """Return up to *count* bytes, and the status that came with them."""
        codes = library().constants.StatusCode
        resource = self._resource
        with resource.ignore_warning(
            codes.success_device_not_present, codes.success_max_count_read
        ):
            data, status = resource.visalib.read(resource.session, count)
        return bytes(data), status

    def _discard(self) -> bytes:
        found = b""
        while len(found) < _STREAM_SIZE and (data := self._there()):
            found += data
        if not found and (fault := self._watched.fault()):
            self._faulty = True
            raise DeviceLost(fault)
        return found

    def _discard_messages(self) -> bytes:
        assert self._hislip is not None, "looked at before"
        if not self._hislip.wait(0.0):
            return b""
        self._set_timeout(time.monotonic() + _REST_S)
        try:
            return self._library(self._hislip.take_unasked)
        except DeviceTimeout as error:
            raise DeviceLost("the rest of a message that nobody asked for did not come") from error

    def _there(self) -> bytes:
        if self._settings is None:
            return self._slice(0.0)
        count = self._library(lambda: self._resource.bytes_in_buffer)
        return self._library(lambda: self._read(min(count, _STREAM_SIZE))) if count else b""

    def _write(self, data: bytes, deadline: float) -> None:
        def write() -> int:
            self._set_timeout(deadline)
            return int(self._resource.write_raw(data))

        try:
            sent = self._library(write)
        except DeviceTimeout as error:
            if self._hislip is None:
                raise
            # What follows would be taken for the rest of it, a device clear included.
            self._faulty = True
            raise DeviceLost("the message could not be sent in time, or in part only") from error
        if sent != len(data):
            raise DeviceTimeout(f"only {sent} of {len(data)} bytes could be sent in time")

    def _clear(self, deadline: float) -> None:
        def clear() -> None:
            self._set_timeout(deadline)
            if self._hislip is None:
                self._resource.clear()
            else:
                self._hislip.clear()

        try:
            self._library(clear)
        except DeviceTimeout:
            self._faulty = True  # an answer to a goodbye would be waited for in vain as well
            raise
        self._torn = False

    # --- in any thread ----------------------------------------------------------------------------

    def _interrupt(self) -> None:
        if self.whole_messages or self._name.interface == "TCPIP":
            self._faulty = True
            self._watched.end()

    def _broken(self) -> str:
        return self._watched.fault()
