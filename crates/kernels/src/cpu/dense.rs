//! Dense networks on the CPU, with forward and backward passes over tiles of rows.
//!
//! A tile is a range of rows of one member that a thread propagates through all layers. Unless stated otherwise, each
//! of the following lists in a [`Tape`] has one entry per tile, `[members][tiles]`:
//!
//! - `before` contains the derivatives of the activations, `[hidden layers][panels][width][panel rows]`.
//! - `after` contains the transposed inputs of each layer.
//! - `grad` contains the inputs and outputs of the layers after the forward pass, and their gradients after the
//!   backward pass, `[layers + 1][panels][width][panel rows]`.
//! - `weights` contains the weights packed for the backward pass, with one entry per member and layer
//!   (`[members][layers]`).

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{self, Multiply, Store};
use crate::elementwise::Silu;
use crate::error::{Error, Result};
use crate::net::{Net, Tape};

/// Rows per tile, rounded down to whole panels. The intermediate results of a tile fit into the L2 cache.
const TILE: usize = 64;
/// Number of outputs whose weight gradients are computed in one task.
const OUTPUTS: usize = 100;

/// Division of the rows into panels and tiles.
#[derive(Debug, Clone, Copy)]
struct Tiling {
    rows: usize,
    /// Rows per panel.
    panel: usize,
    /// Number of panels per tile (the last tile may have fewer).
    panels: usize,
}

impl Tiling {
    fn new(rows: usize) -> Self {
        let panel = panel::rows();
        Self { rows, panel, panels: (TILE / panel).max(1) }
    }

    fn tiles(self) -> usize {
        self.rows.div_ceil(self.panel * self.panels)
    }

    /// First row of a tile.
    fn start(self, tile: usize) -> usize {
        tile * self.panel * self.panels
    }

    /// Number of panels in a tile.
    fn panels(self, tile: usize) -> usize {
        (self.rows - self.start(tile)).div_ceil(self.panel).min(self.panels)
    }
}

/// Total number of values that layers with the given widths need for one tile.
fn tile_size(widths: &[usize], panels: usize, panel: usize) -> usize {
    widths.iter().map(|w| w * panels * panel).sum()
}

/// Returns the width, rounded up to a multiple of the number of rows per panel.
fn padded(width: usize, panel: usize) -> usize {
    width.next_multiple_of(panel)
}

/// Checks that the networks have layers, and that `found`, the number of values named `what`, equals `expected`.
fn check(net: &Net, what: &str, found: usize, expected: usize) -> Result<()> {
    if net.widths.len() < 2 || net.widths.contains(&0) || net.members == 0 {
        return Err(Error::Failed(format!("{} networks with widths {:?} have no layers", net.members, net.widths)));
    }
    if found == expected {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{found} {what} for {} networks with widths {:?}; expected {expected}",
        net.members, net.widths
    )))
}

pub fn forward(net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()> {
    let (inputs, outputs) = inputs_and_outputs(net.widths);
    check(net, "weights", net.weights.len(), net.members * Net::size(net.widths))?;
    check(net, "inputs", x.len(), net.members * inputs * rows)?;
    check(net, "outputs", out.len(), net.members * outputs * rows)?;
    let tiling = Tiling::new(rows);
    let tiles = tiling.tiles();
    let hidden = &net.widths[1..net.widths.len() - 1];
    for list in [&mut tape.before, &mut tape.after, &mut tape.grad] {
        list.resize_with(net.members * tiles, Vec::new);
    }
    let tasks = tape.before.par_iter_mut().zip(&mut tape.after).zip(&mut tape.grad).enumerate();
    tasks.for_each(|(task, ((before, after), grad))| {
        let (member, tile) = (task / tiles, task % tiles);
        let panels = tiling.panels(tile);
        let padded_width = |w: &usize| padded(*w, tiling.panel);
        before.resize(tile_size(hidden, panels, tiling.panel), 0.0);
        after.resize(net.widths[..=hidden.len()].iter().map(padded_width).sum::<usize>() * panels * tiling.panel, 0.0);
        grad.resize(tile_size(net.widths, panels, tiling.panel), 0.0);
        to_panels(&x[member * inputs * rows..(member + 1) * inputs * rows], tiling, tile, inputs, grad);
        let size = Net::size(net.widths);
        let weights = &net.weights[member * size..(member + 1) * size];
        Arch::new().dispatch(Forward { widths: net.widths, weights, panels, before, after, values: grad });
    });
    if rows > 0 {
        for (member, out) in out.chunks_exact_mut(outputs * rows).enumerate() {
            for tile in 0..tiles {
                let values = &tape.grad[member * tiles + tile];
                let last = values.len() - tile_size(&[outputs], tiling.panels(tile), tiling.panel);
                from_panels(&values[last..], tiling, tile, out);
            }
        }
    }
    Ok(())
}

pub fn backward(
    net: &Net,
    x: &[f32],
    rows: usize,
    tape: &mut Tape,
    out_grad: &[f32],
    weight_grad: &mut [f32],
    x_grad: Option<&mut [f32]>,
) -> Result<()> {
    let (inputs, outputs) = inputs_and_outputs(net.widths);
    let size = Net::size(net.widths);
    check(net, "weights", net.weights.len(), net.members * size)?;
    if !weight_grad.is_empty() {
        check(net, "gradients of the weights", weight_grad.len(), net.members * size)?;
    }
    check(net, "inputs", x.len(), net.members * inputs * rows)?;
    check(net, "gradients of the outputs", out_grad.len(), net.members * outputs * rows)?;
    let tiling = Tiling::new(rows);
    let tiles = tiling.tiles();
    check(net, "tiles on the tape", tape.grad.len(), net.members * tiles)?;
    if let Some(x_grad) = &x_grad {
        check(net, "gradients of the inputs", x_grad.len(), x.len())?;
    }
    if rows == 0 {
        weight_grad.fill(0.0);
        return Ok(());
    }
    let with_inputs = x_grad.is_some();
    let layers = net.widths.len() - 1;
    tape.weights.resize_with(net.members * layers, Vec::new);
    // The slices are empty if weight gradients are not requested.
    let mut weight_grads: Vec<&mut [f32]> = weight_grad.chunks_exact_mut(size).collect();
    weight_grads.resize_with(net.members, Default::default);
    let tasks = tape.grad.par_chunks_mut(tiles).zip(tape.before.par_chunks(tiles)).zip(tape.after.par_chunks(tiles));
    // The members are processed one at a time, so that the results of a member's tiles are still in the cache when its
    // weight gradients are computed.
    let packed = tape.weights.par_chunks_mut(layers).zip(net.weights.par_chunks_exact(size));
    tasks.zip(weight_grads).zip(packed).enumerate().for_each(
        |(member, ((((grad, before), after), weight_grad), (packed, mut weights)))| {
            for (w, packed) in net.widths.windows(2).zip(packed.iter_mut()) {
                panel::pack_back(&weights[..w[0] * w[1]], w[0], packed);
                weights = &weights[(w[0] + 1) * w[1]..];
            }
            let weights = &*packed;
            let out_grad = &out_grad[member * outputs * rows..(member + 1) * outputs * rows];
            grad.par_iter_mut().zip(before).enumerate().for_each(|(tile, (grad, before))| {
                let panels = tiling.panels(tile);
                let last = grad.len() - tile_size(&[outputs], panels, tiling.panel);
                to_panels(out_grad, tiling, tile, outputs, &mut grad[last..]);
                Arch::new().dispatch(Backward {
                    widths: net.widths,
                    weights,
                    panels,
                    before,
                    grad,
                    inputs: with_inputs,
                });
            });
            if !weight_grad.is_empty() {
                output_ranges(net.widths, weight_grad).into_par_iter().for_each(
                    |OutputRange { layer, first, matrix, bias }| {
                        Arch::new().dispatch(Weights {
                            widths: net.widths,
                            tiling,
                            layer,
                            after,
                            grad,
                            first,
                            matrix,
                            bias,
                        });
                    },
                );
            }
        },
    );
    if let Some(x_grad) = x_grad {
        for (x_grad, grad) in x_grad.chunks_exact_mut(inputs * rows).zip(tape.grad.chunks(tiles)) {
            for (tile, grad) in grad.iter().enumerate() {
                from_panels(grad, tiling, tile, x_grad);
            }
        }
    }
    Ok(())
}

/// Weight and bias gradients for a range of outputs in a layer, starting at output `first`.
struct OutputRange<'a> {
    layer: usize,
    first: usize,
    matrix: &'a mut [f32],
    bias: &'a mut [f32],
}

/// Splits the weight gradients of a member into ranges of outputs.
fn output_ranges<'a>(widths: &[usize], mut grad: &'a mut [f32]) -> Vec<OutputRange<'a>> {
    let mut ranges = Vec::new();
    for (layer, w) in widths.windows(2).enumerate() {
        let (matrix, rest) = grad.split_at_mut(w[0] * w[1]);
        let (bias, rest) = rest.split_at_mut(w[1]);
        grad = rest;
        let split = matrix.chunks_mut(OUTPUTS * w[0]).zip(bias.chunks_mut(OUTPUTS)).enumerate();
        ranges.extend(split.map(|(i, (matrix, bias))| OutputRange { layer, first: i * OUTPUTS, matrix, bias }));
    }
    ranges
}

/// Returns the number of inputs and the number of outputs.
fn inputs_and_outputs(widths: &[usize]) -> (usize, usize) {
    (widths.first().copied().unwrap_or(0), widths.last().copied().unwrap_or(0))
}

/// Copies the columns `[columns][rows]` of a tile into panels `[panels][columns][panel rows]`, with zeros for missing
/// rows.
fn to_panels(columns: &[f32], tiling: Tiling, tile: usize, width: usize, panels: &mut [f32]) {
    let n = tiling.panel;
    for (p, panel) in panels.chunks_exact_mut(width * n).enumerate().take(tiling.panels(tile)) {
        let start = tiling.start(tile) + p * n;
        let end = tiling.rows.min(start + n);
        for (to, from) in panel.chunks_exact_mut(n).zip(columns.chunks_exact(tiling.rows)) {
            to[..end - start].copy_from_slice(&from[start..end]);
            to[end - start..].fill(0.0);
        }
    }
}

/// Inverse of [`to_panels`].
fn from_panels(panels: &[f32], tiling: Tiling, tile: usize, columns: &mut [f32]) {
    let n = tiling.panel;
    let width = columns.len() / tiling.rows;
    for (p, panel) in panels.chunks_exact(width * n).enumerate().take(tiling.panels(tile)) {
        let start = tiling.start(tile) + p * n;
        let end = tiling.rows.min(start + n);
        for (from, to) in panel.chunks_exact(n).zip(columns.chunks_exact_mut(tiling.rows)) {
            to[start..end].copy_from_slice(&from[..end - start]);
        }
    }
}

struct Forward<'a> {
    widths: &'a [usize],
    weights: &'a [f32],
    panels: usize,
    before: &'a mut [f32],
    after: &'a mut [f32],
    values: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let n = 2 * S::F32_LANES;
        let (mut weights, mut derivatives, mut after, mut values) =
            (self.weights, self.before, self.after, self.values);
        let layers = self.widths.len() - 1;
        for (layer, w) in self.widths.windows(2).enumerate() {
            let (matrix, rest) = weights.split_at(w[0] * w[1]);
            let (bias, rest) = rest.split_at(w[1]);
            weights = rest;
            let (from, to) = values.split_at_mut(w[0] * self.panels * n);
            let (transposed, rest) = after.split_at_mut(padded(w[0], n) * self.panels * n);
            after = rest;
            for (from, to) in from.chunks_exact(w[0] * n).zip(to.chunks_exact_mut(w[1] * n)) {
                let to = Store(panel::pairs_mut::<S>(to));
                panel::forward(s, panel::pairs::<S>(from), matrix, bias, to);
            }
            if layer + 1 < layers {
                let size = w[1] * self.panels * n;
                let (derivative, rest) = derivatives.split_at_mut(size);
                derivatives = rest;
                s.vectorize(Silu { values: &mut to[..size], derivative });
            }
            for (from, to) in from.chunks_exact(w[0] * n).zip(transposed.chunks_exact_mut(padded(w[0], n) * n)) {
                panel::transpose::<S>(from, to);
            }
            values = to;
        }
    }
}

struct Backward<'a> {
    widths: &'a [usize],
    /// Weights of each layer, packed by [`panel::pack_back`].
    weights: &'a [Vec<f32>],
    panels: usize,
    before: &'a [f32],
    grad: &'a mut [f32],
    /// Whether to compute the gradients with respect to the inputs.
    inputs: bool,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let n = 2 * S::F32_LANES;
        let (mut derivatives, mut grad) = (self.before, self.grad);
        for (layer, (w, matrix)) in self.widths.windows(2).zip(self.weights).enumerate().rev() {
            let (rest, from) = grad.split_at_mut(grad.len() - w[1] * self.panels * n);
            grad = rest;
            let start = grad.len() - w[0] * self.panels * n;
            let panels = from.chunks_exact(w[1] * n).zip(grad[start..].chunks_exact_mut(w[0] * n));
            if layer > 0 {
                let (rest, derivative) = derivatives.split_at(derivatives.len() - w[0] * self.panels * n);
                derivatives = rest;
                for ((from, to), derivative) in panels.zip(derivative.chunks_exact(w[0] * n)) {
                    let finish = Multiply { to: panel::pairs_mut::<S>(to), factor: panel::pairs::<S>(derivative) };
                    panel::backward(s, panel::pairs::<S>(from), matrix, w[0], finish);
                }
            } else if self.inputs {
                for (from, to) in panels {
                    let finish = Store(panel::pairs_mut::<S>(to));
                    panel::backward(s, panel::pairs::<S>(from), matrix, w[0], finish);
                }
            }
        }
    }
}

/// Computes the weight gradients for a range of outputs in a layer, starting at output `first`.
struct Weights<'a> {
    widths: &'a [usize],
    tiling: Tiling,
    layer: usize,
    after: &'a [Vec<f32>],
    grad: &'a [Vec<f32>],
    first: usize,
    matrix: &'a mut [f32],
    bias: &'a mut [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (n, layer) = (2 * S::F32_LANES, self.layer);
        let (inputs, outputs) = (self.widths[layer], self.widths[layer + 1]);
        let padded_inputs = padded(inputs, n);
        let after_start: usize = self.widths[..layer].iter().map(|w| padded(*w, n)).sum();
        let grad_start: usize = self.widths[..=layer].iter().sum();
        let mut panels = Vec::with_capacity(self.tiling.rows.div_ceil(n));
        for (tile, (after, grad)) in self.after.iter().zip(self.grad).enumerate() {
            let here = self.tiling.panels(tile);
            let after = after[after_start * here * n..].chunks_exact(padded_inputs * n);
            panels.extend(after.zip(grad[grad_start * here * n..].chunks_exact(outputs * n)).take(here));
        }
        panel::weight_gradient(s, &panels, inputs, self.first, self.matrix, self.bias);
    }
}
