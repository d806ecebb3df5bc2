"""What the control port can read and set of the weather."""

from __future__ import annotations

from simulators._quantities import flag, number
from simulators._weather import Weather
from simulators.device import Quantity

__all__ = ["weather_quantities"]


def weather_quantities(weather: Weather) -> dict[str, Quantity]:
    """Give the quantities of *weather* by name."""
    return {
        "outside_c": number(weather, "outside_c", "C", "temperature of the air", -60, 60),
        "humidity_percent": number(weather, "humidity_percent", "%", "relative humidity", 1, 100),
        "pressure_hpa": number(weather, "pressure_hpa", "hPa", "pressure of the air", 500, 1200),
        "wind_m_s": number(weather, "wind_m_s", "m/s", "speed of the wind now", 0, 75),
        "wind_deg": number(weather, "wind_deg", "deg", "where the wind comes from now", 0, 359.99),
        "rain_mm_h": number(
            weather, "rain_mm_h", "mm/h", "intensity of rain; set, it lasts for 20 minutes", 0, 200
        ),
        "hail_hits_cm2_h": number(
            weather, "hail_hits_cm2_h", "hits/cm2/h", "intensity of hail; it comes by hand", 0, 100
        ),
        "solar_w_m2": number(weather, "solar_w_m2", "W/m2", "radiation of the sun", 0, 1800),
        "steady": flag(weather, "steady", "1: the weather stays as it is, and as it is set"),
        "hour": Quantity("h", "time of day at the place", lambda: weather.hour),
    }
