//! Tests of `src/verify/ledger.rs`.

use super::*;

fn saving(value: f64, half: f64, claim: Claim) -> Saving {
    Saving {
        intervals: 720,
        all_intervals: 720,
        days: 30.0,
        measured: 900.0,
        adjusted_baseline: 900.0 + value,
        saving: value,
        low: value - half,
        high: value + half,
        relative: None,
        formula: [half; 2],
        bootstrap: [half; 2],
        placebo: [half; 2],
        outside: 0.0,
        claim,
    }
}

fn promise(report: &str, per_year: f64) -> Promise {
    Promise {
        report: "h".into(),
        run: report.into(),
        case: "mpc".into(),
        kpi: "energy".into(),
        unit: "kWh".into(),
        data_end: "2024-01-01T00:00:00Z".into(),
        saving: per_year,
        low: 0.8 * per_year,
        high: 1.2 * per_year,
        days: 365.0,
    }
}

fn entry(check: Option<PromiseCheck>) -> Entry {
    let time = |text: &str| text.parse().unwrap();
    let period = Period { from: time("2024-01-01T00:00:00Z"), to: time("2024-02-01T00:00:00Z") };
    Entry {
        schema_version: 0,
        version: String::new(),
        kpi: "energy".into(),
        unit: "kWh".into(),
        baseline: period,
        reporting: period,
        adjusted_baseline: 1.0,
        measured: 1.0,
        saving: 0.1 + 0.2,
        low: 0.0,
        high: 1.0 / 3.0,
        claim: Claim::Verified,
        frozen: "f".into(),
        data: "d".into(),
        promise: check,
        previous: "?".into(),
    }
}

#[test]
fn a_promise_is_scaled_to_the_measured_days() {
    // 3650 a year are 300 in 30 days, with an interval from 240 to 360
    let check = |value, half, claim| PromiseCheck::new(promise("a", 3650.0), &saving(value, half, claim));
    let kept = check(350.0, 5.0, Claim::Verified);
    assert_eq!([kept.saving, kept.low, kept.high].map(f64::round), [300.0, 240.0, 360.0]);
    assert_eq!(kept.outcome, Outcome::Kept);
    assert_eq!(check(220.0, 30.0, Claim::Indicated).outcome, Outcome::Undecided);
    assert_eq!(check(200.0, 30.0, Claim::Verified).outcome, Outcome::Missed);
    assert_eq!(check(450.0, 80.0, Claim::Verified).outcome, Outcome::Missed);
    assert_eq!(check(300.0, 5.0, Claim::NotFit).outcome, Outcome::NotMeasured);
    assert_eq!(check(300.0, 5.0, Claim::Extrapolated).outcome, Outcome::NotMeasured);
}

#[test]
fn each_promise_counts_once_with_its_newest_verification() {
    let check =
        |report: &str, value| Some(PromiseCheck::new(promise(report, 3650.0), &saving(value, 5.0, Claim::Verified)));
    let mut ledger = Ledger::default();
    for promise in [check("a", 300.0), check("b", 100.0), None, check("a", 120.0), check("c", 320.0)] {
        ledger.append(entry(promise)).unwrap();
    }
    let promises = ledger.promises();
    let reports: Vec<_> = promises.iter().map(|e| e.promise.as_ref().unwrap().promise.run.as_str()).collect();
    assert_eq!(reports, ["b", "a", "c"]);
    assert_eq!(TrackRecord::new(&promises), TrackRecord { kept: 1, undecided: 0, missed: 2 });
}

#[test]
fn a_changed_removed_or_inserted_line_is_detected() {
    let mut ledger = Ledger::default();
    let lines: Vec<String> = (0..4).map(|_| ledger.append(entry(None)).unwrap()).collect();
    let read = |lines: &[&str]| Ledger::parse(&lines.iter().map(|l| format!("{l}\n")).collect::<String>(), "ledger");
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| lines[i].as_str());
    assert_eq!(read(&[a, b, c, d]).unwrap(), ledger);
    // the last line was not written completely
    assert_eq!(Ledger::parse(&format!("{a}\n{b}\n{}", &c[..40]), "ledger").unwrap().entries.len(), 2);
    let changed = b.replace("\"measured\":1.0", "\"measured\":2.0");
    assert_ne!(changed, b);
    for (lines, place) in [([a, &changed, c, d], "ledger:3"), ([a, c, d, d], "ledger:2"), ([a, b, b, c], "ledger:3")] {
        let error = read(&lines).unwrap_err();
        assert!(error.to_string().contains(place) && error.exit_code() == 65, "{error}");
    }
    assert!(read(&[a, "{}"]).unwrap_err().to_string().contains("ledger:2: the line is damaged"));
}
