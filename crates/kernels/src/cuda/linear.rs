//! Linear algebra on the GPU with cuBLAS and cuSOLVER. Each function first checks that its matrices lie within their
//! allocations.

use cudarc::cublas::sys as blas;
use cudarc::cusolver::sys as lapack;
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut};

use super::device::{Device, failed, int};
use crate::Solve;
use crate::error::Result;

impl Device {
    /// Overwrites the lower triangle of `a` with the Cholesky factor of `a`. The upper triangle is unchanged. Returns
    /// `false` if `a` is not positive definite.
    pub fn factor(&self, a: &mut CudaSlice<f64>, n: usize) -> Result<bool> {
        within("potrf", a.len(), 0, n, n, n)?;
        let (order, lower, mut size) = (int(n)?, lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER, 0);
        let (a, _used) = a.device_ptr_mut(&self.stream);
        // SAFETY: `a` contains n × n values, as checked above, and the call only returns a size.
        unsafe { lapack::cusolverDnDpotrf_bufferSize(self.lapack.cu(), lower, order, a as *mut f64, order, &mut size) }
            .result()
            .map_err(|e| failed("potrf", e))?;
        self.solver_call("potrf", size, |work, size, info| {
            // SAFETY: `a` contains n × n values, `work` contains `size` values, and `info` contains one.
            unsafe { lapack::cusolverDnDpotrf(self.lapack.cu(), lower, order, a as *mut f64, order, work, size, info) }
        })
    }

    /// Overwrites the lower triangle of the factor L with the lower triangle of (L Lᵀ)⁻¹. Returns `false` if L is
    /// singular.
    pub fn invert(&self, factor: &mut CudaSlice<f64>, n: usize) -> Result<bool> {
        within("potri", factor.len(), 0, n, n, n)?;
        let (order, lower, mut size) = (int(n)?, lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER, 0);
        let (a, _used) = factor.device_ptr_mut(&self.stream);
        // SAFETY: `a` contains n × n values, as checked above, and the call only returns a size.
        unsafe { lapack::cusolverDnDpotri_bufferSize(self.lapack.cu(), lower, order, a as *mut f64, order, &mut size) }
            .result()
            .map_err(|e| failed("potri", e))?;
        self.solver_call("potri", size, |work, size, info| {
            // SAFETY: `a` contains n × n values, `work` contains `size` values, and `info` contains one.
            unsafe { lapack::cusolverDnDpotri(self.lapack.cu(), lower, order, a as *mut f64, order, work, size, info) }
        })
    }

    /// Calls cuSOLVER with a workspace. Returns `true` on success, and `false` if a pivot failed.
    fn solver_call(
        &self,
        operation: &str,
        size: i32,
        call: impl FnOnce(*mut f64, i32, *mut i32) -> lapack::cusolverStatus_t,
    ) -> Result<bool> {
        let mut work = self.allocate::<f64>(usize::try_from(size).unwrap_or(0))?;
        let mut info = self.zeros::<i32>(1)?;
        let (work, _work) = work.device_ptr_mut(&self.stream);
        let (status, guard) = info.device_ptr_mut(&self.stream);
        call(work as *mut f64, size, status as *mut i32).result().map_err(|e| failed(operation, e))?;
        drop(guard);
        let mut found = [0];
        self.download(&info, &mut found)?;
        self.finish(operation)?;
        match found[0] {
            argument @ ..0 => Err(failed(operation, format!("argument {} is invalid", -argument))),
            pivot => Ok(pivot == 0),
        }
    }

    /// Solves a system with the lower factor `l` `[n × n]`. The solution overwrites `b` `[n × columns]`.
    pub fn solve(
        &self,
        l: &CudaSlice<f64>,
        n: usize,
        b: &mut CudaSlice<f64>,
        columns: usize,
        which: Solve,
    ) -> Result<()> {
        within("solve", l.len(), 0, n, n, n)?;
        within("solve", b.len(), 0, n, n, columns)?;
        let (order, columns) = (int(n)?, int(columns)?);
        let (l, _l) = l.device_ptr(&self.stream);
        let (b, _b) = b.device_ptr_mut(&self.stream);
        if which == Solve::Both {
            let lower = lapack::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER;
            return self
                .solver_call("potrs", 0, |_, _, info| {
                    let (l, b) = (l as *const f64, b as *mut f64);
                    // SAFETY: `l` and `b` contain n × n and n × columns values, as checked above, and `info` contains
                    // one.
                    unsafe {
                        lapack::cusolverDnDpotrs(self.lapack.cu(), lower, order, columns, l, order, b, order, info)
                    }
                })
                .map(|_| ());
        }
        let transposed = if which == Solve::Forward { Transpose::No } else { Transpose::Yes };
        // SAFETY: the sizes of `l` and `b` are checked above. The factor 1 is in host memory, from which cuBLAS reads
        // it by default.
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

    /// Computes `c = op(a) op(b)` in f64, where `c` is `[m × n]` and each sum has `k` terms.
    pub fn product(
        &self,
        (m, n, k): (usize, usize, usize),
        (a, transpose_a): (Matrices<f64>, Transpose),
        (b, transpose_b): (Matrices<f64>, Transpose),
        c: MatricesMut<f64>,
    ) -> Result<()> {
        a.check("dgemm", transpose_a.shape(m, k), 1)?;
        b.check("dgemm", transpose_b.shape(k, n), 1)?;
        within("dgemm", c.values.len(), c.start, c.rows, m, n)?;
        let (ldc, start) = (c.rows, c.start);
        let (to, _c) = c.values.device_ptr_mut(&self.stream);
        // SAFETY: the three matrices lie within their allocations, as checked above.
        unsafe {
            blas::cublasDgemm_v2(
                *self.blas.handle(),
                transpose_a.code(),
                transpose_b.code(),
                int(m)?,
                int(n)?,
                int(k)?,
                &1.0,
                a.address(&self.stream),
                int(a.rows)?,
                b.address(&self.stream),
                int(b.rows)?,
                &0.0,
                (to as *mut f64).add(start),
                int(ldc)?,
            )
        }
        .result()
        .map_err(|e| failed("dgemm", e))
    }

    /// Computes `c_e = op(a_e) op(b_e)` in f32 for e = 1 … batch, where `c_e` is `[m × n]` and each sum has `k` terms.
    pub fn products(
        &self,
        batch: usize,
        (m, n, k): (usize, usize, usize),
        (a, transpose_a): (Matrices<f32>, Transpose),
        (b, transpose_b): (Matrices<f32>, Transpose),
        c: MatricesMut<f32>,
    ) -> Result<()> {
        a.check("sgemm", transpose_a.shape(m, k), batch)?;
        b.check("sgemm", transpose_b.shape(k, n), batch)?;
        within("sgemm", c.values.len(), c.start + (batch.max(1) - 1) * c.stride, c.rows, m, n)?;
        let (ldc, start, stride) = (c.rows, c.start, c.stride);
        let (to, _c) = c.values.device_ptr_mut(&self.stream);
        // SAFETY: all matrices of the batch lie within their allocations, as checked above.
        unsafe {
            blas::cublasSgemmStridedBatched(
                *self.blas.handle(),
                transpose_a.code(),
                transpose_b.code(),
                int(m)?,
                int(n)?,
                int(k)?,
                &1.0,
                a.address(&self.stream),
                int(a.rows)?,
                a.stride as i64,
                b.address(&self.stream),
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

/// Column-major matrices in device memory. The first matrix begins at `start`, and each further matrix begins `stride`
/// values after the start of the previous one. Each matrix has `rows` rows (the leading dimension).
#[derive(Clone, Copy)]
pub struct Matrices<'a, T> {
    pub values: &'a CudaSlice<T>,
    pub start: usize,
    pub rows: usize,
    pub stride: usize,
}

impl<T> Matrices<'_, T> {
    fn check(&self, operation: &str, (rows, columns): (usize, usize), batch: usize) -> Result<()> {
        within(operation, self.values.len(), self.start + (batch.max(1) - 1) * self.stride, self.rows, rows, columns)
    }

    fn address(&self, stream: &CudaStream) -> *const T {
        let (at, _used) = self.values.device_ptr(stream);
        (at as *const T).wrapping_add(self.start)
    }
}

/// Mutable version of [`Matrices`].
pub struct MatricesMut<'a, T> {
    pub values: &'a mut CudaSlice<T>,
    pub start: usize,
    pub rows: usize,
    pub stride: usize,
}

/// Whether a matrix is transposed in a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transpose {
    No,
    Yes,
}

impl Transpose {
    fn code(self) -> blas::cublasOperation_t {
        match self {
            Self::No => blas::cublasOperation_t::CUBLAS_OP_N,
            Self::Yes => blas::cublasOperation_t::CUBLAS_OP_T,
        }
    }

    /// In-memory shape of a matrix that enters the product as `[rows × columns]`.
    fn shape(self, rows: usize, columns: usize) -> (usize, usize) {
        match self {
            Self::No => (rows, columns),
            Self::Yes => (columns, rows),
        }
    }
}

/// Checks that a matrix of shape `[rows × columns]` with the leading dimension `ld`, which begins at `start`, lies
/// within an allocation of `len` values.
fn within(operation: &str, len: usize, start: usize, ld: usize, rows: usize, columns: usize) -> Result<()> {
    let end = columns.checked_sub(1).and_then(|c| c.checked_mul(ld)).and_then(|e| e.checked_add(start + rows));
    if rows > 0 && rows <= ld && end.is_some_and(|e| e <= len) {
        return Ok(());
    }
    Err(failed(operation, format!("a matrix [{rows} × {columns}] at {start} exceeds the {len} allocated values")))
}
