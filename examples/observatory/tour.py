"""``make observatory TOUR=1``: what it can do, in a minute, with a check of every step."""

from __future__ import annotations

from examples.demo import Demo

from .box import Box

__all__ = ["tour"]

LEAK = "chamber_leak"
"""What to set at the gauges' simulator, in mbar l/s, to have air come into the chamber."""


def tour(demo: Demo, box: Box) -> None:
    """Show all of it.

    Raises:
        StepFailed, NotReady: a step did not do what it should.
    """
    show_what_there_is(demo, box)
    let_it_rain(demo, box)
    let_air_in(demo, box)
    cut_a_cable(demo, box)
    kill_a_daemon(demo, box)
    bypass(demo)
    demo.say("All is well again. What is closed stays closed, and what is off stays off.")
    for key in ("shutter", "high_voltage"):
        box.wait_until(f"safety.{key}", "Armed")
    demo.run("mark get vacuum.chamber power.hv_on dome.shutter_closed",
             shows=r"(?s)power\.hv_on: Off.*dome\.shutter_closed: On")  # fmt: skip


def show_what_there_is(demo: Demo, box: Box) -> None:
    """Read all stores, and set to work."""
    demo.say("\nSix instruments, each with a store of its own, and the store of the interlocks.")
    demo.run("mark get cryo.detector_temp vacuum.chamber weather.wind_speed filters.slide",
             shows=r"vacuum\.chamber: \S+ mbar")  # fmt: skip
    demo.run("mark list safety", shows=r"safety\.high_voltage +enumerated +r")
    demo.say("The shutter opens, a filter moves into the beam, the high voltage is switched on.")
    demo.run("mark set dome.open_shutter=On", shows="Set dome.open_shutter to On")
    demo.run("mark set filters.slide=12.5", shows="Set filters.slide to 12.5")
    demo.run(
        "mark set power.hv_limit=0.3 power.hv_setpoint=24 safety.hv_on=On",
        shows="Set safety.hv_on to On",
    )
    box.wait_until("dome.shutter_open", "On")
    demo.run("mark get power.hv_voltage safety.shutter safety.high_voltage",
             shows=r"safety\.high_voltage: Armed")  # fmt: skip


def let_it_rain(demo: Demo, box: Box) -> None:
    """See the shutter close, and stay closed."""
    demo.say("It rains: the shutter closes.")
    demo.run(f"marksim ctl {box.control_of('station')} set rain_mm_h=6")
    box.wait_until("dome.shutter_closed", "On")
    demo.run("mark get safety.shutter safety.shutter_action", shows="alarm: .*it rains")
    demo.say("Somebody opens it all the same: not for long.")
    demo.run("mark set dome.open_shutter=On", shows="Set dome.open_shutter to On")
    box.wait_for("io", "shutter", 0)
    demo.run(f"marksim ctl {box.control_of('station')} set rain_mm_h=0")


def let_air_in(demo: Demo, box: Box) -> None:
    """See the high voltage go off, and stay off."""
    demo.say("Air comes into the chamber: the high voltage goes off, and stays off.")
    demo.run(f"marksim ctl {box.control_of('gauges')} set {LEAK}=1e-4")
    box.wait_until("power.hv_on", "Off")
    demo.run("mark get safety.high_voltage safety.high_voltage_action", shows="alarm: .* mbar")
    demo.run("mark set safety.hv_on=On", shows="stays off: .* mbar", exit_code=1)
    demo.say("Who goes past the interlock sees it switched off again.")
    demo.run("mark set power.hv_on=On", shows="Set power.hv_on to On")
    box.wait_for("psu", "ch2_on", 0)
    demo.run("mark get safety.high_voltage_action", shows=r"hv_on was switched off at \S+")
    demo.run(f"marksim ctl {box.control_of('gauges')} set {LEAK}=1e-5")
    box.wait_until("safety.high_voltage", "Armed")
    demo.run("mark set safety.hv_on=On", shows="Set safety.hv_on to On")


def cut_a_cable(demo: Demo, box: Box) -> None:
    """See that what is not known is bad."""
    demo.say("A cable is cut: what is not known is bad.")
    demo.run(f"marksim ctl {box.control_of('gauges')} cut")
    box.wait_until("power.hv_on", "Off")
    demo.run("mark get vacuum.chamber safety.high_voltage",
             shows=r"(?s)invalid: .*alarm: .*is not known")  # fmt: skip
    demo.say("And is put back.")
    demo.run(f"marksim ctl {box.control_of('gauges')} restore")


def kill_a_daemon(demo: Demo, box: Box) -> None:
    """See it come back."""
    demo.say("A daemon is killed: it is started again, and finds its instrument as it was.")
    demo.run("mark set cryo.setpoint=80", shows="Set cryo.setpoint to 80")
    print("  (kill -9)")
    box.restart("cryo")
    box.wait_until("cryo.tc_link", "Up")
    demo.run("mark get cryo.setpoint cryo.detector_temp", shows=r"cryo\.setpoint: 80\.000 kelvin")


def bypass(demo: Demo) -> None:
    """See that nothing is switched off without a word."""
    demo.say("An interlock is bypassed by saying why, and that stays to be seen.")
    demo.run("mark set safety.high_voltage_bypass=test", shows="needs a reason", exit_code=1)
    demo.run("mark set 'safety.high_voltage_bypass=no module is connected, until Friday'")
    demo.run("mark get safety.high_voltage", shows="Bypassed .*until Friday")
    demo.run("mark set safety.high_voltage_bypass=", shows="Set safety.high_voltage_bypass to")
