//! Trajectory → Dataset → models, scored by multi-step open-loop error, calibrated, and the winner chosen.

mod blend;
mod calibrate;
mod choose;
pub mod coverage;
mod dataset;
mod doubt;
mod equations;
mod map;
pub mod model;
mod notes;
mod part;
mod pick;
mod quantile;
mod residuals;
mod response;
mod rollouts;
pub mod score;
mod split;
mod spread;
mod track;
mod verdict;

pub use calibrate::{Calibration, Method, Shape};
pub use choose::{Learned, SplitFacts, Task, learn};
pub use dataset::{Dataset, Scaling, Usual};
pub use doubt::{Doubt, Level};
pub use equations::Equations;
pub use map::{Layout, StepMap, StepScratch, Target};
pub use model::{Particle, Regressor};
pub use part::Part;
pub use residuals::Residuals;
pub use response::{Moments, Response, responses};
pub use rollouts::{Pair, Rollouts, Start, rollouts, starts};
pub use score::{Baselines, LEVELS, ScoreRow};
pub use split::{FOLDS, Split};
pub use spread::Spread;
pub use track::{Tracking, Widths};
