//! Tests of the rendered report: contents, verdict, and protection against hostile names.

mod export;
mod fixture;
mod golden;
mod money;
mod safety;
mod setpoints;
mod trade_offs;
mod verdict;

use std::collections::HashSet;

use twinopt::log::Finding;
use twinopt::report::{kpi_csv, render};
use twinopt::scenario::results::{Note, NoteKind, Results};
use verdict::front;

/// Writes the page for inspection to the folder in the environment variable `TWINOPT_REPORT_DIR`, if this variable is
/// set.
fn save_page(name: &str, html: &str) {
    if let Some(dir) = std::env::var_os("TWINOPT_REPORT_DIR") {
        std::fs::write(std::path::Path::new(&dir).join(name), html).unwrap();
    }
}

#[test]
fn a_signal_that_never_moved_does_not_limit_the_horizon() {
    use twinopt::schema::{Role, Schema, Signal};
    let mut card = fixture::datacenter().model;
    let (model, name) = (card.model.clone(), card.scores[0].signal.clone());
    let schema = Schema::new(vec![Signal::open(&name, Role::State, twinopt::units::Unit::one())]);
    // The model is better than persistence at all horizons except the last one.
    let last = card.scores.iter().map(|s| s.horizon).max().unwrap();
    for s in card.scores.iter_mut().filter(|s| s.model == model && s.signal == name) {
        s.skill = if s.horizon == last { -1e300 } else { 0.5 };
    }
    let reach = card.reach(&schema)[0].unwrap();
    assert!(0 < reach && reach < last, "{reach}");
    for s in card.scores.iter_mut().filter(|s| s.model == "persistence" && s.signal == name) {
        s.rmse = 0.0;
    }
    assert_eq!(card.reach(&schema), [None]);
}

/// The text of an HTML fragment that is visible in a browser.
fn visible(html: &str) -> String {
    let mut out = String::new();
    let mut tag = false;
    for c in html.chars() {
        match c {
            '<' => tag = true,
            '>' if tag => {
                tag = false;
                out.push(' ');
            }
            c if !tag => out.push(c),
            _ => {}
        }
    }
    for (code, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")] {
        out = out.replace(code, c);
    }
    out
}

fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    let at = html.find(from).unwrap_or_else(|| panic!("{from}"));
    let end = html[at..].find(to).unwrap_or_else(|| panic!("{to}"));
    &html[at..at + end]
}

/// Values and contents of all elements `<data value="v">text</data>` of a page.
fn printed(html: &str) -> Vec<(f64, String)> {
    html.split("<data value=\"")
        .skip(1)
        .map(|part| {
            let (value, rest) = part.split_once("\">").unwrap();
            let text = rest.split_once("</data>").unwrap().0;
            (value.parse().unwrap(), visible(text))
        })
        .collect()
}

/// Parses a number in the format used in reports.
fn read(text: &str) -> f64 {
    let clean: String =
        text.replace('\u{2212}', "-").chars().filter(|c| c.is_ascii_digit() || "-.".contains(*c)).collect();
    let scale = if text.contains('%') { 0.01 } else { 1.0 };
    clean.parse::<f64>().unwrap_or_else(|_| panic!("{text}")) * scale
}

#[test]
fn the_report_is_one_self_contained_file() {
    let results = fixture::datacenter();
    let start = std::time::Instant::now();
    let html = render(&results).unwrap();
    println!("{} KB in {:?}", html.len() / 1024, start.elapsed());
    save_page("report.html", &html);
    assert!(html.len() < 500_000, "{} bytes", html.len());
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
    for bad in
        ["<script", "http:", "https:", "src=", "@import", "url(", "stylesheet", "javascript:", "<iframe", " onload"]
    {
        assert!(!html.contains(bad), "{bad}");
    }
    // The page has a single link element, which prevents browsers from requesting a favicon.
    assert_eq!(html.matches("<link").count(), 1);
    assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert_eq!(html, render(&results).unwrap(), "the same results must give the same bytes");
}

#[test]
fn ids_are_unique_and_every_link_and_label_has_a_target() {
    let html = render(&fixture::datacenter()).unwrap();
    let all = |key: &str| -> Vec<String> {
        html.split(key).skip(1).map(|p| p.split('"').next().unwrap().to_owned()).collect()
    };
    let ids = all(" id=\"");
    let set: HashSet<&String> = ids.iter().collect();
    assert_eq!(set.len(), ids.len());
    for target in all("href=\"#").iter().chain(&all(" for=\"")) {
        assert!(set.contains(target), "#{target}");
    }
    for target in all("aria-labelledby=\"").iter().flat_map(|t| t.split(' ')) {
        assert!(set.contains(&target.to_owned()), "{target}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\" aria-labelledby").count());
    assert_eq!(html.matches("<svg").count(), html.matches("<desc").count());
}

#[test]
fn headings_descend_one_level_at_a_time() {
    let mut results = fixture::datacenter();
    results.scenarios.push(fixture::failed());
    let html = render(&results).unwrap();
    let levels: Vec<u32> = html.split("<h").skip(1).filter_map(|p| p.chars().next()?.to_digit(10)).collect();
    assert_eq!(levels[0], 1);
    assert_eq!(levels.iter().filter(|l| **l == 1).count(), 1);
    assert!(levels.windows(2).all(|w| w[1] <= w[0] + 1), "{levels:?}");
}

#[test]
fn page_one_is_short_and_in_order() {
    let html = render(&fixture::datacenter()).unwrap();
    let front = visible(between(&html, "<section class=\"front", "</section>"));
    println!("{}", front.split_whitespace().collect::<Vec<_>>().join(" "));
    // Thin spaces between digit groups are removed, because they do not separate words.
    let joined = front.replace('\u{202f}', "");
    let words = joined.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count();
    println!("page one: {words} words");
    assert!(words <= 250, "{words}");
    let order = [
        "Do",
        "EUR",
        "Annual saving",
        "One-time cost",
        "Net present value",
        "Payback",
        "What to set",
        "Stop if",
        "Time beyond limits",
        "Evidence",
        "simulation",
        "Needs attention",
        "20241028",
    ];
    let mut at = 0;
    for part in order {
        at += front[at..].find(part).unwrap_or_else(|| panic!("{part} is missing after {}", &front[..at]));
    }
}

/// Results with more entries than fit on page one.
fn crowded() -> Results {
    let mut results = fixture::datacenter();
    for c in results.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        for i in 0..4 {
            c.controls.extend([c.controls[0].clone(), c.controls[1].clone()]);
            c.controls[2 * i + 2].signal = format!("damper_{i}_position");
            c.controls[2 * i + 3].signal = format!("chilled_water_valve_{i}");
            let mut limit = c.limits[0].clone();
            limit.signal = format!("rack_{i}_inlet_temperature");
            c.limits.push(limit);
        }
        c.perfect_forecast = vec!["cpu_load".into(), "outdoor_temp".into()];
    }
    (results.model.replay[1].inside, results.model.replay[1].within) = (false, 12);
    results.model.responses[2].agrees = false;
    results.quality.incomplete = vec!["outdoor_temp".into()];
    results.scenarios.push(fixture::failed());
    let never_moved = |i| format!("damper_{i}_position never moved, so its effect cannot be learned.");
    let note = |i| Note { kind: NoteKind::ConstantControl, text: never_moved(i) };
    results.model.notes.extend((0..4).map(note));
    results
}

#[test]
fn a_crowded_page_one_is_shortened() {
    let html = render(&crowded()).unwrap();
    save_page("crowded.html", &html);
    let front = visible(between(&html, "<section class=\"front", "</section>"));
    let words = front.split_whitespace().filter(|w| w.chars().any(char::is_alphabetic)).count();
    println!("{}", front.split_whitespace().collect::<Vec<_>>().join(" "));
    println!("the crowded first page has {words} words, not counting numbers");
    assert!(words <= 250, "{words}");
    assert_eq!(between(&html, "class=\"alarms\"", "</ol>").matches("<li>").count(), 4);
    for left in ["6 more below", "4 more below"] {
        assert!(front.contains(left), "{left}");
    }
}

/// Requirement REP-2: a report on fifty scenarios must be small enough for an e-mail.
#[test]
fn fifty_scenarios_fit_in_two_megabytes() {
    let mut results = fixture::datacenter();
    let four = results.scenarios.clone();
    results.scenarios = (0..50).map(|i| four[i % 4].clone()).collect();
    for (i, s) in results.scenarios.iter_mut().enumerate() {
        s.name = format!("{}_{i}", s.name);
    }
    let start = std::time::Instant::now();
    let html = render(&results).unwrap();
    println!("50 scenarios: {} KB in {:?}", html.len() / 1024, start.elapsed());
    assert!(html.len() < 2_000_000, "{}", html.len());
}

/// Requirement REP-5: printed numbers must equal the rounded numbers in `results.json`.
#[test]
fn printed_kpis_equal_those_in_the_results() {
    let results = fixture::datacenter();
    let html = render(&results).unwrap();
    let all = printed(&html);
    assert!(all.len() > 500);
    for (value, text) in &all {
        if text.starts_with(['<', '>']) {
            continue;
        }
        let shown = read(text);
        let digits = text.split_once('.').map_or(0, |(_, d)| d.chars().filter(char::is_ascii_digit).count());
        // Trailing zeros of an integer may be the result of rounding.
        let zeros = if digits == 0 {
            text.chars().rev().filter(char::is_ascii_digit).take_while(|c| *c == '0').count()
        } else {
            0
        };
        let place = 10f64.powi(zeros as i32 - digits as i32) * if text.contains('%') { 0.01 } else { 1.0 };
        assert!((shown - value).abs() <= 0.5 * place * (1.0 + 1e-9), "{text} for {value}");
    }
    let values: HashSet<u64> = all.iter().map(|(v, _)| v.to_bits()).collect();
    let mut checked = 0;
    for s in &results.scenarios {
        let section = between(&html, &format!("</span> {}</h2>", s.name.replace('_', " ")), "</section>");
        let here: HashSet<u64> = printed(section).iter().map(|(v, _)| v.to_bits()).collect();
        for c in &s.cases {
            for e in c.kpis.iter().map(|k| k.value).chain([c.objective]) {
                assert!(here.contains(&e.p50.to_bits()), "{} {}", s.name, c.name);
                checked += 1;
            }
            for d in c.kpis.iter().filter_map(|k| k.change).chain(c.objective_change).filter(|d| d.measurable) {
                assert!(here.contains(&d.mean.to_bits()), "{} {}", s.name, c.name);
                checked += 1;
            }
        }
    }
    for a in &results.annual {
        let e = a.economics.as_ref().unwrap();
        let saved = -a.cash_change.unwrap().mean;
        let money = [saved, e.npv.p50, e.capex, e.opex_per_year, a.objective_change.mean];
        for v in a.kpis.iter().map(|k| k.value.p50).chain(money) {
            assert!(values.contains(&v.to_bits()), "{v}");
            checked += 1;
        }
    }
    // the interval of the recommended case, on the first page
    let npv = results.annual[1].economics.as_ref().unwrap().npv;
    assert!(values.contains(&npv.p10.to_bits()) && values.contains(&npv.p90.to_bits()));
    assert!(checked > 100, "{checked}");
}

#[test]
fn the_report_names_missing_inputs() {
    let mut results = fixture::datacenter();
    results.timezone = "Mars/Olympus".into();
    (results.currency, results.cash) = (None, None);
    results.annual.clear();
    results.scenarios.iter_mut().for_each(|s| s.days_per_year = None);
    let html = render(&results).unwrap();
    let data = visible(between(&html, "<section id=\"data\"", "</section>"));
    assert!(data.contains("The time zone “Mars/Olympus” is unknown, so all times are in UTC."), "{data}");
    let text = front(&results);
    assert!(text.contains("unknown: set days_per_year in each scenario"), "{text}");
    assert!(text.contains("It improves the objective by 4"), "{text}");
    assert!(text.contains("cost units in 28 simulated days"), "{text}");
}

#[test]
fn page_one_states_the_share_of_long_gaps() {
    let mut results = fixture::datacenter();
    assert!(front(&results).contains("2 gaps; outdoor_temp 97"), "{}", front(&results));
    let gap = &results.quality.findings[0];
    // a tenth of the 26,000 steps of 10 min
    let (first, last) = ("2024-06-11T00:00:00Z".to_owned(), "2024-06-29T01:20:00Z".to_owned());
    let class = serde_json::from_value("long-gap".into()).unwrap();
    results.quality.findings.push(Finding { class, first, last, ..gap.clone() });
    let text = front(&results).replace('\u{a0}', " ");
    assert!(text.contains("2 gaps (10 % of the period), otherwise outdoor_temp 97 % complete"), "{text}");
}

/// A signal given by a known equation has no forecast error, so its skill is undefined.
#[test]
fn undefined_skills_survive_a_round_trip() {
    let mut results = fixture::datacenter();
    results.model.scores[0].skill_linear = f64::NAN;
    results.model.scores[0].skill = f64::NAN;
    let text = serde_json::to_string(&results).unwrap();
    let again: Results = serde_json::from_str(&text).unwrap();
    assert!(again.model.scores[0].skill.is_nan() && render(&again).is_ok());
}

#[test]
fn controls_without_a_learned_effect_are_named() {
    let mut results = fixture::datacenter();
    for r in &mut results.model.responses {
        [&mut r.mean, &mut r.low, &mut r.high].into_iter().for_each(|v| v.fill(0.0));
        r.gain = 0.0;
    }
    let html = render(&results).unwrap();
    let model = visible(between(&html, "<section id=\"model\"", "</section>"));
    assert!(model.contains("No learned signal responds to"), "{model}");
    assert!(!html.contains("id=\"resp-"));
}

#[test]
fn a_failed_scenario_comes_first_and_does_not_affect_others() {
    let mut results = fixture::datacenter();
    results.scenarios.push(fixture::failed());
    let html = render(&results).unwrap();
    save_page("failed.html", &html);
    let at = |what: &str| html.find(what).unwrap_or_else(|| panic!("{what}"));
    assert!(at("</span> winter</h2>") < at("</span> summer</h2>"));
    assert!(html.contains("winter.toml:3"));
    assert!(html.contains("Did not run: winter."));
    // Failed scenarios must come first in the overview, regardless of the sort order.
    for order in html.split("<div class=\"scroll order ").skip(1) {
        let row = order.split("<tbody>").nth(1).unwrap();
        assert!(row.find("winter").unwrap() < row.find("summer").unwrap());
    }
    assert!(between(&html, "</span> summer</h2>", "</section>").contains("energy cost"));
}

#[test]
fn incomplete_results_still_give_a_page() {
    let full = fixture::datacenter();
    let mut pages = Vec::new();

    let mut only_baseline = full.clone();
    only_baseline.annual.clear();
    for s in &mut only_baseline.scenarios {
        s.cases.truncate(1);
    }
    pages.push(("baseline.html", only_baseline));

    let mut no_money = full.clone();
    for a in &mut no_money.annual {
        a.economics = None;
    }
    pages.push(("nomoney.html", no_money.clone()));

    no_money.annual.clear();
    for s in &mut no_money.scenarios {
        s.days_per_year = None;
    }
    pages.push(("noyear.html", no_money));

    let mut single = full.clone();
    single.annual.clear();
    single.scenarios.truncate(1);
    pages.push(("single.html", single));

    let mut none = full.clone();
    none.annual.clear();
    none.scenarios = vec![fixture::failed()];
    pages.push(("none.html", none));

    let mut empty = full.clone();
    empty.scenarios.clear();
    empty.annual.clear();
    empty.model = Default::default();
    empty.quality = Default::default();
    empty.provenance = Default::default();
    empty.timezone = String::new();
    pages.push(("empty.html", empty));

    let mut bare = full;
    for c in bare.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        c.kpis.clear();
        c.trends.clear();
        c.limits.clear();
        c.controls.clear();
    }
    pages.push(("bare.html", bare));

    for (name, results) in pages {
        let html = render(&results).unwrap();
        save_page(name, &html);
        assert!(html.contains("id=\"verdict\"") && html.trim_end().ends_with("</html>"), "{name}");
        let text = visible(&html);
        assert!(text.split_whitespace().all(|w| !w.contains("NaN") && w != "inf"), "{name}");
        kpi_csv(&results);
    }
}
