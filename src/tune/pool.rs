//! Models of the two halves of a log.

use std::ops::Range;

use rayon::prelude::*;

use super::TuningInputs;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::learn::{TrainingData, model};
use crate::twin::{Provenance, Twin};
use crate::value::TerminalCost;

/// Past values that are tried.
pub const LAGS: [usize; 4] = [1, 2, 4, 8];
/// The family by which plants are compared; it plans wherever plans are tuned.
pub const REFERENCE_FAMILY: &str = "linear";
/// A family that plays the plant wherever the list has no better one.
const RIVAL: &str = "gp";

/// The training rows before and after their middle, with a gap between them.
pub type Halves = [Vec<Range<usize>>; 2];

/// A model of one half.
pub struct PoolModel {
    pub model: &'static str,
    pub lags: usize,
    /// 0: the older half.
    pub half: usize,
    pub twin: Twin,
    /// Open-loop error on the other half, over that of persistence.
    pub error: f64,
}

/// Every family with every number of lags, on either half; those that cannot be fitted are left out.
pub struct ModelPool {
    pub list: Vec<PoolModel>,
    pub halves: Halves,
    /// What is to come behind plans, as each half tells it, and all training rows.
    pub terminal_cost: [Option<TerminalCost>; 2],
    pub full_terminal_cost: Option<TerminalCost>,
    /// Families that may plan.
    pub planners: Vec<&'static str>,
    pub lags: Vec<usize>,
}

impl ModelPool {
    /// Fits them, in parallel.
    ///
    /// # Errors
    /// [`Error::Data`] when the log is too short to be split.
    pub fn fit(ground: &TuningInputs) -> Result<Self> {
        let known = |name: &&&str| **name != "persistence" && ground.model.choose.iter().any(|c| c.value == ***name);
        let mut planners: Vec<&'static str> = vec![REFERENCE_FAMILY];
        planners.extend(model::NAMES.iter().filter(known).filter(|n| **n != REFERENCE_FAMILY));
        let mut families = planners.clone();
        if !families.contains(&RIVAL) {
            families.push(RIVAL);
        }
        let given = !ground.model.lags.span.is_empty();
        let lags: Vec<usize> = if given { vec![ground.model.lags.value] } else { LAGS.to_vec() };
        let most = ModelSpec { lags: LAGS[LAGS.len() - 1].max(lags[0]).into(), ..ground.model.clone() };
        let task = TrainingData::new(ground.log, &ground.compiled.equations, &most, ground.compute)?;
        let halves = halves(&task);
        let terminal_cost =
            |rows: &[Range<usize>]| TerminalCost::fit(ground.log, rows, &ground.compiled.objective, task.horizon);
        let each = |f: &&'static str| {
            let f = *f;
            lags.iter().flat_map(move |&l| [0, 1].map(|half| (f, l, half))).collect::<Vec<_>>()
        };
        let all: Vec<(&'static str, usize, usize)> = families.iter().flat_map(each).collect();
        let fitted: Vec<Result<PoolModel>> = all.into_par_iter().map(|who| player(ground, &halves, who)).collect();
        let mut list = Vec::new();
        for fit in fitted {
            match fit {
                Ok(player) => list.push(player),
                // too few rows for one of them, or no positive definite matrix: the others play
                Err(Error::Data(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let (older, newer, whole) =
            (terminal_cost(&halves[0]), terminal_cost(&halves[1]), terminal_cost(&task.split.train));
        Ok(Self { list, halves, terminal_cost: [older, newer], full_terminal_cost: whole, planners, lags })
    }

    pub fn get(&self, model: &str, lags: usize, half: usize) -> Option<&PoolModel> {
        self.list.iter().find(|p| p.model == model && p.lags == lags && p.half == half)
    }

    /// Who plays the plant that `model` plans for, on the other half: of the other families the best open loop, and the
    /// yardstick only where there is no other.
    pub fn plant_model(&self, model: &str, half: usize) -> Option<&PoolModel> {
        let others = || self.list.iter().filter(|p| p.model != model && p.half != half && p.error.is_finite());
        let best = |a: &&PoolModel, b: &&PoolModel| a.error.total_cmp(&b.error);
        others().filter(|p| p.model != REFERENCE_FAMILY).min_by(best).or_else(|| others().min_by(best))
    }

    /// Whether the plants that `model` plans for are others than those of the yardstick, and none of its own family: it can be
    /// tried on them.
    pub fn measurable(&self, model: &str) -> bool {
        let rivals = |family: &str| [0, 1].map(|half| self.plant_model(family, half).map(|r| (r.model, r.lags)));
        let theirs = rivals(model);
        theirs != rivals(REFERENCE_FAMILY)
            && theirs.iter().all(|r| r.is_some_and(|(family, _)| family != REFERENCE_FAMILY))
    }
}

fn player(
    ground: &TuningInputs,
    halves: &Halves,
    (model, lags, half): (&'static str, usize, usize),
) -> Result<PoolModel> {
    let spec = ModelSpec { lags: lags.into(), ..ground.model.clone() };
    let task = TrainingData::new(ground.log, &ground.compiled.equations, &spec, ground.compute)?;
    let fitted = task.fit_and_validate(model, &halves[half], &halves[1 - half])?;
    let twin = Twin::new(fitted.map, fitted.noise_model, ground.log, &halves[half], Provenance::default());
    Ok(PoolModel { model, lags, half, twin, error: fitted.relative_error })
}

/// Cuts the training rows of `task` in the middle.
fn halves(task: &TrainingData) -> Halves {
    let rows: usize = task.split.train.iter().map(Range::len).sum();
    let (mut older, mut newer, mut seen) = (Vec::new(), Vec::new(), 0);
    for r in &task.split.train {
        let middle = r.start + (rows / 2).saturating_sub(seen).min(r.len());
        seen += r.len();
        older.push(r.start..middle);
        // a gap only where a stretch is cut
        let from = if middle > r.start { (middle + task.split.gap).min(r.end) } else { middle };
        newer.push(from..r.end);
    }
    [older, newer].map(|half| half.into_iter().filter(|r| !r.is_empty()).collect())
}
