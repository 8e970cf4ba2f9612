//! Dense networks of the same shape (the members of an ensemble), evaluated as one batch.
//!
//! A network with layers l = 1 … n maps a₀ = x to aₙ by z_l = W_l a_{l−1} + b_l, a_l = SiLU(z_l) for l < n and aₙ = zₙ,
//! where SiLU(z) = z / (1 + e⁻ᶻ). The backward pass returns the gradients of a loss with respect to W, b and x, given
//! the gradient of the loss with respect to aₙ. The forward and the backward pass each take O(rows × weights)
//! operations.

/// Networks of the same shape: dense layers with SiLU activations between them and no activation after the last layer.
#[derive(Debug, Clone, Copy)]
pub struct Net<'a> {
    pub members: usize,
    /// Number of inputs, widths of the hidden layers, and number of outputs.
    pub widths: &'a [usize],
    /// For each member and each layer, the matrix `[in × out]` (column-major, so the weights of an output are
    /// contiguous) followed by the biases `[out]`.
    pub weights: &'a [f32],
}

impl Net<'_> {
    /// Number of weights and biases of one member.
    pub fn size(widths: &[usize]) -> usize {
        widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }
}

/// Intermediate results of a forward pass that the backward pass needs. A tape grows to the size of the batch and can
/// be reused. The layout of a tape depends on the device.
#[derive(Debug, Default)]
pub struct Tape {
    /// Values before the activations.
    pub before: Vec<Vec<f32>>,
    /// Inputs of each layer.
    pub after: Vec<Vec<f32>>,
    /// Buffers for gradients.
    pub grad: Vec<Vec<f32>>,
    /// Weights in the order in which the backward pass reads them.
    pub weights: Vec<Vec<f32>>,
}
