//! Accumulates a KPI over the steps of a run, for all rows of a batch.

/// The running sums of one KPI for every row. [`super::Kpi::start`] creates an accumulator, [`super::Kpi::add`] adds a
/// frame, and [`Accumulator::reset`] clears it for the next run.
#[derive(Debug, Clone)]
pub struct Accumulator {
    pub(super) rows: usize,
    /// Number of frames added.
    pub(super) steps: usize,
    /// Sum, count, numerator or last known value, depending on the kind of KPI.
    pub(super) sum: Vec<f64>,
    /// Denominator of ratios.
    pub(super) denominator: Vec<f64>,
    /// Number of steps with a known value, per row.
    pub(super) known: Vec<f64>,
    /// Values of the KPI's expressions at the current step.
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
            denominator: vec![0.0; second],
            known: vec![0.0; rows],
            x: vec![0.0; rows],
            y: vec![0.0; second],
            peak: window.map(|w| Peak::new(rows, w)),
        };
        new.reset();
        new
    }

    /// Resets all sums to zero without freeing memory.
    pub fn reset(&mut self) {
        self.steps = 0;
        self.sum.fill(0.0);
        self.denominator.fill(0.0);
        self.known.fill(0.0);
        if let Some(peak) = &mut self.peak {
            peak.reset();
        }
    }

    /// Selects rows: the new row `i` is the previous row `rows[i]`.
    pub fn select(&mut self, rows: &[usize]) {
        for column in [&mut self.sum, &mut self.denominator, &mut self.known, &mut self.x, &mut self.y] {
            if !column.is_empty() {
                *column = rows.iter().map(|&r| column[r]).collect();
            }
        }
        if let Some(peak) = &mut self.peak {
            peak.select(rows);
        }
        self.rows = rows.len();
    }

    /// Marks a gap before the next frame. Sliding windows restart after a gap, whereas sums continue.
    pub fn split(&mut self) {
        if let Some(peak) = &mut self.peak {
            peak.split();
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fraction of (row, step) pairs with a missing (non-finite) value; 0 before the first frame.
    pub fn missing(&self) -> f64 {
        let all = (self.rows * self.steps) as f64;
        if all == 0.0 { 0.0 } else { 1.0 - self.known.iter().sum::<f64>() / all }
    }

    /// Number of steps with a known value, per row: `[rows]`.
    pub fn known(&self) -> &[f64] {
        &self.known
    }
}

/// For each row in which x is finite, adds f(x) to `sum` and one to `known`.
#[inline]
pub(super) fn tally(x: &[f64], sum: &mut [f64], known: &mut [f64], f: impl Fn(f64) -> f64) {
    for ((x, sum), known) in x.iter().zip(sum).zip(known) {
        let ok = x.is_finite();
        *sum += if ok { f(*x) } else { 0.0 };
        *known += if ok { 1.0 } else { 0.0 };
    }
}

/// For each row in which both x and y are finite, adds x to `sum` and y to `denominator`.
#[inline]
pub(super) fn tally_pair(x: &[f64], y: &[f64], sum: &mut [f64], denominator: &mut [f64], known: &mut [f64]) {
    for ((((x, y), sum), denominator), known) in x.iter().zip(y).zip(sum).zip(denominator).zip(known) {
        let ok = x.is_finite() && y.is_finite();
        *sum += if ok { *x } else { 0.0 };
        *denominator += if ok { *y } else { 0.0 };
        *known += if ok { 1.0 } else { 0.0 };
    }
}

/// Largest mean of a signal over a sliding window of steps.
///
/// A window is used if it has its full length within a segment and at least half of its values are known. If no window
/// can be used, the result is the largest mean among the segments that are shorter than a window.
#[derive(Debug, Clone)]
pub(super) struct Peak {
    window: usize,
    rows: usize,
    /// The values in the window, `[window][rows]`; missing values are NaN.
    ring: Vec<f64>,
    /// Index in the ring buffer at which the next frame is stored.
    head: usize,
    /// Number of frames since the last call of `split`.
    run: usize,
    sum: Vec<f64>,
    count: Vec<f64>,
    /// Largest mean of the complete windows; −∞ before the first complete window.
    best: Vec<f64>,
    /// Largest mean among segments shorter than the window.
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

    fn select(&mut self, rows: &[usize]) {
        let columns = self.ring.chunks_exact(self.rows.max(1));
        self.ring = columns.flat_map(|column| rows.iter().map(|&r| column[r])).collect();
        for column in [&mut self.sum, &mut self.count, &mut self.best, &mut self.short] {
            *column = rows.iter().map(|&r| column[r]).collect();
        }
        self.rows = rows.len();
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

    /// Mean of the known values in the window; −∞ if fewer than half of its steps are known.
    fn mean(&self, row: usize) -> f64 {
        let steps = self.run.min(self.window) as f64;
        let count = self.count[row];
        if count > 0.0 && 2.0 * count >= steps { self.sum[row] / count } else { f64::NEG_INFINITY }
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

    /// Recomputes the running sums from the ring buffer, so that rounding errors do not accumulate over a long run.
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
