// Kernels of the Gaussian processes, in f64. Matrices are column-major, and every integer argument
// has 64 bits. This file is compiled at run time. The argument lists of the launches in gp.rs must
// match these declarations.

typedef unsigned long long u64;

// Number of threads in each one-dimensional block.
#define THREADS 256

// Computes the sum over a block in a fixed order, so that every run returns the same bytes.
__device__ double block_sum(double value) {
    __shared__ double part[THREADS];
    part[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    double total = part[0];
    // the next sum must not overwrite part[0] before all threads have read it
    __syncthreads();
    return total;
}

// Squared scaled distance between point i of a, `[d][lda]`, and point j of b, `[d][ldb]`.
__device__ double distance2(const double* a, u64 lda, u64 i, const double* b, u64 ldb, u64 j, const double* inverse,
                            u64 d) {
    double sum = 0.0;
    for (u64 k = 0; k < d; ++k) {
        double q = (a[k * lda + i] - b[k * ldb + j]) * inverse[k];
        sum += q * q;
    }
    return sum;
}

// The covariance function. The value of `family` is 0 for the squared exponential and 1 for the
// Matérn 5/2 kernel.
__device__ double covariance(u64 family, double variance, double r2) {
    if (family == 0) return variance * exp(-0.5 * r2);
    double s = sqrt(5.0 * r2);
    return variance * (1.0 + s + s * s / 3.0) * exp(-s);
}

// The factor that multiplies ((a_k - b_k) / length_k)^2 in the derivative of the covariance with
// respect to ln length_k.
__device__ double length_factor(u64 family, double variance, double r2) {
    if (family == 0) return variance * exp(-0.5 * r2);
    double s = sqrt(5.0 * r2);
    return variance * (5.0 / 3.0) * (1.0 + s) * exp(-s);
}

// out[i + j n] = k(a_i, b_j).
extern "C" __global__ void covariance_block(u64 family, double variance, const double* a, u64 lda, u64 n,
                                            const double* b, u64 ldb, u64 m, const double* inverse, u64 d,
                                            double* out) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    for (u64 j = (u64)blockIdx.y * blockDim.y + threadIdx.y; j < m; j += (u64)gridDim.y * blockDim.y)
        out[i + j * n] = covariance(family, variance, distance2(a, lda, i, b, ldb, j, inverse, d));
}

// The lower triangle of the kernel matrix of n points, with `noise` added to the diagonal.
extern "C" __global__ void covariance_lower(u64 family, double variance, double noise, const double* x, u64 n,
                                            const double* inverse, u64 d, double* out) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    for (u64 j = (u64)blockIdx.y * blockDim.y + threadIdx.y; j <= i; j += (u64)gridDim.y * blockDim.y) {
        double k = covariance(family, variance, distance2(x, n, i, x, n, j, inverse, d));
        out[i + j * n] = i == j ? k + noise : k;
    }
}

extern "C" __global__ void zero_above(u64 n, double* a) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    for (u64 j = (u64)blockIdx.y * blockDim.y + threadIdx.y; j < n; j += (u64)gridDim.y * blockDim.y)
        if (i < j) a[i + j * n] = 0.0;
}

// out[0] = y . alpha, and out[1] is the sum of the logarithms of the diagonal elements of the
// factor. One block.
extern "C" __global__ void evidence_value(u64 n, const double* y, const double* alpha, const double* factor,
                                          double* out) {
    double fit = 0.0, logs = 0.0;
    for (u64 i = threadIdx.x; i < n; i += THREADS) {
        fit += y[i] * alpha[i];
        logs += log(factor[i + i * n]);
    }
    fit = block_sum(fit);
    logs = block_sum(logs);
    if (threadIdx.x == 0) {
        out[0] = fit;
        out[1] = logs;
    }
}

// W = (alpha alpha' - K^-1) / 2. On entry, w contains the lower triangle of K^-1. part[j] is the
// sum of W k over column j, with off-diagonal pairs counted twice, and part[n + j] = W_jj. On
// return, the elements of w below the diagonal contain 2 W times `length_factor`. One block per
// column.
extern "C" __global__ void evidence_weights(u64 family, double variance, const double* x, u64 n, const double* inverse,
                                            u64 d, const double* alpha, double* w, double* part) {
    u64 j = blockIdx.x;
    double sum = 0.0;
    for (u64 i = j + threadIdx.x; i < n; i += THREADS) {
        double weight = alpha[i] * alpha[j] - w[i + j * n];
        if (i == j) {
            weight *= 0.5;
            part[n + j] = weight;
        }
        double r2 = distance2(x, n, i, x, n, j, inverse, d);
        sum += weight * covariance(family, variance, r2);
        w[i + j * n] = weight * length_factor(family, variance, r2);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) part[j] = sum;
}

// part[(2 + k) n + j] is the contribution of column j to the derivative with respect to ln
// length_k. One block per column and coordinate.
extern "C" __global__ void evidence_lengths(const double* x, u64 n, const double* inverse, const double* w,
                                            double* part) {
    u64 j = blockIdx.x, k = blockIdx.y;
    double here = x[k * n + j], scale = inverse[k], sum = 0.0;
    for (u64 i = j + 1 + threadIdx.x; i < n; i += THREADS) {
        double q = (x[k * n + i] - here) * scale;
        sum += w[i + j * n] * q * q;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) part[(2 + k) * n + j] = sum;
}

// out[r] = sum of row r of `[rows][n]`. One block per row.
extern "C" __global__ void row_sums(u64 n, const double* part, double* out) {
    const double* row = part + (u64)blockIdx.x * n;
    double sum = 0.0;
    for (u64 i = threadIdx.x; i < n; i += THREADS) sum += row[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// out[j] = prior - a_j . b_j for the columns of two matrices with n rows. One block per column.
extern "C" __global__ void column_gaps(u64 n, double prior, const double* a, const double* b, double* out) {
    const double* p = a + (u64)blockIdx.x * n;
    const double* q = b + (u64)blockIdx.x * n;
    double sum = 0.0;
    for (u64 i = threadIdx.x; i < n; i += THREADS) sum += p[i] * q[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x] = prior - sum;
}
