//! Reasons why no GPU is available.

use cudarc::driver::{result, sys};
use cudarc::{cublas, cusolver, nvrtc};

use crate::error::Error;

/// Minimum CUDA version that the driver must support, 12.0. Older drivers lack functions that the CUDA libraries call.
const MIN_DRIVER: i32 = 12_000;

/// The missing or faulty component that the user must install or repair.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    #[error("no NVIDIA driver (libcuda) was found: install the driver")]
    Driver,
    #[error("{0} was not found: install the CUDA 13 or 12 runtime libraries and add their folder to LD_LIBRARY_PATH")]
    File(&'static str),
    #[error("the NVIDIA driver supports CUDA {}.{}, but 12.0 is required: install a newer driver", .0 / 1000, .0 % 1000 / 10)]
    OldDriver(i32),
    #[error("the NVIDIA driver found no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES")]
    Gpu,
    #[error("the GPU could not be started ({0}): check `nvidia-smi`")]
    Start(result::DriverError),
    #[error("the driver cannot load the kernels ({0}): install a driver that is as new as the CUDA libraries")]
    Load(result::DriverError),
    #[error("{0} could not be started ({1}): install a version that matches the driver and the GPU")]
    Library(&'static str, String),
}

impl From<Absent> for Error {
    fn from(absent: Absent) -> Self {
        Self::Unavailable(format!("cannot compute on a GPU: {absent}, or use the CPU with `--device auto`"))
    }
}

impl Absent {
    /// Checks that every library can be found, because cudarc panics when it tries to load a missing library.
    pub fn check() -> Result<(), Self> {
        // SAFETY: these calls only load and unload the libraries, and no other code depends on initialisers in NVIDIA's
        // libraries.
        let (driver, libraries) = unsafe {
            let driver = sys::is_culib_present();
            let libraries = [
                ("libcublas", cublas::sys::is_culib_present()),
                ("libcusolver", cusolver::sys::is_culib_present()),
                ("libnvrtc", nvrtc::sys::is_culib_present()),
            ];
            (driver, libraries)
        };
        if !driver {
            return Err(Self::Driver);
        }
        let mut version = 0;
        // SAFETY: this call does not require an initialised driver, and writes one int.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(Self::Start)?;
        if version < MIN_DRIVER {
            return Err(Self::OldDriver(version));
        }
        match result::init().and_then(|()| result::device::get_count()) {
            Ok(0) | Err(result::DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Err(Self::Gpu),
            Ok(_) => {}
            Err(e) => return Err(Self::Start(e)),
        }
        libraries.iter().find(|(_, present)| !present).map_or(Ok(()), |(name, _)| Err(Self::File(name)))
    }
}
