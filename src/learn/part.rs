//! One model fitted to a part of a log and judged on another: a player of closed loops.

use std::ops::Range;

use super::choose::Task;
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

/// Open-loop runs by which a part is judged, at most.
const STARTS: usize = 120;
/// Blocks of the part, on which models tune themselves.
const BLOCKS: usize = 4;

/// A model of a part.
#[derive(Debug, Clone)]
pub struct Part {
    pub map: StepMap,
    /// Of its one-step errors on the rows that it was judged on.
    pub spread: NoiseModel,
    /// Mean squared error of open-loop runs there, over that of persistence: mean over targets and horizons.
    pub error: f64,
}

impl Task<'_> {
    /// Fits `name` to the rows of `on` alone and judges it on those of `beside`.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] when there are too few transitions.
    pub fn part(&self, name: &str, on: &[Range<usize>], beside: &[Range<usize>]) -> Result<Part> {
        let layout = Layout::of(name, &self.log.schema, self.spec, self.equations);
        let data = Dataset::new(self.log, &layout, self.equations);
        let rows = data.rows_in(on);
        let blocks: Vec<Vec<usize>> = rows.chunks(rows.len().div_ceil(BLOCKS).max(1)).map(<[usize]>::to_vec).collect();
        let regressor = model::fit(
            name,
            &Fit {
                data: &data,
                rows: &rows,
                folds: &blocks,
                options: self.spec,
                seed: self.spec.seed.value,
                compute: self.compute,
                draft: true,
                hyper: &[],
            },
        )?;
        let map = self.map(&layout, regressor);
        let levels: Vec<bool> = layout.targets.iter().map(|t| !t.is_next()).collect();
        let errors = Residuals::of(&map, self.log, &starts(&map, self.log, beside, 1, usize::MAX));
        let spread = NoiseModel::from_residuals(&[errors], &levels, self.horizon);
        let run = rollouts(&map, self.log, starts(&map, self.log, beside, self.horizon, STARTS), self.horizon, None);
        let still = run.persistence();
        let mut ratios = Vec::new();
        for k in 0..layout.targets.len() {
            for h in [1, self.horizon.div_ceil(2), self.horizon] {
                let (own, other) = run.paired_mse(&still, k, h);
                ratios.push(if other > 0.0 { own / other } else { f64::NAN });
            }
        }
        // what nothing can be said of does not count
        ratios.retain(|r| r.is_finite());
        let error = if ratios.is_empty() { f64::INFINITY } else { ratios.iter().sum::<f64>() / ratios.len() as f64 };
        Ok(Part { map, spread, error })
    }
}
