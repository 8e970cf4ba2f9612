//! Tests of the money figures: one definition of a saving per report, and only figures that are in the results.

use twinopt::report::render;
use twinopt::scenario::results::Results;

use super::verdict::front;
use super::{between, fixture, printed, read, visible};

/// All numbers in a JSON value.
fn numbers(value: &serde_json::Value, out: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(n) => out.extend(n.as_f64()),
        serde_json::Value::Array(list) => list.iter().for_each(|v| numbers(v, out)),
        serde_json::Value::Object(map) => map.values().for_each(|v| numbers(v, out)),
        _ => {}
    }
}

/// Amounts of money in a text, each with its decimal place: numbers followed by the currency, and the ends of intervals
/// of such numbers.
fn amounts(text: &str) -> Vec<(f64, f64)> {
    let words: Vec<&str> = text.split([' ', '\u{a0}', '(', ')']).filter(|w| !w.is_empty()).collect();
    let is_number = |w: &str| w.chars().any(|c| c.is_ascii_digit()) && w.chars().all(|c| !c.is_alphabetic());
    let mut out = Vec::new();
    for (i, word) in words.iter().enumerate().filter(|(_, w)| is_number(w)) {
        let currency = |k: usize| words.get(i + k).is_some_and(|w| w.trim_end_matches(['.', ',']) == "EUR");
        if currency(1) || (words.get(i + 1) == Some(&"to") && currency(3)) {
            let digits = word.trim_end_matches(['.', ',']);
            let decimals = digits.split_once('.').map_or(0, |(_, d)| d.len());
            let zeros = digits.chars().rev().filter(char::is_ascii_digit).take_while(|c| *c == '0').count();
            let place = if decimals > 0 { -(decimals as i32) } else { zeros as i32 };
            out.push((read(digits), 10f64.powi(place)));
        }
    }
    out
}

/// Every amount of money on the page must be a rounded number from the results.
fn assert_money_is_in_the_results(results: &Results) -> usize {
    let html = render(results).unwrap();
    let mut known = Vec::new();
    numbers(&serde_json::to_value(results).unwrap(), &mut known);
    let near = |v: f64, place: f64| known.iter().any(|k| (k.abs() - v.abs()).abs() <= 0.5 * place * (1.0 + 1e-9));
    let figures = between(&html, "class=\"figures\"", "</dl>");
    let mut checked = 0;
    for (value, text) in printed(figures) {
        assert!(near(value, 1e-9 * value.abs()), "{text} ({value}) is not in the results");
        checked += 1;
    }
    for part in [between(&html, "<section class=\"front", "</section>"), between(&html, "id=\"year\"", "</section>")] {
        for (value, place) in amounts(&visible(part)) {
            assert!(near(value, place), "{value} EUR is not in the results");
            checked += 1;
        }
    }
    checked
}

#[test]
fn every_money_figure_is_in_the_results() {
    let mut results = fixture::datacenter();
    assert!(assert_money_is_in_the_results(&results) > 12);
    for a in &mut results.annual {
        a.days = 120.0;
    }
    assert!(assert_money_is_in_the_results(&results) > 12);
}

#[test]
fn the_same_saving_is_printed_everywhere() {
    let mut results = fixture::datacenter();
    let objective = &mut results.annual[1].objective_change;
    // The change also avoids penalties of 3 000 EUR, which are not actually paid.
    (objective.mean, objective.low, objective.high) = (objective.mean - 3e3, objective.low - 3e3, objective.high - 3e3);
    let html = render(&results).unwrap();
    let saved = -results.annual[1].cash_change.unwrap().mean;
    let text = front(&results);
    assert!(text.contains("saves 4 600 EUR a year (3 900 to 5 400 EUR)"), "{text}");
    let year = between(&html, "id=\"year\"", "</section>");
    assert!(visible(between(year, "<figure>", "</figure>")).contains("4\u{202f}600 (3\u{202f}900 to 5\u{202f}400)"));
    let row = between(year, "Saving in the first year", "</tr>");
    assert!(printed(row).contains(&(saved, "4\u{202f}600".to_owned())), "{row}");
    // The penalty on violations is not money, so it is not part of a chart of savings.
    assert!(!year.contains("Saving of “mpc” by KPI"));
    // The penalty is reported in its own unit.
    assert!(text.contains("Besides, violation falls by"), "{text}");
    assert!(text.contains("K·h"), "{text}");
}

/// Avoiding a penalty in the objective does not save money.
#[test]
fn a_case_that_avoids_only_penalties_costs_money() {
    let mut results = fixture::datacenter();
    for a in &mut results.annual {
        let d = a.cash_change.as_mut().unwrap();
        (d.mean, d.low, d.high, d.measurable) = (400.0, 300.0, 500.0, true);
        a.economics = None;
    }
    let text = front(&results);
    assert!(text.contains("Try “mpc”. It costs about 400 EUR a year more (300 to 500 EUR)."), "{text}");
    assert!(text.contains("because it costs money and improves only what the objective penalises"), "{text}");
}

#[test]
fn a_season_has_money_for_its_days() {
    let mut results = fixture::datacenter();
    results.annual.iter_mut().for_each(|a| a.days = 120.0);
    let text = front(&results);
    assert!(text.contains("saves 4 600 EUR over 120 days of the year (3 900 to 5 400 EUR)"), "{text}");
    assert!(text.contains("Net present value") && !text.contains("[economics]"), "{text}");
    let html = render(&results).unwrap();
    let year = visible(between(&html, "id=\"year\"", "</section>"));
    assert!(year.contains("all figures in this section are totals for these days only"), "{year}");
}

#[test]
fn the_measured_value_is_printed_beside_the_baseline() {
    let results = fixture::datacenter();
    let html = render(&results).unwrap();
    let section = between(&html, "</span> summer</h2>", "</section>");
    let measured = &results.scenarios[0].measured;
    let head = visible(between(section, "<table class=\"lines kpis\">", "</thead>"));
    assert!(head.split_whitespace().collect::<Vec<_>>().join(" ").starts_with("KPI Unit measured baseline"), "{head}");
    assert!(printed(section).iter().any(|(v, _)| *v == measured.kpis[0].value));
    let text = front(&results);
    // the limit is violated during 0.4 % of the logged time; the probability of a violation, which is 100 % for a
    // single logged future, is not shown
    let limits = text.split("Time beyond limits").nth(1).unwrap().split("Evidence").next().unwrap();
    assert!(limits.contains("Limit Kind Measured Baseline After change"), "{limits}");
    // one of the scenarios changes the conditions, so the measured operation cannot be compared with the cases
    assert!(limits.contains("27 °C soft –"), "{limits}");
    let mut unchanged = results.clone();
    unchanged.scenarios.iter_mut().for_each(|s| s.measured.is_changed = false);
    let text_unchanged = front(&unchanged);
    let limits = text_unchanged.split("Time beyond limits").nth(1).unwrap().split("Evidence").next().unwrap();
    assert!(limits.contains("27 °C soft 0.4 %"), "{limits}");
    assert!(text.contains("Measured energy_cost"), "{text}");
    let year = between(&html, "id=\"year\"", "</section>");
    let rows =
        visible(between(year, "KPIs over the year", "</thead>")).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(rows.contains("KPI Unit baseline warmer mpc"), "{rows}");
}

/// The carbon dioxide emissions of a KPI with a composite unit are printed in tonnes.
#[test]
fn carbon_is_printed_in_tonnes() {
    let mut results = fixture::datacenter();
    for a in &mut results.annual {
        let mut co2 = a.kpis[0].clone();
        (co2.name, co2.unit, co2.price) = ("co2".into(), "kW*kg*h/kWh".into(), None);
        let d = co2.change.as_mut().unwrap();
        (d.mean, d.low, d.high, d.measurable) = (-16_830.0, -19_000.0, -14_700.0, true);
        a.kpis.push(co2);
    }
    let text = front(&results);
    assert!(text.contains("CO₂ −16.8 t 90 % interval: −19.0 to −14.7"), "{text}");
}
