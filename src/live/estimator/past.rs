//! The past of a run, with one row per step of the twin.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::ForecastSpec;
use crate::control::mpc::ResolvedMpc;
use crate::control::{Forecast, since};
use crate::expr::Registers;
use crate::learn::{Constant, Derived, Equations};
use crate::scenario::Plant;
use crate::schema::{Role, Signal};
use crate::trajectory::{Frame, Trajectory, Window};
use crate::twin::{Batch, Dynamics};

/// Number of past rows to keep: two weeks of one-minute rows (not tuned). Old rows are deleted in batches of this size.
const KEPT_ROWS: usize = 20_160;

/// The rows of a run, preceded by the rows of the log that seasonal forecasts need.
///
/// Rows are numbered from the start of the run. The newest row is the current step.
pub struct Past {
    forecast: Forecast,
    /// Index of the run's first row in the trajectory.
    first: usize,
    /// Index of the first row whose values may be used as past values of later rows.
    earliest: usize,
    /// Number of rows at the beginning of the run that have been dropped from memory.
    dropped: usize,
    /// Number of rows from `earliest` onwards in which every state was measured.
    measured: usize,
    registers: Registers,
}

impl Past {
    /// Creates a run without rows that begins at `start`, or at the end of the log if `start` is `None`. Before the
    /// start of the run, only signals that are forecast from their past have values, which come from the log.
    pub fn new(plant: &Plant, mpc: &ResolvedMpc, start: Option<Timestamp>) -> Self {
        let log = &plant.log;
        let start = start.unwrap_or_else(|| log.time(log.steps));
        let rows = KEPT_ROWS.min(log.steps);
        let ms = start.as_millisecond().saturating_sub(log.step_ms.saturating_mul(rows as i64));
        let begin = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut history = Trajectory::empty(plant.schema.clone(), begin, log.step_ms, rows, 1);
        let mut forecast = Forecast::live(&plant.spec.value, Arc::new(history.clone()), mpc.forecast);
        for &(signal, how) in &forecast.signals {
            if matches!(how, ForecastSpec::Seasonal(_) | ForecastSpec::Learned) {
                for k in 0..rows {
                    if let Some(at) = log.step_at(history.time(k)) {
                        history.at_mut(signal, k)[0] = log.at(signal, at)[0];
                    }
                }
            }
        }
        history.segments = vec![rows..rows];
        forecast.realised = Arc::new(history);
        Self { forecast, first: rows, earliest: rows, dropped: 0, measured: 0, registers: Registers::default() }
    }

    pub fn forecast(&self) -> &Forecast {
        &self.forecast
    }

    /// Number of rows since the run began.
    pub fn rows(&self) -> usize {
        self.forecast.realised.steps - self.first + self.dropped
    }

    /// Number of usable rows, including the newest row, in which every state was measured. Rows with substituted states
    /// are not counted.
    pub fn measured(&self) -> usize {
        self.measured
    }

    /// Counts the newest row as a row in which every state was measured.
    pub fn count_measured(&mut self) {
        self.measured += 1;
    }

    /// Number of rows of the run that are in memory.
    fn in_memory(&self) -> usize {
        self.forecast.realised.steps - self.first
    }

    fn earliest(&self) -> usize {
        self.earliest.min(self.forecast.realised.steps.saturating_sub(1))
    }

    /// Start of the run. The result is valid only until the first row is dropped from memory.
    pub fn begin(&self) -> Timestamp {
        self.forecast.realised.time(self.first)
    }

    /// Prevents later rows from using any of the values recorded so far. This function is called if a state has no
    /// value in the newest row.
    pub fn skip(&mut self) {
        self.earliest = self.forecast.realised.steps;
        self.measured = 0;
    }

    /// Returns the value of `signal` in the row that is `lag` rows before the newest row, or NaN before the start of
    /// the run.
    pub fn value(&self, signal: usize, lag: usize) -> f64 {
        let t = &self.forecast.realised;
        if lag < self.in_memory() { t.columns[signal][t.steps - 1 - lag] } else { f64::NAN }
    }

    /// Number of consecutive steps before the newest row in which the control `signal` (in column `column`) was
    /// continuously on or continuously off. If no earlier switch is known, the control is assumed to have been in its
    /// state long enough to be switched again.
    pub fn since(&self, signal: &Signal, column: usize) -> usize {
        let memory = signal.switching.memory();
        if memory == 0 || self.in_memory() == 0 {
            return memory;
        }
        let t = &self.forecast.realised;
        let window = Window::from_trajectory(t, t.steps - 1, self.first, memory + 2, 1);
        since(signal, column, &window, 0)
    }

    pub fn set(&mut self, signal: usize, lag: usize, value: f64) {
        if lag < self.in_memory() {
            let t = Arc::make_mut(&mut self.forecast.realised);
            let at = t.steps - 1 - lag;
            t.columns[signal][at] = value;
        }
    }

    /// Adds a row for a new step. In the new row, outputs and derived signals keep their last values, constants have
    /// their fixed values, and all other signals are missing.
    pub fn push(&mut self, equations: &Equations) {
        let has_last = self.in_memory() > 0;
        if self.forecast.realised.steps >= 2 * KEPT_ROWS {
            self.trim();
        }
        let t = Arc::make_mut(&mut self.forecast.realised);
        for (column, signal) in t.columns.iter_mut().zip(&t.schema.signals) {
            let last =
                column.last().copied().filter(|_| has_last && matches!(signal.role, Role::Output | Role::Derived));
            column.push(last.unwrap_or(f64::NAN));
        }
        for &Constant { signal, value } in &equations.constants {
            if let Some(v) = t.columns[signal].last_mut() {
                *v = value;
            }
        }
        t.steps += 1;
        t.segments = vec![self.first..t.steps];
    }

    fn trim(&mut self) {
        let t = Arc::make_mut(&mut self.forecast.realised);
        t.start = t.time(KEPT_ROWS);
        t.columns.iter_mut().for_each(|c| drop(c.drain(..KEPT_ROWS)));
        t.steps -= KEPT_ROWS;
        self.dropped += KEPT_ROWS.saturating_sub(self.first);
        self.first = self.first.saturating_sub(KEPT_ROWS);
        self.earliest = self.earliest.saturating_sub(KEPT_ROWS);
    }

    /// Drops the newest rows so that only the first `rows` rows of the run remain.
    pub fn truncate(&mut self, rows: usize) {
        let t = Arc::make_mut(&mut self.forecast.realised);
        let steps = (self.first + rows).saturating_sub(self.dropped).max(self.first).min(t.steps);
        t.columns.iter_mut().for_each(|c| c.truncate(steps));
        t.steps = steps;
        t.segments = vec![self.first..steps];
        self.earliest = self.earliest.min(steps);
        self.measured = self.measured.min(steps - self.earliest);
    }

    /// Evaluates the derived signals in the row that is `lag` rows before the newest row. If `all` is `false`, signals
    /// that depend on controls or outputs are skipped.
    pub fn derive(&mut self, equations: &Equations, lag: usize, all: bool) {
        if lag >= self.in_memory() {
            return;
        }
        let row = self.forecast.realised.steps - 1 - lag;
        let late: &[_] = if all { &equations.late } else { &[] };
        for Derived { signal, program } in equations.early.iter().chain(late) {
            let mut value = [0.0];
            program.eval(&self.forecast.realised.frame(row, self.earliest.min(row)), &mut self.registers, &mut value);
            self.set(*signal, lag, value[0]);
        }
    }

    /// Returns the last `depth` rows. Rows before the first usable row are replaced by copies of the first usable row.
    pub fn window(&self, depth: usize) -> Window {
        let t = &self.forecast.realised;
        Window::from_trajectory(t, t.steps.saturating_sub(1), self.earliest(), depth, 1)
    }

    /// Returns the twin's prediction that starts from the newest row; see [`predicted`].
    pub fn predict(&self, dynamics: &dyn Dynamics) -> Vec<f64> {
        let t = &self.forecast.realised;
        predicted(dynamics, t, self.earliest(), t.steps.saturating_sub(1))
    }
}

/// Returns the mean prediction from row `row` of the trajectory `t`. The trajectory `t` must have one particle and
/// known controls, and its usable past must begin at row `first`. The result has one value per signal: states at the
/// next step, and all other signals at this step.
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
