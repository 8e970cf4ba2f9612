//! Tuning of MPC in closed loop, from the log alone.
//!
//! One-step errors, and even open-loop errors, do not rank models for control: in a log under feedback, a model with many lags
//! learns the old controller. Tuning therefore simulates closed loops in which the controller's model and the simulated
//! plant are models of different families, fitted to different halves of the log.
//!
//! # Procedure
//!
//! 1. Split the training rows into an older and a newer half, with a gap between them. Fit every family with 1, 2, 4 and 8 lags
//!    to each half, and a terminal cost ([`pool`]).
//! 2. For a controller with a model of family F, fitted to one half, the plant is the model with the lowest open-loop error among
//!    those of other families that were fitted to the other half. The reference family `linear` is the plant only if there is
//!    no other.
//! 3. Take up to six test segments of max(60, 2 N) steps from each half, where N is the horizon in steps. Candidates are compared
//!    on every other segment; the rest is for step 7 ([`closed_loop`]).
//! 4. Candidate i has the objective Jᵢᵣ in run r. Families have different plants, so Jᵢᵣ is adjusted by how difficult these
//!    are: Jᵢᵣ ← Jᵢᵣ + J_ref,ᵣ(plants of the reference) − J_ref,ᵣ(plants of F), with the best controller of the reference.
//! 5. Choose the family and the lags. Every candidate makes two runs; the better half, at least three, makes all R runs. With
//!    the best candidate b and SE(i, b) = sd(Jᵢ − J_b) / √R, the choice is the first candidate, in the order from simple to
//!    complex, with
//!
//!    mean(Jᵢ) − mean(J_b) ≤ ½ SE(i, b)        (like the one-standard-error rule of Breiman et al. 1984)
//!
//! 6. Choose the horizon (N, N/2, N/4; with and without a terminal cost), the moves, the replan interval and the correction, one
//!    after the other. The current value c is kept if mean(J_c) − mean(J_b) ≤ ½ SE(c, b). The replan interval and the
//!    correction are also kept if mean(J_c) − mean(J_b) < 0.01 (J_log − mean(J_c)).
//! 7. Run the chosen settings on the other segments. Their mean objective and KPIs, next to those of the log, are what the user
//!    can expect.
//!
//! Settings that the twin's file gives are not tuned ([`search`]).

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
    /// The tables `[model]` and `[mpc]` of the twin. Settings that they give are not tuned.
    pub model: &'a ModelSpec,
    pub mpc: &'a ResolvedMpc,
    /// With derived signals.
    pub log: &'a Trajectory,
    pub compiled: &'a Compiled,
    pub compute: &'a Compute,
    pub timezone: &'a TimeZone,
}
