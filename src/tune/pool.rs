//! Models for the closed-loop tests: every model family is fitted to each half of the log.

use std::ops::Range;

use rayon::prelude::*;

use super::TuningInputs;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::learn::{TrainingData, model};
use crate::twin::{Provenance, Twin};
use crate::value::TerminalCost;

/// Numbers of lags that are tried (not tuned).
pub const LAGS: [usize; 4] = [1, 2, 4, 8];
/// Model family of the reference controller. The results of this controller show how difficult
/// plant models are to control. The reference family is always a candidate for the model of the
/// tuned controller.
pub const REFERENCE_FAMILY: &str = "linear";
/// Model family that is always fitted for use as a plant model, even if the controller may not use
/// this family.
const PLANT_FAMILY: &str = "gp";

/// Row ranges of the older half and of the newer half of the training rows.
pub type Halves = [Vec<Range<usize>>; 2];

pub struct HalfModel {
    pub family: &'static str,
    pub lags: usize,
    /// The half of the training rows to which the model was fitted: 0 for the older half, 1 for the newer half.
    pub half: usize,
    pub twin: Twin,
    /// Open-loop error on the half to which the model was not fitted, relative to the error of persistence.
    pub error: f64,
}

/// Models of every family with every number of lags, fitted to each half of the training rows. Models that cannot be
/// fitted are omitted.
pub struct ModelPool {
    pub models: Vec<HalfModel>,
    pub halves: Halves,
    /// Terminal cost learned from each half of the training rows.
    pub terminal_costs: [Option<TerminalCost>; 2],
    /// Terminal cost learned from all training rows.
    pub full_terminal_cost: Option<TerminalCost>,
    /// Families that the controller may use.
    pub controller_families: Vec<&'static str>,
    pub lags: Vec<usize>,
}

impl ModelPool {
    /// Fits the models in parallel.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if the log is too short to be split.
    pub fn fit(inputs: &TuningInputs) -> Result<Self> {
        let allowed = |name: &&&str| **name != "persistence" && inputs.model.choose.iter().any(|c| c.value == ***name);
        let mut controller_families: Vec<&'static str> = vec![REFERENCE_FAMILY];
        controller_families.extend(model::NAMES.iter().filter(allowed).filter(|n| **n != REFERENCE_FAMILY));
        let mut families = controller_families.clone();
        if !families.contains(&PLANT_FAMILY) {
            families.push(PLANT_FAMILY);
        }
        let given = !inputs.model.lags.span.is_empty();
        let lags: Vec<usize> = if given { vec![inputs.model.lags.value] } else { LAGS.to_vec() };
        let deepest = ModelSpec { lags: LAGS[LAGS.len() - 1].max(lags[0]).into(), ..inputs.model.clone() };
        let data = TrainingData::new(inputs.log, &inputs.compiled.equations, &deepest, inputs.compute)?;
        let halves = split_in_half(&data);
        let terminal_cost =
            |rows: &[Range<usize>]| TerminalCost::fit(inputs.log, rows, &inputs.compiled.objective, data.horizon);
        let each = |f: &&'static str| {
            let f = *f;
            lags.iter().flat_map(move |&l| [0, 1].map(|half| (f, l, half))).collect::<Vec<_>>()
        };
        let all: Vec<(&'static str, usize, usize)> = families.iter().flat_map(each).collect();
        let fitted: Vec<Result<HalfModel>> =
            all.into_par_iter().map(|candidate| fit_half(inputs, &halves, candidate)).collect();
        let mut models = Vec::new();
        for fit in fitted {
            match fit {
                Ok(model) => models.push(model),
                // Tuning continues without a model if its half of the log has too few rows, or if a matrix is not
                // positive definite.
                Err(Error::Data(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let (older, newer, full) =
            (terminal_cost(&halves[0]), terminal_cost(&halves[1]), terminal_cost(&data.split.train));
        let terminal_costs = [older, newer];
        Ok(Self { models, halves, terminal_costs, full_terminal_cost: full, controller_families, lags })
    }

    pub fn get(&self, family: &str, lags: usize, half: usize) -> Option<&HalfModel> {
        self.models.iter().find(|p| p.family == family && p.lags == lags && p.half == half)
    }

    /// Returns the plant model for a controller whose model belongs to `family` and was fitted to `half`. Among the
    /// models of other families that were fitted to the other half of the log, the model with the lowest open-loop
    /// error is used as the plant.
    /// A model of the reference family is used as the plant only if there is no other plant model.
    pub fn plant_model(&self, family: &str, half: usize) -> Option<&HalfModel> {
        let others = || self.models.iter().filter(|p| p.family != family && p.half != half && p.error.is_finite());
        let by_error = |a: &&HalfModel, b: &&HalfModel| a.error.total_cmp(&b.error);
        others().filter(|p| p.family != REFERENCE_FAMILY).min_by(by_error).or_else(|| others().min_by(by_error))
    }

    /// Whether controllers of the reference family must also be tested on the plant models that are used for `family`.
    /// False if both families have the same plant models, or if a plant model for `family` is missing or belongs to the
    /// reference family.
    pub fn has_other_plants(&self, family: &str) -> bool {
        let plants = |family: &str| [0, 1].map(|half| self.plant_model(family, half).map(|r| (r.family, r.lags)));
        let own = plants(family);
        own != plants(REFERENCE_FAMILY) && own.iter().all(|r| r.is_some_and(|(family, _)| family != REFERENCE_FAMILY))
    }
}

fn fit_half(
    inputs: &TuningInputs,
    halves: &Halves,
    (family, lags, half): (&'static str, usize, usize),
) -> Result<HalfModel> {
    let spec = ModelSpec { lags: lags.into(), ..inputs.model.clone() };
    let data = TrainingData::new(inputs.log, &inputs.compiled.equations, &spec, inputs.compute)?;
    let fitted = data.fit_and_validate(family, &halves[half], &halves[1 - half])?;
    let twin = Twin::new(fitted.map, fitted.noise_model, inputs.log, &halves[half], Provenance::default());
    Ok(HalfModel { family, lags, half, twin, error: fitted.relative_error })
}

/// Splits the training rows of `data` into an older and a newer half.
fn split_in_half(data: &TrainingData) -> Halves {
    let rows: usize = data.split.train.iter().map(Range::len).sum();
    let (mut older, mut newer, mut counted) = (Vec::new(), Vec::new(), 0);
    for r in &data.split.train {
        let middle = r.start + (rows / 2).saturating_sub(counted).min(r.len());
        counted += r.len();
        older.push(r.start..middle);
        // A gap is needed only in the segment that is split between the two halves of the log.
        let from = if middle > r.start { (middle + data.split.gap).min(r.end) } else { middle };
        newer.push(from..r.end);
    }
    [older, newer].map(|half| half.into_iter().filter(|r| !r.is_empty()).collect())
}
