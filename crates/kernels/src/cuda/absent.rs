//! Why there is no GPU to compute on.

use cudarc::driver::{result, sys};
use cudarc::{cublas, cusolver, nvrtc};

use crate::error::Error;

/// CUDA version that the driver must support: 12.0. Older ones lack calls that the libraries make.
const LEAST_DRIVER: i32 = 12_000;

/// What is missing. All of it is cured outside the program, so it becomes an error of usage.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    #[error("there is no NVIDIA driver (libcuda): install one")]
    Driver,
    #[error("{0} is not found: install the CUDA 13 or 12 runtime libraries and name their folder in LD_LIBRARY_PATH")]
    File(&'static str),
    #[error("the NVIDIA driver supports CUDA {}.{}, and 12.0 is needed: install a newer driver", .0 / 1000, .0 % 1000 / 10)]
    OldDriver(i32),
    #[error("the NVIDIA driver finds no GPU: see `nvidia-smi` and CUDA_VISIBLE_DEVICES")]
    Gpu,
    #[error("the GPU does not start: {0}: see `nvidia-smi`")]
    Start(result::DriverError),
    #[error("the driver does not take the kernels: {0}: install a driver as new as the CUDA libraries")]
    Load(result::DriverError),
    #[error("{0} does not start: {1}: its version must fit the driver and the GPU")]
    Library(&'static str, String),
}

impl From<Absent> for Error {
    fn from(absent: Absent) -> Self {
        Self::Unavailable(format!("no computing on a GPU: {absent}, or compute on the processor with `--device auto`"))
    }
}

impl Absent {
    /// Looks for everything by name first: cudarc panics where it loads a library that is not there.
    pub fn check() -> Result<(), Self> {
        // SAFETY: loads each library and lets it go; NVIDIA's have no initialisers that anything depends on.
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
        // SAFETY: this call needs no initialised driver; it writes one int.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(Self::Start)?;
        if version < LEAST_DRIVER {
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
