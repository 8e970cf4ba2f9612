// Kernels of the networks and their rollout, in f32; read after gp.cu, in one module with it. Layouts are those of
// `Net` and `NetRollout`. Compiled at run time; launched by dense.rs and rollout.rs, whose argument lists follow these.

// Adds the biases to z, `[members][width][rows]`, where `bias` is their place within a member's `size` weights; behind a
// hidden layer also writes the activations.
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

// Gradients of activations become those of the pre-activations `before`: SiLU' = s (1 + v (1 - s)).
extern "C" __global__ void deactivate(u64 count, const float* before, float* grad) {
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 e = (u64)blockIdx.x * blockDim.x + threadIdx.x; e < count; e += stride) {
        float v = before[e], s = 1.0f / (1.0f + expf(-v));
        grad[e] *= s * (1.0f + v * (1.0f - s));
    }
}

// Gradients of the biases: sums over rows in a fixed order, added in f64. A block a column of grad,
// `[members][width][rows]`.
extern "C" __global__ void bias_sums(u64 rows, u64 width, u64 size, u64 bias, const float* grad, float* weight_grad) {
    u64 c = blockIdx.x;
    double sum = 0.0;
    for (u64 r = threadIdx.x; r < rows; r += THREADS) sum += grad[c * rows + r];
    sum = block_sum(sum);
    if (threadIdx.x == 0) weight_grad[(c / width) * size + bias + c % width] = (float)sum;
}

// Frames 0 .. steps of the exogenous columns, `[steps][exogenous][rows]`, into `[past + steps][columns][rows]`.
extern "C" __global__ void place_future(u64 rows, u64 steps, u64 exogenous, u64 columns, u64 past, const u64* column,
                                        const float* future, float* frames) {
    u64 r = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    for (u64 s = blockIdx.y; s < steps * exogenous; s += gridDim.y) {
        u64 frame = past - 1 + s / exogenous;
        frames[(frame * columns + column[s % exogenous]) * rows + r] = future[s * rows + r];
    }
}

// Place of row r among its member's rows: blocks go to the batch's members in turn. `[batch][..][depth]` holds them.
__device__ void locate(u64 r, u64 block, u64 batch, u64* member, u64* place) {
    u64 b = r / block;
    *member = b % batch;
    *place = (b / batch) * block + r % block;
}

// Standardised inputs of step t, grouped by member: `[batch][inputs][depth]`.
extern "C" __global__ void gather(u64 rows, u64 inputs, u64 columns, u64 present, u64 block, u64 batch, u64 depth,
                                  const u64* column, const u64* lag, const float* mean, const float* scale,
                                  const float* frames, float* out) {
    u64 r = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    u64 member, place;
    locate(r, block, batch, &member, &place);
    for (u64 i = blockIdx.y; i < inputs; i += gridDim.y) {
        float v = frames[((present - lag[i]) * columns + column[i]) * rows + r];
        out[(member * inputs + i) * depth + place] = (v - mean[i]) * scale[i];
    }
}

// crate::rng on the device: SplitMix64's finaliser over (key, counter) and Acklam's inverse of the normal distribution.
__device__ u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

__device__ u64 fold(u64 key, u64 data) { return mix(key ^ mix(data + 0xD1B54A32D192ED03ULL)); }

__device__ double uniform(u64 key, u64 i) {
    u64 bits = mix(key + (i + 1) * 0x9E3779B97F4A7C15ULL);
    return ((double)(bits >> 11) + 0.5) * (1.0 / 9007199254740992.0);
}

__device__ double normal_tail(double q) {
    return (((((-7.784894002430293e-3 * q - 3.223964580411365e-1) * q - 2.400758277161838) * q - 2.549732539343734) * q +
             4.374664141464968) * q + 2.938163982698783) /
           ((((7.784695709041462e-3 * q + 3.224671290700398e-1) * q + 2.445134137142996) * q + 3.754408661907416) * q +
            1.0);
}

__device__ double normal(u64 key, u64 i) {
    double p = uniform(key, i);
    if (p < 0.02425) return normal_tail(sqrt(-2.0 * log(p)));
    if (p > 1.0 - 0.02425) return -normal_tail(sqrt(-2.0 * log(1.0 - p)));
    double q = p - 0.5, r = q * q;
    return (((((-3.969683028665376e1 * r + 2.209460984245205e2) * r - 2.759285104469687e2) * r +
              1.38357751867269e2) * r - 3.066479806614716e1) * r + 2.506628277459239) * q /
           (((((-5.447609879822406e1 * r + 1.615858368580409e2) * r - 1.556989798598866e2) * r +
              6.680131188771972e1) * r - 1.328068155288572e1) * r + 1.0);
}

// ln(1 + exp(v)) without overflow.
__device__ float softplus(float v) { return fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v))); }

// The next frame's targets from the networks' outputs, `[batch][2 targets][depth]`. `noisy` says whether there is a key.
extern "C" __global__ void sample(u64 rows, u64 targets, u64 columns, u64 present, u64 block, u64 batch, u64 depth,
                                  u64 step, u64 noisy, u64 key, const u64* column, const u64* increment,
                                  const float* mean, const float* sd, const float* least, const float* most,
                                  const float* outputs, float* frames, float* states) {
    u64 r = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    u64 member, place;
    locate(r, block, batch, &member, &place);
    for (u64 j = blockIdx.y; j < targets; j += gridDim.y) {
        float mu = outputs[(member * 2 * targets + j) * depth + place];
        float noise = 0.0f;
        if (noisy) {
            float lv = outputs[(member * 2 * targets + targets + j) * depth + place];
            lv = most[j] - softplus(most[j] - lv);
            lv = least[j] + softplus(lv - least[j]);
            noise = expf(0.5f * lv) * (float)normal(fold(fold(key, step), j), r);
        }
        float now = increment[j] ? frames[(present * columns + column[j]) * rows + r] : 0.0f;
        float next = now + mean[j] + sd[j] * (mu + noise);
        frames[((present + 1) * columns + column[j]) * rows + r] = next;
        states[(step * targets + j) * rows + r] = next;
    }
}
