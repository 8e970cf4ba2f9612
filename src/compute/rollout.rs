//! The fused rollout of an ensemble.

use super::Net;
use crate::rng::Key;

/// Open-loop simulation of standardised networks over many rows and steps (trajectory sampling: Chua et al. 2018).
///
/// Inputs of step t: of every pair (column, lag), `columns` at t − lag. Outputs of the network are means and, behind them,
/// log-variances of the standardised targets: `[2 targets]`. Target j of the next frame is
/// `sum_j + mean_j + sd_j (μ_j + exp(½ lv_j) z)`, where `sum_j` is the present value of its column when it is an increment
/// and zero otherwise. A target column is written at t + 1; columns that no target writes are exogenous.
#[derive(Debug, Clone, Copy)]
pub struct NetRollout<'a> {
    pub net: Net<'a>,
    /// (column, lag) of each input.
    pub inputs: &'a [(usize, usize)],
    /// Of the inputs, subtracted and multiplied by: `[inputs]` each.
    pub input_mean: &'a [f32],
    pub input_scale: &'a [f32],
    /// (column, is an increment) of each target.
    pub targets: &'a [(usize, bool)],
    /// Of the targets: `[targets]` each.
    pub target_mean: &'a [f32],
    pub target_sd: &'a [f32],
    /// Bounds of the log-variances, softly kept: `[targets]` each.
    pub least: &'a [f32],
    pub most: &'a [f32],
    /// All columns: `[columns]`, of which `past` frames before the first step are in `history`.
    pub columns: usize,
    /// Frames 1 − past ..= 0, oldest first: `[past][columns][rows]`; `past` > every lag. Frame 0 is the present.
    pub history: &'a [f32],
    pub past: usize,
    /// Exogenous columns of frames 0 .. steps: `[steps][exogenous][rows]`, in the order of `exogenous`; frame 0's replace
    /// those in `history`.
    pub future: &'a [f32],
    /// Columns that `future` gives.
    pub exogenous: &'a [usize],
    pub steps: usize,
    pub rows: usize,
    /// Rows of one member: rows `b block ..` follow member `(b + shift_t) mod members`, shift 0 (TS∞) or the step (TS1).
    pub block: usize,
    /// A new member each step (TS1); else one for the whole rollout (TS∞).
    pub switch: bool,
    /// Aleatoric noise: z of step t, target j, row r is normal number r of stream `key.fold(t).fold(j)`; `None`: means.
    pub key: Option<Key>,
}
