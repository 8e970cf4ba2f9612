//! Tests of what page one tells operators: what to set, when to stop, what was rejected, and which conditions the
//! log does not contain.

use twinopt::scenario::results::{HourRange, Results, Setting, StopRule, TimetableEntry, ValueRange};
use twinopt::schema::Role;

use super::fixture;
use super::verdict::front;

/// Results in which the first control of the recommended case has the given `setting`.
fn with_setting(setting: Setting) -> Results {
    let mut results = fixture::datacenter();
    for s in &mut results.scenarios {
        let control = &mut s.cases[2].controls[0];
        control.setting = setting.clone();
        control.typical = ValueRange { low: 16.0, high: 20.0 };
    }
    results
}

fn entry(days: &str, at: &str, value: f64) -> TimetableEntry {
    TimetableEntry { days: days.into(), at: at.into(), value }
}

#[test]
fn a_timetable_is_shown_as_a_timetable() {
    let entries = vec![entry("", "06:00", 16.0), entry("", "20:00", 20.0)];
    let text = front(&with_setting(Setting::Timetable { entries }));
    // The present value is 18.31 °C. The mean of the timetable, 17.7 °C, is never set.
    assert!(text.contains("supply_setpoint 18.31 °C 06:00 16 °C; 20:00 20 °C 10–25 °C 1"), "{text}");
    let entries = vec![entry("mon-fri", "06:00", 16.0), entry("sat,sun", "00:00", 20.0)];
    let text = front(&with_setting(Setting::Timetable { entries }));
    assert!(text.contains("mon-fri 06:00 16 °C; sat,sun 00:00 20 °C"), "{text}");
}

#[test]
fn a_constant_shows_its_change_and_a_plan_its_range_by_hour() {
    let text = front(&with_setting(Setting::Held { value: 20.5 }));
    assert!(text.contains("supply_setpoint 18.31 °C 20.5 °C (+2.19)"), "{text}");
    let mut results = with_setting(Setting::Plan);
    let part = |from, low, high| HourRange { from, to: from + 6, range: ValueRange { low, high } };
    for s in &mut results.scenarios {
        s.cases[2].controls[0].by_hour =
            vec![part(0, 13.2, 13.4), part(6, 13.2, 14.9), part(12, 15.0, 15.5), part(18, 13.2, 13.4)];
    }
    let text = front(&results);
    assert!(text.contains("(follow “twinopt advise”; typical ranges by hour)"), "{text}");
    assert!(
        text.contains("00–06 h: 13.2–13.4; 06–12 h: 13.2–14.9; 12–18 h: 15.0–15.5; 18–24 h: 13.2–13.4 °C"),
        "{text}"
    );
}

#[test]
fn orders_are_shown_with_levels_or_as_a_list() {
    let (level, reorder) = (ValueRange { low: 118.0, high: 145.0 }, ValueRange { low: 96.0, high: 96.0 });
    let text = front(&with_setting(Setting::Stock { level, reorder: Some(reorder) }));
    assert!(text.contains("s = 96 °C, S = 118–145 °C"), "{text}");
    let text = front(&with_setting(Setting::Stock { level, reorder: None }));
    assert!(text.contains("order up to S = 118–145 °C"), "{text}");
    // The medians of orders are often zero, so the first orders are listed with their ranges.
    let mut results = with_setting(Setting::Plan);
    for s in &mut results.scenarios {
        let control = &mut s.cases[2].controls[0];
        control.first_orders = vec![
            ("2024-07-14T22:00:00Z".into(), ValueRange { low: 24.0, high: 24.0 }),
            ("2024-07-15T22:00:00Z".into(), ValueRange { low: 0.0, high: 18.0 }),
        ];
    }
    let text = front(&results);
    assert!(text.contains("First orders supply_setpoint 15 Jul 24, 16 Jul 0–18"), "{text}");
}

#[test]
fn the_stop_rules_have_a_tag_a_value_and_a_time() {
    let mut results = fixture::datacenter();
    let text = front(&results);
    let cost = "energy_cost exceeds 1 270 EUR in 7 days like “summer” (mean outdoor_temp 21.9 °C)";
    assert!(text.contains("Stop if server_inlet_temp exceeds 27 °C for 1 h or 32 °C for 30 min"), "{text}");
    assert!(text.contains(cost), "{text}");
    // The heat wave reaches 35.3 °C, which is above the log's maximum of 31 °C, so the threshold of the stop rule must
    // not be below 35.3 °C.
    assert!(text.contains("or outdoor_temp exceeds 35.3 °C."), "{text}");
    // The most tolerant rule of all scenarios applies, so that no scenario triggers it.
    results.scenarios[1].cases[2].limits[0].stop =
        vec![StopRule { above: true, value: 28.13, hours: 0.5, reached: Some(28.0) }];
    let text = front(&results);
    assert!(
        text.contains("Stop if server_inlet_temp exceeds 28.1 °C (beyond its limit of 27 °C) for 30 min"),
        "{text}"
    );
}

#[test]
fn rejected_cases_are_named_with_the_reason() {
    let text = front(&fixture::datacenter());
    assert!(text.contains("Not chosen “warmer” saves"), "{text}");
    let mut results = fixture::datacenter();
    let warmer = &mut results.annual[0];
    for d in [Some(&mut warmer.objective_change), warmer.cash_change.as_mut()].into_iter().flatten() {
        (d.mean, d.low, d.high, d.measurable) = (600.0, 500.0, 700.0, true);
    }
    let text = front(&results);
    assert!(text.contains("Not chosen “warmer” costs 600 EUR a year more."), "{text}");
}

/// Case 37: the baseline is the only case, and in 92 % of its steps the outdoor temperature is outside the logged
/// range, by up to 14 K.
#[test]
fn a_baseline_outside_the_log_is_not_called_well_forecast() {
    let mut results = fixture::datacenter();
    results.annual.clear();
    results.scenarios.truncate(1);
    let scenario = &mut results.scenarios[0];
    scenario.cases.truncate(1);
    let case = &mut scenario.cases[0];
    (case.support.inside, case.support.edge, case.support.outside) = (0.02, 0.06, 0.92);
    let input = &mut case.inputs[0];
    (input.logged, input.run, input.outside) = ([-2.0, 20.4], [6.0, 34.2], 0.92);
    assert_eq!(input.role, Role::Disturbance);
    let text = front(&results);
    let reason = "The baseline itself is outside the logged range 92 % of the time: outdoor_temp reaches 34.2 °C, model \
                  trained up to 20.4 °C. Do not rely on its values.";
    assert!(text.contains(reason), "{text}");
    assert!(text.contains("Forecasts not tested outside the logged range"), "{text}");
    assert!(!text.contains("fair") && !text.contains("90 % intervals cover"), "{text}");
    assert!(text.contains("energy cost of the baseline"), "{text}");
}

#[test]
fn the_signal_that_leaves_the_log_is_named() {
    let text = front(&fixture::datacenter());
    assert!(text.contains("outside: outdoor_temp reaches 35.3 °C, model trained up to 31.0 °C"), "{text}");
}
