//! Tests of the verdict on page one of a report.

use twinopt::report::render;
use twinopt::scenario::results::{
    ControlEffect, ControlIdentification, DaySchedule, EffectContrast, EndContent, IdentificationLevel, KpiKind,
    LimitKind, MissedTotal, NoiseSource, Note, NoteKind, Results, SkippedPeriod,
};

use super::{between, fixture, visible};

#[test]
fn the_verdict_depends_on_savings_limits_and_caveats() {
    let headline = |r: &Results| {
        let html = render(r).unwrap();
        visible(between(&html, "<h1", "</h1>")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let good = fixture::datacenter();
    assert!(
        headline(&good).starts_with("Do run “mpc”. It saves 4 600 EUR a year (3 900 to 5 400 EUR)."),
        "{}",
        headline(&good)
    );

    let mut trial = good.clone();
    trial.scenarios[0].cases[2].perfect_forecast = vec!["cpu_load".into()];
    trial.scenarios[0].cases[1].perfect_forecast = vec!["cpu_load".into()];
    assert!(headline(&trial).starts_with("Try “mpc”. It saves about"), "{}", headline(&trial));

    // A case that violates a limit more often than the baseline is excluded, and the next best case is chosen.
    let mut risky = good.clone();
    let limit = &mut risky.scenarios[1].cases[2].limits[1];
    (limit.share_beyond, limit.chance, limit.worst) = (0.02, 0.4, 1.5);
    assert!(headline(&risky).starts_with("Do run “warmer”"), "{}", headline(&risky));
    let text = front(&risky);
    let rejected = "Not chosen “mpc” saves 4 600 EUR a year, but violates limits of server_inlet_temp more often.";
    assert!(text.contains(rejected), "{text}");
    for s in &mut risky.scenarios {
        s.cases.remove(1);
    }
    risky.annual.remove(0);
    assert!(
        headline(&risky).starts_with("Don’t run “mpc”: it violates limits of server_inlet_temp more than"),
        "{}",
        headline(&risky)
    );

    let mut nothing = good.clone();
    for a in &mut nothing.annual {
        for d in [Some(&mut a.objective_change), a.cash_change.as_mut()].into_iter().flatten() {
            (d.low, d.high, d.measurable) = (d.mean - 1e4, d.mean + 1e4, false);
        }
    }
    // The net present value of a difference that may be due to chance is not shown.
    assert!(!front(&nothing).contains("Net present value"), "{}", front(&nothing));
    assert!(headline(&nothing).contains("no case makes a measurable difference"), "{}", headline(&nothing));
    for k in nothing.scenarios.iter_mut().flat_map(|s| &mut s.cases).flat_map(|c| &mut c.kpis) {
        k.samples = vec![Some(1.0)];
    }
    assert!(headline(&nothing).contains("one simulated future"), "{}", headline(&nothing));

    let mut far = good.clone();
    for c in far.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        (c.support.inside, c.support.edge, c.support.outside) = (0.1, 0.1, 0.8);
    }
    assert!(headline(&far).contains("the log contains no similar operating conditions"), "{}", headline(&far));
    // Both cases are equally far outside the logged range, so this is not the reason for the choice.
    let text = front(&far);
    let rejected = "Not chosen “warmer” saves 2 200 EUR a year, also outside the logged range 80 % of the time.";
    assert!(text.contains(rejected), "{text}");
    for c in far.scenarios.iter_mut().flat_map(|s| &mut s.cases).filter(|c| c.name == "mpc") {
        (c.support.inside, c.support.edge, c.support.outside) = (1.0, 0.0, 0.0);
    }
    assert!(
        front(&far).contains("Not chosen “warmer” is outside the logged range 80 % of the time."),
        "{}",
        front(&far)
    );
}

#[test]
fn page_one_states_what_is_not_simulated_and_that_times_are_not_dates() {
    let mut results = fixture::datacenter();
    let first = &mut results.scenarios[0];
    first.hours = 120.0;
    let gap = |from: &str, to: &str| SkippedPeriod { from: from.into(), to: to.into(), hours: 48.0 };
    first.skipped = vec![gap("2024-07-20T00:00:00Z", "2024-07-22T00:00:00Z")];
    results.quality.closed = "on Saturday and Sunday".into();
    let text = front(&results);
    let sentence = "2 days of 7 days are not simulated, because the log has no data on Saturday and Sunday; all figures, \
                    measured and simulated, cover the other 5 days.";
    let data = "Data no data on Saturday and Sunday; outdoor_temp 97 % complete";
    assert!(text.contains(sentence) && text.contains(data), "{text}");

    let mut finding = results.quality.findings[0].clone();
    finding.class = serde_json::from_value("relative-times".into()).unwrap();
    results.quality.findings.push(finding);
    results.provenance.data_start = "1970-01-01T00:00:00Z".into();
    results.provenance.as_of = "1970-06-30T00:00:00Z".into();
    let text = front(&results);
    assert!(text.contains("The times of the log are not dates."), "{text}");
    assert!(text.contains("Data day 1 to day 181, 00:00 (counted from the start)"), "{text}");
}

/// The fewer items need attention, the longer each may be.
#[test]
fn a_single_item_that_needs_attention_is_complete() {
    let mut results = fixture::datacenter();
    let clause = "the intervals of the supply temperature are too wide in the night, and too narrow during the day";
    let long = format!("{clause}; {clause}; {clause}; {clause}; {clause}, in all weeks of the hold-out");
    let note = Note { kind: NoteKind::Identification, text: long.clone() };
    results.model.notes = vec![note.clone()];
    for r in &mut results.model.replay {
        r.inside = true;
    }
    results.model.responses.iter_mut().for_each(|r| r.agrees = true);
    results.model.effects.clear();
    results.scenarios.retain(|s| s.exit_code == 0);
    let attention = |r: &Results| front(r).split("Needs attention").nth(1).unwrap().to_owned();
    let capital = format!("T{}", &long[1..]);
    assert!(attention(&results).contains(&capital), "{}", attention(&results));
    results.model.notes = vec![note; 4];
    let text = attention(&results);
    assert!(!text.contains(&capital) && text.contains("The intervals of the supply"), "{text}");
}

#[test]
fn the_report_on_a_twin_without_a_control_says_what_it_can_answer() {
    let mut results = fixture::datacenter();
    (results.annual, results.annual_baseline) = (Vec::new(), None);
    for s in &mut results.scenarios {
        s.cases.truncate(1);
    }
    assert!(front(&results).contains("there is nothing to compare it with"), "{}", front(&results));
    results.scenarios.iter_mut().for_each(|s| s.cases[0].controls.clear());
    let text = front(&results);
    assert!(text.contains("Don’t expect advice: the twin has no control, so it can only forecast."), "{text}");
    assert!(text.contains("the role “control”"), "{text}");
    let h = results.model.horizon;
    let inlet = results
        .model
        .scores
        .iter()
        .find(|s| s.model == results.model.model && s.signal == "server_inlet_temp" && s.horizon == h);
    let less = 100.0 * (1.0 - (1.0 - inlet.unwrap().skill).sqrt());
    assert!(
        text.contains(&format!("a typical error of {:.2} °C ({less:.0} % less than", inlet.unwrap().rmse)),
        "{text}"
    );
    assert!(text.contains("In the model, +1 of supply_setpoint changes it by +0.81 °C"), "{text}");
    // no table compares cases, and no sentence mentions a saving
    let page = crate::report::render(&results).unwrap();
    assert!(!page.contains("Best case</th>") && page.contains("no cases are compared"));
    results.model.scores.iter_mut().for_each(|s| s.coverage[2] = 0.5);
    results.model.replay.iter_mut().for_each(|r| r.inside = false);
    let text = front(&results);
    assert!(
        text.contains("Forecasts are more uncertain than") && text.contains("Do not rely on simulated values"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("saving"), "{text}");
}

#[test]
fn a_case_that_moves_a_control_that_is_not_identified_shows_no_saving() {
    let mut results = fixture::datacenter();
    let moved = results.scenarios[0].cases[2].controls[0].clone();
    let difference = (moved.mean - moved.baseline_mean).abs();
    assert!(difference > 0.0);
    let mut identification = ControlIdentification {
        control: moved.signal.clone(),
        unit: moved.unit.clone(),
        level: IdentificationLevel::NotIdentified,
        explained: 0.998,
        own_movement: 0.1 * difference,
        moves: 500.0,
        holding_time: "10min".into(),
        companion: Some("outdoor_temp".into()),
        companion_share: Some(0.99),
        day_types: None,
        consequence: None,
        idle_since: None,
    };
    results.model.identification = vec![identification.clone()];
    let text = front(&results);
    assert!(text.contains("Unknown whether “mpc” helps: the log is inconclusive."), "{text}");
    assert!(text.contains("moved together with outdoor_temp : other signals explain 99.8 % of its moves"), "{text}");
    let figures = text.split("Tested settings").next().unwrap();
    assert!(!figures.contains("EUR"), "{figures}");

    // The log identifies the effect of a plan if the independent movement of the control in the log is larger than the
    // difference between the plan and the baseline.
    identification.own_movement = 10.0 * difference;
    results.model.identification = vec![identification.clone()];
    assert!(front(&results).contains("Do run “mpc”"), "{}", front(&results));

    // A weakly identified control leads to a caveat.
    identification.own_movement = 0.1 * difference;
    identification.level = IdentificationLevel::Weak;
    results.model.identification = vec![identification.clone()];
    let text = front(&results);
    assert!(text.contains("Try “mpc”") && text.contains("identifies the effect of"), "{text}");

    // So does a control that has stood still for a long time.
    identification.level = IdentificationLevel::Identified;
    identification.idle_since = Some("2024-03-01".into());
    results.model.identification = vec![identification.clone()];
    let text = front(&results);
    assert!(text.contains("Try “mpc”") && text.contains("has not moved since 2024-03-01"), "{text}");

    // A schedule by day type is named as the reason.
    identification.level = IdentificationLevel::NotIdentified;
    for (shifted_on, reason) in
        [(None, "such as holidays"), (Some("2024-03-31".to_owned()), "by one hour on 2024-03-31")]
    {
        identification.day_types = Some(DaySchedule { shifted_on });
        results.model.identification = vec![identification.clone()];
        let text = front(&results);
        assert!(text.contains("Unknown whether “mpc” helps") && text.contains(reason), "{text}");
    }
}

pub fn front(r: &Results) -> String {
    let html = render(r).unwrap();
    visible(between(&html, "<section class=\"front", "</section>")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_priced_kpi_that_is_not_reproduced_needs_attention() {
    let mut results = fixture::datacenter();
    // The third replay check concerns a KPI without a price, so it does not affect the verdict.
    (results.model.replay[2].inside, results.model.replay[2].within) = (false, 3);
    assert!(front(&results).contains("Do run “mpc”") && !front(&results).contains("replays"));
    (results.model.replay[0].inside, results.model.replay[0].within) = (false, 12);
    let text = front(&results);
    assert!(
        text.contains("Try “mpc”") && text.contains("8 of 20 replays do not reproduce the measured energy cost"),
        "{text}"
    );
    assert!(
        text.contains("does not reproduce the logged energy cost in 8 of 20 replays of 24 h (newest: 2 560 measured"),
        "{text}"
    );
    let html = render(&results).unwrap();
    assert!(visible(&html).contains("† 12 of 20 segments of 24\u{a0}h"));
    assert!(visible(&html).contains("† 3 of 20 segments"));
}

#[test]
fn a_higher_income_is_a_gain_and_not_a_saving() {
    let mut results = fixture::datacenter();
    for c in results.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        let o = c.cash.as_mut().unwrap();
        (o.p10, o.p50, o.p90, o.mean) = (o.p10 - 1e6, o.p50 - 1e6, o.p90 - 1e6, o.mean - 1e6);
    }
    let text = front(&results);
    assert!(text.contains("It earns 4 600 EUR a year more (3 900 to 5 400 EUR)."), "{text}");
    assert!(text.contains("Annual gain") && !text.contains("Saving"), "{text}");
    results.annual.iter_mut().for_each(|a| {
        a.economics = None;
        for d in [Some(&mut a.objective_change), a.cash_change.as_mut()].into_iter().flatten() {
            (d.mean, d.low, d.high) = (400.0, 300.0, 500.0);
        }
    });
    assert!(front(&results).contains("earns 400 EUR a year less (300 to 500 EUR)"), "{}", front(&results));
}

#[test]
fn a_case_that_does_not_pay_back_is_not_recommended() {
    let mut results = fixture::datacenter();
    let e = results.annual[1].economics.as_mut().unwrap();
    (e.npv.p10, e.npv.p50, e.npv.p90) = (-9_000.0, -4_000.0, 1_000.0);
    results.annual.remove(0);
    results.scenarios.iter_mut().for_each(|s| drop(s.cases.remove(1)));
    let text = front(&results);
    assert!(text.contains("Don’t buy “mpc”: its gain does not cover its cost."), "{text}");
    assert!(text.contains("Tested settings") && !text.contains("Stop if"), "{text}");
    let e = results.annual[0].economics.as_mut().unwrap();
    (e.npv.p50, e.npv.p90) = (2_000.0, 9_000.0);
    assert!(
        front(&results).contains("supervision, because the investment may not pay for itself"),
        "{}",
        front(&results)
    );
}

#[test]
fn violations_of_a_soft_limit_count_over_all_scenarios() {
    let mut results = fixture::datacenter();
    let violate = |r: &mut Results, share: f64| {
        let l = &mut r.scenarios[2].cases[2].limits[0];
        assert_eq!(l.kind, LimitKind::Soft);
        (l.share_beyond, l.chance, l.worst) = (share, 0.5, 0.4);
    };
    let now = results.scenarios[2].cases[0].limits[0].share_beyond;
    // Compared with the baseline, the case violates the limit slightly more often in one scenario and much less often
    // in all other scenarios.
    for s in [0, 1, 3] {
        results.scenarios[s].cases[0].limits[0].share_beyond = 0.2;
    }
    violate(&mut results, now + 0.005);
    assert!(
        front(&results).contains("Try “mpc”") && front(&results).contains("the case may violate a limit of"),
        "{}",
        front(&results)
    );
    violate(&mut results, now + 0.05);
    assert!(!front(&results).contains("Try “mpc”"), "{}", front(&results));
}

/// The model and the log may disagree about an effect that no correction removes. The saving is then unknown, however
/// narrow its interval is.
#[test]
fn a_contradicted_effect_on_the_cost_gives_no_promise() {
    let effect = |error: f64, accumulation| ControlEffect {
        control: "supply_setpoint".into(),
        signal: "total_power".into(),
        unit: "kW/degC".into(),
        window: 24,
        hours: 4.0,
        model: -0.4,
        members: vec![0.0, 0.01, -0.01],
        inflation: 1.0,
        error,
        se: 0.02,
        blocks: 60.0,
        accumulation,
        contrast: None,
        shown_hours: None,
    };
    for (error, accumulation, is_unknown) in
        [(0.41, None, true), (0.41, Some(1.0), true), (0.3, Some(1.0), false), (0.1, None, false), (-0.5, None, true)]
    {
        let mut results = fixture::datacenter();
        results.model.effects = vec![effect(error, accumulation)];
        let text = visible(&render(&results).unwrap()).split_whitespace().collect::<Vec<_>>().join(" ");
        let unknown = text.contains("Unknown whether “mpc” helps") && text.contains("contradict its effect on");
        assert_eq!(unknown, is_unknown, "{error} {accumulation:?}: {}", text.chars().take(600).collect::<String>());
    }
    // An effect that differs between two parts of the log does not give a promise either.
    let since = EffectContrast {
        effects: [-0.8, 0.2],
        since: Some("2024-03-01".into()),
        size: None,
        after_hours: None,
        is_slow: false,
    };
    let size = EffectContrast { effects: [-0.8, 0.2], since: None, size: Some(1.5), after_hours: None, is_slow: false };
    let later = |effects| EffectContrast { effects, since: None, size: None, after_hours: Some(4.0), is_slow: false };
    let slow = EffectContrast { effects: [-0.8, 0.2], since: None, size: None, after_hours: None, is_slow: true };
    for (contrast, expected) in [
        (slow, "changes by −0.8 kW/K, but by 0.2 kW/K over longer stretches"),
        (since, "changed during the log: −0.8 kW/K until 2024-03-01, 0.2 kW/K since then"),
        (size, "by less than 1.5 change total_power by −0.8 kW/K, larger moves by 0.2 kW/K"),
        (later([-0.8, 0.2]), "is −0.8 kW/K in the model, but about 0.2 kW/K in the log"),
    ] {
        let mut results = fixture::datacenter();
        results.model.effects =
            vec![ControlEffect { contrast: Some(contrast), unit: "kW/K".into(), ..effect(0.0, Some(1.0)) }];
        let text = front(&results).replace('\u{a0}', " ");
        assert!(text.contains("Unknown whether “mpc” helps") && text.contains(expected), "{text}");
        assert!(!text.split("Tested settings").next().unwrap().contains("EUR"), "{text}");
    }
    // The saving keeps its sign if the effect only becomes smaller.
    let mut results = fixture::datacenter();
    results.model.effects = vec![ControlEffect { contrast: Some(later([-0.8, -0.4])), ..effect(0.0, Some(1.0)) }];
    let text = front(&results);
    assert!(text.contains("Try “mpc”") && text.contains("is smaller in the log than in the model"), "{text}");
}

#[test]
fn stores_that_end_at_another_content_are_named_on_page_one() {
    let mut results = fixture::datacenter();
    let content = EndContent { signal: "tank".into(), unit: "kWh".into(), case: 0.0, baseline: 153.5, worth: None };
    results.scenarios[0].cases[2].end_contents = vec![content.clone()];
    results.scenarios[1].cases[2].end_contents = vec![content];
    let html = render(&results).unwrap();
    let front = visible(between(&html, "<section class=\"front", "</section>"));
    let text = front.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("ends with tank at 0 kWh (baseline: 154)"), "{text}");
    assert!(text.contains("the saving does not include this difference"), "{text}");
}

/// A mean value cannot be added up over hours or scenarios.
#[test]
fn savings_of_mean_values_are_averages() {
    let mut results = fixture::datacenter();
    for annual in [true, false] {
        if !annual {
            results.annual.clear();
            results.scenarios.iter_mut().for_each(|s| s.days_per_year = None);
        }
        for case in results.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
            case.kpis.iter_mut().filter(|k| k.price.is_some()).for_each(|k| k.kind = KpiKind::Mean);
        }
        let html = render(&results).unwrap();
        let headline = visible(between(&html, "<h1", "</h1>")).split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = if annual { "EUR on average over the year" } else { "EUR on average over" };
        assert!(headline.contains(expected) && !headline.contains(" a year"), "{headline}");
        if !annual {
            let savings = results.scenarios.iter().filter_map(|s| s.cases.get(2)?.cash_change.map(|c| -c.mean));
            let savings: Vec<f64> = savings.collect();
            let mean = savings.iter().sum::<f64>() / savings.len() as f64;
            let shown: String = headline.split_once("saves").unwrap().1.chars().take_while(|c| *c != 'E').collect();
            let digits: String = shown.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
            let shown: f64 = digits.parse().unwrap();
            assert!((shown - mean).abs() < 0.06 * mean, "{headline}: {mean}");
        }
    }
}

/// Sets the measured cost of every scenario to that of the baseline minus `share` of the saving of case `case`.
fn measure(results: &mut Results, case: usize, share: f64) {
    for s in &mut results.scenarios {
        let (before, change) = (s.cases[0].cash.unwrap().mean, s.cases[case].cash_change.unwrap().mean);
        s.measured.cost = Some(before + share * change);
        s.noise = NoiseSource::Recorded;
    }
}

#[test]
fn a_case_that_is_worse_than_the_measured_operation_is_not_recommended() {
    let mut results = fixture::datacenter();
    measure(&mut results, 2, 0.1);
    assert!(front(&results).contains("Do run “mpc”"), "{}", front(&results));
    measure(&mut results, 2, 0.6);
    let text = front(&results);
    assert!(text.contains("Try “mpc”"), "{text}");
    assert!(
        text.contains("the baseline costs more than the measured operation did; the difference is 60 % of the saving"),
        "{text}"
    );
    // the measured operation was better than all cases
    measure(&mut results, 2, 1.5);
    let text = front(&results);
    assert!(text.contains("the measured operation was better"), "{text}");
    assert!(!text.contains("Do run") && !text.contains("Try “"), "{text}");
    // a case that equals the measured operation is not worse than it
    measure(&mut results, 2, 1.0 + 1e-12);
    assert!(front(&results).contains("Try “mpc”"), "{}", front(&results));
    // missing measurements may be the cause
    measure(&mut results, 2, 1.5);
    results.scenarios[0].measured.cost_missing = 0.04;
    assert!(front(&results).contains("Try “mpc”"), "{}", front(&results));
    // the noise of the simulations may be the cause
    results.scenarios[0].measured.cost_missing = 0.0;
    results.scenarios[0].noise = NoiseSource::Drawn;
    assert!(front(&results).contains("Try “mpc”"), "{}", front(&results));
    // the conditions of one scenario were not logged
    results.scenarios[0].measured.cost = None;
    assert!(front(&results).contains("Do run “mpc”"), "{}", front(&results));
}

#[test]
fn longer_violations_exclude_a_case_also_if_the_baseline_violates_the_limit_often() {
    let mut results = fixture::datacenter();
    for s in &mut results.scenarios {
        for (case, share) in [(0, 0.696), (2, 0.756)] {
            let limit = &mut s.cases[case].limits[0];
            (limit.share_beyond, limit.chance, limit.worst) = (share, 1.0, 1.6);
        }
    }
    let text = front(&results);
    assert!(!text.contains("Do run “mpc”") && !text.contains("Try “mpc”"), "{text}");
    assert!(text.contains("“mpc” saves 4 600 EUR a year, but violates limits of"), "{text}");
}

#[test]
fn a_scenario_in_which_the_case_costs_more_is_named() {
    let mut results = fixture::datacenter();
    for case in &mut results.scenarios[0].cases[1..] {
        let change = case.cash_change.as_mut().unwrap();
        (change.mean, change.low, change.high, change.measurable) = (312.0, 180.0, 440.0, true);
    }
    let text = front(&results);
    assert!(text.contains("Try “mpc”"), "{text}");
    assert!(text.contains("it costs 310 EUR more, so do not run it then"), "{text}");
}

#[test]
fn a_limit_on_a_total_counts_if_the_case_violates_it_more_often_than_the_baseline() {
    let missed =
        |limit: &str, share: f64| MissedTotal { limit: limit.into(), share, text: format!("{limit} is missed") };
    let with = |baseline: MissedTotal, case: MissedTotal| {
        let mut results = fixture::datacenter();
        for s in &mut results.scenarios {
            s.cases[0].missed_totals = vec![baseline.clone()];
            s.cases[2].missed_totals = vec![case.clone()];
        }
        front(&results)
    };
    assert!(with(missed("a", 1.0), missed("a", 1.0)).contains("Do run “mpc”"));
    for text in [with(missed("a", 1.0), missed("b", 1.0)), with(missed("b", 0.06), missed("b", 0.9))] {
        assert!(!text.contains("Do run “mpc”") && text.contains("b is missed"), "{text}");
    }
}
