//! Turns the logs of an operating plant into decisions for its staff.
//!
//! The following example uses the supply-chain data included in the crate. The example reads a log as a trajectory and
//! learns a model from this trajectory. KPIs are computed in the same way from measured and simulated trajectories.
//!
//! ```
//! use std::path::Path;
//! use twinopt::{Compiled, TrainingData, compute, evaluate, learn, load_twin, read_log, resolve_schema};
//!
//! # fn main() -> twinopt::Result<()> {
//! let dir = Path::new("data/inventory");
//! let spec = load_twin(dir)?;
//! let schema = resolve_schema(&spec.value).expect("valid units");
//! let (mut measured, quality) = read_log(dir, &spec.value, &schema)?;
//! quality.require_complete()?;
//!
//! let plant = Compiled::new(&spec, &schema, &Default::default())?;
//! plant.equations.fill(&mut measured);
//! let compute = compute::cpu();
//! let data = TrainingData::new(&measured, &plant.equations, &spec.value.model, &compute)?;
//! let learned = learn(&data, &Default::default(), &|_| ())?;
//! assert_eq!(learned.refusal, None);
//!
//! // the report computes the same KPIs from simulated futures
//! let history = evaluate(&plant.kpis, &measured, &measured.segments);
//! let fill_rate = plant.kpis.iter().position(|k| k.name == "fill_rate").expect("a KPI of twin.toml");
//! assert!(history[fill_rate][0] > 0.99);
//! # Ok(())
//! # }
//! ```
//!
//! | symbol | meaning | in code |
//! |---|---|---|
//! | x, y, u, d | states, outputs, controls, disturbances | [`Role`] |
//! | t, H | step of the grid, control horizon in steps | [`Trajectory`] |
//! | B | rows of a batch: particles, or candidates × particles | [`Window`] |
//! | N, p, q | rows, inputs and targets of a dataset | [`Dataset`] |
//! | e, φ, L | one-step error, its lag-1 correlation, Cholesky factor of its innovations | [`NoiseModel`] |
//! | J | objective: Σ price × KPI | [`Objective`] |

#![forbid(unsafe_code)]
// the docs for contributors are built with `--document-private-items`
#![allow(rustdoc::private_intra_doc_links)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo))]

// `tests/internal` is part of the unit tests but refers to the crate as `twinopt`, as users of the library do
#[cfg(test)]
extern crate self as twinopt;

pub use twinopt_kernels as compute;
pub use twinopt_kernels::rng;

mod caught;
mod check;
mod cli;
mod config;
mod control;
mod disk;
mod draft;
mod error;
mod expr;
mod learn;
mod live;
mod log;
mod ops;
mod period;
mod report;
mod resolve;
mod scenario;
mod schema;
mod simulate;
mod stats;
mod terminal;
mod trajectory;
mod tune;
mod twin;
mod units;
mod value;
mod verify;
mod zone;

#[cfg(test)]
#[path = "../tests/internal/mod.rs"]
mod internal;

// configuration files and the faults in them
pub use check::load_twin as check_twin;
pub use config::{
    ModelSpec, MpcSpec, ScenarioSpec, TwinSpec, load_scenario, load_twin, scenario_json_schema, twin_json_schema,
};
pub use error::{Error, Fault, Result};
// the log
pub use expr::schema as resolve_schema;
pub use log::{Quality, read as read_log};
pub use schema::{Bounds, Role, Schema, Signal};
pub use trajectory::{Frame, Trajectory, Window};
// the twin
pub use learn::{Calibration, Dataset, Learned, NoiseModel, Regressor, Selection, StepMap, TrainingData, learn};
pub use twin::{Dynamics, Support, Twin};
// scenarios and their value
pub use control::{Context, Control, Controller, Forecast, Mpc, Observation};
pub use report::render as render_report;
pub use scenario::{Compiled, Plant, results};
pub use simulate::{Run, Simulated, simulate};
pub use value::{Difference, Economics, Estimate, Kpi, Objective, evaluate};
// operation
pub use cli::main as cli_main;
pub use cli::reference;
pub use live::{Advice, Answer, FallbackLevel, Reply, Session, Settings as SessionSettings, advise};
pub use ops::{Lock, Registry, plant as registry_plant, publish as registry_publish};

/// Kernels and models that the benchmarks measure separately. This module is not part of the public interface.
#[doc(hidden)]
pub mod bench {
    pub use crate::config::{EnsembleSpec, MeanSpec};
    pub use crate::control::{ControllerSettings, HoldSettings, LiveSettings, build};
    pub use crate::expr::{Program, Registers, Scope};
    pub use crate::learn::model::fit;
    pub use crate::learn::model::gp::{Effort, Hyper, Observed, select_inducing_points, tune, tune_inducing};
    pub use crate::learn::{Fit, Layout, Particle, Target};
    pub use crate::units::Unit;
}
