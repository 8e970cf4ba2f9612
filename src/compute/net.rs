//! Batched networks: an ensemble's members side by side.

/// Networks of one shape, dense layers with SiLU between them (none after the last).
#[derive(Debug, Clone, Copy)]
pub struct Net<'a> {
    pub members: usize,
    /// Inputs, hidden widths, outputs.
    pub widths: &'a [usize],
    /// `[members]` of, layer by layer, the matrix `[in × out]` (column-major: an output's weights are contiguous) and the
    /// biases `[out]`.
    pub weights: &'a [f32],
}

impl Net<'_> {
    /// Weights of one member.
    pub fn size(widths: &[usize]) -> usize {
        widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }
}

/// What a backward pass needs of its forward pass; grows to the batch and is reused. What is where is the device's affair.
#[derive(Debug, Default)]
pub struct Tape {
    /// What is known before the activations.
    pub before: Vec<Vec<f32>>,
    /// What the layers read.
    pub after: Vec<Vec<f32>>,
    /// Room for gradients on the way back.
    pub grad: Vec<Vec<f32>>,
    /// The weights as the way back reads them.
    pub weights: Vec<Vec<f32>>,
}
