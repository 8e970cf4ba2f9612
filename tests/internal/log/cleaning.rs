//! Tests of data cleaning: faults in values and time stamps.

use tempfile::TempDir;
use twinopt::log::{self, Quality};
use twinopt::rng::Key;

use super::fixture::{MIN, SYNTHETIC_TWIN, Synthetic, T0, count, data_error, read, same, shuffled, synthetic};

/// Requirement DQ-1: a fault of each class is injected at a random position with a random length. In at least 95 % of
/// the trials, the fault must be found and assigned to its class.
#[test]
fn injected_faults_are_found_under_their_class() {
    const TRIALS: u64 = 40;
    type Inject = fn(&mut Synthetic, usize, usize, Key);
    let classes: [(&str, Inject); 16] = [
        ("not-finite", |m, at, len, _| m.temp[at..at + len].fill(f64::NAN)),
        ("not-finite", |m, at, _, _| m.power[at] = f64::INFINITY),
        ("out-of-range", |m, at, len, _| m.temp[at..at + len].fill(-9999.0)),
        ("out-of-range", |m, at, _, _| m.temp[at] = -300.0),
        ("flat-line", |m, at, len, _| {
            let v = m.temp[at];
            m.temp[at..at + len].fill(v);
        }),
        ("flat-line", |m, at, len, _| m.power[at..at + len].fill(0.0)),
        ("unit-jump", |m, at, len, _| m.power[at..at + len].iter_mut().for_each(|v| *v *= 1000.0)),
        ("unit-jump", |m, at, len, _| m.power[at..at + len].iter_mut().for_each(|v| *v /= 1000.0)),
        ("unit-jump", |m, at, len, _| m.temp[at..at + len].iter_mut().for_each(|v| *v = 1.8 * *v + 32.0)),
        ("unit-jump", |m, at, _, _| m.temp[at..].iter_mut().for_each(|v| *v += 273.15)),
        ("out-of-order", |m, at, len, k| {
            let mut order: Vec<usize> = (0..m.time.len()).collect();
            order.swap(at, at + 1 + k.below(9, len));
            m.reorder(&order);
        }),
        ("duplicate", |m, at, len, _| {
            let order: Vec<usize> = (0..at + len).chain(at..m.time.len()).collect();
            m.reorder(&order);
        }),
        ("duplicate-conflict", |m, at, len, _| m.time[at + 1..at + 2 + len % 3].fill(T0 + 10 * MIN * at as i64)),
        ("gap", |m, at, len, _| {
            let order: Vec<usize> = (0..at).chain(at + len..m.time.len()).collect();
            m.reorder(&order);
        }),
        ("clock-step", |m, at, len, _| m.time[at..].iter_mut().for_each(|t| *t -= 10 * MIN * len as i64)),
        ("clock-step", |m, at, _, k| {
            let by = MIN * (11 + k.below(8, 8) as i64);
            m.time[at..].iter_mut().for_each(|t| *t += by);
        }),
    ];
    let mut report = String::new();
    let mut worst = 1.0_f64;
    for (c, (class, inject)) in classes.iter().enumerate() {
        let mut found = 0;
        for trial in 0..TRIALS {
            let key = Key::new(99).fold(c as u64).fold(trial);
            let mut m = synthetic(3_000, trial);
            let (at, len) = (200 + key.below(0, 2_400), 24 + key.below(1, 200));
            inject(&mut m, at, len, key);
            let (_, q) = m.read();
            let is_found = q.findings.iter().any(|f| f.class.as_str() == *class);
            found += u64::from(is_found);
            if !is_found {
                report.push_str(&format!(
                    "  missed: trial {trial}, {len} rows starting at {at}: {:?}\n",
                    q.findings.iter().map(|f| &f.class).collect::<Vec<_>>()
                ));
            }
        }
        worst = worst.min(found as f64 / TRIALS as f64);
        report.push_str(&format!("{class} ({c}): {found} of {TRIALS}\n"));
    }
    println!("{report}");
    assert!(worst >= 0.95, "{report}");
    let flags: usize = (0..10).map(|s| synthetic(4_320, 1_000 + s).read().1.findings.len()).sum();
    assert!(flags <= 3, "{flags} false findings in 10 clean one-month logs with 3 signals");
}

#[test]
fn shuffled_rows_give_the_same_trajectory() {
    let mut m = synthetic(2_000, 7);
    m.temp[50..60].fill(f64::NAN);
    let (a, qa) = m.read();
    m.reorder(&shuffled(2_000, 3));
    let (b, qb) = m.read();
    assert!(same(&a, &b));
    assert_eq!(qa.signals, qb.signals);
    assert!(count(&qb, "out-of-order") > 1_000 && count(&qb, "clock-step") == 0);
}

/// Requirement DT-1: extreme values must never cause reading to fail or lead to infinite numbers.
#[test]
fn extreme_values_never_cause_a_failure() {
    let extremes = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, -0.0, 0.0, 1e30, -1e300];
    for seed in 0..40 {
        let key = Key::new(seed);
        let mut m = synthetic(300, seed);
        for i in 0..300 {
            let k = key.fold(i);
            for (c, v) in [&mut m.temp, &mut m.power, &mut m.valve].into_iter().enumerate() {
                if k.uniform(c as u64) < 0.1 * (seed % 10) as f64 {
                    v[i as usize] = extremes[k.below(10 + c as u64, extremes.len())];
                }
            }
        }
        let (t, q) = m.read();
        assert!(t.columns.iter().flatten().all(|v| !v.is_infinite()));
        let json = serde_json::to_string(&q).unwrap();
        serde_json::from_str::<Quality>(&json).unwrap();
        assert!(q.signals.iter().all(|s| s.coverage.is_finite() && !s.mean.is_infinite()), "{json}");
        assert!(!log::render(&q).contains("NaN"));
    }
}

#[test]
fn impossible_and_stray_times_are_dropped_and_counted() {
    let mut m = synthetic(2_000, 12);
    let (expected, _) = m.read();
    m.time.extend([0, T0 * 5, T0 * 2]);
    for v in [&mut m.temp, &mut m.power, &mut m.valve] {
        v.extend([1.0, 1.0, 1.0]);
    }
    m.reorder(&shuffled(2_003, 1));
    let (t, q) = m.read();
    assert!(same(&expected, &t));
    assert_eq!((count(&q, "bad-time"), count(&q, "stray-time")), (1, 3 * 2));
}

#[test]
fn incomplete_signals_and_unmoved_controls_are_reported() {
    let mut m = synthetic(1_000, 3);
    m.power[100..400].fill(f64::NAN);
    m.valve.fill(40.0);
    let (t, q) = m.read();
    assert_eq!((t.segments.len(), &t.segments[0]), (1, &(0..1_000)));
    assert_eq!(q.incomplete, ["power"]);
    let e = q.require_complete().unwrap_err();
    assert!(
        e.exit_code() == 65
            && e.to_string().contains("`power` has a value in 70 % of the steps, but 80 % are required"),
        "{e}"
    );
    let still = q.signals[2].excitation.as_ref().unwrap();
    assert!(!still.learnable && still.moves == 0);
    assert!(log::render(&q).contains("The control `valve` never moves in this log, so its effect cannot be learned."));

    m.power.fill(f64::NAN);
    let (_, q) = m.read();
    assert!(q.signals[1].coverage == 0.0 && q.incomplete == ["power"] && q.require_complete().is_err());
    let json = serde_json::to_string(&q).unwrap();
    assert!(!json.contains("NaN") && serde_json::from_str::<Quality>(&json).is_ok());
    m.temp.fill(f64::NAN);
    m.valve.fill(f64::INFINITY);
    let dir = TempDir::new().unwrap();
    m.save(&dir.path().join("log.parquet"));
    assert!(data_error(dir.path(), SYNTHETIC_TWIN).contains("`temp` has no value in the whole log"));
}

#[test]
fn a_log_of_one_row_has_one_step() {
    let (t, q) = synthetic(1, 4).read();
    assert_eq!((t.steps, t.segments.len(), t.segments[0].clone(), t.columns[2].len()), (1, 1, 0..1, 1));
    assert!(q.signals.iter().all(|s| s.coverage == 1.0) && q.require_complete().is_ok());
}

#[test]
fn constants_are_filled_and_derived_signals_are_nan() {
    let text = SYNTHETIC_TWIN.replace(
        "signals = [",
        "signals = [\n  { name = \"price\", role = \"disturbance\", value = 90 },\n  { name = \"cost\", role = \"derived\", expr = \"price\" },",
    );
    let dir = TempDir::new().unwrap();
    synthetic(50, 1).save(&dir.path().join("log.parquet"));
    let (t, q) = read(dir.path(), &text).unwrap();
    assert!(t.columns[0].iter().all(|v| *v == 90.0) && t.columns[1].iter().all(|v| v.is_nan()));
    assert_eq!(q.signals.len(), 3);
}

#[test]
fn a_log_reads_the_same_on_any_number_of_threads() {
    let dir = TempDir::new().unwrap();
    let mut m = synthetic(5_000, 8);
    m.power[100..130].fill(f64::NAN);
    m.save(&dir.path().join("a.parquet"));
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| read(dir.path(), SYNTHETIC_TWIN).unwrap())
    };
    let ((a, qa), (b, qb)) = (on(1), on(2));
    assert!(same(&a, &b));
    assert_eq!(serde_json::to_string(&qa).unwrap(), serde_json::to_string(&qb).unwrap());
}
