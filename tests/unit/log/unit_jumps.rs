//! Tests of `src/log/unit_jumps.rs`.

use std::sync::Arc;

use super::*;
use crate::rng::Key;

fn series(n: usize, f: impl Fn(usize) -> f64) -> Samples {
    Samples {
        time: Arc::new((0..n).map(|i| i as i64 * 600_000_000).collect()),
        value: (0..n).map(f).collect(),
        length: Vec::new(),
    }
}

fn temperature(i: usize) -> f64 {
    22.0 + 3.0 * (i as f64 / 23.0).sin() + 0.2 * Key::new(1).normal(i as u64)
}

fn units(text: &str) -> OtherUnits {
    OtherUnits::new(&Unit::parse(text).unwrap())
}

#[test]
fn changes_of_the_temperature_scale_and_by_1000_are_found() {
    let celsius = units("degC");
    for (f, name) in [
        ((|v| v * 1000.0) as fn(f64) -> f64, "1000 times too large"),
        (|v| v / 1000.0, "1000 times too small"),
        (|v| 1.8 * v + 32.0, "in degF instead of degC"),
        (|v| v + 273.15, "in K instead of degC"),
    ] {
        let s = series(2000, |i| if (700..800).contains(&i) { f(temperature(i)) } else { temperature(i) });
        assert_eq!(unit_jumps(&s, &celsius), [(SampleRange { from: 700, to: 800 }, name)]);
    }
    let fahrenheit = |i: usize| 1.8 * temperature(i) + 32.0;
    let s = series(2000, |i| if (700..800).contains(&i) { temperature(i) } else { fahrenheit(i) });
    assert_eq!(unit_jumps(&s, &units("degF")), [(SampleRange { from: 700, to: 800 }, "in degC instead of degF")]);
    for unit in ["degC", "1", "kW"] {
        assert_eq!(unit_jumps(&series(2000, temperature), &units(unit)), []);
        let stopped = |i: usize| if (700..800).contains(&i) { 0.0 } else { temperature(i) };
        assert_eq!(unit_jumps(&series(2000, stopped), &units(unit)), []);
    }
}

/// A load with a daily cycle and multiplicative noise.
fn noisy_load(i: usize, noise: f64) -> f64 {
    let day = (i as f64 / 144.0 * std::f64::consts::TAU).sin();
    40.0 * (1.0 + 0.4 * day) * (1.0 + noise * Key::new(2).normal(i as u64))
}

fn load(i: usize) -> f64 {
    noisy_load(i, 0.005)
}

#[test]
fn changes_between_units_that_are_often_confused_are_found() {
    for (unit, factor, name) in [
        ("bar", 14.503_774, "in psi instead of bar"),
        ("bar", 100.0, "in kPa instead of bar"),
        ("kPa", 1.0 / 6.894_757, "in psi instead of kPa"),
        ("kWh", 3.6, "in MJ instead of kWh"),
        ("m/s", 3.6, "in km/h instead of m/s"),
        ("m^3/h", 4.402_868, "in gpm instead of m^3/h"),
        ("m^3/h", 3.6, "about 3.6 times too large, as if all others were in L/s"),
        ("L/min", 1.0 / 3.785_412, "in gpm instead of L/min"),
        ("W", 3.412_142, "in BTU/h instead of W"),
        ("MW", 1e6, "in W instead of MW"),
        ("kg/h", 1.0 / 60.0, "in kg/min instead of kg/h"),
        ("%", 0.01, "in 1 instead of %"),
        (
            "1",
            100.0,
            "about 100 times too large, like the factor between a fraction and a percentage, or EUR and cents",
        ),
        ("1", 3.6, "about 3.6 times too large, like the factor between kWh and MJ, or m/s and km/h"),
        (
            "EUR/h",
            1.0 / 60.0,
            "about 60 times too small, like the factor between hours and minutes, or a rate per minute and per hour",
        ),
    ] {
        let units = units(unit);
        let found = |within: &dyn Fn(usize) -> bool| {
            let s = series(1500, |i| if within(i) { factor * load(i) } else { load(i) });
            unit_jumps(&s, &units).into_iter().map(|(r, name)| (r.from..r.to, name.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(found(&|i| (500..800).contains(&i)), [(500..800, name.to_owned())], "{unit} {factor}");
        assert_eq!(found(&|i| i < 400), [(0..400, name.to_owned())], "{unit} {factor}");
        assert_eq!(found(&|i| i >= 1100), [(1100..1500, name.to_owned())], "{unit} {factor}");
        assert_eq!(found(&|_| false), [], "{unit}");
    }
}

#[test]
fn a_change_of_unit_of_a_noisy_signal_is_found() {
    for (unit, factor, name) in [("bar", 100.0, "in kPa instead of bar"), ("kWh", 3.6, "in MJ instead of kWh")] {
        for noise in [0.03, 0.06] {
            let scaled = |i: usize| if (500..800).contains(&i) { factor } else { 1.0 };
            let s = series(1500, |i| scaled(i) * noisy_load(i, noise));
            assert_eq!(unit_jumps(&s, &units(unit)), [(SampleRange { from: 500, to: 800 }, name)], "{unit} {noise}");
        }
    }
}

#[test]
fn a_plant_that_changes_its_operating_point_keeps_its_unit() {
    let noise = |i: usize| Key::new(3).normal(i as u64);
    // a change by a factor that is no ratio of units, a change by such a ratio but with additive noise, and many
    // changes
    let other = |i: usize| if (500..800).contains(&i) { 5.0 * load(i) } else { load(i) };
    let additive = |i: usize| if (500..800).contains(&i) { 36.0 } else { 10.0 } + 0.3 * noise(i);
    let often = |i: usize| if (i / 60) % 2 == 1 { 3.6 * load(i) } else { load(i) };
    let set_point = |i: usize| if (i / 400) % 2 == 1 { 36.0 } else { 10.0 };
    for f in [&other as &dyn Fn(usize) -> f64, &additive, &often, &set_point] {
        assert_eq!(unit_jumps(&series(1500, f), &units("kWh")), []);
        assert_eq!(unit_jumps(&series(1500, f), &units("1")), []);
    }
}

/// A pump that runs at 30 kW for 10 to 40 samples at a time, and otherwise draws `idle` kW.
fn pump(idle: f64, period: usize, i: usize) -> f64 {
    let runs = i % period < 10 + (7 * (i / period)) % 31;
    (if runs { 30.0 } else { idle }) * (1.0 + 0.02 * Key::new(4).normal(i as u64))
}

#[test]
fn a_pump_with_two_operating_levels_keeps_its_unit() {
    for idle in [0.5, 0.1, 0.03] {
        // mostly idle, mostly running, and switched every few hours
        for period in [60, 90, 700] {
            for unit in ["kW", "1"] {
                let s = series(6000, |i| pump(idle, period, i));
                assert_eq!(unit_jumps(&s, &units(unit)), [], "{idle} kW, {period}");
                let inverse = series(6000, |i| if pump(idle, period, i) > 5.0 { idle } else { 30.0 });
                assert_eq!(unit_jumps(&inverse, &units(unit)), [], "inverse of {idle} kW, {period}");
            }
        }
        // the pump is switched only three times, by a factor that is far from 1000
        let rarely =
            |i: usize| if (i / 500) % 4 == 1 { 30.0 } else { 0.5 } * (1.0 + 0.02 * Key::new(4).normal(i as u64));
        assert_eq!(unit_jumps(&series(6000, rarely), &units("kW")), []);
    }
    // a lasting step with the same shape is a change of the unit
    let mixed = |i: usize| if i >= 4000 { 1000.0 } else { 1.0 } * load(i);
    assert_eq!(
        unit_jumps(&series(6000, mixed), &units("1")),
        [(SampleRange { from: 4000, to: 6000 }, "1000 times too large")]
    );
}
