//! A model for closed-loop tuning, fitted on one part of the log and validated on another part.

use std::ops::Range;

use super::choose::TrainingData;
use super::dataset::Dataset;
use super::layout::Layout;
use super::map::StepMap;
use super::model;
use super::noise_model::NoiseModel;
use super::regressor::Fit;
use super::residuals::Residuals;
use super::rollouts::rollouts;
use super::starts::starts;
use crate::error::Result;
use crate::stats::mean;

/// Maximum number of open-loop runs used for the validation (not tuned).
const STARTS: usize = 120;
/// Number of blocks into which the training part is divided for tuning hyper-parameters (not tuned).
const BLOCKS: usize = 4;

/// A model fitted on one part of the log and validated on another part.
#[derive(Debug, Clone)]
pub struct ValidatedModel {
    pub map: StepMap,
    /// Noise model estimated from the one-step errors on the validation part.
    pub noise_model: NoiseModel,
    /// Mean squared error of open-loop runs over the validation part, divided by that of persistence and averaged over
    /// the targets and three horizons: the first step, half the horizon and the full horizon. The error is infinite if
    /// no forecast can be compared with a measurement.
    pub relative_error: f64,
}

impl TrainingData<'_> {
    /// Fits the model called `name` on the rows `training` and validates it on the rows `validation`.
    ///
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if there are too few transitions.
    pub fn fit_and_validate(
        &self,
        name: &str,
        training: &[Range<usize>],
        validation: &[Range<usize>],
    ) -> Result<ValidatedModel> {
        let layout = Layout::for_model(name, &self.log.schema, self.spec, self.equations);
        let data = Dataset::new(self.log, &layout, self.equations);
        let rows = data.rows_in(training);
        let blocks: Vec<Vec<usize>> = rows.chunks(rows.len().div_ceil(BLOCKS).max(1)).map(<[usize]>::to_vec).collect();
        let fit = Fit {
            data: &data,
            rows: &rows,
            folds: &blocks,
            options: self.spec,
            seed: self.spec.seed.value,
            compute: self.compute,
            draft: true,
            hyper: &[],
        };
        let map = self.step_map(&layout, model::fit(name, &fit)?);
        let is_output: Vec<bool> = layout.targets.iter().map(|t| !t.is_next()).collect();
        let residuals = Residuals::measure(&map, self.log, &starts(&map, self.log, validation, 1, usize::MAX));
        let noise_model = NoiseModel::from_residuals(&[residuals], &is_output, self.horizon, Vec::new());
        let validation_starts = starts(&map, self.log, validation, self.horizon, STARTS);
        let run = rollouts(&map, self.log, validation_starts, self.horizon, None);
        let persistence = run.persistence();
        let mut ratios = Vec::new();
        for k in 0..layout.targets.len() {
            for h in [1, self.horizon.div_ceil(2), self.horizon] {
                let (own, reference) = run.paired_mse(&persistence, k, h);
                ratios.push(if reference > 0.0 { own / reference } else { f64::NAN });
            }
        }
        ratios.retain(|r| r.is_finite());
        let relative_error = if ratios.is_empty() { f64::INFINITY } else { mean(&ratios) };
        Ok(ValidatedModel { map, noise_model, relative_error })
    }
}
