//! The computationally expensive operations of `twinopt`. Each device has a module that implements the trait
//! [`Backend`].
//!
//! - Gaussian processes (Rasmussen & Williams 2006): kernel matrices, Cholesky factors, the log marginal likelihood and
//!   its gradient, and predictions. Exact GPs cost O(N³), and GPs with M inducing points (Titsias 2009) cost O(N M²).
//! - Samples from a GP prior, computed with [`RandomFourierFeatures`] (Rahimi & Recht 2007).
//! - Forward and backward passes of dense networks ([`Net`]), with all members of an ensemble in one batch.
//! - Regression trees ([`forest`]).
//! - Operations of the expression language on columns of rows ([`rowwise`]).
//! - Random numbers that depend only on a key and a counter ([`rng::Key`]).
//!
//! All operations take and return slices in host memory. Matrices are column-major, so a column (one signal or feature
//! over all rows) is contiguous. [`Cpu`] is the reference device, and the results of every other device agree with it
//! within a stated tolerance.

// `unsafe` code is only allowed in `cuda`, which calls the driver.
#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo))]

pub mod forest;
pub mod rng;
pub mod rowwise;

mod backend;
mod cpu;
mod cuda;
mod device;
mod elementwise;
mod error;
mod fourier;
mod kernel;
mod net;
mod series;

pub use backend::Backend;
pub use cpu::Cpu;
pub use cuda::Cuda;
pub use device::{Compute, Device, cpu, open};
pub use elementwise::Elementwise;
pub use error::{Error, Result};
pub use fourier::RandomFourierFeatures;
pub use kernel::{Evidence, Family, GpFunctions, Inducing, Kernel, Points, Solve};
pub use net::{Net, Tape};
