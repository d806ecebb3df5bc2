"""One axis of a Zaber device: where it is, how it moves, and what its flags say."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, IntEnum

from simulators._drive import Drive, Happening, Rail

__all__ = ["ACCEL_UNITS", "FLAGS", "SPEED_UNITS", "TRAVEL", "Phase", "Reference", "ZaberAxis"]

TRAVEL = 1_000_000
"""Microsteps from limit.min to limit.max; the twin's choice, like all numbers here."""
MAX_SPEED, ACCEL = 491_520, 205
"""What an axis begins with, in the units of the settings."""
SPEED_UNITS = 1.6384
"""What a microstep per second is in a setting (general knowledge, not in the sheet)."""
ACCEL_UNITS = 1.6384 / 10_000
"""What a microstep per second squared is in a setting (as above)."""
SENSOR_OFFSET = 100.0
"""Microsteps from a limit sensor to the limit of travel beside it."""
RAIL = Rail(
    low_switch=-SENSOR_OFFSET,
    high_switch=TRAVEL + SENSOR_OFFSET,
    low_stop=-2000.0,
    high_stop=TRAVEL + 2000.0,
)
STALL = 500.0
"""Microsteps between motor and carriage that are a stall."""
DISPLACED = 50.0
"""Microsteps that somebody pushed a carriage at rest, from which the device notices it."""
WINDOW = 4.0
"""Microsteps around the target in which it has settled."""
LAG_S = 0.002
"""Time constant with which the load follows."""
HOT_C, TOO_HOT_C = 70.0, 85.0
"""Temperatures of a driver that are a warning, and that switch it off."""
_OFF_SENSOR = 2000.0

FLAGS = ("FF", "FD", "FQ", "FS", "FE", "WH", "WL", "WV", "WT", "WM", "WR", "NC", "NI")
"""Those that it can show, the gravest first."""
_OF_MOTION = frozenset({"FS", "FE", "WL", "WM", "NI"})


class Phase(Enum):
    """What an axis is doing."""

    REST = "rest"
    MOVING = "moving"
    SETTLING = "settling"


class Homing(Enum):
    """How far it has got with ``home``."""

    NOT = "not homing"
    BACKING_OFF = "going off the sensor first"
    APPROACHING = "looking for the sensor"
    RETURNING = "going to the limit of travel beside it"


class Reference(IntEnum):
    """What it knows of its position."""

    NONE = 0
    """Flag WR."""
    NOT_HOMED = 1
    """Flag WH: it has one, but has not been homed."""
    HOMED = 2


class ZaberAxis:
    """Motor, carriage, home sensor and away sensor."""

    def __init__(self, number: int, tell: Callable[[ZaberAxis], None]) -> None:
        """Stand still at limit.min, homed; *tell* is called when it comes to rest."""
        self.number = number
        self.drive = Drive(RAIL, lag_s=LAG_S)
        self.max_speed = MAX_SPEED
        self.accel = ACCEL
        self.limit_min, self.limit_max = 0, TRAVEL
        self.reference = Reference.HOMED
        self.phase = Phase.REST
        self.driver_on = True
        self.supplied = True
        self.parked = False
        self.active = True
        self.manual = False
        self.encoder_fault = False
        self.critical = False
        self.voltage_wrong = False
        self._tell = tell
        self._homing = Homing.NOT
        self._of_motion: set[str] = set()
        self._zero = 0.0
        self._at_sensors = (False, False)

    # -- what it says ------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """What ``get pos`` says."""
        return round(self.drive.motor.position - self._zero)

    @property
    def encoder(self) -> int:
        """What ``get encoder.pos`` says."""
        return round(self.drive.load - self._zero)

    @property
    def busy(self) -> bool:
        """True while it moves."""
        return self.phase is not Phase.REST

    @property
    def flags(self) -> list[str]:
        """All flags, the gravest first."""
        there = {
            "FF": self.critical,
            "FD": not self.driver_on,
            "FQ": self.encoder_fault,
            "WH": self.reference is Reference.NOT_HOMED,
            "WR": self.reference is Reference.NONE,
            "WV": self.voltage_wrong,
            "WT": self.drive.temperature_c > HOT_C,
            "NC": self.manual,
        } | dict.fromkeys(self._of_motion, True)
        return [flag for flag in FLAGS if there.get(flag)]

    def clear_flags(self) -> None:
        """Forget what was only told so that somebody reads it."""
        self._of_motion.clear()

    @property
    def rests_in_s(self) -> float:
        """Seconds until its motor stands still, or then until it has settled; else infinite."""
        if self.drive.motor.moving:
            return self.drive.motor.left_s
        return self.drive.settles_in_s(WINDOW) if self.busy else math.inf

    # -- what it is told (each after the checks of the command table) ------------------------

    def move_to(self, position: float) -> None:
        """Begin to move to where ``get pos`` says *position*."""
        self._begin()
        self._drive_to(self._zero + position, self._speed)

    def move_at(self, velocity: float) -> None:
        """Begin to move at *velocity* microsteps per second, up to the limit of travel."""
        self._begin()
        if not velocity:
            self._run_at(0.0)
        elif self.reference is Reference.NONE:
            self._run_at(velocity)
        else:
            limit = self._zero + (self.limit_max if velocity > 0 else self.limit_min)
            if (limit - self.drive.motor.position) * velocity > 0:
                self._drive_to(limit, abs(velocity))
            else:
                self._run_at(0.0)

    def move_to_end(self, direction: int) -> None:
        """Begin to move to limit.min (-1) or limit.max (1)."""
        self.move_at(direction * self._speed)

    def home(self) -> None:
        """Begin to look for the home sensor."""
        self._begin()
        if self.drive.at_low:
            self._homing = Homing.BACKING_OFF
            self._drive_to(self.drive.motor.position + _OFF_SENSOR, self._speed)
        else:
            self._look_for_sensor()

    def stop(self) -> None:
        """Slow down and stop; at rest: no effect."""
        if self.busy:
            self._interrupt()
            self._run_at(0.0)

    def halt(self) -> None:
        """Stop at once; at rest: no effect."""
        if self.busy:
            self._interrupt()
            self._end()

    def turn_knob(self, velocity: float) -> None:
        """Have somebody turn the knob, for *velocity* in microsteps per second; 0: let go of it."""
        able = self.active and self.driver_on and not self.parked
        if velocity and able:
            self.move_at(velocity)
            self.manual = self.busy
        elif self.manual:
            self._run_at(0.0)

    def call_position(self, position: int) -> None:
        """Call the present position *position*."""
        self._zero = self.drive.motor.position - position
        self.reference = max(self.reference, Reference.NOT_HOMED)

    def set_driver(self, on: bool) -> None:
        """Switch the driver of the motor on, if nothing keeps it off, or off."""
        self.driver_on = self.drive.powered = on and not self._keeps_off()
        if not self.driver_on:
            self._end_if_busy()

    def lose_supply(self) -> None:
        """Stop where it is, and forget where that is, unless it is parked."""
        self.phase = Phase.REST
        self._homing = Homing.NOT
        self.drive.motor.halt()
        self.driver_on = self.drive.powered = False
        self.clear_flags()
        self.manual = False
        if not self.parked:
            self.reference = Reference.NONE

    def start_up(self) -> None:
        """Have supply again; without a reference the present position is called 0."""
        self.drive.regain()
        if self.reference is Reference.NONE:
            self._zero = self.drive.motor.position
        self._at_sensors = (self.drive.at_low, self.drive.at_high)
        self.set_driver(True)

    # -- time --------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass."""
        self.watch()
        while dt_s > 0:
            elapsed_s, happening = self.drive.advance(
                min(dt_s, self._patience_s()), tolerance=STALL
            )
            dt_s -= elapsed_s
            if happening is Happening.ARRIVED and self.phase is Phase.MOVING:
                self._arrive()
            self._settle()
            self.watch()

    def watch(self) -> None:
        """See to driver, encoder and sensors, as the device does all the time."""
        if self.driver_on and self._keeps_off():
            self.set_driver(False)
        if self.encoder_fault:
            self._end_if_busy()
        self._watch_encoder()
        self._watch_sensors()

    def _keeps_off(self) -> bool:
        return self.critical or not self.supplied or self.drive.temperature_c > TOO_HOT_C

    def _watch_encoder(self) -> None:
        slip = abs(self.drive.slip)
        if self.busy and slip >= STALL - 1e-6:
            self._of_motion.add("FS" if self._homing is Homing.NOT else "FE")
            self.drive.regain()
            self._end()
        elif not self.busy and slip > DISPLACED and not self.encoder_fault:
            self.drive.regain()
            self._of_motion.add("WM")

    def _watch_sensors(self) -> None:
        drive = self.drive
        before, self._at_sensors = self._at_sensors, (drive.at_low, drive.at_high)
        direction = drive.motor.direction
        if direction < 0 and drive.at_low and self._homing is Homing.APPROACHING:
            self._found_sensor()
        elif (direction < 0 and drive.at_low) or (direction > 0 and drive.at_high):
            self._of_motion.add("WL")
            self._end()
        elif not self.busy and (
            (drive.at_low and not before[0]) or (drive.at_high and not before[1])
        ):
            self._of_motion.add("WL")
            self._tell(self)

    def _look_for_sensor(self) -> None:
        if self.drive.at_low:
            # It cannot be: the carriage has just gone off it.
            self._of_motion.add("FE")
            self._end()
            return
        self._homing = Homing.APPROACHING
        self._run_at(-self._speed / 2)

    def _found_sensor(self) -> None:
        self.drive.motor.halt()
        self._zero = self.drive.motor.position + SENSOR_OFFSET
        self.reference = Reference.HOMED
        self._homing = Homing.RETURNING
        self._drive_to(self._zero, self._speed)

    def _arrive(self) -> None:
        if self._homing is Homing.BACKING_OFF:
            self._look_for_sensor()
            return
        self.phase = Phase.SETTLING
        self._settle()

    def _patience_s(self) -> float:
        settling = self.phase is Phase.SETTLING
        return self.drive.settles_in_s(WINDOW) if settling else math.inf

    def _settle(self) -> None:
        if self.phase is Phase.SETTLING and abs(self.drive.lag) <= WINDOW * (1 + 1e-6):
            self._end()

    # -- begin and end -----------------------------------------------------------------------

    @property
    def _speed(self) -> float:
        return self.max_speed / SPEED_UNITS

    def _begin(self) -> None:
        interrupted = self.busy
        self.clear_flags()
        if interrupted:
            self._interrupt()
        self.phase = Phase.MOVING
        self.manual = False

    def _interrupt(self) -> None:
        self._of_motion.add("NI")
        self._homing = Homing.NOT
        self.phase = Phase.MOVING

    def _drive_to(self, target: float, speed: float) -> None:
        acceleration = self.accel / ACCEL_UNITS
        self.drive.motor.move_to(target, speed=speed, acceleration=acceleration)
        self._started()

    def _run_at(self, velocity: float) -> None:
        self.drive.motor.run_at(velocity, acceleration=self.accel / ACCEL_UNITS)
        self._started()

    def _started(self) -> None:
        if not self.drive.motor.moving:
            self._arrive()
        else:
            self._watch_sensors()

    def _end_if_busy(self) -> None:
        if self.busy:
            self._end()

    def _end(self) -> None:
        self.drive.motor.halt()
        self.phase = Phase.REST
        self._homing = Homing.NOT
        self.manual = False
        self._tell(self)
