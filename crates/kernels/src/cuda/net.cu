// Kernels of the networks, in f32, compiled after gp.cu in the same module. The weights have the
// layout of `Net`. This file is compiled at run time. The argument lists of the launches in
// dense.rs must match these declarations.

// Adds the biases to z, `[members][width][rows]`; `bias` is the offset of the biases within the
// `size` weights of a member. For a hidden layer, also writes the activations to `after`.
extern "C" __global__ void activate(u64 rows, u64 width, u64 members, u64 size, u64 bias, u64 hidden,
                                    const float* weights, float* z, float* after) {
    u64 r = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    for (u64 c = blockIdx.y; c < members * width; c += gridDim.y) {
        float v = z[c * rows + r] + weights[(c / width) * size + bias + c % width];
        z[c * rows + r] = v;
        if (hidden) after[c * rows + r] = v / (1.0f + expf(-v));
    }
}

// Converts gradients with respect to the activations into gradients with respect to the
// pre-activations `before`: SiLU' = s (1 + v (1 - s)).
extern "C" __global__ void deactivate(u64 count, const float* before, float* grad) {
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 e = (u64)blockIdx.x * blockDim.x + threadIdx.x; e < count; e += stride) {
        float v = before[e], s = 1.0f / (1.0f + expf(-v));
        grad[e] *= s * (1.0f + v * (1.0f - s));
    }
}

// Gradients with respect to the biases, summed over rows in f64 in a fixed order. One block per
// column of grad, `[members][width][rows]`.
extern "C" __global__ void bias_sums(u64 rows, u64 width, u64 size, u64 bias, const float* grad, float* weight_grad) {
    u64 c = blockIdx.x;
    double sum = 0.0;
    for (u64 r = threadIdx.x; r < rows; r += THREADS) sum += grad[c * rows + r];
    sum = block_sum(sum);
    if (threadIdx.x == 0) weight_grad[(c / width) * size + bias + c % width] = (float)sum;
}
