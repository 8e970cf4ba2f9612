//! Closed-loop tuning of MPC, which needs only the log.
//!
//! One-step errors, and even open-loop errors, do not show which model is best for control. If a log was recorded under
//! feedback, a model with many lags learns the old controller instead of the plant. Tuning therefore simulates closed
//! loops in which the controller's model and the simulated plant are models of different families, fitted to different
//! halves of the log.
//!
//! # Procedure
//!
//! 1. Split the training rows into an older and a newer half, with a gap between them. Fit every model family with 1,
//!    2, 4 and 8 lags to each half. Learn a terminal cost from each half of the training rows ([`pool`]).
//! 2. If a controller uses a model of family F that was fitted to one half of the log, a model that was fitted to the
//!    other half is used as the plant: the model with the lowest open-loop error among all families other than F.
//!    A model of the reference family `linear` is used as the plant only if no other family has a
//!    model.
//! 3. Take up to six segments of max(60, 2 N) steps from each half, where N is the horizon in steps. Candidates are
//!    compared on every second segment. The segments in between are reserved for the tests in step 7 ([`closed_loop`]).
//! 4. Candidate i has the objective Jᵢᵣ in run r. Candidates of different families are tested on different plants, so
//!    the Jᵢᵣ of a candidate of family F is adjusted for the difficulty of its plants: Jᵢᵣ ← Jᵢᵣ + J_ref,ᵣ(plants for
//!    the reference family) − J_ref,ᵣ(plants for F), where J_ref is the objective of the best controller of the
//!    reference family.
//! 5. Choose the family and the lags. Every candidate is tested in two runs. The better half of the candidates, but at
//!    least three, are then tested in all R runs. Let b be the best candidate, and SE(i, b) = sd(Jᵢ − J_b) / √R.
//!    Candidates are ordered from simple to complex, and the first candidate that satisfies the
//!    following condition is chosen:
//!
//!    mean(Jᵢ) − mean(J_b) ≤ ½ SE(i, b)        (like the one-standard-error rule of Breiman et al. 1984)
//!
//! 6. Choose the horizon (N, N/2, N/4; with and without a terminal cost), the moves, the replan interval and the
//!    correction, one at a time. The current value c of a setting is kept if mean(J_c) − mean(J_b) ≤ ½ SE(c, b), where
//!    b is the best value. The replan interval and the correction are also kept if mean(J_c) − mean(J_b) < 0.01 (J_log
//!    − mean(J_c)).
//! 7. Test the chosen settings on the remaining segments. The mean objective and the mean KPIs of
//!    these runs estimate the performance in operation. The results are stored together with the
//!    objective and the KPIs of the log.
//!
//! Settings that are given in the twin's file are not tuned ([`search`]).

mod closed_loop;
mod pool;
mod search;

pub use search::tune;

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::compute::Compute;
use crate::config::{ModelSpec, TwinSpec};
use crate::control::mpc::ResolvedMpc;
use crate::scenario::Compiled;
use crate::schema::Schema;
use crate::trajectory::Trajectory;

#[derive(Clone, Copy)]
pub struct TuningInputs<'a> {
    pub schema: &'a Arc<Schema>,
    pub spec: &'a TwinSpec,
    /// The table `[model]` of the twin. Settings that are given in `[model]` or `[mpc]` are not tuned.
    pub model: &'a ModelSpec,
    pub mpc: &'a ResolvedMpc,
    /// The log, including the derived signals.
    pub log: &'a Trajectory,
    pub compiled: &'a Compiled,
    pub compute: &'a Compute,
    pub timezone: &'a TimeZone,
}
