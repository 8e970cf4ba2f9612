//! Uses the columns of a wide log that contain the quality of the samples.

use super::Draft;
use super::roles::Guess;
use crate::log::{ColumnSummary, QualityColumn};

impl Draft {
    /// Selects the good samples of the signal or, if a column contains the flags of whole rows, the good rows.
    /// A column that may describe the plant instead is an ordinary column.
    pub(super) fn use_flags(&mut self, flags: &[QualityColumn], columns: &[ColumnSummary]) {
        for column in flags {
            if !column.is_certain(columns.iter().map(|c| c.name.as_str())) {
                self.remarks.push(format!(
                    "all rows are used, although `{}` could contain the quality of the rows: {}; to use only the good rows, write {}",
                    column.name,
                    column.text(),
                    column.setting()
                ));
                continue;
            }
            let names: Vec<String> = self.signals.iter().map(|s| s.column.clone()).collect();
            let value = column.value_column(names.iter().map(String::as_str)).filter(|_| column.is_complete);
            let signal = value.and_then(|v| self.signals.iter_mut().find(|s: &&mut Guess| s.column == v));
            let selects_rows = self.lines.settings.iter().any(|line| line.starts_with("where = "));
            let (setting, text) = (column.setting(), column.text());
            let reason = match signal {
                Some(signal) => {
                    self.remarks.push(format!(
                        "only the good samples of `{}` are used, because in `{}` {text}: {setting}",
                        signal.column, column.name
                    ));
                    signal.only = Some(setting);
                    format!("contains the quality of the samples of `{}`", signal.column)
                }
                None if column.is_of_rows() && column.is_complete && !selects_rows => {
                    self.remarks
                        .push(format!("only the good rows are used, because in `{}` {text}: {setting}", column.name));
                    self.lines.settings.push(format!("{setting}    # guess: only the rows of good quality"));
                    "contains the quality of the rows".to_owned()
                }
                None => format!(
                    "seems to contain the quality of the samples: {text}; to use only the good rows, write {setting}"
                ),
            };
            self.left_out.push((column.name.clone(), reason));
        }
    }
}
