"""What ``mark`` prints about itself."""

from __future__ import annotations

from ._arguments import VERBS

__all__ = ["help_text"]

_USAGE = "usage: mark [options] {get,set,watch,list,describe,discover,ports} [requests ...]"

_OPTIONS = """\
options, before or behind the verb:
  -s, --store STORE   the store of all keys, which are then written without it
  --json              one JSON object a line
  --timeout S         seconds that a daemon has to acknowledge, and again to finish
                      (otherwise 2 to acknowledge, and as long as it works)
  --at HOST:PORT      ask this daemon or registry about the store, and nobody else
  --version, -h, --help

options of get and watch:
  --formatted         values as people read them (unless told otherwise)
  --unformatted       values as they are stored; with both: key: stored => formatted
  --terse             the value alone
  --timestamp, --no-timestamp
                      the time of the value in front, or not
  -u, --units UNITS   convert to these units (of set: from them)

"""

_STATUS = """\
exit codes: 0 done, 1 refused, 2 wrong usage, 3 no answer; of several, the highest
"""

_EXAMPLES = """\
examples:
  mark discover                     what stores there are
  mark list cryo                    what items the store cryo has
  mark get cryo.temp                one value
  mark get 'cryo.*temp*' -u degC    all that match, converted
  mark set cryo.setpoint=80 'cryo.mode=On'
  mark watch cryo.temp              each new value, until Ctrl-C
  mark ports                        serial ports, and who has them open
  mark help set                     more about a verb
"""

_VERBS = {
    "get": """\
usage: mark get [options] KEY ...

Print the values that the daemons hold. KEY is store.key, a pattern such as 'cryo.*temp*', or a
store for all of its items that can be read.

  --refresh           have the hardware read now

A value that is in doubt says so behind the line, for example [invalid: no reply]; with --terse
this goes to stderr. What was never read prints as null.

examples:
  mark get cryo.temp cryo.setpoint
  mark get -s cryo temp '*_link'
  mark get cryo.temp --terse --refresh
  mark get cryo --json
""",
    "set": """\
usage: mark set [options] KEY=VALUE ...

Set items and wait until that is done. VALUE is text as get prints it; all behind the first = is
VALUE. All are set at once, and one that fails holds up no other.

  --serial            one after the other; after one that fails, too
  --no-wait           only until acknowledged: the exit code tells nothing about the end
  --unformatted       VALUE as it is stored: JSON, or else text
  -u, --units UNITS   VALUE is in these units

examples:
  mark set cryo.setpoint=80
  mark set cryo.setpoint=-193.15 -u degC
  mark set 'cryo.mode=On' 'cryo.note=a = b'
""",
    "watch": """\
usage: mark watch [options] KEY ...

Print the present values, and then each new one, until interrupted. KEY as for get.

  --count N           end after N lines
  --for S             end after S seconds

When the connection to a daemon is lost, and when it is back, stderr says so.

examples:
  mark watch cryo.temp
  mark watch 'cryo.*temp*' --for 60 --json > temperatures
  mark watch cryo.temp --terse --count 10
""",
    "list": """\
usage: mark list [options] [STORE | KEY ...]

List items with their type and whether they can be read (r) and written (w); without an
argument, of all stores that are cached or answer a call.

examples:
  mark list cryo
  mark list 'cryo.*temp*'
""",
    "describe": """\
usage: mark describe [options] KEY ...

Print descriptions as JSON: that of one KEY as it is; of several, of a pattern or of a store, an
object of them by key.

examples:
  mark describe cryo.temp
  mark describe cryo
""",
    "discover": """\
usage: mark discover [HOST:PORT ...]

Ask registries which stores they know, and remember both: those at the given addresses, or
those that are known or answer a call; where there is none, the daemons that answer one.

examples:
  mark discover
  mark discover moon:10103
""",
    "ports": """\
usage: mark ports [options] [PATH | PATTERN ...]

List the serial ports of this machine: the names that lead to each, what its adapter says of
itself, who has it open, and the URL to write into an instrument file. None of them is opened.

PATH is a device file or a link to one, also to a pseudo-terminal. PATTERN, as in a shell, is a
name without its folder, or what the adapter says: its maker, product, serial number or USB id.

  --terse             the URL alone

Without root only processes of this user are seen, and those of others that have locked a port.

examples:
  mark ports
  mark ports ttyUSB0
  mark ports 'FTDI*' --terse
  mark ports /tmp/tc --json
""",
}


def help_text(verb: str) -> str:
    """Return the help for *verb*; all in all where it is empty."""
    if verb:
        return f"{_VERBS[verb]}\n{_OPTIONS}{_STATUS}".rstrip()
    width = max(map(len, VERBS))
    verbs = "".join(f"  {name:{width}}  {what}\n" for name, what in VERBS.items())
    return f"{_USAGE}\n\nverbs:\n{verbs}\n{_OPTIONS}{_STATUS}\n{_EXAMPLES}".rstrip()
