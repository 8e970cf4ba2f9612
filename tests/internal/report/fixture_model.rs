//! The model scores, step responses and data quality of the fixture.

use twinopt::config::Effect;
use twinopt::log::{Excitation, Finding, Quality, SignalQuality, SourceFile};
use twinopt::scenario::results::{Score, StepResponse};

use super::noise;

pub fn scores() -> Vec<Score> {
    let signals = [
        ("server_inlet_temp", "degC", 0.42),
        ("hvac_power", "W", 2_900.0),
        ("it_power", "W", 1_450.0),
        ("return_temp", "degC", 0.55),
        ("humidity", "%", 3.1),
    ];
    let mut out = Vec::new();
    for (m, model) in ["persistence", "linear", "forest"].iter().enumerate() {
        for (s, (signal, unit, size)) in signals.iter().enumerate() {
            for h in 1..=24usize {
                let x = h as f64 / 24.0;
                let top = 0.78 - 0.09 * s as f64;
                let skill = match m {
                    0 => 0.0,
                    1 => (top - 0.24) * (1.0 - (-3.0 * x).exp()) - 0.05 * (1.0 - x),
                    _ => top * (1.0 - (-4.0 * x).exp()) + 0.02 * (noise(h, s) - 0.5),
                };
                let linear = (top - 0.24) * (1.0 - (-3.0 * x).exp()) - 0.05 * (1.0 - x);
                let rmse = size * (0.4 + x.sqrt()) * (1.0 - skill).sqrt();
                let off = 0.016 * (noise(h + 40 * m, s) - 0.5);
                out.push(Score {
                    model: (*model).into(),
                    signal: (*signal).into(),
                    unit: (*unit).into(),
                    horizon: h,
                    n: 1_800,
                    rmse,
                    bias: 0.04 * rmse * (noise(h, s + 9) - 0.4),
                    skill,
                    skill_linear: 1.0 - (1.0 - skill) / (1.0 - linear),
                    crps: 0.55 * rmse,
                    coverage: [
                        0.503 + 2.0 * off,
                        0.797 + off,
                        if s == 4 && h == 24 { 0.832 } else { 0.898 + off },
                        0.951 + 0.5 * off,
                    ],
                    coverage_fixed: [0.47, 0.76, 0.86, 0.93],
                    acceptable_coverage: [(0.41, 0.59), (0.73, 0.87), (0.846, 0.954), (0.91, 0.99)],
                    independent: 120.0,
                    pit: std::array::from_fn(|i| 0.1 + 0.5 * off * (i as f64 - 4.5) / 4.5),
                });
            }
        }
    }
    out
}

pub fn responses() -> Vec<StepResponse> {
    let hours: Vec<f64> = (0..=36).map(|i| f64::from(i) / 6.0).collect();
    let one = |control: &str, signal: &str, unit: &str, gain: f64, tau: f64, expected: Option<Effect>| {
        let mean: Vec<f64> = hours.iter().map(|h| gain * (1.0 - (-h / tau).exp())).collect();
        StepResponse {
            control: control.into(),
            signal: signal.into(),
            unit: unit.into(),
            step: 1.0,
            low: mean.iter().map(|v| v * 0.85 - 0.02 * gain.abs()).collect(),
            high: mean.iter().map(|v| v * 1.12 + 0.02 * gain.abs()).collect(),
            gain,
            mean,
            hours: hours.clone(),
            expected,
            agrees: true,
        }
    };
    vec![
        one("supply_setpoint", "server_inlet_temp", "degC/degC", 0.82, 0.9, Some(Effect::Up)),
        one("fan_speed", "server_inlet_temp", "degC/%", -0.061, 0.5, Some(Effect::Down)),
        one("supply_setpoint", "hvac_power", "W/degC", -1_130.0, 0.4, Some(Effect::Down)),
        one("fan_speed", "hvac_power", "W/%", 168.0, 0.2, Some(Effect::Up)),
        one("supply_setpoint", "humidity", "%/degC", -1.4, 1.6, None),
        one("fan_speed", "humidity", "%/%", 0.02, 1.1, None),
    ]
}

pub fn quality() -> Quality {
    let signal = |name: &str, unit: &str, min, mean, max, dropped, held, coverage, excitation| SignalQuality {
        signal: name.into(),
        unit: unit.into(),
        samples: 26_000,
        dropped,
        held,
        interpolated: dropped / 2,
        missing: 12,
        coverage,
        min,
        mean,
        max,
        excitation,
    };
    let moved = |moves, low, high| Some(Excitation { moves, spread: 0.14, low, high, learnable: true });
    let finding = |signal: &str, class: &str, count, first: &str, last: &str, action: &str, note: &str| Finding {
        signal: signal.into(),
        class: serde_json::from_value(class.into()).unwrap(),
        count,
        first: first.into(),
        last: last.into(),
        action: serde_json::from_value(action.into()).unwrap(),
        note: note.into(),
    };
    Quality {
        closed: String::new(),
        completeness: 0.8,
        sources: vec![SourceFile {
            file: "log/datacenter_crac.parquet".into(),
            rows: 26_000,
            hash: "6d1e0b6e6b0ac9f1f1b9a3d5b4f3e2a1".into(),
        }],
        start: "2024-05-01T00:00:00Z".into(),
        end: "2024-10-28T13:20:00Z".into(),
        step: "10min".into(),
        grid_steps: 26_000,
        segments: 3,
        signals: vec![
            signal("server_inlet_temp", "degC", 17.2, 23.42, 29.8, 41, 0, 0.9984, None),
            signal("hvac_power", "W", 3_120.0, 21_480.0, 48_900.0, 12, 0, 0.9995, None),
            signal("it_power", "W", 38_400.0, 63_020.0, 81_700.0, 0, 0, 1.0, None),
            signal("supply_setpoint", "degC", 14.0, 18.31, 24.0, 0, 320, 1.0, moved(1_412, 15.5, 22.5)),
            signal("fan_speed", "%", 45.0, 70.0, 95.0, 0, 118, 1.0, moved(733, 52.0, 88.0)),
            signal("outdoor_temp", "degC", 2.1, 17.9, 36.4, 730, 0, 0.9719, None),
            signal("cpu_load", "1", 0.08, 0.553, 0.97, 0, 0, 1.0, None),
        ],
        findings: vec![
            finding(
                "",
                "gap",
                2,
                "2024-06-11T02:00:00Z",
                "2024-08-30T09:10:00Z",
                "split",
                "The gap is longer than 30min, so the log continues in a new segment.",
            ),
            finding(
                "outdoor_temp",
                "flat-line",
                1,
                "2024-06-20T00:10:00Z",
                "2024-06-25T01:40:00Z",
                "dropped",
                "The sensor was stuck: its value did not change for five days.",
            ),
            finding(
                "server_inlet_temp",
                "out-of-range",
                41,
                "2024-07-02T11:00:00Z",
                "2024-09-14T17:50:00Z",
                "dropped",
                "Outside 5 to 50 degC.",
            ),
            finding(
                "hvac_power",
                "duplicate-conflict",
                12,
                "2024-10-27T00:00:00Z",
                "2024-10-27T00:50:00Z",
                "dropped",
                "Some time stamps have two values, because the hour repeats at the end of daylight saving time.",
            ),
        ],
        incomplete: Vec::new(),
    }
}
