//! Schedules that are neither daily nor weekly.
//!
//! A *cycle* is a pattern that repeats after a number of days other than one or seven, such as the rotation of four
//! crews. A *schedule by day
//! type* has two or three patterns for the whole day, such as working days and holidays, and the
//! calendar does not show which pattern applies to a day. The pattern of a day may be shifted by
//! one hour, for example if daylight saving time applies to the control but not to the log. Such a
//! control does not move independently: the loads of the plant, whether logged or not, depend on
//! the same day types.

/// Longest cycle in days, and minimum number of cycles in the training rows (not tuned).
const MAX_CYCLE: usize = 28;
const MIN_CYCLES: usize = 4;
/// The fraction of the control's variance that a cycle explains must exceed the fraction that a
/// daily or weekly pattern explains by at least this value (not tuned).
const CYCLE_GAIN: f64 = 0.1;
/// A control follows a schedule by day type if the schedule leaves at most this fraction of its variance unexplained
/// (not tuned).
const MAX_UNEXPLAINED: f64 = 0.01;
/// Minimum fraction of the explained variance that is due to variation within days rather than
/// between days (not tuned).
const WITHIN_DAYS: f64 = 0.5;
/// Two patterns belong to different day types only if they differ for at least this fraction of the
/// day; a shorter difference is regarded as a test of the plant (not tuned).
const MIN_DIFFERENCE: f64 = 0.25;
/// Two values of a control are different if they differ by more than this fraction of its range (not tuned).
const DIFFERENT: f64 = 0.1;
/// Minimum number of complete days (not tuned).
const MIN_DAYS: usize = 14;
/// Minimum fraction of the time slots of a day in which the control must be known (not tuned).
const MIN_KNOWN: f64 = 0.9;
/// Number of iterations in which days are assigned to patterns and patterns are averaged (not tuned).
const ITERATIONS: usize = 10;

/// Returns the number of days after which the control `u` repeats its pattern, or `None` if a daily
/// or weekly pattern explains the control about as well. `rows` contains the training rows in
/// ascending order, and `slots` contains the time slot of the day for every row.
pub(super) fn cycle_days(u: &[f64], rows: &[usize], slots: &[usize], per_day: usize) -> Option<usize> {
    let days = rows.last()? / per_day - rows.first()? / per_day + 1;
    let slots_per_day = slots.iter().max()? + 1;
    let rows: Vec<usize> = rows.iter().copied().filter(|t| u[*t].is_finite()).collect();
    let mean = rows.iter().map(|t| u[*t]).sum::<f64>() / rows.len() as f64;
    let total: f64 = rows.iter().map(|t| (u[*t] - mean).powi(2)).sum();
    // Each half of the cycles is predicted by the mean of the other half.
    let explained = |cycle: usize| -> f64 {
        let slot = |t: usize| t / per_day % cycle * slots_per_day + slots[t];
        let half = |t: usize| t / per_day / cycle % 2;
        let mut sums = [vec![(0.0, 0.0); cycle * slots_per_day], vec![(0.0, 0.0); cycle * slots_per_day]];
        for &t in &rows {
            let (n, sum) = &mut sums[half(t)][slot(t)];
            *n += 1.0;
            *sum += u[t];
        }
        let left = |t: &usize| {
            let (n, sum) = sums[1 - half(*t)][slot(*t)];
            (u[*t] - if n > 0.0 { sum / n } else { mean }).powi(2)
        };
        1.0 - rows.iter().map(left).sum::<f64>() / total
    };
    let known = explained(1).max(if days >= 7 * MIN_CYCLES { explained(7) } else { 0.0 }).max(0.0);
    let cycles = (2..=MAX_CYCLE.min(days / MIN_CYCLES)).filter(|c| *c != 7).map(|c| (c, explained(c)));
    let cycles: Vec<(usize, f64)> = cycles.filter(|c| c.1 > known + CYCLE_GAIN).collect();
    let best = cycles.iter().fold(0.0, |b: f64, c| b.max(c.1));
    // A multiple of the cycle explains the control about as well as the cycle itself, so the shortest is returned.
    cycles.into_iter().find(|c| c.1 > best - 0.5 * CYCLE_GAIN).map(|c| c.0)
}

/// A schedule by day type that a control follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTypes {
    /// The row at which the schedule shifts by one hour, such as when the clocks change. `None` if
    /// the number of shifts in the log is not one.
    pub shifted_at: Option<usize>,
}

/// One complete day of the control.
struct Day {
    /// The first row of the day.
    first: usize,
    /// The value in each time slot.
    values: Vec<f64>,
    /// Index of the pattern, and its shift in hours (−1, 0 or 1).
    pattern: usize,
    shift: isize,
}

/// Detects a schedule by day type that the control `u` follows in `rows`, which are in ascending
/// order. `slots` contains the time slot of the day for every row.
pub(super) fn day_types(u: &[f64], rows: &[usize], slots: &[usize]) -> Option<DayTypes> {
    let slots_per_day = slots.iter().max()? + 1;
    let mut days = complete_days(u, rows, slots, slots_per_day);
    if days.len() < MIN_DAYS || slots_per_day < 4 {
        return None;
    }
    (2..=3).find_map(|patterns| follows(&mut days, patterns, slots_per_day.div_ceil(24)))
}

/// Returns the days on which the control is known in almost all time slots.
fn complete_days(u: &[f64], rows: &[usize], slots: &[usize], slots_per_day: usize) -> Vec<Day> {
    let mut days = Vec::new();
    for chunk in rows.chunk_by(|a, b| *b < a + slots_per_day.max(2) && slots[*b] >= slots[*a]) {
        let mut sums = vec![(0.0, 0.0); slots_per_day];
        for &t in chunk.iter().filter(|t| u[**t].is_finite()) {
            sums[slots[t]].0 += 1.0;
            sums[slots[t]].1 += u[t];
        }
        let known = sums.iter().filter(|s| s.0 > 0.0).count();
        if (known as f64) < MIN_KNOWN * slots_per_day as f64 {
            continue;
        }
        let mut last = sums.iter().find(|s| s.0 > 0.0).map_or(0.0, |s| s.1 / s.0);
        let mut value = |s: &(f64, f64)| {
            last = if s.0 > 0.0 { s.1 / s.0 } else { last };
            last
        };
        let values = sums.iter().map(&mut value).collect();
        days.push(Day { first: chunk[0], values, pattern: 0, shift: 0 });
    }
    days
}

/// Tests whether `count` patterns explain all days, and returns the day types if they do. The
/// patterns are found by k-means, starting from the days that differ most from each other. `hour`
/// is the number of time slots in one hour.
fn follows(days: &mut [Day], count: usize, hour: usize) -> Option<DayTypes> {
    let n = days[0].values.len();
    let distance = |a: &[f64], b: &[f64], shift: isize| -> f64 {
        let at = |i: usize| (i as isize + shift * hour as isize).rem_euclid(n as isize) as usize;
        (0..n).map(|i| (a[i] - b[at(i)]).powi(2)).sum()
    };
    let nearest = |patterns: &[Vec<f64>], values: &[f64]| {
        let all = patterns
            .iter()
            .enumerate()
            .flat_map(|(p, pattern)| [0, -1, 1].map(|shift| (distance(values, pattern, shift), p, shift)));
        all.fold((f64::INFINITY, 0, 0), |best, found| if found.0 < best.0 { found } else { best })
    };
    let mut patterns = vec![days[0].values.clone()];
    while patterns.len() < count {
        let farthest =
            days.iter().max_by(|a, b| nearest(&patterns, &a.values).0.total_cmp(&nearest(&patterns, &b.values).0))?;
        patterns.push(farthest.values.clone());
    }
    for _ in 0..ITERATIONS {
        for day in days.iter_mut() {
            (_, day.pattern, day.shift) = nearest(&patterns, &day.values);
        }
        for (p, pattern) in patterns.iter_mut().enumerate() {
            let members: Vec<&Day> = days.iter().filter(|d| d.pattern == p).collect();
            for (i, value) in pattern.iter_mut().enumerate() {
                let of = |d: &&Day| d.values[(i as isize - d.shift * hour as isize).rem_euclid(n as isize) as usize];
                if !members.is_empty() {
                    *value = members.iter().map(of).sum::<f64>() / members.len() as f64;
                }
            }
        }
    }
    let all = || days.iter().flat_map(|d| &d.values);
    let mean = all().sum::<f64>() / all().count() as f64;
    let total: f64 = all().map(|v| (v - mean).powi(2)).sum();
    let left: f64 = days.iter().map(|d| distance(&d.values, &patterns[d.pattern], d.shift)).sum();
    let within = |d: &Day| {
        let pattern = &patterns[d.pattern];
        let mean = pattern.iter().sum::<f64>() / n as f64;
        pattern.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let within: f64 = days.iter().map(within).sum();
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let differ = |a: &[f64], b: &[f64]| {
        let slots = a.iter().zip(b).filter(|(a, b)| (*a - *b).abs() > DIFFERENT * (high - low)).count();
        slots as f64 >= MIN_DIFFERENCE * n as f64
    };
    let are_types = patterns.iter().enumerate().all(|(p, a)| patterns[..p].iter().all(|b| differ(a, b)));
    let is_schedule =
        are_types && left <= MAX_UNEXPLAINED * total && within >= WITHIN_DAYS * (total - left) && total > 0.0;
    is_schedule.then(|| DayTypes { shifted_at: shifted_at(days, &patterns) })
}

/// See [`DayTypes::shifted_at`]. Days with a constant pattern do not show a shift.
fn shifted_at(days: &[Day], patterns: &[Vec<f64>]) -> Option<usize> {
    let varies = |d: &&Day| patterns[d.pattern].windows(2).any(|w| w[0] != w[1]);
    let shown: Vec<&Day> = days.iter().filter(varies).collect();
    let changes: Vec<usize> = shown.windows(2).filter(|w| w[0].shift != w[1].shift).map(|w| w[1].first).collect();
    (changes.len() == 1).then(|| changes[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    const DAYS: usize = 90;

    /// Half-hourly rows, and their time slots.
    fn rows() -> (Vec<usize>, Vec<usize>) {
        ((0..48 * DAYS).collect(), (0..48 * DAYS).map(|t| t % 48).collect())
    }

    fn office(t: usize) -> f64 {
        let (day, hour) = (t / 48, t % 48 / 2);
        let works = day % 7 < 5 && ![8, 23, 31, 46, 60, 73].contains(&day);
        if works && (6..19).contains(&hour) { 21.0 } else { 16.0 }
    }

    #[test]
    fn holidays_and_a_clock_change_are_a_schedule_but_tests_by_hand_are_not() {
        let (rows, slots) = rows();
        let found =
            |u: &dyn Fn(usize) -> f64| day_types(&rows.iter().map(|t| u(*t)).collect::<Vec<_>>(), &rows, &slots);
        assert_eq!(found(&office), Some(DayTypes { shifted_at: None }));
        let shifted = found(&|t| office(if t >= 48 * 60 { t + 2 } else { t }));
        // day 60 is a holiday, and a weekend follows, so the shift first appears on day 63
        assert_eq!(shifted, Some(DayTypes { shifted_at: Some(48 * 63) }));
        // ten tests of three hours on a fixed schedule
        assert_eq!(found(&|t| if t / 48 % 9 == 4 && (20..26).contains(&(t % 48)) { 16.0 } else { office(t) }), None);
        // two levels that are held for whole days, as in a trial
        assert_eq!(found(&|t| if Key::new(1).uniform((t / 48) as u64) < 0.5 { 16.0 } else { 21.0 }), None);
        // a value that is set by hand twice a day
        assert_eq!(found(&|t| 20.0 + Key::new(2).uniform((t / 24) as u64)), None);
    }

    #[test]
    fn the_rotation_of_four_crews_is_a_cycle_of_eight_days() {
        let (rows, slots) = rows();
        let crew = |t: usize| [3.0, -3.0, 1.0, -2.0][(t / 24 + t / 96) % 4];
        let found =
            |u: &dyn Fn(usize) -> f64| cycle_days(&rows.iter().map(|t| u(*t)).collect::<Vec<_>>(), &rows, &slots, 48);
        assert_eq!(found(&|t| crew(t) + Key::new(3).normal((t / 24) as u64)), Some(8));
        assert_eq!(found(&|t| Key::new(3).normal((t / 24) as u64)), None);
        assert_eq!(found(&office), None);
        assert_eq!(found(&|t| f64::from(t / 48 / 7 % 2 == 0)), Some(14));
    }
}
