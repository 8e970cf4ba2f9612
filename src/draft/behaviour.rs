//! Statistics of the values of a signal on the time grid of the log.

use crate::trajectory::Trajectory;

/// Properties of the values of one signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Behaviour {
    /// Fraction of the rows in which the signal has a value; rows outside segments do not count.
    pub known: f64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    /// Whether all values are 0 or 1.
    pub is_switch: bool,
    /// Fraction of the steps at which the value does not change.
    pub still: f64,
    /// Median size of the changes relative to the range of the values.
    pub jump: f64,
    /// Correlation between consecutive values.
    pub memory: f64,
}

impl Behaviour {
    /// Computes the statistics of the signal in column `signal` of `log`.
    pub fn new(log: &Trajectory, signal: usize) -> Self {
        let column = &log.columns[signal];
        let rows: usize = log.segments.iter().map(ExactSizeIterator::len).sum();
        let values = || log.segments.iter().flat_map(|s| column[s.clone()].iter().copied()).filter(|v| v.is_finite());
        let n = values().count();
        let mean = values().sum::<f64>() / n.max(1) as f64;
        let (min, max) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (mut still, mut pairs, mut jumps) = (0usize, 0usize, Vec::new());
        for segment in &log.segments {
            for w in column[segment.clone()].windows(2).filter(|w| w[0].is_finite() && w[1].is_finite()) {
                pairs += 1;
                if w[0] == w[1] {
                    still += 1;
                } else {
                    jumps.push((w[1] - w[0]).abs());
                }
            }
        }
        jumps.sort_unstable_by(f64::total_cmp);
        let jump = jumps.get(jumps.len() / 2).copied().unwrap_or(0.0);
        Self {
            known: n as f64 / rows.max(1) as f64,
            min,
            mean,
            max,
            is_switch: values().all(|v| v == 0.0 || v == 1.0),
            still: still as f64 / pairs.max(1) as f64,
            jump: if max > min { jump / (max - min) } else { 0.0 },
            memory: autocorrelation(log, signal, 1),
        }
    }

    pub fn varies(&self) -> bool {
        self.max > self.min
    }
}

/// Correlation of the values of `signal` with those `lag` steps earlier in the same segment.
pub(super) fn autocorrelation(log: &Trajectory, signal: usize, lag: usize) -> f64 {
    let column = &log.columns[signal];
    let pairs = || {
        let segments = log.segments.iter().filter(|s| s.len() > lag);
        segments
            .flat_map(|s| (s.start + lag..s.end).map(|t| (column[t - lag], column[t])))
            .filter(|(a, b)| a.is_finite() && b.is_finite())
    };
    correlation(pairs)
}

/// Pearson correlation of pairs of values; 0 if one of the values does not vary.
pub(super) fn correlation<I: Iterator<Item = (f64, f64)>>(pairs: impl Fn() -> I) -> f64 {
    let n = pairs().count().max(1) as f64;
    let (ma, mb) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
        ab += (x - ma) * (y - mb);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}
