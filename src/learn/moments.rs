//! The moment conditions that determine the errors of the effects of the controls on one signal, see [`super::effect`].

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

/// Minimum effective number of blocks in which a control moved (not tuned). The error of a control's effect is not
/// estimated if the control moved in fewer blocks than this minimum.
const MIN_BLOCKS: f64 = 2.0;
/// The correlation time is the shortest lag at which the correlation of the errors is below this value (not tuned).
const UNCORRELATED: f64 = 0.1;
/// Maximum correlation time, in windows (not tuned).
const MAX_CORRELATION: usize = 12;

/// The error of a signal's forecast from one start, and the movements of the controls.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// Number of the fold that contains the start; the last one is the hold-out.
    pub part: usize,
    /// Row of the start.
    pub row: usize,
    /// v: `[controls]`.
    pub instruments: Vec<f64>,
    /// U: `[controls]`.
    pub moves: Vec<f64>,
    /// e.
    pub error: f64,
}

/// Error of the predicted effect of a control on one target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solved {
    pub error: f64,
    pub se: f64,
    pub blocks: f64,
}

/// Subtracts from v, U and e their means over stretches of `length` rows in each part, so that slow changes of the
/// plant, of a meter or of a control have no influence.
pub(super) fn subtract_slow(moments: &mut [Moment], length: usize) {
    for stretch in moments.chunk_by_mut(|a, b| a.part == b.part && a.row / length.max(1) == b.row / length.max(1)) {
        let n = stretch.len() as f64;
        for c in 0..stretch[0].moves.len() {
            let (v, u) = stretch.iter().fold((0.0, 0.0), |(v, u), m| (v + m.instruments[c], u + m.moves[c]));
            stretch.iter_mut().for_each(|m| {
                m.instruments[c] -= v / n;
                m.moves[c] -= u / n;
            });
        }
        let e = stretch.iter().map(|m| m.error).sum::<f64>() / n;
        stretch.iter_mut().for_each(|m| m.error -= e);
    }
}

/// The number of rows after which errors are no longer correlated, as a multiple of `window`.
pub(super) fn correlation_time(moments: &[Moment], window: usize) -> usize {
    let by_row: BTreeMap<usize, f64> = moments.iter().map(|m| (m.row, m.error)).collect();
    let correlation = |lag: usize| {
        let pairs = by_row.iter().filter_map(|(row, e)| Some((*e, *by_row.get(&(row + lag))?)));
        let (cross, square) = pairs.fold((0.0, 0.0), |(c, s), (a, b)| (c + a * b, s + 0.5 * (a * a + b * b)));
        if square > 0.0 { cross / square } else { 0.0 }
    };
    (1..MAX_CORRELATION).find(|w| correlation(w * window) < UNCORRELATED).unwrap_or(MAX_CORRELATION) * window
}

/// Solves the moment conditions. The standard errors assume that different blocks of `block` rows are independent, but
/// not the rows within a block. The result for
/// a control is `None` if the control moved in too few blocks.
pub(super) fn solve<'a>(
    moments: impl Iterator<Item = &'a Moment> + Clone,
    controls: usize,
    block: usize,
) -> Vec<Option<Solved>> {
    let mut a = DMatrix::<f64>::zeros(controls, controls);
    let mut b = DVector::<f64>::zeros(controls);
    for m in moments.clone() {
        for (i, v) in m.instruments.iter().enumerate() {
            b[i] += v * m.error;
            for (j, u) in m.moves.iter().enumerate() {
                a[(i, j)] += v * u;
            }
        }
    }
    let Some(inverse) = a.try_inverse() else { return vec![None; controls] };
    let delta = &inverse * b;
    // The sums of the moment conditions and of their derivatives within each block.
    let mut blocks: BTreeMap<usize, (DVector<f64>, DVector<f64>)> = BTreeMap::new();
    for m in moments {
        let left = m.error - m.moves.iter().zip(delta.iter()).map(|(u, d)| u * d).sum::<f64>();
        let zero = || (DVector::zeros(controls), DVector::zeros(controls));
        let (score, weight) = blocks.entry(m.row / block.max(1)).or_insert_with(zero);
        for (i, (v, u)) in m.instruments.iter().zip(&m.moves).enumerate() {
            score[i] += v * left;
            weight[i] += v * u;
        }
    }
    let mut meat = DMatrix::<f64>::zeros(controls, controls);
    for (score, _) in blocks.values() {
        meat += score * score.transpose();
    }
    let covariance = &inverse * meat * inverse.transpose();
    let effect = |i: usize| {
        let weights = || blocks.values().map(|(_, w)| w[i]);
        let effective = weights().sum::<f64>().powi(2) / weights().map(|w| w * w).sum::<f64>();
        let se = (covariance[(i, i)] * effective / (effective - 1.0)).sqrt();
        let found = Solved { error: delta[i], se, blocks: effective };
        (effective >= MIN_BLOCKS && se.is_finite() && found.error.is_finite()).then_some(found)
    };
    (0..controls).map(effect).collect()
}
