"""The cryostat of cryostat.toml in Python: ``markd cryo hw -m examples/cryostat.py``.

The controller's URL may be given with ``-a``: ``-a tcp://127.0.0.1:7777``.
"""

import mktl
from drivers.lakeshore336 import LakeShore336

URL = "tcp://192.168.10.21:7777"


class Temperature(mktl.Item):
    """Temperature of one sensor input."""

    def __init__(self, store, key, controller, channel, period=0.5):
        super().__init__(store, key)
        self.controller = controller
        self.channel = channel
        self.poll(period)

    def req_refresh(self):
        return self.controller.temperature_k(self.channel)


class Setpoint(Temperature):
    """Temperature that the detector is kept at."""

    def req_refresh(self):
        return self.controller.setpoint_k(self.channel)

    def validate(self, value):
        warmest = self.store["limit"].value
        if value > warmest:
            raise ValueError(f"setpoint must not be above cryo.limit, {warmest} K, not {value} K")
        return value

    def req_set(self, request):
        self.controller.set_setpoint_k(self.channel, request.value)  # validated already
        self.req_poll()  # publish what the hardware now says


class Daemon(mktl.Daemon):
    """A Lake Shore 336 with a detector on input A and a cold head on input B."""

    def parse_options(self, options):
        self.url = getattr(options, "appconfig", None) or URL

    def describe_items(self):
        kelvin = {"type": "numeric", "units": {"": "kelvin", "formatted": "degC"}, "format": "%.2f"}
        limit = {**kelvin, "initial": 120.0, "range": [4, 325], "persist": True}
        return {"setpoint": {**kelvin, "range": [4, 325]}, "limit": limit,
                "detector_temp": kelvin, "coldhead_temp": kelvin}  # fmt: skip

    def setup(self):
        tc = self.add_controller("tc", LakeShore336.open(self.url, name="tc"))
        self.add_item(Temperature, "detector_temp", tc, "A")
        self.add_item(Temperature, "coldhead_temp", tc, "B", period=2)
        self.add_item(Setpoint, "setpoint", tc, 1, period=2)
