//! Tests of the verdict on cases that cost more but keep limits, and on cases that use up stored content.

use twinopt::scenario::results::{EndContent, LimitKind, Results};

use super::fixture;
use super::verdict::front;

/// Only the case `mpc`, which costs more than the baseline.
fn dearer() -> Results {
    let mut results = fixture::datacenter();
    results.annual.clear();
    for s in &mut results.scenarios {
        s.days_per_year = None;
        s.cases.remove(1);
        let case = &mut s.cases[1];
        for change in [&mut case.objective_change, &mut case.cash_change].into_iter().flatten() {
            (change.mean, change.low, change.high, change.measurable) = (10.0, 9.0, 11.0, true);
        }
    }
    results
}

#[test]
fn a_case_that_keeps_a_violated_limit_is_not_a_plain_dont() {
    let mut results = dearer();
    assert!(front(&results).contains("Don’t change anything"), "{}", front(&results));
    for s in &mut results.scenarios {
        let [baseline, case] = &mut s.cases[..] else { panic!("two cases") };
        for (case, share) in [(baseline, 0.24), (case, 0.0)] {
            let limit = &mut case.limits[0];
            (limit.kind, limit.share_beyond, limit.chance) = (LimitKind::Hard, share, f64::from(share > 0.0));
        }
    }
    let text = front(&results);
    assert!(text.contains("Try “mpc” if its limits must be kept. It costs 40"), "{text}");
    assert!(text.contains("The baseline violates the hard limit of server_inlet_temp 24 % of the time."), "{text}");
    // the reasons for caution apply to this advice too
    assert!(!text.contains("it costs money and improves only"), "{text}");
    results.scenarios[0].baseline_caveat = Some("the baseline replays logged controls".into());
    let text = front(&results);
    assert!(text.contains("Run it under supervision, because in “"), "{text}");
}

#[test]
fn a_saving_that_uses_up_stored_content_is_no_improvement() {
    let mut results = dearer();
    for s in &mut results.scenarios {
        let case = &mut s.cases[1];
        for change in [&mut case.objective_change, &mut case.cash_change].into_iter().flatten() {
            (change.mean, change.low, change.high) = (-10.0, -11.0, -9.0);
        }
    }
    assert!(!front(&results).contains("Don’t change anything"), "{}", front(&results));
    for s in &mut results.scenarios {
        let worth = Some(-15.0);
        let content = EndContent { signal: "tank".into(), unit: "kWh".into(), case: 0.0, baseline: 150.0, worth };
        s.cases[1].end_contents = vec![content];
    }
    let text = front(&results);
    assert!(text.contains("Don’t change anything"), "{text}");
    assert!(text.contains("but it uses up stored content that is worth more"), "{text}");
    assert!(text.contains("plans value the difference at −15"), "{text}");
}

/// The verdict if no saving is measurable, and the cases move only `supply_setpoint`, by the given differences in each
/// scenario.
fn unmeasurable(differences: [[f64; 2]; 4]) -> String {
    let mut results = fixture::datacenter();
    results.annual.clear();
    for (s, differences) in results.scenarios.iter_mut().zip(differences) {
        s.days_per_year = None;
        for (case, difference) in s.cases.iter_mut().skip(1).zip(differences) {
            case.controls.truncate(1);
            let used = &mut case.controls[0];
            (used.mean, used.rms_difference) = (used.baseline_mean + difference, Some(difference.abs()));
            for change in [&mut case.objective_change, &mut case.cash_change].into_iter().flatten() {
                (change.mean, change.low, change.high, change.measurable) = (-5.0, -15.0, 5.0, false);
            }
        }
    }
    front(&results)
}

#[test]
fn cases_in_opposite_directions_are_alternatives() {
    let among = "It is the best of 2 alternatives.";
    let text = unmeasurable([[1.0, 2.0]; 4]);
    assert!(text.contains("no case makes a measurable difference") && !text.contains("alternatives"), "{text}");
    let text = unmeasurable([[1.0, -2.0]; 4]);
    assert!(text.contains(among), "{text}");
    // a case that does not move the control in some scenarios is the same case there
    let text = unmeasurable([[1.0, 2.0], [0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]);
    assert!(!text.contains("alternatives"), "{text}");
}

#[test]
fn the_month_of_a_scenario_is_that_of_the_plant() {
    let mut results = fixture::datacenter();
    for s in &mut results.scenarios {
        (s.days_per_year, s.start) = (Some(320.0), "2024-06-30T22:00:00Z".into());
    }
    results.annual.clear();
    results.scenarios.truncate(1);
    results.timezone = "Europe/Berlin".into();
    let text = front(&results);
    assert!(text.contains("7 days in July represent 320 days of the year"), "{text}");
}
