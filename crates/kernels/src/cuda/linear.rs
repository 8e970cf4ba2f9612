//! Linear algebra on the GPU: the calls of cuBLAS and cuSOLVER, each behind a check that its matrices lie within their
//! memory.

use cudarc::cublas::sys as blas;
use cudarc::cusolver::sys as lapack;
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut};

use super::device::{Device, failed, int};
use crate::Solve;
use crate::error::Result;

impl Device {
    /// The lower Cholesky factor in the lower triangle of `a`, whose upper triangle stays. `false`: not positive definite.
    pub fn factor(&self, a: &mut CudaSlice<f64>, n: usize) -> Result<bool> {
        reach("potrf", a.len(), 0, n, n, n)?;
        let (order, lower, mut room) = (int(n)?, lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER, 0);
        let (a, _used) = a.device_ptr_mut(&self.stream);
        // SAFETY: `a` holds n × n values, checked above; asks for a size only.
        unsafe { lapack::cusolverDnDpotrf_bufferSize(self.lapack.cu(), lower, order, a as *mut f64, order, &mut room) }
            .result()
            .map_err(|e| failed("potrf", e))?;
        self.solver_call("potrf", room, |work, room, info| {
            // SAFETY: as above; `work` holds `room` values, `info` one.
            unsafe { lapack::cusolverDnDpotrf(self.lapack.cu(), lower, order, a as *mut f64, order, work, room, info) }
        })
    }

    /// The lower triangle of (L Lᵀ)⁻¹ in place of that of the factor L. `false`: singular.
    pub fn invert(&self, factor: &mut CudaSlice<f64>, n: usize) -> Result<bool> {
        reach("potri", factor.len(), 0, n, n, n)?;
        let (order, lower, mut room) = (int(n)?, lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER, 0);
        let (a, _used) = factor.device_ptr_mut(&self.stream);
        // SAFETY: `a` holds n × n values, checked above; asks for a size only.
        unsafe { lapack::cusolverDnDpotri_bufferSize(self.lapack.cu(), lower, order, a as *mut f64, order, &mut room) }
            .result()
            .map_err(|e| failed("potri", e))?;
        self.solver_call("potri", room, |work, room, info| {
            // SAFETY: as above; `work` holds `room` values, `info` one.
            unsafe { lapack::cusolverDnDpotri(self.lapack.cu(), lower, order, a as *mut f64, order, work, room, info) }
        })
    }

    /// Runs a call of cuSOLVER with room to work in and reads what it found: 0 is success, more a pivot.
    fn solver_call(
        &self,
        operation: &str,
        room: i32,
        call: impl FnOnce(*mut f64, i32, *mut i32) -> lapack::cusolverStatus_t,
    ) -> Result<bool> {
        let mut work = self.room::<f64>(usize::try_from(room).unwrap_or(0))?;
        let mut info = self.zeros::<i32>(1)?;
        let (work, _work) = work.device_ptr_mut(&self.stream);
        let (place, told) = info.device_ptr_mut(&self.stream);
        call(work as *mut f64, room, place as *mut i32).result().map_err(|e| failed(operation, e))?;
        drop(told);
        let mut found = [0];
        self.download(&info, &mut found)?;
        self.finish(operation)?;
        match found[0] {
            argument @ ..0 => Err(failed(operation, format!("argument {} is not valid", -argument))),
            pivot => Ok(pivot == 0),
        }
    }

    /// Solves with the lower factor `l` `[n × n]` in the place of `b` `[n × columns]`.
    pub fn solve(
        &self,
        l: &CudaSlice<f64>,
        n: usize,
        b: &mut CudaSlice<f64>,
        columns: usize,
        which: Solve,
    ) -> Result<()> {
        reach("solve", l.len(), 0, n, n, n)?;
        reach("solve", b.len(), 0, n, n, columns)?;
        let (order, columns) = (int(n)?, int(columns)?);
        let (l, _l) = l.device_ptr(&self.stream);
        let (b, _b) = b.device_ptr_mut(&self.stream);
        if which == Solve::Both {
            let lower = lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER;
            return self
                .solver_call("potrs", 0, |_, _, info| {
                    let (l, b) = (l as *const f64, b as *mut f64);
                    // SAFETY: `l` and `b` hold n × n and n × columns values, checked above; `info` one.
                    unsafe {
                        lapack::cusolverDnDpotrs(self.lapack.cu(), lower, order, columns, l, order, b, order, info)
                    }
                })
                .map(|_| ());
        }
        let transposed = if which == Solve::Forward { Turn::No } else { Turn::Yes };
        // SAFETY: as above; the factor 1 is on the host, where a handle reads it by default.
        unsafe {
            blas::cublasDtrsm_v2(
                *self.blas.handle(),
                blas::cublasSideMode_t::CUBLAS_SIDE_LEFT,
                blas::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER,
                transposed.code(),
                blas::cublasDiagType_t::CUBLAS_DIAG_NON_UNIT,
                order,
                columns,
                &1.0,
                l as *const f64,
                order,
                b as *mut f64,
                order,
            )
        }
        .result()
        .map_err(|e| failed("trsm", e))
    }

    /// `c = op(a) op(b)` in f64, `c` `[m × n]`, `k` summed over.
    pub fn product(
        &self,
        (m, n, k): (usize, usize, usize),
        (a, turn_a): (Matrices<f64>, Turn),
        (b, turn_b): (Matrices<f64>, Turn),
        c: MatricesMut<f64>,
    ) -> Result<()> {
        a.check("dgemm", turn_a.shape(m, k), 1)?;
        b.check("dgemm", turn_b.shape(k, n), 1)?;
        reach("dgemm", c.values.len(), c.start, c.rows, m, n)?;
        let (ldc, start) = (c.rows, c.start);
        let (to, _c) = c.values.device_ptr_mut(&self.stream);
        // SAFETY: the three matrices lie within their memory, checked above.
        unsafe {
            blas::cublasDgemm_v2(
                *self.blas.handle(),
                turn_a.code(),
                turn_b.code(),
                int(m)?,
                int(n)?,
                int(k)?,
                &1.0,
                a.place(&self.stream),
                int(a.rows)?,
                b.place(&self.stream),
                int(b.rows)?,
                &0.0,
                (to as *mut f64).add(start),
                int(ldc)?,
            )
        }
        .result()
        .map_err(|e| failed("dgemm", e))
    }

    /// `c_e = op(a_e) op(b_e)` in f32 for every e of `batch`, `c_e` `[m × n]`, `k` summed over.
    pub fn products(
        &self,
        batch: usize,
        (m, n, k): (usize, usize, usize),
        (a, turn_a): (Matrices<f32>, Turn),
        (b, turn_b): (Matrices<f32>, Turn),
        c: MatricesMut<f32>,
    ) -> Result<()> {
        a.check("sgemm", turn_a.shape(m, k), batch)?;
        b.check("sgemm", turn_b.shape(k, n), batch)?;
        reach("sgemm", c.values.len(), c.start + (batch.max(1) - 1) * c.stride, c.rows, m, n)?;
        let (ldc, start, stride) = (c.rows, c.start, c.stride);
        let (to, _c) = c.values.device_ptr_mut(&self.stream);
        // SAFETY: all matrices of the batch lie within their memory, checked above.
        unsafe {
            blas::cublasSgemmStridedBatched(
                *self.blas.handle(),
                turn_a.code(),
                turn_b.code(),
                int(m)?,
                int(n)?,
                int(k)?,
                &1.0,
                a.place(&self.stream),
                int(a.rows)?,
                a.stride as i64,
                b.place(&self.stream),
                int(b.rows)?,
                b.stride as i64,
                &0.0,
                (to as *mut f32).add(start),
                int(ldc)?,
                stride as i64,
                int(batch)?,
            )
        }
        .result()
        .map_err(|e| failed("sgemm", e))
    }
}

/// Column-major matrices in device memory, one every `stride` values from `start`, with `rows` rows each (the leading
/// dimension).
#[derive(Clone, Copy)]
pub struct Matrices<'a, T> {
    pub values: &'a CudaSlice<T>,
    pub start: usize,
    pub rows: usize,
    pub stride: usize,
}

impl<T> Matrices<'_, T> {
    fn check(&self, operation: &str, (rows, columns): (usize, usize), batch: usize) -> Result<()> {
        reach(operation, self.values.len(), self.start + (batch.max(1) - 1) * self.stride, self.rows, rows, columns)
    }

    fn place(&self, stream: &CudaStream) -> *const T {
        let (at, _used) = self.values.device_ptr(stream);
        (at as *const T).wrapping_add(self.start)
    }
}

/// The same, written.
pub struct MatricesMut<'a, T> {
    pub values: &'a mut CudaSlice<T>,
    pub start: usize,
    pub rows: usize,
    pub stride: usize,
}

/// Whether a product reads a matrix transposed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    No,
    Yes,
}

impl Turn {
    fn code(self) -> blas::cublasOperation_t {
        match self {
            Self::No => blas::cublasOperation_t::CUBLAS_OP_N,
            Self::Yes => blas::cublasOperation_t::CUBLAS_OP_T,
        }
    }

    /// Shape in memory of what is `[rows × columns]` in a product.
    fn shape(self, rows: usize, columns: usize) -> (usize, usize) {
        match self {
            Self::No => (rows, columns),
            Self::Yes => (columns, rows),
        }
    }
}

/// That `columns` columns of `rows` values each, `ld` apart from `start` on, lie within `len` values.
fn reach(operation: &str, len: usize, start: usize, ld: usize, rows: usize, columns: usize) -> Result<()> {
    let end = columns.checked_sub(1).and_then(|c| c.checked_mul(ld)).and_then(|e| e.checked_add(start + rows));
    if rows > 0 && rows <= ld && end.is_some_and(|e| e <= len) {
        return Ok(());
    }
    Err(failed(operation, format!("a matrix [{rows} × {columns}] from {start} on does not lie within {len} values")))
}
