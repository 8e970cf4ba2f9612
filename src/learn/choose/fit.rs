//! Fits a model on all training rows, and refits it once per fold with that fold left out.

use rayon::prelude::*;

use super::data::TrainingData;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::learn::dataset::Dataset;
use crate::learn::distribution::Distribution;
use crate::learn::layout::Layout;
use crate::learn::map::StepMap;
use crate::learn::model;
use crate::learn::regressor::Fit;
use crate::learn::split::without;

/// A fitted model and its leave-one-fold-out refits.
pub(super) struct FittedModel {
    pub name: &'static str,
    /// One-step map with the model fitted on all training rows.
    pub map: StepMap,
    /// Leave-one-fold-out refits, ordered from the oldest to the newest fold.
    pub refits: Vec<StepMap>,
    /// Distributions of the independent targets; empty if there are none.
    pub distributions: Vec<Option<Distribution>>,
}

impl FittedModel {
    /// Fits a model of the family `name`, with `rollout_loss` set to `steps`. The refits run in
    /// parallel and reuse the hyper-parameters of the full fit.
    pub fn fit(data: &TrainingData, name: &'static str, steps: usize) -> Result<Self> {
        let options = ModelSpec { rollout_loss: Some(steps.into()), ..data.spec.clone() };
        let layout = match Layout::for_model(name, &data.log.schema, data.spec, data.equations) {
            layout if layout.targets.is_empty() => data.equation_errors(),
            layout => layout,
        };
        let dataset = Dataset::new(data.log, &layout, data.equations);
        let folds = &data.split.folds;
        let fit = |left_out: Option<usize>, hyper: &[f64]| -> Result<StepMap> {
            let train = match left_out {
                None => data.split.train.clone(),
                Some(fold) => without(&data.split.train, &folds[fold], data.split.gap),
            };
            let others = folds.iter().enumerate().filter(|(fold, _)| Some(*fold) != left_out);
            let fit = Fit {
                data: &dataset,
                rows: &dataset.rows_in(&train),
                folds: &others.map(|(_, f)| dataset.rows_in(f)).collect::<Vec<_>>(),
                options: &options,
                seed: data.spec.seed.value,
                compute: data.compute,
                draft: left_out.is_some(),
                hyper,
            };
            Ok(data.step_map(&layout, model::fit(name, &fit)?))
        };
        let signals = layout.inputs.iter().map(|i| i.0).chain(layout.targets.iter().map(|t| t.signal()));
        let map = fit(None, &[]).map_err(|e| match e {
            Error::Data(why) => Error::Data(why + &data.sparsest(&data.split.train, signals)),
            other => other,
        })?;
        let hyper = map.regressor.hyper();
        let refits: Result<Vec<StepMap>> =
            (0..folds.len()).into_par_iter().map(|fold| fit(Some(fold), &hyper)).collect();
        Ok(Self { name, map, refits: refits?, distributions: Vec::new() })
    }
}
