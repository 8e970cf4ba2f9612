//! Selects the device on which computations run.

use std::sync::Arc;

use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::cuda::Cuda;
use crate::error::Result;

/// The device on which a model is computed.
pub type Compute = Arc<dyn Backend>;

/// Returns the CPU as a device.
pub fn cpu() -> Compute {
    Arc::new(Cpu)
}

/// Choice of the device for computations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU if one is available, otherwise the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// Opens a device. `Auto` falls back to the CPU silently.
///
/// # Errors
/// Returns [`crate::Error::Unavailable`] if `Cuda` is requested and cannot be opened. The message
/// says what is missing and how to install it.
pub fn open(device: Device) -> Result<Compute> {
    match device {
        Device::Cpu => Ok(cpu()),
        Device::Cuda => Ok(Arc::new(Cuda::open()?)),
        Device::Auto => Ok(Cuda::open().map_or_else(|_| cpu(), |cuda| Arc::new(cuda))),
    }
}
