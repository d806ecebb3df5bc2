"""What ``mark help`` says about the verbs for alarms."""

from __future__ import annotations

__all__ = ["ALARM_VERBS"]

ALARM_VERBS = {
    "alarms": """\
usage: mark alarms [options] [STORE | KEY ...]

Print what is wrong with which items, worst first: alarms, warnings, and watched items whose value
is not known. Those that are shelved come last. Without an argument, of all stores that are cached
or answer a call. KEY as for get.

exit code 0: nothing is wrong, but for what is shelved; 4: something is

examples:
  mark alarms cryo
  mark alarms --json
""",
    "ack": """\
usage: mark ack [options] KEY ...

Acknowledge the alarms and warnings that there are now. An alarm that is over but was kept goes;
one that is not stays, but counts no longer as one that nobody has seen. KEY as for get.

  --why TEXT          what others are told

examples:
  mark ack cryo.temp
  mark ack 'cryo.*' --why "the pump is being changed"
""",
    "shelve": """\
usage: mark shelve [options] KEY ... --for TIME --why TEXT
       mark shelve --end KEY ...

For a while, disregard what items are watched for: their values are no longer marked, and are
counted nowhere. It ends by itself, after 30 days at most, and outlives a restart. KEY as for get.

  --for TIME          how long: 90s, 10m, 2h, 1d
  --why TEXT          the reason that others are told
  --end               no longer

examples:
  mark shelve cryo.temp --for 2h --why "new sensor"
  mark shelve --end 'cryo.*'
""",
    "limits": """\
usage: mark limits [options] KEY ... [WORD=VALUE ...]
       mark limits --reset KEY ...

Show what items are watched for, or change it: at once, and until it is changed again, also over
restarts. What no word names stays as it is; a word without a value is taken out. Numbers are in
the units in which the value is stored.

  warning=LOW,HIGH alarm=LOW,HIGH   limits; ,HIGH or LOW, is one side alone
  warning=STATE,... alarm=STATE,... states of an item that has names for its values
  hysteresis=X delay_s=S latch=true how far back, after how long, kept until acknowledged
  tracks=KEY tolerance=X within_s=S tracks_latch=true    what the item has to follow
  deadband=X                        smallest change that is published
  --reset                           take what the description of the item says
  --why TEXT                        what others are told

examples:
  mark limits cryo
  mark limits cryo.temp warning=70,90 alarm=60,100 hysteresis=0.5 delay_s=3
  mark limits cryo.temp --reset
""",
}
