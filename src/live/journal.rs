//! The journal: the log and the counts of a live loop.

pub mod account;
pub mod record;
pub mod tally;

use std::path::Path;

use serde_json::{Map, Value};

use self::account::Account;
use self::record::Stamp;
use self::tally::Tally;
use super::decision::Decision;
use super::estimator::Estimator;
use super::protocol::Protocol;
use crate::config::LogSpec;
use crate::error::Result;

/// The record of a live loop.
pub struct Journal<'a> {
    file: Option<&'a Path>,
    /// The rows of the log, once the first run has begun.
    account: Option<Account>,
    pub tally: Tally,
}

impl<'a> Journal<'a> {
    /// `file`: where the log is written, if anywhere.
    pub fn new(file: Option<&'a Path>) -> Self {
        Self { file, account: None, tally: Tally::default() }
    }

    /// A new run begins.
    pub fn begin(&mut self, log: &LogSpec, protocol: &Protocol, controls: &[usize]) {
        if let (None, Some(file)) = (&self.account, self.file) {
            self.account = Some(Account::new(file, log, &protocol.tags, controls, &protocol.kpis));
        }
    }

    /// Drops the rows of the run `episode` from `line` on.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        if let Some(account) = &mut self.account {
            account.rewind(episode, line);
        }
    }

    /// Completes the row of `line` with the values that were realised after it.
    pub fn realised(&mut self, protocol: &Protocol, estimator: &Estimator, line: i64, kpi: &Map<String, Value>) {
        if let Some(account) = &mut self.account {
            let episode = protocol.run().episode();
            account.realised((episode, line), &protocol.tags, &estimator.values, &estimator.in_force, kpi);
        }
    }

    /// Adds a row for the newest line.
    ///
    /// # Errors
    /// As [`Account::write_if_due`].
    pub fn push(&mut self, protocol: &Protocol, estimator: &Estimator, decision: &Decision) -> Result<()> {
        let Some(account) = &mut self.account else { return Ok(()) };
        let run = protocol.run();
        let stamp = Stamp {
            time_ms: protocol.line_ms(run.line),
            line: run.line,
            episode: run.episode(),
            decided_by: decision.decided_by,
            support: decision.support,
        };
        account.push(stamp, &protocol.tags, &estimator.values, decision, &estimator.predicted);
        account.write_if_due()
    }

    /// Writes the log, if there is one.
    ///
    /// # Errors
    /// As [`Account::write`].
    pub fn write(&mut self) -> Result<()> {
        self.account.as_mut().map_or(Ok(()), Account::write)
    }
}
