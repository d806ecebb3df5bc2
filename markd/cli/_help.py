"""What ``mark`` prints about itself."""

from __future__ import annotations

from ._arguments import VERBS

__all__ = ["help_text"]

_USAGE = "usage: mark [options] VERB [requests ...]"

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
exit codes: 0 done, 1 refused, 2 wrong usage, 3 no answer, 4 there are alarms (of alarms alone);
            of several, the highest
"""

_EXAMPLES = """\
examples:
  mark discover                     what stores there are
  mark list cryo                    what items the store cryo has
  mark get cryo.temp                one value
  mark get 'cryo.*temp*' -u degC    all that match, converted
  mark set cryo.setpoint=80 'cryo.mode=On'
  mark watch cryo.temp              each new value, until Ctrl-C
  mark alarms                       what is wrong, and where
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
this goes to stderr. One that the hardware has last confirmed a minute ago or more says that, too,
unless --terse. What was never read prints as null.

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
  --for TIME          end after this time, in seconds or such as 90s, 10m, 2h

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
    "lock": """\
usage: mark lock KEY ... --for TIME --why TEXT
       mark lock --list [STORE ...]

For a while, let nobody else set the items that match: others are told who has locked them, why,
and until when. You, known by user and host or by your key, can set them, and the daemon's own
code; what stops something is never locked. KEY as for get; a store means all of its items.
A lock ends by itself, after 7 days at most, and outlives a restart of the daemon.

  --for TIME          how long: 90s, 10m, 2h, 1d
  --why TEXT          the reason that others are told
  --list              list the locks of these stores, or of all

examples:
  mark lock 'cryo.temp*' --for 2h --why "new sensor"
  mark lock --list cryo
""",
    "unlock": """\
usage: mark unlock KEY ... [--break]

End locks before their time: those on just this KEY, or on keys that it matches.

  --break             those of others, too

examples:
  mark unlock 'cryo.temp*'
  mark unlock 'cryo.*' --break
""",
    "history": """\
usage: mark history KEY ... [--since TIME] [--last N]

Print what was set, as the daemons have recorded it: when (local time), from what to what, by
whom, and why not if it was refused or failed. The newest comes last. KEY as for get; a store
means all of its items. Of each daemon 20 are shown, unless told otherwise.

  --since TIME        those of the last 90s, 10m, 2h, 1d
  --last N            so many of each daemon, 1000 at most

examples:
  mark history cryo.setpoint
  mark history cryo --since 2h --last 500 --json
""",
    "keys": """\
usage: mark keys new [NAME]
       mark keys list
       mark keys allow NAME KEY --role ROLE
       mark keys revoke NAME
       mark keys server
       mark keys trust HOST[:PORT] KEY
       mark keys forget NAME

For daemons that want CURVE: they encrypt, and recognise callers by their keys.

  new                 make a pair for yourself, and print its public key; where there are
                      several, MKTL_KEY names the one that is used (otherwise "default")
  list                keys of yours, of daemons of this home, allowed ones, known ones
  allow               have daemons of this home recognise KEY, as NAME: the public key that
                      somebody has made by new. Running daemons know it at once
  --role ROLE         what NAME may do: read, operator, engineer, or as a daemon's rules define
  revoke              recognise NAME no longer, from now on
  server              print the public key of this home's daemons, to be told to their users
  trust               take KEY for that of the daemons at HOST, whatever was known before;
                      the KEY plain: speak to them in clear text
  forget              forget the key of a daemon (store.alias), or of HOST

examples:
  mark keys new
  mark keys allow ana 3f9ac5d1...  --role operator
  mark keys trust moon 83161f74...
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
        from ._help_alarms import ALARM_VERBS

        return f"{_VERBS.get(verb) or ALARM_VERBS[verb]}\n{_OPTIONS}{_STATUS}".rstrip()
    width = max(map(len, VERBS))
    verbs = "".join(f"  {name:{width}}  {what}\n" for name, what in VERBS.items())
    return f"{_USAGE}\n\nverbs:\n{verbs}\n{_OPTIONS}{_STATUS}\n{_EXAMPLES}".rstrip()
