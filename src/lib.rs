//! From the logs of a running plant to decisions that its staff act on.
//!
//! The straight line, on the chain of warehouses that ships with the crate: a log becomes a trajectory, the trajectory a
//! twin, the twin a simulated trajectory, and KPIs are read off either.
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use twinopt::{compute, expr, learn, log, scenario::Compiled, config, value};
//!
//! # fn main() -> twinopt::error::Result<()> {
//! let dir = Path::new("data/inventory");
//! let spec = config::load_twin(dir)?;
//! let schema = expr::schema(&spec.value).expect("checked units");
//! let (mut measured, quality) = log::read(dir, &spec.value, &schema)?;
//! quality.require_complete()?;
//!
//! let plant = Compiled::new(&spec, &schema, &Default::default())?;
//! plant.equations.fill(&mut measured);
//! let compute = compute::cpu();
//! let data = learn::TrainingData::new(&measured, &plant.equations, &spec.value.model, &compute)?;
//! let learned = learn::learn(&data, &Default::default(), &|_| ())?;
//! assert_eq!(learned.refusal, None);
//!
//! // the same KPIs over history that a report reads off simulated futures
//! let history = value::evaluate(&plant.kpis, &measured, &measured.segments);
//! let fill_rate = plant.kpis.iter().position(|k| k.name == "fill_rate").expect("in twin.toml");
//! assert!(history[fill_rate][0] > 0.99);
//! # let _: Arc<twinopt::schema::Schema> = schema;
//! # Ok(())
//! # }
//! ```
//!
//! | symbol | meaning | in code |
//! |---|---|---|
//! | x, y, u, d | states, outputs, controls, disturbances | [`schema::Role`] |
//! | t, H | step of the grid, control horizon in steps | [`trajectory::Trajectory`] |
//! | B | rows of a batch: particles, or candidates × particles | [`trajectory::Window`] |
//! | N, p, q | rows, inputs and targets of a dataset | [`learn::Dataset`] |
//! | e, φ, L | one-step error, its lag-1 correlation, factor of its innovations | [`learn::NoiseModel`] |
//! | J | objective: Σ price × KPI | [`value::Objective`] |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo))]

pub use twinopt_kernels as compute;
pub use twinopt_kernels::rng;

pub mod config;
pub mod disk;
pub mod error;
pub mod schema;
pub mod stats;
pub mod trajectory;
pub mod units;

pub mod expr;
pub mod log;

pub mod learn;
pub mod resolve;
pub mod value;

pub mod twin;

pub mod check;

pub mod control;

pub mod simulate;

pub mod report;
pub mod scenario;

pub mod tune;

pub mod live;

pub mod ops;

pub mod cli;
