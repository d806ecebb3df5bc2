"""What the control port can read and set of a Vantage station."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import TYPE_CHECKING

from simulators._davis_sensors import NO_BYTE, NO_TEMPERATURE_F, Sensors
from simulators._quantities import flag, number
from simulators._weather_quantities import weather_quantities
from simulators.device import Quantity

if TYPE_CHECKING:
    from simulators.davis_vantage import DavisVantage

_MOST_CLICKS = 0xFFFE


def quantities_of(console: DavisVantage) -> dict[str, Quantity]:
    """Give all quantities of *console* by name."""
    return (
        weather_quantities(console.weather)
        | _of_sensors(console)
        | _of_further_sensors(console)
        | _of_rain(console)
        | _of_console(console)
    )


def _of_sensors(console: DavisVantage) -> dict[str, Quantity]:
    sensors = console.sensors
    return {
        "inside_c": number(sensors, "inside_c", "C", "temperature in the room", -40, 60),
        "inside_percent": number(sensors, "inside_percent", "%", "humidity in the room", 0, 100),
        "iss_lost": flag(sensors, "iss_lost", "1: nothing comes from the outdoor unit"),
        "outside_missing": flag(
            sensors, "outside_missing", "1: no temperature and humidity outside"
        ),
        "anemometer_missing": flag(sensors, "anemometer_missing", "1: no anemometer"),
        "solar_missing": flag(sensors, "solar_missing", "1: no sensor of solar radiation"),
        "uv_missing": flag(sensors, "uv_missing", "1: no UV sensor"),
        "inside_missing": flag(sensors, "inside_missing", "1: no temperature and humidity inside"),
        "barometer_missing": flag(sensors, "barometer_missing", "1: no barometer"),
        "wind_average_m_s": number(
            sensors, "wind_average_m_s", "m/s", "speed of the wind over ten minutes", 0, 75
        ),
        "trend": Quantity("", "trend of the barometer", lambda: float(sensors.trend())),
        "low_transmitters": number(
            sensors,
            "low_transmitters",
            "",
            "bit 0: the battery of transmitter 1 is low",
            0,
            255,
            whole=True,
        ),
        "console_battery_v": number(
            sensors, "console_battery_v", "V", "battery of the console", 0, 10
        ),
    }


def _of_further_sensors(console: DavisVantage) -> dict[str, Quantity]:
    sensors = console.sensors
    no_temperature = f"{NO_TEMPERATURE_F}: no sensor"
    temperatures = {
        "extra_temperature": sensors.extra_temperature_f,
        "soil_temperature": sensors.soil_temperature_f,
        "leaf_temperature": sensors.leaf_temperature_f,
    }
    found = {
        f"{name}_{index + 1}_f": _element(values, index, "F", no_temperature, -90, NO_TEMPERATURE_F)
        for name, values in temperatures.items()
        for index in range(len(values))
    }
    plain = {
        "extra_humidity": (sensors.extra_humidity, "%"),
        "soil_moisture": (sensors.soil_moisture, "cbar"),
        "leaf_wetness": (sensors.leaf_wetness, ""),
    }
    for name, (values, units) in plain.items():
        for index in range(len(values)):
            found[f"{name}_{index + 1}"] = _element(
                values, index, units, f"{NO_BYTE}: no sensor", 0, NO_BYTE
            )
    for index in range(len(sensors.alarms)):
        doc = "byte of the alarms, as it is sent"
        found[f"alarm_byte_{index}"] = _element(sensors.alarms, index, "", doc, 0, 255)
    return found


def _of_rain(console: DavisVantage) -> dict[str, Quantity]:
    sensors, eeprom = console.sensors, console.eeprom
    found = {
        "rain_collector": number(
            eeprom,
            "rain_collector",
            "",
            "a click is, 0: 0.01 inch, 1: 0.2 mm, 2: 0.1 mm",
            0,
            2,
            whole=True,
        ),
        "click_mm": Quantity("mm", "rain that a click is", lambda: eeprom.click_mm),
        "storm_clicks": number(
            sensors,
            "storm_clicks",
            "",
            "rain of the present storm, in clicks",
            0,
            _MOST_CLICKS,
            whole=True,
        ),
    }
    return found | {
        f"rain_{name}_clicks": _total(sensors, name) for name in ("day", "month", "year")
    }


def _total(sensors: Sensors, name: str) -> Quantity:
    # Not the total itself, which is replaced when its day ends.
    return Quantity(
        "",
        f"rain of the {name}, in clicks",
        lambda: float(getattr(sensors, name).rain_clicks),
        lambda value: setattr(getattr(sensors, name), "rain_clicks", int(value)),
        high=_MOST_CLICKS,
        whole=True,
    )


def _of_console(console: DavisVantage) -> dict[str, Quantity]:
    return {
        "station_type": number(
            console, "station_type", "", "what WRD answers: 16 Pro2, 17 Vue", 0, 255, whole=True
        ),
        "nak_byte": number(
            console,
            "nak_byte",
            "",
            "answer to what it does not obey: 33 or 21; 0: none",
            0,
            255,
            whole=True,
        ),
        "sleep_after_s": number(
            console, "sleep_after_s", "s", "it sleeps after so long; 0: never", 0, 1e6
        ),
        "wakeups_lost": number(
            console, "wakeups_lost", "", "LF that only wake it up", 0, 5, whole=True
        ),
        "asleep": Quantity("", "1: it sleeps", lambda: float(console.asleep)),
        "packets_left": Quantity(
            "", "packets of the stream still to come", lambda: float(console.packets_left)
        ),
        "packets_sent": Quantity(
            "", "packets of all streams so far", lambda: float(console.packets_sent)
        ),
        "archive_records": Quantity(
            "", "records in the archive", lambda: float(console.archive.count)
        ),
    }


def _element(
    values: MutableSequence[float], index: int, units: str, doc: str, low: float, high: float
) -> Quantity:
    return Quantity(
        units,
        doc,
        lambda: float(values[index]),
        lambda value: values.__setitem__(index, value),
        low=low,
        high=high,
        whole=True,
    )
