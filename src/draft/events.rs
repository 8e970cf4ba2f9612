//! Logs of events, in which several rows can have the same time.

use super::{Draft, LogSource};
use crate::error::{Error, Result};

impl Draft {
    /// If the rows are events, only amounts can be used, because amounts can be added up.
    pub(super) fn add_events(&mut self, source: LogSource<'_>) -> Result<()> {
        if !self.events {
            return Ok(());
        }
        for signal in std::mem::take(&mut self.signals) {
            if signal.kind == Some("amount") {
                self.signals.push(signal);
            } else {
                let reason = "has several values at the same time, and is not an amount that can be added";
                self.left_out.push((signal.column, reason.into()));
            }
        }
        if self.signals.is_empty() {
            return Err(Error::Data(format!(
                "{}: many rows share their time with another row, and no column or pair of columns \
                 distinguishes these rows; export one row per time, or add a column that identifies the machine, \
                 product or place to which a row belongs",
                source.display()
            )));
        }
        Ok(())
    }
}
