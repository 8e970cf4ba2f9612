//! Settings of nightly retraining, and the length of the log that is needed to compare two models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ModelSpec, TimeSpan};

/// Nightly retraining.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrainSpec {
    /// Length of the part of the log on which the challenger is trained. The training part ends where the newest part
    /// of the log (see `blocks`) begins.
    pub window: At<TimeSpan>,
    /// Length of the newest part of the log, on which champion and challenger are compared.
    pub blocks: At<TimeSpan>,
    /// Age of the champion, counted from its promotion, above which `status` and `retrain` ask for attention (default:
    /// 90d).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<At<TimeSpan>>,
}

impl RetrainSpec {
    /// Maximum age of a champion if `max_age` is missing (not tuned).
    pub const MAX_AGE: TimeSpan = TimeSpan::from_ms(90 * DAY_MS);
}

const DAY_MS: i64 = 86_400_000;
/// Minimum number of gate blocks for a bootstrap (not tuned).
pub const MIN_BLOCKS: usize = 8;

/// Length of one gate block in steps: one day, because errors often have a daily rhythm, but only eight horizons if the
/// horizon is shorter than three hours (not tuned). A block is never shorter than the horizon.
pub fn block_steps(horizon: usize, step_ms: i64) -> usize {
    let day = usize::try_from(DAY_MS / step_ms.max(1)).unwrap_or(1);
    day.min(8 * horizon).max(horizon).max(1)
}

/// The shortest value of `blocks` with which the gate can compare two models every night. The rows at which forecasts
/// start comprise [`MIN_BLOCKS`] − 1 whole blocks and the first part of one more block. The rows that forecasts need
/// before the first start and after the last start are added.
pub fn least_blocks(model: &ModelSpec, step: TimeSpan) -> TimeSpan {
    let horizon = model.horizon.steps(step, 1);
    let edges = 2 * horizon + *model.lags + 1;
    let starts = (MIN_BLOCKS - 1) * block_steps(horizon, step.ms());
    TimeSpan::from_steps(starts + edges, step.ms())
}

/// [`least_blocks`], rounded up to a whole number of days, hours or minutes.
pub fn suggested_blocks(model: &ModelSpec, step: TimeSpan) -> TimeSpan {
    let least = least_blocks(model, step).ms();
    let unit = [DAY_MS, 3_600_000, 60_000].into_iter().find(|unit| least >= 2 * unit).unwrap_or(1);
    TimeSpan::from_ms((least + unit - 1) / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_block_is_a_day_or_eight_short_horizons_or_one_long_horizon() {
        let minutes = |n: i64| n * 60_000;
        assert_eq!(block_steps(20, minutes(15)), 96);
        assert_eq!(block_steps(6, minutes(60)), 24);
        // 15 s steps and a horizon of 10 min
        assert_eq!(block_steps(40, 15_000), 320);
        // daily steps and a horizon of a week
        assert_eq!(block_steps(7, DAY_MS), 7);
        assert_eq!(block_steps(1, 2 * DAY_MS), 1);
    }

    #[test]
    fn the_gate_needs_eight_blocks_and_both_edges() {
        // 7 blocks of one day each, 2 horizons of 5 h each, 1 lag and 1 step
        let model =
            ModelSpec { horizon: "5h".parse::<TimeSpan>().unwrap().into(), lags: 1.into(), ..ModelSpec::default() };
        let step = "15min".parse().unwrap();
        assert_eq!(least_blocks(&model, step).ms(), 7 * DAY_MS + (2 * 300 + 30) * 60_000);
        assert_eq!(suggested_blocks(&model, step).to_string(), "8d");
    }
}
