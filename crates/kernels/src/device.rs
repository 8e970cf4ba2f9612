//! Choice of the device.

use std::sync::Arc;

use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::cuda::Cuda;
use crate::error::Result;

/// The device that a model computes on.
pub type Compute = Arc<dyn Backend>;

/// The processor.
pub fn cpu() -> Compute {
    Arc::new(Cpu)
}

/// Which device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU if one works, otherwise the processor.
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// Opens a device. `Auto` falls back to the processor without a message.
///
/// # Errors
/// [`crate::Error::Unavailable`] if `Cuda` is requested and cannot be opened. The message says what is missing and how
/// to get it.
pub fn open(device: Device) -> Result<Compute> {
    match device {
        Device::Cpu => Ok(cpu()),
        Device::Cuda => Ok(Arc::new(Cuda::open()?)),
        Device::Auto => Ok(Cuda::open().map_or_else(|_| cpu(), |cuda| Arc::new(cuda))),
    }
}
