//! Tests of `src/verify/ledger.rs`.

use super::*;

fn saving(days: f64, value: f64, half: f64, claim: Claim) -> Saving {
    Saving {
        intervals: 720,
        all_intervals: 720,
        days,
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
    let check = PromiseCheck::new(promise("a", 3650.0), &saving(30.0, 350.0, 5.0, Claim::Verified), false);
    assert_eq!([check.saving, check.low, check.high].map(f64::round), [300.0, 240.0, 360.0]);
    assert_eq!(check.outcome, Outcome::Kept);
}

#[test]
fn a_promise_is_kept_only_if_a_saving_was_shown() {
    // the promised interval is 2920 to 4380
    let outcome = |value, half, claim, doubtful| {
        PromiseCheck::new(promise("a", 3650.0), &saving(365.0, value, half, claim), doubtful).outcome
    };
    for (value, half, claim, right) in [
        (4300.0, 60.0, Claim::Verified, Outcome::Kept),
        (4300.0, 3000.0, Claim::Indicated, Outcome::Kept),
        (2700.0, 300.0, Claim::Indicated, Outcome::Undecided),
        (2400.0, 300.0, Claim::Verified, Outcome::Missed),
        (5400.0, 900.0, Claim::Verified, Outcome::Exceeded),
        (3650.0, 4000.0, Claim::NotShown, Outcome::Undecided),
        (100.0, 300.0, Claim::NotShown, Outcome::Missed),
        (-900.0, 300.0, Claim::Increase, Outcome::Missed),
        (3650.0, 60.0, Claim::NotFit, Outcome::NotMeasured),
        (3650.0, 60.0, Claim::Extrapolated, Outcome::NotMeasured),
    ] {
        assert_eq!(outcome(value, half, claim, false), right, "{value} ± {half}, {claim:?}");
        let doubtful = if right == Outcome::NotMeasured { right } else { Outcome::Undecided };
        assert_eq!(outcome(value, half, claim, true), doubtful, "{value} ± {half}, {claim:?}");
    }
}

#[test]
fn a_promise_is_missed_only_in_whole_years() {
    let outcome = |promised, measured| {
        let promise = Promise { days: promised, ..promise("a", 3650.0) };
        let check = PromiseCheck::new(promise, &saving(measured, 100.0, 30.0, Claim::Verified), false);
        (check.is_seasonal(), check.outcome)
    };
    for (promised, measured) in [(365.0, 31.0), (200.0, 365.0), (365.0, 183.0), (365.0, 340.0), (365.0, 550.0)] {
        assert_eq!(outcome(promised, measured), (true, Outcome::Undecided), "{promised} {measured}");
    }
    for (promised, measured) in [(365.0, 365.0), (364.0, 366.0), (365.0, 350.0), (365.0, 731.0)] {
        assert_eq!(outcome(promised, measured), (false, Outcome::Missed), "{promised} {measured}");
    }
}

#[test]
fn each_promise_counts_once_with_its_newest_verification() {
    let check = |report: &str, value| {
        Some(PromiseCheck::new(promise(report, 3650.0), &saving(365.0, value, 60.0, Claim::Verified), false))
    };
    let mut ledger = Ledger::default();
    for promise in [check("a", 3600.0), check("b", 1200.0), None, check("a", 1500.0), check("c", 3900.0)] {
        ledger.append(entry(promise)).unwrap();
    }
    let promises = ledger.promises();
    let reports: Vec<_> = promises.iter().map(|e| e.promise.as_ref().unwrap().promise.run.as_str()).collect();
    assert_eq!(reports, ["b", "a", "c"]);
    assert_eq!(TrackRecord::new(&promises), TrackRecord { kept: 1, undecided: 0, missed: 2, exceeded: 0 });
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
    // the last line is complete and has no line break, or is damaged
    let mut unterminated = Ledger::parse(&format!("{a}\n{b}\n{c}"), "ledger").unwrap();
    assert_eq!((unterminated.entries.len(), unterminated.append(entry(None)).unwrap()), (3, format!("{c}\n{d}")));
    assert_eq!(unterminated, ledger);
    assert!(Ledger::parse(&format!("{a}\n{b}\n{c}}}"), "ledger").unwrap_err().to_string().contains("ledger:3"));
    let changed = b.replace("\"measured\":1.0", "\"measured\":2.0");
    assert_ne!(changed, b);
    for (lines, place) in [([a, &changed, c, d], "ledger:3"), ([a, c, d, d], "ledger:2"), ([a, b, b, c], "ledger:3")] {
        let error = read(&lines).unwrap_err();
        assert!(error.to_string().contains(place) && error.exit_code() == 65, "{error}");
    }
    assert!(read(&[a, "{}"]).unwrap_err().to_string().contains("ledger:2: the line is damaged"));
}
