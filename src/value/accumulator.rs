//! Running values of a KPI for all rows of a batch.

/// The running value of one KPI: one set of tallies per row. Made by [`super::Kpi::start`], fed by [`super::Kpi::add`];
/// reusable after [`Accumulator::reset`].
#[derive(Debug, Clone)]
pub struct Accumulator {
    pub(super) rows: usize,
    /// Frames taken in.
    pub(super) steps: usize,
    /// Sum, count, numerator, or last known value.
    pub(super) sum: Vec<f64>,
    /// Denominator of ratios.
    pub(super) below: Vec<f64>,
    /// Steps per row whose value was known.
    pub(super) known: Vec<f64>,
    /// Values of the expressions at the present step.
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) peak: Option<Peak>,
}

impl Accumulator {
    pub(super) fn new(rows: usize, two: bool, window: Option<usize>) -> Self {
        let second = if two { rows } else { 0 };
        let mut new = Self {
            rows,
            steps: 0,
            sum: vec![0.0; rows],
            below: vec![0.0; second],
            known: vec![0.0; rows],
            x: vec![0.0; rows],
            y: vec![0.0; second],
            peak: window.map(|w| Peak::new(rows, w)),
        };
        new.reset();
        new
    }

    /// Back to the start, keeping the memory.
    pub fn reset(&mut self) {
        self.steps = 0;
        self.sum.fill(0.0);
        self.below.fill(0.0);
        self.known.fill(0.0);
        if let Some(peak) = &mut self.peak {
            peak.reset();
        }
    }

    /// The next frame does not follow the last one: windows start anew, sums go on.
    pub fn split(&mut self) {
        if let Some(peak) = &mut self.peak {
            peak.split();
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Share of (row, step) whose value was missing (not finite) and was left out; 0 before the first frame.
    pub fn missing(&self) -> f64 {
        let all = (self.rows * self.steps) as f64;
        if all == 0.0 { 0.0 } else { 1.0 - self.known.iter().sum::<f64>() / all }
    }

    /// Known steps per row: `[rows]`.
    pub fn known(&self) -> &[f64] {
        &self.known
    }
}

/// Adds f(x) to `sum` and one to `known` where x is finite.
#[inline]
pub(super) fn tally(x: &[f64], sum: &mut [f64], known: &mut [f64], f: impl Fn(f64) -> f64) {
    for ((x, sum), known) in x.iter().zip(sum).zip(known) {
        let ok = x.is_finite();
        *sum += if ok { f(*x) } else { 0.0 };
        *known += if ok { 1.0 } else { 0.0 };
    }
}

/// Adds to two sums where both values are finite.
#[inline]
pub(super) fn tally_pair(x: &[f64], y: &[f64], sum: &mut [f64], below: &mut [f64], known: &mut [f64]) {
    for ((((x, y), sum), below), known) in x.iter().zip(y).zip(sum).zip(below).zip(known) {
        let ok = x.is_finite() && y.is_finite();
        *sum += if ok { *x } else { 0.0 };
        *below += if ok { *y } else { 0.0 };
        *known += if ok { 1.0 } else { 0.0 };
    }
}

/// Largest mean over a sliding window of steps.
///
/// Only whole windows count, and of those only the ones at least half known. A run shorter than the window has no
/// whole one: its own mean stands in.
#[derive(Debug, Clone)]
pub(super) struct Peak {
    window: usize,
    rows: usize,
    /// `[window][rows]`; missing is NaN.
    ring: Vec<f64>,
    /// Slot that the next frame takes.
    head: usize,
    /// Frames since the last split.
    run: usize,
    sum: Vec<f64>,
    count: Vec<f64>,
    /// Largest mean of whole windows; −∞ before the first.
    best: Vec<f64>,
    /// Largest mean of runs that were too short.
    short: Vec<f64>,
}

impl Peak {
    fn new(rows: usize, window: usize) -> Self {
        let window = window.max(1);
        Self {
            window,
            rows,
            ring: vec![f64::NAN; window * rows],
            head: 0,
            run: 0,
            sum: vec![0.0; rows],
            count: vec![0.0; rows],
            best: vec![f64::NEG_INFINITY; rows],
            short: vec![f64::NEG_INFINITY; rows],
        }
    }

    fn reset(&mut self) {
        self.start_run();
        self.best.fill(f64::NEG_INFINITY);
        self.short.fill(f64::NEG_INFINITY);
    }

    fn start_run(&mut self) {
        self.ring.fill(f64::NAN);
        self.head = 0;
        self.run = 0;
        self.sum.fill(0.0);
        self.count.fill(0.0);
    }

    fn split(&mut self) {
        if self.run > 0 && self.run < self.window {
            for r in 0..self.rows {
                self.short[r] = self.short[r].max(self.mean(r));
            }
        }
        self.start_run();
    }

    /// Mean of the known values in the window; −∞ when fewer than half of its steps are known.
    fn mean(&self, row: usize) -> f64 {
        let held = self.run.min(self.window) as f64;
        let count = self.count[row];
        if count > 0.0 && 2.0 * count >= held { self.sum[row] / count } else { f64::NEG_INFINITY }
    }

    pub(super) fn add(&mut self, x: &[f64], known: &mut [f64]) {
        let slot = &mut self.ring[self.head * self.rows..(self.head + 1) * self.rows];
        for r in 0..self.rows {
            let (old, new) = (slot[r], x[r]);
            if old.is_finite() {
                self.sum[r] -= old;
                self.count[r] -= 1.0;
            }
            let ok = new.is_finite();
            slot[r] = if ok { new } else { f64::NAN };
            if ok {
                self.sum[r] += new;
                self.count[r] += 1.0;
                known[r] += 1.0;
            }
        }
        self.run += 1;
        self.head += 1;
        if self.head == self.window {
            self.head = 0;
            self.resum();
        }
        if self.run >= self.window {
            for r in 0..self.rows {
                self.best[r] = self.best[r].max(self.mean(r));
            }
        }
    }

    /// Sums the ring afresh, so that the rounding of the sliding sum does not pile up over a year.
    fn resum(&mut self) {
        self.sum.fill(0.0);
        for slot in self.ring.chunks_exact(self.rows.max(1)) {
            for (sum, v) in self.sum.iter_mut().zip(slot) {
                *sum += if v.is_finite() { *v } else { 0.0 };
            }
        }
    }

    pub(super) fn value(&self, out: &mut [f64]) {
        for (r, out) in out.iter_mut().enumerate() {
            let best = self.best[r];
            let short = if self.run < self.window { self.short[r].max(self.mean(r)) } else { self.short[r] };
            let value = if best.is_finite() { best } else { short };
            *out = if value.is_finite() { value } else { f64::NAN };
        }
    }
}
