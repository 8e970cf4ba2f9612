//! The journal, which contains the log and the counts of a live loop.

pub mod loop_log;
pub mod record;
pub mod tally;

use std::path::Path;

use serde_json::{Map, Value};

use self::loop_log::LoopLog;
use self::record::Stamp;
use self::tally::Tally;
use super::decision::Decision;
use super::estimator::Estimator;
use super::protocol::Protocol;
use crate::config::LogSpec;
use crate::error::Result;

/// The log and the counts of a live loop.
pub struct Journal<'a> {
    file: Option<&'a Path>,
    /// The rows of the log; `None` before the first run or if no log is written.
    loop_log: Option<LoopLog>,
    pub tally: Tally,
}

impl<'a> Journal<'a> {
    /// Creates an empty journal. If `file` is given, the log is written to this file.
    pub fn new(file: Option<&'a Path>) -> Self {
        Self { file, loop_log: None, tally: Tally::default() }
    }

    /// Prepares the log for a new run.
    pub fn begin(&mut self, log: &LogSpec, protocol: &Protocol, controls: &[usize]) {
        if let (None, Some(file)) = (&self.loop_log, self.file) {
            self.loop_log = Some(LoopLog::new(file, log, &protocol.tags, controls, &protocol.kpis));
        }
    }

    /// Drops the rows of the run `episode` from line `line` onwards.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        if let Some(loop_log) = &mut self.loop_log {
            loop_log.rewind(episode, line);
        }
    }

    /// Completes the row of line `line` with values that the plant reports only in the following line.
    pub fn complete_row(&mut self, protocol: &Protocol, estimator: &Estimator, line: i64, kpi: &Map<String, Value>) {
        if let Some(loop_log) = &mut self.loop_log {
            let episode = protocol.run().episode();
            loop_log.complete_row((episode, line), &protocol.tags, &estimator.values, &estimator.in_force, kpi);
        }
    }

    /// Adds a row for the newest line.
    ///
    /// # Errors
    /// Returns the errors of [`LoopLog::write_if_due`].
    pub fn push(&mut self, protocol: &Protocol, estimator: &Estimator, decision: &Decision) -> Result<()> {
        let Some(loop_log) = &mut self.loop_log else { return Ok(()) };
        let run = protocol.run();
        let stamp = Stamp {
            time_ms: protocol.line_ms(run.line),
            line: run.line,
            episode: run.episode(),
            decided_by: decision.decided_by,
            support: decision.support,
        };
        loop_log.push(stamp, &protocol.tags, &estimator.values, decision, &estimator.predicted);
        loop_log.write_if_due()
    }

    /// Writes the log, if there is one.
    ///
    /// # Errors
    /// Returns the errors of [`LoopLog::write`].
    pub fn write(&mut self) -> Result<()> {
        self.loop_log.as_mut().map_or(Ok(()), LoopLog::write)
    }
}
