//! How plans on a plant are made best, from its log alone: closed loops in which one model plans and another, of a different
//! family and fitted to the other half of the log, plays the plant.
//!
//! One-step errors, and even open-loop ones, do not rank models for control: in the log of a closed loop a model with many
//! lags learns the old controller. What counts is what a plan on it does to a plant that is not itself.

mod loops;
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

/// What there is before anything is learned.
#[derive(Clone, Copy)]
pub struct TuningInputs<'a> {
    pub schema: &'a Arc<Schema>,
    pub spec: &'a TwinSpec,
    /// As the twin's file has them; what it gives is not tuned.
    pub model: &'a ModelSpec,
    pub mpc: &'a ResolvedMpc,
    /// Derived signals filled.
    pub log: &'a Trajectory,
    pub compiled: &'a Compiled,
    pub compute: &'a Compute,
    pub timezone: &'a TimeZone,
}
