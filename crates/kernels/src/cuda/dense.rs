//! Batched networks on the GPU, in f32. The launch geometry and the array layouts of each kernel are documented in
//! net.cu.

use cudarc::driver::{CudaSlice, LaunchConfig};

use super::device::{Device, blocks, columns, failed, launch};
use super::linear::{Matrices, MatricesMut, Transpose};
use crate::Net;
use crate::error::Result;

/// The weights of the networks in device memory, and their layout.
struct Layers {
    /// The weights in the layout of [`Net::weights`].
    weights: CudaSlice<f32>,
    members: usize,
    /// Number of weights of one member.
    size: usize,
    layers: Vec<Layer>,
}

#[derive(Clone, Copy)]
struct Layer {
    inputs: usize,
    outputs: usize,
    /// Offsets of the weight matrix and the biases of a layer within the weights of a member.
    matrix: usize,
    bias: usize,
}

/// Values of all layers, each stored as `[members][width][rows]`.
struct Values {
    /// Pre-activations of the hidden layers.
    before: Vec<CudaSlice<f32>>,
    /// Activations of the hidden layers.
    after: Vec<CudaSlice<f32>>,
    out: CudaSlice<f32>,
}

impl Layers {
    fn new(device: &Device, net: &Net) -> Result<Self> {
        let weights = device.upload(net.weights)?;
        let mut at = 0;
        let layers = net.widths.windows(2).map(|w| {
            let layer = Layer { inputs: w[0], outputs: w[1], matrix: at, bias: at + w[0] * w[1] };
            at += (w[0] + 1) * w[1];
            layer
        });
        let layers = layers.collect();
        Ok(Self { weights, members: net.members, size: Net::size(net.widths), layers })
    }

    /// Allocates the values.
    fn allocate(&self, device: &Device, rows: usize) -> Result<Values> {
        let members = self.members;
        let Some((last, hidden)) = self.layers.split_last() else {
            return Err(failed("networks", "the networks have no layers"));
        };
        let all = || hidden.iter().map(|l| device.allocate(members * l.outputs * rows)).collect::<Result<_>>();
        Ok(Values { before: all()?, after: all()?, out: device.allocate(members * last.outputs * rows)? })
    }

    /// Queues the forward pass for the inputs `x` `[members][inputs][rows]`.
    fn forward(&self, device: &Device, x: &CudaSlice<f32>, rows: usize, values: &mut Values) -> Result<()> {
        let (members, weights) = (self.members, &self.weights);
        let (size, many, length) = (self.size as u64, members as u64, rows as u64);
        for (i, layer) in self.layers.iter().enumerate() {
            let (below, above) = values.after.split_at_mut(i);
            let input = below.last().unwrap_or(x);
            let z = values.before.get_mut(i).unwrap_or(&mut values.out);
            let to = MatricesMut { values: z, start: 0, rows, stride: layer.outputs * rows };
            let a = Matrices { values: input, start: 0, rows, stride: layer.inputs * rows };
            let w = self.matrix(layer);
            device.products(
                members,
                (rows, layer.outputs, layer.inputs),
                (a, Transpose::No),
                (w, Transpose::No),
                to,
            )?;
            let z = values.before.get_mut(i).unwrap_or(&mut values.out);
            let shape = columns(rows, members * layer.outputs)?;
            let (width, bias) = (layer.outputs as u64, layer.bias as u64);
            let (yes, no) = (1u64, 0u64);
            match above.first_mut() {
                Some(after) => {
                    launch!(device, activate, shape, &length, &width, &many, &size, &bias, &yes, weights, z, after)?;
                }
                // The last layer has no activation, so its pointer is null.
                None => launch!(device, activate, shape, &length, &width, &many, &size, &bias, &no, weights, z, &no)?,
            }
        }
        Ok(())
    }

    fn matrix(&self, layer: &Layer) -> Matrices<'_, f32> {
        Matrices { values: &self.weights, start: layer.matrix, rows: layer.inputs, stride: self.size }
    }
}

pub fn forward(device: &Device, net: &Net, x: &[f32], rows: usize, out: &mut [f32]) -> Result<()> {
    let layers = Layers::new(device, net)?;
    let mut values = layers.allocate(device, rows)?;
    let x = device.upload(x)?;
    layers.forward(device, &x, rows, &mut values)?;
    device.download(&values.out, out)?;
    device.finish("forward")
}

/// Runs the backward pass, which repeats the forward pass to obtain the activations.
pub fn backward(
    device: &Device,
    net: &Net,
    x: &[f32],
    rows: usize,
    out_grad: &[f32],
    weight_grad: &mut [f32],
    x_grad: Option<&mut [f32]>,
) -> Result<()> {
    let members = net.members;
    let layers = Layers::new(device, net)?;
    let mut values = layers.allocate(device, rows)?;
    let x = device.upload(x)?;
    layers.forward(device, &x, rows, &mut values)?;

    let mut grad = device.upload(out_grad)?;
    let mut to = device.allocate::<f32>(weight_grad.len())?;
    let (length, size) = (rows as u64, layers.size as u64);
    for (i, layer) in layers.layers.iter().enumerate().rev() {
        let input = i.checked_sub(1).map_or(&x, |below| &values.after[below]);
        let a = Matrices { values: input, start: 0, rows, stride: layer.inputs * rows };
        let g = Matrices { values: &grad, start: 0, rows, stride: layer.outputs * rows };
        if !weight_grad.is_empty() {
            let w = MatricesMut { values: &mut to, start: layer.matrix, rows: layer.inputs, stride: layers.size };
            device.products(
                members,
                (layer.inputs, layer.outputs, rows),
                (a, Transpose::Yes),
                (g, Transpose::No),
                w,
            )?;
            let (width, bias) = (layer.outputs as u64, layer.bias as u64);
            let shape = blocks(members * layer.outputs, 1)?;
            launch!(device, bias_sums, shape, &length, &width, &size, &bias, &grad, &mut to)?;
        }
        if i == 0 && x_grad.is_none() {
            break;
        }
        let count = members * layer.inputs * rows;
        let mut below = device.allocate::<f32>(count)?;
        let w = layers.matrix(layer);
        let b = MatricesMut { values: &mut below, start: 0, rows, stride: layer.inputs * rows };
        device.products(members, (rows, layer.inputs, layer.outputs), (g, Transpose::No), (w, Transpose::Yes), b)?;
        if let Some(before) = i.checked_sub(1).map(|hidden| &values.before[hidden]) {
            let (all, shape) = (count as u64, line(count)?);
            launch!(device, deactivate, shape, &all, before, &mut below)?;
        }
        grad = below;
    }
    device.download(&to, weight_grad)?;
    if let Some(x_grad) = x_grad {
        device.download(&grad, x_grad)?;
    }
    device.finish("backward")
}

/// Launch geometry with one thread per value and at most 65,535 blocks. If there are more values than threads, the
/// kernel loops over the remaining values.
fn line(count: usize) -> Result<LaunchConfig> {
    columns(count.min(65_535 * 256), 1)
}
