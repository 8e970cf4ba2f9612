//! One GPU: its memory and its kernels.
//!
//! All work is queued on one stream in the order of the calls, and [`super::Cuda`] runs one operation at a time, so no
//! operation needs events.

use std::ffi::CStr;
use std::fmt::Display;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use cudarc::cublas::{CudaBlas, sys as blas};
use cudarc::cusolver::DnHandle;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchConfig, ValidAsZeroBits,
    result, sys,
};
use cudarc::nvrtc;

use super::absent::Absent;
use crate::error::{Error, Result};

/// Threads per block; must equal `THREADS` in gp.cu.
const THREADS: u32 = 256;

/// Freed device memory that the driver keeps for the next operation instead of releasing it: 4 GiB (guess).
const KEPT_BYTES: u64 = 4 << 30;

/// Source text of all kernels, compiled as one module.
const SOURCE: &str = concat!(include_str!("gp.cu"), include_str!("net.cu"));

/// Declares one field per kernel, loaded by its name.
macro_rules! kernels {
    ($($name:ident),+ $(,)?) => {
        pub struct Kernels { $(pub $name: CudaFunction),+ }

        impl Kernels {
            fn load(module: &Arc<cudarc::driver::CudaModule>) -> std::result::Result<Self, result::DriverError> {
                Ok(Self { $($name: module.load_function(stringify!($name))?),+ })
            }
        }
    };
}

kernels!(
    covariance_block,
    covariance_lower,
    zero_above,
    evidence_value,
    evidence_weights,
    evidence_lengths,
    row_sums,
    column_gaps,
    activate,
    deactivate,
    bias_sums,
);

/// Queues a kernel: `launch!(device, name, geometry, arguments…)`. Arguments are references to device memory, `u64`
/// and `f64`, with the order and types of the kernel's declaration. The caller must have checked that the memory contains
/// all elements that the kernel accesses.
macro_rules! launch {
    ($device:expr, $kernel:ident, $geometry:expr, $($argument:expr),+ $(,)?) => {{
        let mut call = $device.stream.launch_builder(&$device.kernels.$kernel);
        $(cudarc::driver::PushKernelArg::arg(&mut call, $crate::cuda::device::argument($argument));)+
        // SAFETY: the contract of this macro, which every use satisfies.
        unsafe { call.launch($geometry) }
            .map(|_| ())
            .map_err(|e| $crate::cuda::device::failed(stringify!($kernel), e))
    }};
}
pub(super) use launch;

/// The argument types of the kernels. An integer of another size would shift the arguments that follow it.
pub trait Argument {}
impl Argument for &u64 {}
impl Argument for &f64 {}
impl<T> Argument for &CudaSlice<T> {}
impl<T> Argument for &mut CudaSlice<T> {}
impl<T> Argument for &CudaView<'_, T> {}
impl<T> Argument for &mut CudaViewMut<'_, T> {}

/// Restricts an argument of [`launch!`] to the types of [`Argument`].
pub fn argument<A: Argument>(argument: A) -> A {
    argument
}

/// An error of the driver or of a library.
pub fn failed(operation: &str, error: impl Display) -> Error {
    Error::Failed(format!("cuda: {operation}: {error}; use `--device cpu` to compute without the GPU"))
}

pub struct Device {
    pub stream: Arc<CudaStream>,
    pub kernels: Kernels,
    // dropping these panics after a device failure: see Drop below
    pub blas: ManuallyDrop<CudaBlas>,
    pub lapack: ManuallyDrop<DnHandle>,
    context: Arc<CudaContext>,
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.context.synchronize().is_ok() {
            // SAFETY: dropped here only, and not used afterwards.
            unsafe {
                ManuallyDrop::drop(&mut self.blas);
                ManuallyDrop::drop(&mut self.lapack);
            }
        }
    }
}

impl Device {
    /// The first GPU, with the kernels compiled for it.
    pub fn open() -> std::result::Result<Self, Absent> {
        Absent::check()?;
        let context = CudaContext::new(0).map_err(Absent::Start)?;
        // SAFETY: only one stream is used, and its order is the only synchronisation.
        unsafe { context.disable_event_tracking() };
        keep_memory(&context);
        let stream = context.default_stream();
        let code = compile(&context)?;
        let module = context.load_module(nvrtc::Ptx::from_binary(code)).map_err(Absent::Load)?;
        let kernels = Kernels::load(&module).map_err(Absent::Load)?;
        let blas = CudaBlas::new(stream.clone()).map_err(|e| Absent::Library("cuBLAS", e.to_string()))?;
        // f32 products are computed in f32 and not in TF32, which has a mantissa of 10 bits
        // SAFETY: the handle is valid.
        unsafe { blas::cublasSetMathMode(*blas.handle(), blas::cublasMath_t::CUBLAS_DEFAULT_MATH) }
            .result()
            .map_err(|e| Absent::Library("cuBLAS", e.to_string()))?;
        let lapack = DnHandle::new(stream.clone()).map_err(|e| Absent::Library("cuSOLVER", e.to_string()))?;
        Ok(Self { stream, kernels, blas: ManuallyDrop::new(blas), lapack: ManuallyDrop::new(lapack), context })
    }

    /// Name of the GPU according to the driver.
    pub fn name(&self) -> String {
        self.context.name().unwrap_or_else(|_| "GPU".to_owned())
    }

    /// Binds the GPU to the calling thread. The first call of every operation.
    pub fn enter(&self) -> Result<()> {
        self.context.bind_to_thread().map_err(|e| failed("start", e))
    }

    /// Waits for all queued work, so that an error is reported by the operation that caused it.
    pub fn finish(&self, operation: &str) -> Result<()> {
        self.stream.synchronize().map_err(|e| failed(operation, e))
    }

    /// A copy of `host` on the device.
    pub fn upload<T: DeviceRepr>(&self, host: &[T]) -> Result<CudaSlice<T>> {
        let mut memory = self.allocate(host.len())?;
        if host.is_empty() {
            return Ok(memory);
        }
        let part = memory.try_slice_mut(..host.len());
        let mut part = part.ok_or_else(|| failed("copy to the device", "the allocation is too short"))?;
        self.stream.memcpy_htod(host, &mut part).map_err(|e| failed("copy to the device", e))?;
        Ok(memory)
    }

    /// Allocates `len` uninitialised values. The operation must write every value before it reads it.
    pub fn allocate<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // the driver rejects empty allocations
        // SAFETY: any bit pattern is a valid number.
        unsafe { self.stream.alloc(len.max(1)) }
            .map_err(|e| failed(&format!("{} bytes of device memory", len.saturating_mul(std::mem::size_of::<T>())), e))
    }

    /// Allocates `len` zeros.
    pub fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, len: usize) -> Result<CudaSlice<T>> {
        let mut memory = self.allocate(len)?;
        self.stream.memset_zeros(&mut memory).map_err(|e| failed("clear", e))?;
        Ok(memory)
    }

    /// Copies the first `host.len()` values of `memory` to `host`, after all work queued before.
    pub fn download<T: DeviceRepr>(&self, memory: &CudaSlice<T>, host: &mut [T]) -> Result<()> {
        if host.is_empty() {
            return Ok(());
        }
        let part = memory
            .try_slice(..host.len())
            .ok_or_else(|| failed("copy from the device", "the allocation is too short"))?;
        self.stream.memcpy_dtoh(&part, host).map_err(|e| failed("copy from the device", e))
    }
}

/// `count × times` blocks, for kernels that sum over a block.
pub fn blocks(count: usize, times: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(count)?, unsigned(times)?, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

/// One thread per row and column, up to the largest grid in the columns. Kernels loop over the remaining columns.
pub fn columns(rows: usize, columns: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(rows.div_ceil(THREADS as usize))?, columns.clamp(1, 65_535) as u32, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

/// Tiles of 32 rows and 8 columns, up to the largest grid in the columns. Kernels loop over the remaining columns.
pub fn tiles(rows: usize, columns: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(rows.div_ceil(32))?, columns.div_ceil(8).clamp(1, 65_535) as u32, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (32, 8, 1), shared_mem_bytes: 0 })
}

/// `n` in the integer type of cuBLAS and cuSOLVER.
pub fn int(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| failed("sizes", format!("{n} exceeds the integer range of the libraries")))
}

fn unsigned(n: usize) -> Result<u32> {
    int(n).map(i32::unsigned_abs)
}

/// Lets the driver keep freed memory, which makes the allocations of every operation cheap. If the driver refuses,
/// operations are slower.
fn keep_memory(context: &CudaContext) {
    let mut bytes = KEPT_BYTES;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the device is open, and the value of this attribute is one u64.
    unsafe {
        if let Ok(pool) = result::device::get_default_mem_pool(context.cu_device()) {
            let _ = result::mem_pool::set_attribute(pool, threshold, std::ptr::from_mut(&mut bytes).cast());
        }
    }
}

/// Compiles the kernels to machine code for this GPU. Unlike PTX, machine code does not require a driver that is as new as
/// the compiler.
fn compile(context: &CudaContext) -> std::result::Result<Vec<u8>, Absent> {
    let (major, minor) = context.compute_capability().map_err(Absent::Start)?;
    let target = format!("--gpu-architecture=sm_{major}{minor}");
    let source = std::ffi::CString::new(SOURCE).map_err(|e| Absent::Library("NVRTC", e.to_string()))?;
    let program = nvrtc::result::create_program(&source, None).map_err(|e| Absent::Library("NVRTC", e.to_string()))?;
    // SAFETY: the program was created above and is destroyed once, below; the buffer has the length that NVRTC requests.
    unsafe {
        let compiled = nvrtc::result::compile_program(program, &[target.as_str()]).and_then(|()| {
            let mut size = 0;
            nvrtc::sys::nvrtcGetCUBINSize(program, &mut size).result()?;
            let mut code = vec![0u8; size];
            nvrtc::sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
            Ok(code)
        });
        let compiled = compiled.map_err(|e| {
            let log = nvrtc::result::get_program_log(program).unwrap_or_default();
            let log: Vec<u8> = log.iter().map(|c| *c as u8).collect();
            let log = CStr::from_bytes_until_nul(&log).map(|l| l.to_string_lossy().trim().to_owned());
            Absent::Library("NVRTC", format!("{e} for sm_{major}{minor} {}", log.unwrap_or_default()))
        });
        let _ = nvrtc::result::destroy_program(program);
        compiled
    }
}
