//! Dense networks of one shape, the members of an ensemble, in one batch.
//!
//! A network with layers l = 1 … n maps a₀ = x to aₙ by z_l = W_l a_{l−1} + b_l, a_l = SiLU(z_l) for l < n and aₙ = zₙ,
//! where SiLU(z) = z / (1 + e⁻ᶻ). The backward pass returns the gradients of a loss with respect to W, b and x, given its
//! gradient with respect to aₙ. Both passes take O(rows × weights) operations.

/// Networks of one shape: dense layers with SiLU between them and no activation after the last.
#[derive(Debug, Clone, Copy)]
pub struct Net<'a> {
    pub members: usize,
    /// Number of inputs, hidden widths, number of outputs.
    pub widths: &'a [usize],
    /// Of each member, layer by layer: the matrix `[in × out]` (column-major: the weights of an output are contiguous) and
    /// the biases `[out]`.
    pub weights: &'a [f32],
}

impl Net<'_> {
    /// Number of weights and biases of one member.
    pub fn size(widths: &[usize]) -> usize {
        widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }
}

/// Intermediate results of a forward pass for its backward pass. Grows to the batch and can be reused. The layout
/// depends on the device.
#[derive(Debug, Default)]
pub struct Tape {
    /// Values before the activations.
    pub before: Vec<Vec<f32>>,
    /// Inputs of the layers.
    pub after: Vec<Vec<f32>>,
    /// Buffers for gradients.
    pub grad: Vec<Vec<f32>>,
    /// Weights in the order of the backward pass.
    pub weights: Vec<Vec<f32>>,
}
