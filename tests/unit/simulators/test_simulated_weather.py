"""The weather: its course over a day, gusts and showers, and what is set by hand."""

from __future__ import annotations

import statistics

import pytest

from simulators._weather import START, Weather
from simulators._weather_quantities import weather_quantities

NAMES = ("outside_c", "humidity_percent", "pressure_hpa", "wind_m_s", "wind_deg", "solar_w_m2")


def after(seconds: float, *, seed: int = 1) -> Weather:
    weather = Weather(seed=seed)
    weather.step(seconds)
    return weather


def hourly(weather: Weather, name: str, hours: int) -> list[float]:
    values = []
    for _ in range(hours):
        weather.step(3600)
        values.append(float(getattr(weather, name)))
    return values


def test_it_begins_at_noon_on_a_dry_day() -> None:
    weather = Weather(seed=1)
    assert (weather.now, weather.hour) == (START, 12)
    assert weather.rain_mm_h == 0
    assert weather.solar_w_m2 > 300


def test_days_are_warm_and_sunny_and_nights_cold_damp_and_dark() -> None:
    weather = Weather(seed=2)
    temperatures, damp, sun = [], [], []
    for _ in range(5 * 24):
        weather.step(3600)
        temperatures.append(weather.outside_c)
        damp.append(weather.humidity_percent)
        sun.append(weather.solar_w_m2)
    # The first value is that of one in the afternoon.
    afternoons, nights = slice(2, None, 24), slice(14, None, 24)
    assert statistics.mean(temperatures[afternoons]) > statistics.mean(temperatures[nights]) + 6
    assert statistics.mean(damp[afternoons]) < statistics.mean(damp[nights]) - 15
    assert max(sun[nights]) == 0
    assert min(sun[afternoons]) > 0


def test_temperature_and_pressure_change_slowly_and_wind_in_seconds() -> None:
    weather = after(100)
    before = weather.outside_c, weather.pressure_hpa
    winds = []
    for _ in range(60):
        weather.step(1)
        winds.append(weather.wind_m_s)
    assert (weather.outside_c, weather.pressure_hpa) == pytest.approx(before, abs=0.5)
    assert max(winds) - min(winds) > 1


def test_showers_come_and_go() -> None:
    weather = Weather(seed=1)
    wet = 0
    changes = 0
    for _ in range(7 * 24 * 12):
        before = weather.rain_mm_h
        weather.step(300)
        wet += weather.rain_mm_h > 0
        changes += (weather.rain_mm_h > 0) != (before > 0)
        assert weather.rain_mm_h <= 60
    assert changes > 10
    assert wet < 300


def test_the_same_seed_gives_the_same_weather() -> None:
    def values(seed: int) -> list[float]:
        weather = after(86400, seed=seed)
        return [getattr(weather, name) for name in NAMES]

    assert values(5) == values(5) != values(6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("outside_c", -20), ("humidity_percent", 95), ("pressure_hpa", 950), ("wind_m_s", 30)),
        *(("wind_m_s", 0), ("wind_m_s", 0.1), ("wind_deg", 0), ("wind_deg", 359), ("rain_mm_h", 5)),
        *(("solar_w_m2", 0), ("solar_w_m2", 1234), ("hail_hits_cm2_h", 3)),
    ],
)
def test_what_is_set_is_had_at_once_and_while_the_weather_is_steady(
    name: str, value: float
) -> None:
    weather = after(1000)
    quantities = weather_quantities(weather)
    write = quantities[name].write
    assert write is not None
    write(value)
    assert quantities[name].read() == pytest.approx(value, abs=1e-9)
    weather.steady = True
    weather.step(3600)
    assert quantities[name].read() == pytest.approx(value, abs=1e-9)


def test_what_is_set_changes_on_from_there_unless_it_is_steady() -> None:
    weather = after(1000)
    weather.outside_c = -20
    weather.step(60)
    assert weather.outside_c == pytest.approx(-20, abs=1)
    assert weather.outside_c != -20


def test_rain_that_is_set_ends_by_itself() -> None:
    weather = after(1000)
    weather.rain_mm_h = 10
    weather.step(1190)
    assert weather.rain_mm_h == 10
    weather.step(20)
    assert weather.rain_mm_h == 0


def test_the_length_of_its_steps_makes_no_odds() -> None:
    a, b = Weather(seed=1), Weather(seed=1)
    a.steady = b.steady = True
    a.step(1000)
    for _ in range(100):
        b.step(10)
    assert a.hour == pytest.approx(b.hour)


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        Weather().step(dt_s)
