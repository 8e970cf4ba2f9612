//! Tests of KPIs over trajectories: reference values, units, missing values, and agreement with the KPIs computed by
//! planners.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use twinopt::config::KpiSpec;
use twinopt::expr::{Registers, Scope};
use twinopt::schema::{Bounds, Role, Schema, Signal};
use twinopt::trajectory::{Trajectory, Window};
use twinopt::units::Unit;
use twinopt::value::{Aggregation, Difference, Kpi, Objective, evaluate, figures};

const HOUR_MS: i64 = 3_600_000;

fn signal(name: &str, role: Role, unit: &str) -> Signal {
    Signal::open(name, role, Unit::parse(unit).unwrap())
}

/// Signals used in the tests: inlet [degC, soft limit 27], total and it [kW], price [EUR/MWh], sp [degC, control],
/// stock [1], and flow [m^3/h].
fn schema() -> Arc<Schema> {
    let mut inlet = signal("inlet", Role::State, "degC");
    inlet.soft = Bounds { low: f64::NEG_INFINITY, high: 27.0 };
    Arc::new(Schema::new(vec![
        inlet,
        signal("total", Role::Output, "kW"),
        signal("it", Role::Output, "kW"),
        signal("price", Role::Disturbance, "EUR/MWh"),
        signal("sp", Role::Control, "degC"),
        signal("stock", Role::State, "1"),
        signal("flow", Role::Output, "m^3/h"),
    ]))
}

fn scope(schema: &Schema, step_ms: i64) -> Scope {
    let signals: HashMap<_, _> =
        schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone()))).collect();
    Scope { signals, dt: step_ms as f64 / 1e3, ..Scope::default() }
}

fn spec(toml: &str) -> KpiSpec {
    #[derive(serde::Deserialize)]
    struct Line {
        k: KpiSpec,
    }
    toml::from_str::<Line>(&format!("k = {{ {toml} }}")).unwrap().k
}

fn kpi(toml: &str) -> Kpi {
    kpi_at(toml, HOUR_MS)
}

fn kpi_at(toml: &str, step_ms: i64) -> Kpi {
    let schema = schema();
    Kpi::compile("k", &spec(toml), &scope(&schema, step_ms), &schema).unwrap_or_else(|(_, f)| panic!("{toml}: {f:?}"))
}

/// A trajectory with hourly steps and one particle. Signals without given values are zero.
fn trajectory(given: &[(&str, &[f64])]) -> Trajectory {
    let schema = schema();
    let steps = given[0].1.len();
    let mut t = Trajectory::empty(schema.clone(), Timestamp::UNIX_EPOCH, HOUR_MS, steps, 1);
    for column in &mut t.columns {
        column.fill(0.0);
    }
    for (name, values) in given {
        t.columns[schema.find(name).unwrap()] = values.to_vec();
    }
    t
}

fn one(toml: &str, given: &[(&str, &[f64])]) -> f64 {
    let t = trajectory(given);
    evaluate(&[kpi(toml)], &t, &t.segments.clone())[0][0]
}

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not close to {b}");
}

#[test]
fn a_ratio_divides_summed_energies() {
    let pue = one(r#"ratio = ["total", "it"]"#, &[("total", &[12.0, 2.0]), ("it", &[10.0, 1.0])]);
    near(pue, 14.0 / 11.0);
    assert!((pue - 1.2727).abs() < 5e-5);
}

#[test]
fn every_kind_matches_a_hand_calculation() {
    let kw: &[f64] = &[1.0, 2.0, 6.0, 3.0];
    near(one(r#"integral = "total""#, &[("total", kw)]), 12.0);
    near(one(r#"integral = "total * price""#, &[("total", kw), ("price", &[100.0; 4])]), 1.2);
    near(one(r#"sum = "stock""#, &[("stock", kw)]), 12.0);
    near(one(r#"mean = "total""#, &[("total", kw)]), 3.0);
    near(one(r#"peak = { of = "total", window = "2h" }"#, &[("total", kw)]), 4.5);
    near(one(r#"peak = { of = "total", window = "9h" }"#, &[("total", kw)]), 3.0);
    let inlet: &[f64] = &[26.0, 27.0, 28.5, 30.0];
    near(one(r#"exceedance = "inlet""#, &[("inlet", inlet)]), 4.5);
    near(one(r#"exceedance_share = "inlet""#, &[("inlet", inlet)]), 0.5);
    near(one(r#"degree_hours = { of = "inlet", above = 26.5 }"#, &[("inlet", inlet)]), 0.5 + 2.0 + 3.5);
    near(one(r#"moves = "sp""#, &[("sp", &[20.0, 20.0, 21.0, 19.0, 19.0 + 1e-10])]), 2.0);
    near(one(r#"travel = "sp""#, &[("sp", &[20.0, 20.0, 21.0, 19.0])]), 3.0);
    near(one(r#"final = "stock""#, &[("stock", kw)]), 3.0);
    near(one(r#"fill_rate = ["total", "it"]"#, &[("total", &[9.0, 5.0]), ("it", &[10.0, 10.0])]), 0.7);
    near(one(r#"fill_rate = ["total", "it"]"#, &[("total", &[0.0]), ("it", &[0.0])]), 1.0);
    near(one(r#"service_level = "stock""#, &[("stock", &[0.0, 0.0, 3.0, 0.0])]), 0.75);
    near(one(r#"integral = "flow""#, &[("flow", &[2.0, 4.0])]), 6.0);
    assert!(one(r#"ratio = ["total", "it"]"#, &[("total", &[1.0]), ("it", &[0.0])]).is_nan());
}

#[test]
fn kpis_have_customary_units() {
    for (toml, unit) in [
        (r#"integral = "total""#, "kWh"),
        (r#"integral = "total * price""#, "EUR"),
        (r#"exceedance = "inlet""#, "K*h"),
        (r#"degree_hours = { of = "inlet", above = 20 }"#, "K*h"),
        (r#"travel = "sp""#, "K"),
        (r#"mean = "inlet""#, "degC"),
        (r#"ratio = ["total", "it"]"#, "1"),
        (r#"ratio = ["total", "flow"]"#, "kW*h/m^3"),
        (r#"integral = "flow""#, "m^3"),
        (r#"moves = "sp""#, "1"),
    ] {
        assert_eq!(kpi(toml).unit.text, unit, "{toml}");
    }
}

#[test]
fn formulas_are_described_in_words() {
    assert_eq!(
        kpi(r#"exceedance = "inlet""#).formula,
        "integral over time of the amount by which `inlet` is above 27 degC"
    );
    assert_eq!(
        kpi(r#"peak = { of = "total", window = "15min" }"#).formula,
        "largest mean of `total` over any period of 15min"
    );
}

#[test]
fn faults_have_a_position_a_code_and_help() {
    let schema = schema();
    let text = "k = { exceedance = \"inlat\" }";
    #[derive(serde::Deserialize)]
    struct Line {
        k: KpiSpec,
    }
    let line: Line = toml::from_str(text).unwrap();
    let (span, fault) = Kpi::compile("k", &line.k, &scope(&schema, HOUR_MS), &schema).unwrap_err();
    assert_eq!(&text[span], "\"inlat\"");
    assert_eq!(fault.code, "unknown-signal");
    assert!(fault.help.contains("inlet"));
    let code = |toml: &str| Kpi::compile("k", &spec(toml), &scope(&schema, HOUR_MS), &schema).unwrap_err().1.code;
    assert_eq!(code(r#"exceedance = "total""#), "missing-key");
    assert_eq!(code(r#"moves = "inlet""#), "wrong-role");
    assert_eq!(code(r#"fill_rate = ["total", "flow"]"#), "unit-mismatch");
}

#[test]
fn missing_values_are_left_out_and_counted() {
    let t = trajectory(&[("total", &[1.0, f64::NAN, 6.0, f64::INFINITY]), ("inlet", &[30.0, f64::NAN, 26.0, 26.0])]);
    let kpis = [
        kpi(r#"mean = "total""#),
        kpi(r#"exceedance = "inlet""#),
        kpi(r#"peak = { of = "total", window = "2h" }"#),
        kpi(r#"final = "total""#),
    ];
    let all = figures(&kpis, &t, &t.segments.clone());
    let values: Vec<f64> = all.iter().map(|f| f.values[0]).collect();
    assert_eq!(values, [3.5, 3.0, 6.0, 6.0]);
    assert_eq!((all[0].missing, all[1].missing), (0.5, 0.25));
    let nothing = trajectory(&[("total", &[f64::NAN; 3])]);
    let none = figures(&kpis[..1], &nothing, &nothing.segments.clone());
    assert!(none[0].values[0].is_nan() && none[0].missing == 1.0);
}

#[test]
fn windows_and_lags_stop_at_segments_but_lags_read_rows_before_a_period() {
    let mut t = trajectory(&[("total", &[9.0, 9.0, 1.0, 9.0, 9.0]), ("sp", &[20.0, 21.0, 22.0, 25.0, 25.0])]);
    t.segments = vec![0..3, 3..5];
    let kpis = [kpi(r#"peak = { of = "total", window = "3h" }"#), kpi(r#"moves = "sp""#)];
    let both = evaluate(&kpis, &t, &t.segments.clone());
    near(both[0][0], 19.0 / 3.0);
    near(both[1][0], 2.0);
    // The period 1..3 starts within a segment, so its first move is the change from step 0 to step 1.
    near(evaluate(&kpis, &t, std::slice::from_ref(&(1..3)))[1][0], 2.0);
}

#[test]
fn the_objective_is_the_priced_sum_of_kpis() {
    let t = trajectory(&[("total", &[1.0, 3.0]), ("inlet", &[28.0, 26.0])]);
    let mut energy = kpi(r#"integral = "total""#);
    energy.name = "energy".into();
    let mut heat = kpi(r#"exceedance = "inlet""#);
    heat.name = "heat".into();
    let mut other = kpi(r#"mean = "it""#);
    other.name = "other".into();
    let kpis = [other, heat, energy];
    let values = evaluate(&kpis, &t, &t.segments.clone());
    let objective = Objective::new(&kpis, [(2, 0.5), (1, 50.0)]);
    assert_eq!(objective.value_of(&kpis, &values), [52.0]);
    assert_eq!(objective.value(&[values[2].clone(), values[1].clone()]), [52.0]);
}

#[test]
fn identical_cases_have_a_difference_of_zero() {
    let t = trajectory(&[("total", &[1.1, 3.3, 7.7])]);
    let value = &evaluate(&[kpi(r#"integral = "total * price""#)], &t, &t.segments.clone())[0];
    let d = Difference::paired(value, value);
    assert_eq!((d.mean, d.low, d.high, d.measurable), (0.0, 0.0, 0.0, false));
}

#[test]
fn every_kind_of_kpi_has_the_expected_aggregation() {
    for (toml, aggregation) in [
        (r#"integral = "total""#, Aggregation::Total),
        (r#"travel = "sp""#, Aggregation::Total),
        (r#"mean = "total""#, Aggregation::Mean),
        (r#"exceedance_share = "inlet""#, Aggregation::Mean),
        (r#"peak = { of = "total", window = "1h" }"#, Aggregation::Largest),
        (r#"fill_rate = ["it", "total"]"#, Aggregation::Ratio),
    ] {
        assert_eq!(kpi(toml).aggregation(), aggregation);
    }
}

/// Examples of KPIs of nine different kinds.
fn kinds() -> Vec<Kpi> {
    [
        r#"integral = "total""#,
        r#"mean = "total * it""#,
        r#"peak = { of = "total", window = "3h" }"#,
        r#"ratio = ["total", "it"]"#,
        r#"moves = "sp""#,
        r#"travel = "sp""#,
        r#"final = "total - lag(it, 2)""#,
        r#"service_level = "stock""#,
        r#"degree_hours = { of = "inlet", above = 0 }"#,
    ]
    .map(kpi)
    .to_vec()
}

proptest! {
    /// KPIs that a planner computes from a reused window must equal the KPIs that a report computes from a trajectory.
    #[test]
    fn windows_and_trajectories_give_the_same_kpis(values in prop::collection::vec(prop_oneof![9 => -9.0..9.0f64, 1 => Just(f64::NAN)], 7 * 12 * 2)) {
        let schema = schema();
        let (steps, rows) = (12, 2);
        let mut t = Trajectory::empty(schema.clone(), Timestamp::UNIX_EPOCH, HOUR_MS, steps, rows);
        t.columns = values.chunks(steps * rows).map(<[f64]>::to_vec).collect();
        let kpis = kinds();
        let wanted = evaluate(&kpis, &t, std::slice::from_ref(&(2..steps)));
        let mut registers = Registers::default();
        let mut accs: Vec<_> = kpis.iter().map(|k| k.start(rows)).collect();
        for _ in 0..2 {
            accs.iter_mut().for_each(|a| a.reset());
            let mut w = Window::from_trajectory(&t, 2, 0, 3, rows);
            for step in 2..steps {
                if step > 2 {
                    w.advance();
                    for s in 0..schema.len() {
                        w.column_mut(s, 0).copy_from_slice(t.at(s, step));
                    }
                }
                for (kpi, acc) in kpis.iter().zip(&mut accs) {
                    kpi.add(acc, &w, &mut registers);
                }
            }
        }
        for ((kpi, acc), wanted) in kpis.iter().zip(&accs).zip(&wanted) {
            let mut out = vec![0.0; rows];
            kpi.value(acc, &mut out);
            for (a, b) in out.iter().zip(wanted) {
                prop_assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{}: {a} {b}", kpi.formula);
            }
        }
    }

    /// Compares a peak KPI with its definition, the largest mean over a sliding window.
    #[test]
    fn a_peak_is_the_largest_mean_over_its_window(values in prop::collection::vec(-9.0..9.0f64, 1..40), window in 1usize..6) {
        let peak = one(&format!(r#"peak = {{ of = "total", window = "{window}h" }}"#), &[("total", &values)]);
        let w = window.min(values.len());
        let naive = values.windows(w).map(|v| v.iter().sum::<f64>() / w as f64).fold(f64::NEG_INFINITY, f64::max);
        prop_assert!((peak - naive).abs() < 1e-9);
    }
}
