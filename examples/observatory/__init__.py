"""An observatory in a box: seven daemons, their simulators, and two interlocks.

- ``interlocks``: the daemon with the interlocks, and how to write one
- ``box``: what runs, and where
- ``keeping``: processes that are started again when they die
- ``tour``, ``soak``: what ``make observatory TOUR=1`` and ``SOAK=600`` do
"""
