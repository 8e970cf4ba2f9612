//! Detects that the hold-out repeats values of the training period, for example because weeks of the log were copied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::plant::Plant;
use crate::config::TimeSpan;
use crate::learn::Split;
use crate::resolve::Faults;
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// Number of consecutive steps that are compared (not tuned).
const WINDOW: usize = 12;
/// Minimum number of different rows in a window. Windows in which the plant is at rest, or in which signals take only a
/// few values, may be equal by chance.
const MIN_DISTINCT: usize = WINDOW / 2;
/// Minimum number of steps of a copied period (not tuned).
const MIN_COPIED: usize = 20;
/// Largest fraction of the log that consists of copies. A larger fraction repeats itself for another reason (not
/// tuned).
const MAX_COPIED: f64 = 0.3;
/// Smallest repeated fraction of the hold-out that is reported (not tuned).
const MIN_SHARE: f64 = 0.1;

/// Warns if the states and outputs in a large part of the hold-out are exactly equal to values in the training period,
/// so that scores on the hold-out do not show how well the model predicts new data. Otherwise, warns about copied
/// periods.
pub(super) fn repeated(faults: &mut Faults<'_>, plant: &Plant<'_>, log: &Trajectory) {
    let logged = |i: &usize| {
        let spec = &plant.spec().signals[*i].value;
        spec.start.is_none() && spec.value.is_none()
    };
    let measured = [Role::State, Role::Output].into_iter().flat_map(|r| log.schema.with_role(r));
    let measured: Vec<usize> = measured.filter(logged).collect();
    let rows: Vec<Option<u64>> = (0..log.steps).map(|t| hash_of_row(log, &measured, t)).collect();
    if !repeated_holdout(faults, plant, log, &rows) {
        copied(faults, plant, log, &rows);
    }
}

/// Returns whether the hold-out repeats values of the training period, and warns if it does.
fn repeated_holdout(faults: &mut Faults<'_>, plant: &Plant<'_>, log: &Trajectory, rows: &[Option<u64>]) -> bool {
    let (model, step) = (&plant.spec().model, plant.spec().step.value);
    let Ok(split) = Split::new(log, model, step) else { return false };
    // the most recent training window with each hash
    let mut known: HashMap<u64, usize> = HashMap::new();
    for range in &split.train {
        known.extend(windows(rows, range.clone()).map(|(t, hash)| (hash, t)));
    }
    let (mut all, mut lags) = (0, BTreeMap::new());
    for (t, hash) in split.holdout.iter().flat_map(|r| windows(rows, r.clone())) {
        all += 1;
        if let Some(s) = known.get(&hash) {
            *lags.entry(t - s).or_insert(0) += 1;
        }
    }
    let repeated: usize = lags.values().sum();
    let Some((lag, n)) = lags.into_iter().max_by_key(|(lag, n)| (*n, std::cmp::Reverse(*lag))) else { return false };
    if (repeated as f64) < MIN_SHARE * f64::from(all) {
        return false;
    }
    let earlier = TimeSpan::from_ms(step.ms().saturating_mul(lag as i64));
    let mostly = if 2 * n >= repeated { format!(", mostly {earlier} earlier") } else { String::new() };
    let message = format!(
        "{:.0} % of the hold-out has exactly the same states and outputs as the training period{mostly}, so the scores \
         on the hold-out do not show how well a model predicts new data",
        100.0 * repeated as f64 / f64::from(all),
    );
    let help =
        "check whether parts of the log were copied, or whether its values merely follow a timetable; remove copies";
    let place = if model.holdout.span.is_empty() { &plant.spec().log.files.span } else { &model.holdout.span };
    faults.warn("repeated-holdout", place, message, help);
    true
}

/// Warns about a period whose states and outputs are exactly equal to those of an earlier period, such as a day that
/// was exported again with new time stamps.
fn copied(faults: &mut Faults<'_>, plant: &Plant<'_>, log: &Trajectory, rows: &[Option<u64>]) {
    let mut known: HashMap<u64, usize> = HashMap::new();
    // (first step, lag, number of windows) of each run of windows that repeat earlier ones at the same lag
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for range in &log.segments {
        for (t, hash) in windows(rows, range.clone()) {
            let Some(s) = known.insert(hash, t).filter(|s| t - s >= WINDOW) else { continue };
            match runs.last_mut() {
                Some((from, lag, n)) if *lag == t - s && *from + *n == t => *n += 1,
                _ => runs.push((t, t - s, 1)),
            }
        }
    }
    runs.retain(|(_, _, n)| n + WINDOW > MIN_COPIED);
    // a signal that follows a timetable repeats itself over and over
    let all: usize = runs.iter().map(|(_, _, n)| n + WINDOW - 1).sum();
    let Some((from, lag, n)) = runs.iter().copied().max_by_key(|(from, _, n)| (*n, std::cmp::Reverse(*from))) else {
        return;
    };
    if all as f64 > MAX_COPIED * rows.len() as f64 {
        return;
    }
    let steps = n + WINDOW - 1;
    let others = match runs.len() {
        1 => String::new(),
        more => format!(", and so are {} more", crate::error::plural(more - 1, "period", "periods")),
    };
    let message = format!(
        "the states and outputs from {} to {} are exactly equal to those {} earlier{others}",
        log.time(from),
        log.time(from + steps),
        TimeSpan::from_ms(plant.spec().step.value.ms().saturating_mul(lag as i64)),
    );
    let help = "check whether these rows were copied or exported again with new times; remove copies";
    faults.warn("copied-rows", &plant.spec().log.files.span, message, help);
}

/// The hash of the given signals at step `t`; `None` if a value is missing.
fn hash_of_row(log: &Trajectory, signals: &[usize], t: usize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for signal in signals {
        let value = log.at(*signal, t)[0];
        if !value.is_finite() {
            return None;
        }
        value.to_bits().hash(&mut hasher);
    }
    (!signals.is_empty()).then(|| hasher.finish())
}

/// The first step and the hash of each window in `range` that has no missing values and enough different rows.
fn windows(rows: &[Option<u64>], range: std::ops::Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let window = |(i, rows): (usize, &[Option<u64>])| {
        let rows: Vec<u64> = rows.iter().copied().collect::<Option<_>>()?;
        let distinct: HashSet<&u64> = rows.iter().collect();
        let mut hasher = DefaultHasher::new();
        rows.hash(&mut hasher);
        (distinct.len() >= MIN_DISTINCT).then(|| (i, hasher.finish()))
    };
    let first = range.start;
    rows[range].windows(WINDOW).enumerate().filter_map(window).map(move |(i, hash)| (first + i, hash))
}
