//! Remarks for the user on what a draft assumes.

use jiff::Timestamp;

use super::file::Draft;
use super::objective;
use crate::log;

impl Draft {
    /// Adds remarks on the times of the log, which ends at `end`, and on missing controls.
    pub(super) fn add_remarks(&mut self, end: Timestamp) {
        let time = &self.lines.time;
        if self.timezone.is_none() && self.without_zone {
            self.remarks.push(format!(
                "the times in `{time}` have no time zone and are read as UTC; if they are local times, specify the \
                 time zone, for example with `--timezone Europe/Berlin`"
            ));
        }
        if log::is_relative(end) {
            self.remarks.push(format!(
                "the times in `{time}` are not dates, so they are counted from an unknown start, and weekdays and seasons \
                 are unknown; check `time_unit` in twin.toml"
            ));
        }
        if let Some((kpi, money)) = objective::kpi(&self.signals).and_then(|k| Some((k.name, k.in_money?))) {
            self.remarks.push(format!(
                "the objective is `{kpi}`, which has no price in money; to see savings in money, fill in the price `{}` that \
                 twin.toml suggests below [objective]",
                money.price_name()
            ));
        }
        if !self.has_control() {
            self.remarks.push(
                "no column looks like a control, so the twin can simulate and forecast the plant but not compare ways of \
                 operating it; set `role = \"control\"` in twin.toml for each signal that staff can change"
                    .into(),
            );
        }
    }
}
