"""One axis of an IcePAP: its registers, its motions and how they end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum

from simulators._drive import Drive, Happening, Rail
from simulators._icepap_home import HomeSearch
from simulators._icepap_words import Bit, Disable, IcepapError, Mode, Reason, Stop

__all__ = ["ALARMS", "IcepapAxis", "Phase"]

RAIL = Rail(
    low_switch=-100_000.0,
    high_switch=100_000.0,
    low_stop=-102_000.0,
    high_stop=102_000.0,
    home=(20_000.0, 20_200.0),
)
"""Steps of every axis; the twin's choice, like all numbers here."""
VELOCITY, ACCTIME_S = 20_000.0, 0.1
"""What an axis begins with after a start, steps per second and seconds."""
WINDOW = 2.0
"""Steps around the target that the control loop has to reach."""
SETTLING_TIMEOUT_S = 1.0
"""Seconds that it has for this."""
FOLLOWING_ERROR = 500.0
"""Steps between motor and carriage at which the control loop gives up."""
TOO_HOT_C = 70.0
"""Temperature of a driver that is an alarm."""
LAG_S = 0.010
"""Time constant with which the load follows."""

ALARMS: Mapping[str, Stop] = {
    "internal_failure": Stop.INTERNAL,
    "motor_failure": Stop.MOTOR,
    "overload": Stop.OVERLOAD,
    "encoder_failure": Stop.ENCODER,
    "external_alarm": Stop.EXTERNAL,
}
"""What can be wrong with an axis from outside, and the stop code that it has then."""


class Phase(Enum):
    """What an axis is doing."""

    REST = "rest"
    MOVING = "moving"
    SETTLING = "settling"


class IcepapAxis:
    """One driver board with its motor."""

    def __init__(self, address: int) -> None:
        """Stand still in the middle of the rail, with power."""
        self.address = address
        self.name = f"axis{address}"
        self.drive = Drive(RAIL, lag_s=LAG_S)
        self.velocity = VELOCITY
        self.acctime_s = ACCTIME_S
        self.powered = True
        self.alive = True
        self.active = True
        self.closed_loop = True
        self.hunting = False
        self.warning_c = 45.0
        self.disable_input = False
        self.disable_switch = False
        self.rack_input = False
        self.rack_switch = False
        self.mode = Mode.OPER
        self.causes = dict.fromkeys(ALARMS, False)
        self.alarm: Stop | None = None
        self.phase = Phase.REST
        self.stop_code = Stop.END
        self.jogging = False
        self.home = HomeSearch(found=True)
        self.group: frozenset[IcepapAxis] = frozenset()
        self._pos_zero = self._enc_zero = 0.0
        self._ends_as = Stop.END
        self._settling_left_s = 0.0

    # -- what it says ------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """What ``?POS`` says: the steps that the motor was told to make."""
        return round(self.drive.motor.position - self._pos_zero)

    @property
    def encoder(self) -> int:
        """What ``?ENC`` says: where the encoder sees the load."""
        return round(self.drive.load - self._enc_zero)

    @property
    def warm(self) -> bool:
        """Tell whether the driver is warmer than it should be."""
        return self.drive.temperature_c > self.warning_c

    @property
    def disable_code(self) -> Disable:
        """Why the motor has no power."""
        if not self.active:
            return Disable.NOT_ACTIVE
        if self.alarm is not None:
            return Disable.ALARM
        inputs = {
            Disable.RACK_INPUT: self.rack_input,
            Disable.RACK_SWITCH: self.rack_switch,
            Disable.AXIS_INPUT: self.disable_input,
            Disable.AXIS_SWITCH: self.disable_switch,
        }
        otherwise = Disable.ENABLED if self.powered else Disable.SOFTWARE
        return next((code for code, is_on in inputs.items() if is_on), otherwise)

    @property
    def status(self) -> int:
        """The status word."""
        out_of_window = self.closed_loop and abs(self.drive.slip + self.drive.lag) > WINDOW + 1e-6
        ready = self.powered and self.phase is Phase.REST and self.mode is Mode.OPER
        fields = {
            Bit.PRESENT: 1,
            Bit.ALIVE: self.alive,
            Bit.MODE: self.mode % 4,
            Bit.DISABLE: self.disable_code,
            Bit.READY: ready,
            Bit.MOVING: self.phase is Phase.MOVING,
            Bit.SETTLING: self.phase is Phase.SETTLING,
            Bit.OUT_OF_WINDOW: out_of_window,
            Bit.WARNING: self.warm,
            Bit.STOP_CODE: self.stop_code,
            Bit.LIMIT_PLUS: self.drive.at_high,
            Bit.LIMIT_MINUS: self.drive.at_low,
            Bit.HOME: self.drive.at_home,
            Bit.AUXILIARY_POWER: 1,
            Bit.POWER: self.powered,
        }
        return sum(int(value) << bit for bit, value in fields.items())

    # -- what it is told ---------------------------------------------------------------------

    def set_position(self, steps: int) -> None:
        """Call the present position *steps*.

        Raises:
            IcepapError: it moves.
        """
        self._must_rest()
        self._pos_zero = self.drive.motor.position - steps

    def set_encoder(self, steps: int) -> None:
        """Call the present position of the encoder *steps*.

        Raises:
            IcepapError: it moves.
        """
        self._must_rest()
        self._enc_zero = self.drive.load - steps

    def set_power(self, on: bool) -> None:
        """Switch the motor on or off; an alarm whose cause is gone is over when it is on.

        Raises:
            IcepapError: something keeps it off.
        """
        if not on:
            self._lose_power(Stop.DISABLED)
            return
        self.alarm = self._alarm_now()
        if self.disable_code not in (Disable.ENABLED, Disable.SOFTWARE):
            raise IcepapError(Reason.DISABLED)
        if self.closed_loop and not self.powered:
            self.drive.regain()
        self.powered = self.drive.powered = True

    def check_can_move(self, *, jog: bool = False) -> None:
        """Check that a motion can begin; *jog*: or go on at another velocity.

        Raises:
            IcepapError: it cannot.
        """
        if self.mode is not Mode.OPER:
            raise IcepapError(Reason.NOT_OPER)
        if not self.powered:
            raise IcepapError(Reason.POWER_OFF)
        if not (jog and self.jogging):
            self._must_rest()

    def move_to(self, steps: float) -> None:
        """Begin to move to where ``?POS`` says *steps*, after `check_can_move`."""
        self._begin()
        self._drive_to(self._pos_zero + steps)
        self.watch()

    def jog(self, velocity: float) -> None:
        """Move on at *velocity* steps per second until told otherwise, as above."""
        if not velocity:
            self.stop()
            return
        self._begin()
        self.jogging = True
        self._run_at(velocity)
        self.watch()

    def search_home(self, direction: int) -> None:
        """Begin to look for the home switch, as above; *direction* 1, -1, or 0: both ways."""
        self._begin()
        if self.home.begin(direction, at_home=self.drive.at_home):
            # It is on the switch, whose edge it wants: so it goes off it again, and comes back.
            begin, end = RAIL.home or (0.0, 0.0)
            away = 2 * (end - begin) * self.home.direction
            self._drive_to(self.drive.motor.position - away)
        else:
            self._run_at(self.home.direction * self.velocity)
        self.watch()

    def stop(self) -> None:
        """Slow down and stop; at rest: no effect."""
        if self.phase is Phase.MOVING:
            self._ends_as = Stop.STOP
            self.home.give_up()
            self._run_at(0.0)

    def abort(self) -> None:
        """Stop at once; at rest: no effect."""
        if self.phase is not Phase.REST:
            self._end(Stop.ABORT)

    def lose_memory(self) -> None:
        """Forget what does not survive a loss of supply: positions, home, and the settings."""
        self._pos_zero = self.drive.motor.position
        self._enc_zero = self.drive.load
        self.velocity, self.acctime_s = VELOCITY, ACCTIME_S
        self.home = HomeSearch(found=False)
        self.stop_code = Stop.END
        self.alarm = self._alarm_now()

    # -- time --------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass."""
        self.watch()
        while dt_s > 0:
            elapsed_s, happening = self.drive.advance(
                min(dt_s, self._patience_s()),
                tolerance=FOLLOWING_ERROR if self.closed_loop else math.inf,
            )
            dt_s -= elapsed_s
            self._notice(happening)
            self._settle(elapsed_s)
            self.watch()

    def watch(self) -> None:
        """See to switches, inputs and alarms, as the board does all the time."""
        alarm = self._alarm_now()
        if alarm is not None:
            self.alarm = alarm
            self._lose_power(alarm)
        elif self.disable_code is not Disable.ENABLED:
            self._lose_power(Stop.DISABLED)
        direction = self.drive.motor.direction if self.phase is Phase.MOVING else 0
        if direction > 0 and self.drive.at_high:
            self._end_at_limit(Stop.LIMIT_PLUS)
        elif direction < 0 and self.drive.at_low:
            self._end_at_limit(Stop.LIMIT_MINUS)

    def _alarm_now(self) -> Stop | None:
        for name, code in ALARMS.items():
            if self.causes[name] and (code is not Stop.ENCODER or self.closed_loop):
                return code
        if self.drive.temperature_c > TOO_HOT_C:
            return Stop.OVERHEAT
        if self.powered and self.closed_loop and abs(self.drive.slip) > FOLLOWING_ERROR - 1e-6:
            return Stop.CLOSED_LOOP
        return None

    def _notice(self, happening: Happening | None) -> None:
        if self.phase is not Phase.MOVING:
            return
        if happening is Happening.HOME and self.home.reached(self.drive.motor.position):
            self._run_at(0.0)
        elif happening is Happening.ARRIVED:
            self._arrive()

    def _arrive(self) -> None:
        if self.home.returns_to is not None:
            self._drive_to(self.home.returns_to)
            self.home.returns_to = None
            if self.drive.motor.moving:
                return
        elif self.home.backed_off():
            self._run_at(self.home.direction * self.velocity)
            return
        if self.home.found_at is not None:
            self._pos_zero = self._enc_zero = self.home.found_at
            self.home.finish()
        self.phase = Phase.SETTLING
        self._settling_left_s = SETTLING_TIMEOUT_S
        self._settle(0.0)

    def _patience_s(self) -> float:
        if self.phase is not Phase.SETTLING:
            return math.inf
        reached_s = math.inf if self.hunting else self.drive.settles_in_s(WINDOW)
        return min(reached_s, self._settling_left_s)

    def _settle(self, elapsed_s: float) -> None:
        if self.phase is not Phase.SETTLING:
            return
        self._settling_left_s -= elapsed_s
        if not self.closed_loop or (
            not self.hunting and abs(self.drive.lag) <= WINDOW * (1 + 1e-6)
        ):
            self._end(self._ends_as)
        elif self._settling_left_s <= 1e-9:
            self._end(Stop.SETTLING)

    # -- begin and end -----------------------------------------------------------------------

    def _must_rest(self) -> None:
        if self.phase is not Phase.REST:
            raise IcepapError(Reason.MOVING)

    def _begin(self) -> None:
        self.phase = Phase.MOVING
        self.stop_code = self._ends_as = Stop.END
        self.jogging = False
        self.group = frozenset()

    def _drive_to(self, target: float) -> None:
        self.drive.motor.move_to(
            target, speed=self.velocity, acceleration=self.velocity / self.acctime_s
        )
        if not self.drive.motor.moving:
            self._notice(Happening.ARRIVED)

    def _run_at(self, velocity: float) -> None:
        self.drive.motor.run_at(velocity, acceleration=self.velocity / self.acctime_s)
        if not self.drive.motor.moving:
            self._notice(Happening.ARRIVED)

    def _end_at_limit(self, code: Stop) -> None:
        if self.home.turns_back():
            self.drive.motor.halt()
            self._run_at(self.home.direction * self.velocity)
        else:
            self._end(code)

    def _lose_power(self, code: Stop) -> None:
        self.powered = self.drive.powered = False
        if self.phase is not Phase.REST:
            self._end(code)

    def _end(self, code: Stop) -> None:
        self.drive.motor.halt()
        self.phase = Phase.REST
        self.stop_code = code
        self.jogging = False
        self.home.give_up()
        group, self.group = self.group, frozenset()
        if code is not Stop.END:
            for other in group:
                other.stop()
