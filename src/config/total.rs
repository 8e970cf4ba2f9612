//! Limits of what controls take over a plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};
use crate::schema::Bounds;

/// A limit of what a control takes in total: the sum of its values over the steps of a plan.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TotalSpec {
    pub control: At<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<At<f64>>,
    /// Both are for this long, and the horizon has its share (default: for the whole horizon).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<At<TimeSpan>>,
}

impl TotalSpec {
    /// How often `per` fits into `horizon` steps.
    fn periods(&self, horizon: usize, step: TimeSpan) -> f64 {
        self.per.as_ref().map_or(1.0, |p| horizon as f64 * step.seconds() / p.seconds())
    }

    /// The limits over `horizon` steps.
    pub fn over(&self, horizon: usize, step: TimeSpan) -> Bounds {
        let periods = self.periods(horizon, step);
        let end = |at: &Option<At<f64>>, open: f64| at.as_ref().map_or(open, |a| a.value * periods);
        Bounds { low: end(&self.at_least, f64::NEG_INFINITY), high: end(&self.at_most, f64::INFINITY) }
    }

    /// Why no plan of `horizon` steps within `bounds` of each step keeps it, and what to do about it.
    pub fn impossible(&self, bounds: Bounds, horizon: usize, step: TimeSpan) -> Option<(String, String)> {
        let (wanted, steps, periods) = (self.over(horizon, step), horizon as f64, self.periods(horizon, step));
        let (least, most) = (bounds.low * steps, bounds.high * steps);
        let near = |v: f64| 1e-9 * v.abs().max(1e-9);
        let name = &self.control.value;
        if wanted.low > most + near(most) {
            let message = format!(
                "the total of `{name}` is to be at least {}, but {horizon} steps of at most {} make no more than {most}",
                wanted.low, bounds.high
            );
            return Some((message, format!("write at most `at_least = {}`, or let `{name}` be more", most / periods)));
        }
        if wanted.high < least - near(least) {
            let message = format!(
                "the total of `{name}` is to be at most {}, but {horizon} steps of at least {} make no less than {least}",
                wanted.high, bounds.low
            );
            return Some((message, format!("write at least `at_most = {}`, or let `{name}` be less", least / periods)));
        }
        None
    }
}
