//! One GPU, its memory and its kernels.
//!
//! All work is queued on one stream in call order, and [`super::Cuda`] runs one operation at a time, so CUDA events are
//! not needed for synchronisation.

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

/// Number of threads per block, which must equal `THREADS` in gp.cu.
const THREADS: u32 = 256;

/// Maximum amount of freed device memory that the driver keeps for the next operation instead of releasing it (4 GiB;
/// not tuned).
const KEPT_BYTES: u64 = 4 << 30;

/// Source code of all kernels, which are compiled as one module.
const SOURCE: &str = concat!(include_str!("gp.cu"), include_str!("net.cu"));

/// Declares one field per kernel. Each GPU kernel is loaded by its name.
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

/// Queues a kernel: `launch!(device, name, geometry, arguments…)`. The arguments are references to device memory, to
/// `u64` or to `f64`, in the order and with the types of the kernel's declaration. The caller must have checked that
/// the memory contains all elements that the kernel accesses.
macro_rules! launch {
    ($device:expr, $kernel:ident, $geometry:expr, $($argument:expr),+ $(,)?) => {{
        let mut call = $device.stream.launch_builder(&$device.kernels.$kernel);
        $(cudarc::driver::PushKernelArg::arg(&mut call, $crate::cuda::device::argument($argument));)+
        // SAFETY: every use of this macro satisfies the contract stated above.
        unsafe { call.launch($geometry) }
            .map(|_| ())
            .map_err(|e| $crate::cuda::device::failed(stringify!($kernel), e))
    }};
}
pub(super) use launch;

/// The types that kernel arguments may have. An integer of any other size would shift the arguments that follow it.
pub trait Argument {}
impl Argument for &u64 {}
impl Argument for &f64 {}
impl<T> Argument for &CudaSlice<T> {}
impl<T> Argument for &mut CudaSlice<T> {}
impl<T> Argument for &CudaView<'_, T> {}
impl<T> Argument for &mut CudaViewMut<'_, T> {}

/// Ensures that an argument of [`launch!`] has a type that implements [`Argument`].
pub fn argument<A: Argument>(argument: A) -> A {
    argument
}

/// Returns an error for a failure of the driver or a library.
pub fn failed(operation: &str, error: impl Display) -> Error {
    Error::Failed(format!("cuda: {operation}: {error}; use `--device cpu` to compute without the GPU"))
}

pub struct Device {
    pub stream: Arc<CudaStream>,
    pub kernels: Kernels,
    // Dropping the library handles after a device failure would panic (see `Drop` below).
    pub blas: ManuallyDrop<CudaBlas>,
    pub lapack: ManuallyDrop<DnHandle>,
    context: Arc<CudaContext>,
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.context.synchronize().is_ok() {
            // SAFETY: the handles are dropped only here, and are not used afterwards.
            unsafe {
                ManuallyDrop::drop(&mut self.blas);
                ManuallyDrop::drop(&mut self.lapack);
            }
        }
    }
}

impl Device {
    /// Opens the first GPU and compiles the kernels for it.
    pub fn open() -> std::result::Result<Self, Absent> {
        Absent::check()?;
        let context = CudaContext::new(0).map_err(Absent::Start)?;
        // SAFETY: only one stream is used, and the stream order is the only synchronisation that is needed.
        unsafe { context.disable_event_tracking() };
        keep_memory(&context);
        let stream = context.default_stream();
        let code = compile(&context)?;
        let module = context.load_module(nvrtc::Ptx::from_binary(code)).map_err(Absent::Load)?;
        let kernels = Kernels::load(&module).map_err(Absent::Load)?;
        let blas = CudaBlas::new(stream.clone()).map_err(|e| Absent::Library("cuBLAS", e.to_string()))?;
        // Products in f32 must not be computed in TF32, whose mantissa has only 10 bits. SAFETY: the handle is valid.
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

    /// Binds the GPU to the calling thread. Every operation must call this function first.
    pub fn enter(&self) -> Result<()> {
        self.context.bind_to_thread().map_err(|e| failed("start", e))
    }

    /// Waits until all queued work is complete, so that an error is reported by the operation that caused it.
    pub fn finish(&self, operation: &str) -> Result<()> {
        self.stream.synchronize().map_err(|e| failed(operation, e))
    }

    /// Copies `host` to the device.
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

    /// Allocates `len` uninitialised values. The caller must write each value before reading it.
    pub fn allocate<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // The driver rejects empty allocations, so at least one value is allocated. SAFETY: any bit pattern is a valid
        // number.
        unsafe { self.stream.alloc(len.max(1)) }
            .map_err(|e| failed(&format!("{}-byte device allocation", len.saturating_mul(std::mem::size_of::<T>())), e))
    }

    /// Allocates `len` zeros.
    pub fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, len: usize) -> Result<CudaSlice<T>> {
        let mut memory = self.allocate(len)?;
        self.stream.memset_zeros(&mut memory).map_err(|e| failed("clear", e))?;
        Ok(memory)
    }

    /// Copies the first `host.len()` values of `memory` to `host`, once all previously queued work is complete.
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

/// Launch geometry with `count × times` blocks, for kernels that compute one sum per block.
pub fn blocks(count: usize, times: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(count)?, unsigned(times)?, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

/// Launch geometry with one thread per element of a matrix. If there are more columns than the largest grid allows, the
/// kernels loop over the remaining columns.
pub fn columns(rows: usize, columns: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(rows.div_ceil(THREADS as usize))?, columns.clamp(1, 65_535) as u32, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

/// Launch geometry with tiles of 32 rows and 8 columns. If there are more columns than the largest grid allows, the
/// kernels loop over the remaining columns.
pub fn tiles(rows: usize, columns: usize) -> Result<LaunchConfig> {
    let grid = (unsigned(rows.div_ceil(32))?, columns.div_ceil(8).clamp(1, 65_535) as u32, 1);
    Ok(LaunchConfig { grid_dim: grid, block_dim: (32, 8, 1), shared_mem_bytes: 0 })
}

/// Converts `n` to the integer type of cuBLAS and cuSOLVER.
pub fn int(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| failed("sizes", format!("{n} exceeds the integer range of the CUDA libraries")))
}

fn unsigned(n: usize) -> Result<u32> {
    int(n).map(i32::unsigned_abs)
}

/// Lets the driver keep freed memory, which makes later allocations cheap. If the driver cannot keep freed memory,
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

/// Compiles the kernels to machine code for this GPU. Unlike PTX code, machine code also runs if the driver is older
/// than the compiler.
fn compile(context: &CudaContext) -> std::result::Result<Vec<u8>, Absent> {
    let (major, minor) = context.compute_capability().map_err(Absent::Start)?;
    let target = format!("--gpu-architecture=sm_{major}{minor}");
    let source = std::ffi::CString::new(SOURCE).map_err(|e| Absent::Library("NVRTC", e.to_string()))?;
    let program = nvrtc::result::create_program(&source, None).map_err(|e| Absent::Library("NVRTC", e.to_string()))?;
    // SAFETY: the program was created above and is destroyed once below, and the buffer has the length that NVRTC
    // requests.
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
