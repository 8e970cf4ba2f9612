//! Learns a model of a plant from its log. Candidate models are fitted, scored by their multi-step open-loop errors and
//! calibrated, and one of them is chosen.
//!
//! The table lists the modules in order of data flow.
//!
//! | module | content |
//! |---|---|
//! | `equations`, `layout` | the known equations of the plant, and the columns that a model reads and predicts |
//! | `dataset`, `split` | the log as transitions, divided into training folds and a hold-out |
//! | `regressor`, `model` | the model interface, and its implementations |
//! | `map` | the one-step map of the plant: known equations and a model |
//! | `starts`, `rollouts` | open-loop runs over the log |
//! | `residuals`, `noise_process`, `distribution` | one-step errors, and the noise that simulations add |
//! | `recalibration`, `calibration`, `tracking` | the distribution of multi-step errors, with adaptive interval widths |
//! | `noise_model` | the noise process, scaled to match the distribution of multi-step errors |
//! | `score`, `coverage`, `response`, `epistemic` | skill, interval coverage, step responses, epistemic uncertainty |
//! | `identification`, `movement`, `history`, `schedule`, `consequence` | whether the log determines the effect of each control |
//! | `effect`, `moves`, `moments`, `contrast` | errors of the effects in a model, and whether the effects are the same throughout the log |
//! | `imitation` | imitation of the plant's own controller by a regression |
//! | `choose` | the choice or rejection of a model, with reasons |
//! | `validated` | models for closed-loop tuning |
//! | `gate`, `drift` | comparison of two models on the same blocks; statistics that detect drift |

mod average_effect;
mod calibration;
mod choose;
mod consequence;
mod contrast;
mod coverage;
mod dataset;
mod distribution;
pub mod drift;
mod effect;
mod epistemic;
mod equations;
mod forecast_inputs;
pub mod gate;
mod history;
mod identification;
mod imitation;
mod layout;
mod map;
pub mod model;
mod moments;
mod movement;
mod moves;
mod noise_model;
mod noise_process;
mod note;
mod recalibration;
mod regressor;
mod residuals;
mod response;
mod rollouts;
mod schedule;
pub mod score;
mod split;
mod starts;
mod tracking;
mod validated;

pub use calibration::Calibration;
pub use choose::{KnownEffect, Learned, Preselected, Selection, TrainingData, learn};
pub use contrast::{Contrast, Parts};
pub use dataset::Dataset;
pub use effect::{EffectError, effect_errors};
pub use epistemic::{EpistemicLevel, EpistemicThresholds};
#[cfg(test)]
pub use equations::NextState;
pub use equations::{Constant, Derived, Equations};
pub use forecast_inputs::{score_with_forecasts, with_forecasts};
pub use identification::{Identification, IdentificationLevel, MIN_MOVES, Movements, WEAK_UNEXPLAINED, identify};
pub use imitation::Imitation;
pub use layout::Layout;
pub use layout::Target;
pub use map::{StepMap, StepScratch};
pub use movement::Companion;
pub use noise_model::NoiseModel;
#[cfg(test)]
pub use noise_process::NoiseProcess;
pub use note::{Note, NoteKind};
pub use regressor::{Coefficients, Fit};
pub use regressor::{Particle, Regressor};
pub use residuals::Residuals;
pub use rollouts::rollouts;
#[cfg(test)]
pub use score::ScoreRow;
pub use split::Split;
pub use starts::starts;
