//! What has been seen of the plant, on the twin's grid.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{ForecastSpec, MpcSpec};
use crate::control::{Forecast, since};
use crate::expr::Registers;
use crate::learn::Equations;
use crate::scenario::Plant;
use crate::schema::{Role, Signal};
use crate::trajectory::{Frame, Trajectory, Window};
use crate::twin::{Batch, Dynamics};

/// Rows that are kept; twice as many are the most in memory.
const KEPT: usize = 20_160;

/// The rows of a run, after those of the log that seasonal forecasts look back on.
///
/// Rows are numbered from the start of the run; the newest one is the present.
pub struct Past {
    forecast: Forecast,
    /// Index of the run's first row in the trajectory.
    first: usize,
    /// Index of the first row that others may look back on.
    reach: usize,
    /// Rows of the run that were dropped at its front.
    dropped: usize,
    /// Rows, of those that others may look back on, in which every state was measured.
    seen: usize,
    registers: Registers,
}

impl Past {
    /// A run that begins at `start` (default: after the log's end), with no row yet. Of the log's rows before it only
    /// what is forecast by season is known.
    pub fn new(plant: &Plant, mpc: &MpcSpec, start: Option<Timestamp>) -> Self {
        let log = &plant.log;
        let start = start.unwrap_or_else(|| log.time(log.steps));
        let rows = KEPT.min(log.steps);
        let ms = start.as_millisecond().saturating_sub(log.step_ms.saturating_mul(rows as i64));
        let begin = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut seen = Trajectory::empty(plant.schema.clone(), begin, log.step_ms, rows, 1);
        let all = mpc.forecast.as_ref().map(|f| f.value);
        let mut forecast = Forecast::new(&plant.spec.value, Arc::new(seen.clone()), 0, all);
        for &(signal, how) in &forecast.signals {
            if matches!(how, ForecastSpec::Seasonal(_)) {
                for k in 0..rows {
                    if let Some(at) = log.step_at(seen.time(k)) {
                        seen.at_mut(signal, k)[0] = log.at(signal, at)[0];
                    }
                }
            }
        }
        seen.segments = vec![rows..rows];
        forecast.realised = Arc::new(seen);
        // The present is always the last row, which a forecast never looks beyond.
        forecast.past = usize::MAX / 2;
        Self { forecast, first: rows, reach: rows, dropped: 0, seen: 0, registers: Registers::default() }
    }

    pub fn forecast(&self) -> &Forecast {
        &self.forecast
    }

    /// Rows since the run began.
    pub fn rows(&self) -> usize {
        self.forecast.realised.steps - self.first + self.dropped
    }

    /// Rows that the newest one may look back on, itself included, in which every state was measured: what stands in for a
    /// broken line is no knowledge.
    pub fn known(&self) -> usize {
        self.seen
    }

    /// Every state of the newest row was measured.
    pub fn saw(&mut self) {
        self.seen += 1;
    }

    /// Rows of the run in memory.
    fn held(&self) -> usize {
        self.forecast.realised.steps - self.first
    }

    fn reach(&self) -> usize {
        self.reach.min(self.forecast.realised.steps.saturating_sub(1))
    }

    /// When the run begins; before its first row is dropped.
    pub fn begin(&self) -> Timestamp {
        self.forecast.realised.time(self.first)
    }

    /// No later row looks back on the newest one, in which something is unknown.
    pub fn skip(&mut self) {
        self.reach = self.forecast.realised.steps;
        self.seen = 0;
    }

    /// Value of `signal`, `lag` rows ago; NaN before the run.
    pub fn value(&self, signal: usize, lag: usize) -> f64 {
        let t = &self.forecast.realised;
        if lag < self.held() { t.columns[signal][t.steps - 1 - lag] } else { f64::NAN }
    }

    /// Steps for which the control `signal`, in `column`, has been on, or off, before the present row; before the run it
    /// was for long enough.
    pub fn since(&self, signal: &Signal, column: usize) -> usize {
        let memory = signal.switching.memory();
        if memory == 0 || self.held() == 0 {
            return memory;
        }
        let t = &self.forecast.realised;
        let window = Window::from_trajectory(t, t.steps - 1, self.first, memory + 2, 1);
        since(signal, column, &window, 0)
    }

    pub fn set(&mut self, signal: usize, lag: usize, value: f64) {
        if lag < self.held() {
            let t = Arc::make_mut(&mut self.forecast.realised);
            let at = t.steps - 1 - lag;
            t.columns[signal][at] = value;
        }
    }

    /// A new present: all missing, but outputs and derived signals, which keep their last known values.
    pub fn push(&mut self, equations: &Equations) {
        let run = self.held() > 0;
        if self.forecast.realised.steps >= 2 * KEPT {
            self.trim();
        }
        let t = Arc::make_mut(&mut self.forecast.realised);
        for (column, signal) in t.columns.iter_mut().zip(&t.schema.signals) {
            let last = column.last().copied().filter(|_| run && matches!(signal.role, Role::Output | Role::Derived));
            column.push(last.unwrap_or(f64::NAN));
        }
        for &(signal, value) in &equations.constants {
            if let Some(v) = t.columns[signal].last_mut() {
                *v = value;
            }
        }
        t.steps += 1;
        t.segments = vec![self.first..t.steps];
    }

    fn trim(&mut self) {
        let t = Arc::make_mut(&mut self.forecast.realised);
        t.start = t.time(KEPT);
        t.columns.iter_mut().for_each(|c| drop(c.drain(..KEPT)));
        t.steps -= KEPT;
        self.dropped += KEPT.saturating_sub(self.first);
        self.first = self.first.saturating_sub(KEPT);
        self.reach = self.reach.saturating_sub(KEPT);
    }

    /// Forgets the newest rows until `rows` are left.
    pub fn truncate(&mut self, rows: usize) {
        let t = Arc::make_mut(&mut self.forecast.realised);
        let steps = (self.first + rows).saturating_sub(self.dropped).max(self.first).min(t.steps);
        t.columns.iter_mut().for_each(|c| c.truncate(steps));
        t.steps = steps;
        t.segments = vec![self.first..steps];
        self.reach = self.reach.min(steps);
        self.seen = self.seen.min(steps - self.reach);
    }

    /// Evaluates the derived signals of the row `lag` rows ago: those that need no control and no output, or all.
    pub fn derive(&mut self, equations: &Equations, lag: usize, all: bool) {
        if lag >= self.held() {
            return;
        }
        let row = self.forecast.realised.steps - 1 - lag;
        let late: &[_] = if all { &equations.late } else { &[] };
        for (signal, program) in equations.early.iter().chain(late) {
            let mut value = [0.0];
            program.eval(&self.forecast.realised.frame(row, self.reach.min(row)), &mut self.registers, &mut value);
            self.set(*signal, lag, value[0]);
        }
    }

    /// The last `depth` rows; before the run's first row that one is repeated.
    pub fn window(&self, depth: usize) -> Window {
        let t = &self.forecast.realised;
        Window::from_trajectory(t, t.steps.saturating_sub(1), self.reach(), depth, 1)
    }

    /// The twin's own prediction from the present row, as [`predicted`].
    pub fn predict(&self, dynamics: &dyn Dynamics) -> Vec<f64> {
        let t = &self.forecast.realised;
        predicted(dynamics, t, self.reach(), t.steps.saturating_sub(1))
    }
}

/// The mean prediction from row `row` of `t` (1 particle), whose controls are in it, looking back no further than `first`:
/// `[signals]`, states of the next step, and what else the step makes of this one.
pub fn predicted(dynamics: &dyn Dynamics, t: &Trajectory, first: usize, row: usize) -> Vec<f64> {
    let window = Window::from_trajectory(t, row, first, dynamics.depth().max(2), 1);
    let mut batch = Batch::candidates(window, 1, dynamics.members(), None);
    dynamics.begin(&mut batch);
    dynamics.observe(&mut batch);
    dynamics.step(&mut batch);
    let lag = |role| usize::from(role != Role::State);
    let signals = dynamics.schema().signals.iter().enumerate();
    signals.map(|(s, signal)| batch.window.column(s, lag(signal.role))[0]).collect()
}
