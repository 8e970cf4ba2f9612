//! The report as its readers and its enemies see it.

#[path = "report/fixture.rs"]
mod fixture;

use std::collections::HashSet;

use serde_json::Value;
use twinopt::report::{diff, kpi_csv, render};
use twinopt::scenario::results::{Note, NoteKind, OptimismCheck, Results};

/// Writes the page to `TWINOPT_REPORT_DIR`, when that is set, to look at it.
fn keep(name: &str, html: &str) {
    if let Some(dir) = std::env::var_os("TWINOPT_REPORT_DIR") {
        std::fs::write(std::path::Path::new(&dir).join(name), html).unwrap();
    }
}

#[test]
fn a_signal_that_never_moved_says_nothing_of_how_far_a_plan_may_look() {
    use twinopt::schema::{Role, Schema, Signal};
    let mut card = fixture::datacenter().model;
    let (model, name) = (card.model.clone(), card.scores[0].signal.clone());
    let schema = Schema::new(vec![Signal::open(&name, Role::State, twinopt::units::Unit::one())]);
    // better than persistence at all but the last horizon
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

/// What a reader sees of a piece of HTML.
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

/// All `<data value="v">text</data>` of a page, with their surroundings stripped.
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

/// A printed number as a number.
fn read(text: &str) -> f64 {
    let clean: String =
        text.replace('\u{2212}', "-").chars().filter(|c| c.is_ascii_digit() || "-.".contains(*c)).collect();
    let scale = if text.contains('%') { 0.01 } else { 1.0 };
    clean.parse::<f64>().unwrap_or_else(|_| panic!("{text}")) * scale
}

#[test]
fn one_file_that_needs_nothing_else() {
    let results = fixture::datacenter();
    let start = std::time::Instant::now();
    let html = render(&results).unwrap();
    println!("{} KB in {:?}", html.len() / 1024, start.elapsed());
    keep("report.html", &html);
    assert!(html.len() < 500_000, "{} bytes", html.len());
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
    for bad in
        ["<script", "http:", "https:", "src=", "@import", "url(", "stylesheet", "javascript:", "<iframe", " onload"]
    {
        assert!(!html.contains(bad), "{bad}");
    }
    // The only link element keeps browsers from asking for a favicon.
    assert_eq!(html.matches("<link").count(), 1);
    assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert_eq!(html, render(&results).unwrap(), "the same results give the same bytes");
}

#[test]
fn ids_are_unique_and_links_and_labels_arrive() {
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
fn page_one_answers_in_a_minute() {
    let html = render(&fixture::datacenter()).unwrap();
    let front = visible(between(&html, "<section class=\"front", "</section>"));
    println!("{}", front.split_whitespace().collect::<Vec<_>>().join(" "));
    // The thin space between thousands parts no words.
    let joined = front.replace('\u{202f}', "");
    let words = joined.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count();
    println!("page one: {words} words");
    assert!(words <= 250, "{words}");
    let order = [
        "Do",
        "EUR",
        "Saving a year",
        "One-time cost",
        "Net present value",
        "Payback",
        "Set-points",
        "Undo when",
        "Risk of passing limits",
        "How sure",
        "modelled",
        "Needs action",
        "20241028",
    ];
    let mut at = 0;
    for part in order {
        at += front[at..].find(part).unwrap_or_else(|| panic!("{part} after {}", &front[..at]));
    }
}

/// As much as page one ever holds.
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
    let never_moved = |i| format!("damper_{i}_position never moved: nothing can be learned about it.");
    let note = |i| Note { kind: NoteKind::ConstantControl, text: never_moved(i) };
    results.model.notes.extend((0..4).map(note));
    results
}

#[test]
fn a_crowded_page_one_is_cut_to_size() {
    let html = render(&crowded()).unwrap();
    keep("crowded.html", &html);
    let front = visible(between(&html, "<section class=\"front", "</section>"));
    let words = front.split_whitespace().filter(|w| w.chars().any(char::is_alphabetic)).count();
    println!("{}", front.split_whitespace().collect::<Vec<_>>().join(" "));
    println!("crowded page one: {words} words that are not numbers");
    assert!(words <= 250, "{words}");
    assert_eq!(between(&html, "class=\"alarms\"", "</ol>").matches("<li>").count(), 5);
    for left in ["5 more below", "3 more below"] {
        assert!(front.contains(left), "{left}");
    }
}

/// REP-2: fifty scenarios stay mailable.
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

/// REP-5: what is printed is what `results.json` says, to the printed place.
#[test]
fn every_printed_kpi_is_the_one_in_the_results() {
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
        // The zeros at the end of an integer may stand for tens or hundreds.
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
        let money = [e.benefit_per_year.p50, e.npv.p50, e.npv.p10, e.capex, e.opex_per_year, a.objective_change.mean];
        for v in a.kpis.iter().map(|k| k.value.p50).chain(money) {
            assert!(values.contains(&v.to_bits()), "{v}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn the_verdict_follows_the_evidence() {
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

    // What plans only promise to the members that they were made for is taken off.
    let mut promised = good.clone();
    for s in promised.scenarios.iter_mut().filter(|s| s.cases.len() > 2) {
        s.cases[2].optimism_check = Some(OptimismCheck { plans: 10, promised: 100.0, kept: 90.0 });
    }
    assert_eq!(headline(&promised), headline(&good), "a tenth is no matter");
    let said = render(&promised).unwrap().replace('\u{a0}', " ");
    assert!(said.contains("save 10 % less than they promise"));
    for s in &mut promised.scenarios {
        s.cases[2].optimism_check = Some(OptimismCheck { plans: 10, promised: 100.0, kept: 70.0 });
    }
    assert!(headline(&promised).starts_with("Try “mpc”. It saves about 3 200 EUR a year"), "{}", headline(&promised));
    let html = render(&promised).unwrap().replace('\u{a0}', " ");
    for words in ["over-optimistic", "save 30 % less than they promise"] {
        assert!(html.contains(words), "{words}");
    }

    // A case that passes a limit more than the baseline is out, and the next one is in.
    let mut risky = good.clone();
    let limit = &mut risky.scenarios[1].cases[2].limits[1];
    (limit.share_beyond, limit.chance, limit.worst) = (0.02, 0.4, 1.5);
    assert!(headline(&risky).starts_with("Do run “warmer”"), "{}", headline(&risky));
    assert!(
        render(&risky)
            .unwrap()
            .contains("“mpc” would bring more but takes <span class=\"tag\">server_inlet_temp</span> beyond limits.")
    );
    for s in &mut risky.scenarios {
        s.cases.remove(1);
    }
    risky.annual.remove(0);
    assert!(
        headline(&risky).starts_with("Don’t run “mpc”: it takes server_inlet_temp beyond limits more"),
        "{}",
        headline(&risky)
    );

    let mut nothing = good.clone();
    for a in &mut nothing.annual {
        let d = &mut a.objective_change;
        (d.low, d.high, d.measurable) = (d.mean - 1e4, d.mean + 1e4, false);
    }
    assert!(headline(&nothing).contains("no case makes a measurable difference"), "{}", headline(&nothing));
    for k in nothing.scenarios.iter_mut().flat_map(|s| &mut s.cases).flat_map(|c| &mut c.kpis) {
        k.samples = vec![Some(1.0)];
    }
    assert!(headline(&nothing).contains("one future cannot tell"), "{}", headline(&nothing));

    let mut far = good.clone();
    for c in far.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        (c.support.inside, c.support.edge, c.support.outside) = (0.1, 0.1, 0.8);
    }
    assert!(headline(&far).contains("the log knows nothing like it"), "{}", headline(&far));
}

fn front(r: &Results) -> String {
    let html = render(r).unwrap();
    visible(between(&html, "<section class=\"front", "</section>")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_miss_of_the_log_alarms_where_it_is_money() {
    let mut results = fixture::datacenter();
    // The third check is not priced.
    (results.model.replay[2].inside, results.model.replay[2].within) = (false, 3);
    assert!(front(&results).contains("Do run “mpc”") && !front(&results).contains("replays"));
    (results.model.replay[0].inside, results.model.replay[0].within) = (false, 12);
    let text = front(&results);
    assert!(text.contains("Try “mpc”") && text.contains("8 of 20 replays missed the measured energy cost"), "{text}");
    assert!(text.contains("missed the log’s energy cost in 8 of 20 replays of 24 h (newest: 2 560 measured"), "{text}");
    let html = render(&results).unwrap();
    assert!(visible(&html).contains("† 12 of 20 stretches of 24\u{a0}h"));
    assert!(visible(&html).contains("† 3 of 20 stretches"));
}

#[test]
fn an_income_grows_and_is_not_saved() {
    let mut results = fixture::datacenter();
    for c in results.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        let o = &mut c.objective;
        (o.p10, o.p50, o.p90, o.mean) = (o.p10 - 1e6, o.p50 - 1e6, o.p90 - 1e6, o.mean - 1e6);
    }
    let text = front(&results);
    assert!(text.contains("It earns 4 600 EUR a year more (3 900 to 5 400 EUR)."), "{text}");
    assert!(text.contains("Gain a year") && !text.contains("Saving"), "{text}");
    results.annual.iter_mut().for_each(|a| {
        a.economics = None;
        let d = &mut a.objective_change;
        (d.mean, d.low, d.high) = (400.0, 300.0, 500.0);
    });
    assert!(front(&results).contains("earns 400 EUR a year less (300 to 500 EUR)"), "{}", front(&results));
}

#[test]
fn what_does_not_pay_is_not_advised() {
    let mut results = fixture::datacenter();
    let e = results.annual[1].economics.as_mut().unwrap();
    (e.npv.p10, e.npv.p50, e.npv.p90) = (-9_000.0, -4_000.0, 1_000.0);
    results.annual.remove(0);
    results.scenarios.iter_mut().for_each(|s| drop(s.cases.remove(1)));
    let text = front(&results);
    assert!(text.contains("Don’t buy “mpc”: what it brings does not pay for it."), "{text}");
    assert!(text.contains("What was tried") && text.contains("Tried") && !text.contains("Undo when"), "{text}");
    let e = results.annual[0].economics.as_mut().unwrap();
    (e.npv.p50, e.npv.p90) = (2_000.0, 9_000.0);
    assert!(front(&results).contains("because it may not pay back"), "{}", front(&results));
}

#[test]
fn a_soft_limit_counts_over_all_scenarios() {
    let mut results = fixture::datacenter();
    let of = |r: &mut Results, share: f64| {
        let l = &mut r.scenarios[2].cases[2].limits[0];
        assert_eq!(l.kind, "soft");
        (l.share_beyond, l.chance, l.worst) = (share, 0.5, 0.4);
    };
    let now = results.scenarios[2].cases[0].limits[0].share_beyond;
    // Far better elsewhere, a little worse here.
    for s in [0, 1, 3] {
        results.scenarios[s].cases[0].limits[0].share_beyond = 0.2;
    }
    of(&mut results, now + 0.005);
    assert!(
        front(&results).contains("Try “mpc”") && front(&results).contains("it may pass a limit of"),
        "{}",
        front(&results)
    );
    of(&mut results, now + 0.05);
    assert!(!front(&results).contains("Try “mpc”"), "{}", front(&results));
}

#[test]
fn what_is_missing_is_said() {
    let mut results = fixture::datacenter();
    results.timezone = "Mars/Olympus".into();
    results.currency = None;
    results.annual.clear();
    results.scenarios.iter_mut().for_each(|s| s.days_per_year = None);
    let html = render(&results).unwrap();
    let data = visible(between(&html, "<section id=\"data\"", "</section>"));
    assert!(data.contains("The time zone “Mars/Olympus” is not known: all times are UTC."), "{data}");
    let text = front(&results);
    assert!(text.contains("give the scenarios days_per_year to see money per year"), "{text}");
    assert!(text.contains("cost units in 28 simulated days"), "{text}");
}

/// A signal that a known equation gives has no error to be compared with.
#[test]
fn results_with_scores_of_exact_signals_are_read_again() {
    let mut results = fixture::datacenter();
    results.model.scores[0].skill_linear = f64::NAN;
    results.model.scores[0].skill = f64::NAN;
    let text = serde_json::to_string(&results).unwrap();
    let again: Results = serde_json::from_str(&text).unwrap();
    assert!(again.model.scores[0].skill.is_nan() && render(&again).is_ok());
}

#[test]
fn controls_that_nothing_answers_to_are_named() {
    let mut results = fixture::datacenter();
    for r in &mut results.model.responses {
        [&mut r.mean, &mut r.low, &mut r.high].into_iter().for_each(|v| v.fill(0.0));
        r.gain = 0.0;
    }
    let html = render(&results).unwrap();
    let model = visible(between(&html, "<section id=\"model\"", "</section>"));
    assert!(model.contains("No learned signal answers to"), "{model}");
    assert!(!html.contains("id=\"resp-"));
}

#[test]
fn a_failed_scenario_stands_first_and_harms_no_other() {
    let mut results = fixture::datacenter();
    results.scenarios.push(fixture::failed());
    let html = render(&results).unwrap();
    keep("failed.html", &html);
    let at = |what: &str| html.find(what).unwrap_or_else(|| panic!("{what}"));
    assert!(at("</span> winter</h2>") < at("</span> summer</h2>"));
    assert!(html.contains("winter.toml:3"));
    assert!(html.contains("Did not run: winter."));
    // Failures first in every order of the overview.
    for order in html.split("<div class=\"scroll order ").skip(1) {
        let row = order.split("<tbody>").nth(1).unwrap();
        assert!(row.find("winter").unwrap() < row.find("summer").unwrap());
    }
    assert!(between(&html, "</span> summer</h2>", "</section>").contains("energy cost"));
}

#[test]
fn poor_results_make_a_page_too() {
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
        keep(name, &html);
        assert!(html.contains("id=\"verdict\"") && html.trim_end().ends_with("</html>"), "{name}");
        let text = visible(&html);
        assert!(text.split_whitespace().all(|w| !w.contains("NaN") && w != "inf"), "{name}");
        kpi_csv(&results);
    }
}

const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></svg><svg onload=alert(1)>",
    "<!-- --><![CDATA[ ]]>",
    "{{ 7*7 }}{% include \"x\" %}",
    "\u{202e}evil\u{202c}\u{2066}",
    "nul\0esc\u{1b}[31m",
    "=cmd|' /C calc'!A0",
];

/// Every string of the results replaced by `text` (with a number, so that names stay distinct where they were).
fn poisoned(results: &Results, text: &str) -> Results {
    fn walk(v: &mut Value, text: &str, n: &mut usize) {
        match v {
            Value::String(s) => {
                // Trends, scores and cases are joined by name: equal names stay equal.
                let id = s.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
                *s = format!("{text}{id}");
                *n += 1;
            }
            Value::Array(a) => a.iter_mut().for_each(|v| walk(v, text, n)),
            Value::Object(o) => o.values_mut().for_each(|v| walk(v, text, n)),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(results).unwrap();
    let mut n = 0;
    walk(&mut value, text, &mut n);
    assert!(n > 300);
    serde_json::from_value(value).unwrap()
}

/// Keeps what chooses a page's shape (roles, times) and poisons the rest.
fn half_poisoned(results: &Results, text: &str) -> Results {
    let mut out = poisoned(results, text);
    for (s, t) in out.scenarios.iter_mut().zip(&results.scenarios) {
        (s.start, s.error) = (t.start.clone(), t.error.as_ref().map(|_| text.to_owned()));
        for (c, d) in s.cases.iter_mut().zip(&t.cases) {
            for (x, y) in c.trends.iter_mut().zip(&d.trends) {
                x.role.clone_from(&y.role);
            }
        }
    }
    out
}

#[test]
fn hostile_text_stays_text() {
    let mut results = fixture::datacenter();
    results.scenarios.truncate(1);
    results.scenarios[0].cases.truncate(2);
    results.scenarios.push(fixture::failed());
    let clean = render(&results).unwrap();
    for (i, text) in HOSTILE.iter().enumerate() {
        for (how, bad) in [("all", poisoned(&results, text)), ("half", half_poisoned(&results, text))] {
            let html = render(&bad).unwrap();
            keep(&format!("hostile-{i}-{how}.html"), &html);
            for needle in [
                "<script",
                "<img",
                "<!--",
                "<![CDATA",
                "onload=alert(1)>",
                "\0",
                "\u{1b}",
                "\u{202e}",
                "\u{2066}",
                "<svg onload",
            ] {
                assert!(!html.contains(needle), "{needle:?} of {text:?}");
            }
            // No tag has an attribute that the templates do not write.
            for tag in html.split('<').skip(1).map(|t| t.split('>').next().unwrap()) {
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(!outside.contains("onerror") && !outside.contains("onmouseover"), "{tag}");
            }
            // The same elements as with clean names, give or take what names decide.
            if how == "half" {
                for element in ["<section", "<h1", "<style", "<title>"] {
                    assert_eq!(html.matches(element).count(), clean.matches(element).count(), "{element} of {text:?}");
                }
                assert!(html.matches("<svg").count() > 5);
            }
        }
    }
}

#[test]
fn a_megabyte_of_a_name_is_cut() {
    let mut results = fixture::datacenter();
    results.scenarios.truncate(1);
    results.scenarios[0].cases.truncate(2);
    let long = "A".repeat(1_000_000);
    results.plant.clone_from(&long);
    results.scenarios[0].question.clone_from(&long);
    results.scenarios[0].name.clone_from(&long);
    results.model.notes = vec![Note { kind: NoteKind::Fit, text: long.clone() }];
    for c in &mut results.scenarios[0].cases {
        c.controller.clone_from(&long);
        for t in &mut c.trends {
            t.signal = format!("{}{}", t.signal, long);
        }
    }
    let html = render(&results).unwrap();
    keep("long.html", &html);
    assert!(html.len() < 500_000, "{}", html.len());
}

#[test]
fn the_table_for_spreadsheets_is_inert_and_exact() {
    let mut results = fixture::datacenter();
    results.scenarios.push(fixture::failed());
    results.scenarios[0].name = "=HYPERLINK(\"x\")".into();
    let csv = kpi_csv(&results);
    let lines: Vec<&str> = csv.lines().collect();
    // 4 scenarios × 3 cases × (5 KPIs + objective), 2 cases × (2 KPIs + objective), one failure, one head.
    assert_eq!(lines.len(), 4 * 3 * 6 + 2 * 3 + 1 + 1);
    assert!(lines[1].starts_with("\"'=HYPERLINK(\"\"x\"\")\",baseline,energy_cost,EUR,"), "{}", lines[1]);
    let first = &results.scenarios[1].cases[2].kpis[0];
    let change = first.change.unwrap();
    let row = lines.iter().find(|l| l.starts_with("heatwave,mpc,energy_cost,")).unwrap();
    let cells: Vec<&str> = row.split(',').collect();
    assert_eq!(cells[5].parse::<f64>().unwrap(), first.value.p50);
    assert_eq!(cells[8].parse::<f64>().unwrap(), change.mean);
    assert_eq!((cells[11], cells[12]), ("true", "0"));
    assert_eq!(*lines.last().unwrap(), "winter,,,,,,,,,,,,65");
}

#[test]
fn diff_lists_what_changed_and_nothing_else() {
    let a = fixture::datacenter();
    let mut b = a.clone();
    assert_eq!(diff(&a, &b).changes, []);
    assert!(diff(&a, &b).to_string().contains("No KPI changed"));
    b.scenarios[2].cases[1].kpis[0].value.p50 += 1.5;
    b.scenarios[3].name = "evening".into();
    b.provenance.model_version = "other".into();
    let d = diff(&a, &b);
    // One KPI moved; the 18 of the renamed scenario went and came.
    assert_eq!(d.changes.len(), 1 + 2 * 18);
    assert_eq!(
        (d.changes[0].scenario.as_str(), d.changes[0].case.as_str(), d.changes[0].kpi.as_str()),
        ("it_load", "warmer", "energy_cost")
    );
    let text = d.to_string();
    assert!(
        text.contains("+1.5")
            && text.contains("gone")
            && text.contains("new")
            && text.contains("model: 9f3a6c1d2e4b → other"),
        "{text}"
    );
    assert!(serde_json::to_string(&d).unwrap().contains("\"equal\":59"));
}
