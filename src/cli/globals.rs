//! The flags that all commands accept.

use clap::ValueEnum;

use crate::compute::{self, Compute};
use crate::error::Result;

/// Flags that all commands accept.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only; suppress progress and notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Random seed; overrides the seeds in the files
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of threads (default: all cores); does not affect the results
    #[arg(long, short, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Device on which the models are computed
    #[arg(long, global = true, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
}

/// Device on which the models are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// A GPU if available, otherwise the CPU
    Auto,
    /// The CPU
    Cpu,
    /// An NVIDIA GPU
    Cuda,
}

impl Device {
    /// Opens the device. Opening a GPU takes about a second.
    ///
    /// # Errors
    /// Returns the errors of [`compute::open`].
    pub fn compute(self) -> Result<Compute> {
        Ok(compute::open(match self {
            Self::Auto => compute::Device::Auto,
            Self::Cpu => compute::Device::Cpu,
            Self::Cuda => compute::Device::Cuda,
        })?)
    }
}
