"""What ``markd new`` writes for the two drivers whose protocol is data.

Each in two parts, between which the store and the alias stand.
"""

from __future__ import annotations

__all__ = ["MODBUS", "TEXT"]

TEXT = (
    """\
# A device that speaks lines of text: the protocol as data, without code.
#
# What is commented out is possible too. All keys: docs/instrument-file.md.

""",
    r"""
[controllers.gauge]
driver = "text"
url = "serial:///dev/ttyUSB0?baud=9600&bits=8&parity=none&stop=1"
# url = "tcp://192.168.1.10:4001"
terminator = "\r\n"                         # what ends each message, both ways
# send_terminator = "\r"                    # ... or one way each
# reply_terminator = "\r\n"
# Which device answers? The reply is a regular expression for the whole answer.
# identify = {ask = "*IDN?", reply = "ACME,VG-1,.*"}
# start = ["ECHO 0", {ask = "UNIT?", reply = "mbar"}]     # on each connect
# restore = ["SP 80"]                       # sent again on each connect, after start
# refused = "ERR.*"                         # a reply like this: the device has refused
# busy = "BUSY"                             # a reply like this: ask again
# error_query = {ask = "SYST:ERR?", ok = "\\+?0,.*"}      # asked after each tell
# no_value = "OVER|UNDER"                   # the text of a field that stands for no number
# timeout_s = 1.0                           # deadline of one exchange
# min_gap_s = 0.02                          # least silence between messages
# echo = true                               # the device echoes each message first
# checksum = "sum8-hex"                     # before the terminator

# A number that is asked for. Items with the same `ask` are read with one exchange.
[items.pressure]
controller = "gauge"
ask = "PR1"
reply = "{status:d},{value:g}"              # default: "{value:g}"
valid = {status = 0}                        # anything else: the value is marked invalid
# reasons = {status = {1 = "underrange", 2 = "overrange"}}
# plausible = [1e-12, 1100]                 # outside of it, the value is not believed
# scale = 1.0
# offset = 0.0
description = "Pressure in the chamber"
units = "mbar"
format = "%.2e"
poll_s = 1

# A number that can be set as well.
[items.setpoint]
controller = "gauge"
ask = "SP?"
tell = "SP {value:.2f}"
# ack = "OK"                                # the reply that is due to `tell`, if there is one
# read_back = true                          # ask again, and compare
range = [0, 100]
poll_s = 5

# Words that stand for values.
[items.running]
controller = "gauge"
type = "boolean"
ask = "RUN?"
values = {ON = true, OFF = false}
tell = "RUN {value}"
poll_s = 2
""",
)

MODBUS = (
    """\
# A device that speaks Modbus: its registers as data, without code.
#
# What is commented out is possible too. All keys: docs/instrument-file.md.

""",
    r"""
[controllers.io]
driver = "modbus"
url = "modbus+tcp://192.168.1.10:502?unit=1"
# url = "modbus+rtu:///dev/ttyUSB0?baud=19200&parity=even&unit=1"
# url = "modbus+rtu+tcp://192.168.1.10:4001?unit=1"
# numbering = "protocol"                    # addresses from 0; or "one-based", or "modicon" (40001)
# words = "big"                             # which register of several comes first
# bytes = "big"                             # which byte of a register comes first
# max_registers = 125                       # most registers in one read
# max_gap = 16                              # registers between two items that one read goes over
# holes = {holding = [[30, 39], [100, 100]]}              # addresses that are never read
# identify = {table = "holding", address = 0, type = "uint16", value = 5270}
# restore = [{table = "holding", address = 24, type = "uint16", value = 1}]
# timeout_s = 1.0                           # deadline of one exchange

# Neighbouring registers with one poll_s are read with one exchange.
[items.flow]
controller = "io"
register = {table = "input", address = 12, type = "float32"}
description = "Flow of cooling water"
units = "l/min"
format = "%.1f"
poll_s = 1

# A number that can be set as well, and a raw value that means that there is none.
[items.setpoint]
controller = "io"
register = {table = "holding", address = 20, type = "int16", scale = 0.1, invalid = 32767}
settable = true
units = "celsius"
range = [5, 40]
poll_s = 5

# One bit of a register, and a coil.
[items.pump_fault]
controller = "io"
register = {table = "input", address = 30, type = "uint16", bit = 3}
poll_s = 1

[items.pump]
controller = "io"
register = {table = "coil", address = 0}
settable = true
poll_s = 1
""",
)
