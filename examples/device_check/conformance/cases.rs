//! Problems of any size for the operations, drawn from a seed.

use twinopt::compute::{Family, GpFunctions, Kernel, Net, NetRollout, Points};
use twinopt::rng::Key;

pub fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    key.fill_normal(&mut out);
    out
}

pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// Points with smooth targets over them.
pub struct Gp {
    pub kernel: Kernel,
    pub n: usize,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
}

impl Gp {
    pub fn new(family: Family, n: usize, d: usize, seed: u64) -> Self {
        let key = Key::new(seed);
        let lengths = (0..d).map(|k| (d as f64).sqrt() * (0.7 + 0.2 * (k % 4) as f64)).collect();
        let x = normals(key.fold(0), n * d);
        let noise = normals(key.fold(1), n);
        let y = (0..n).map(|i| (0..d).map(|k| (1.3 * x[k * n + i]).sin()).sum::<f64>() + 0.3 * noise[i]).collect();
        Self { kernel: Kernel { family, variance: 1.4, lengths }, n, x, y }
    }

    pub fn points(&self) -> Points<'_> {
        Points { values: &self.x, n: self.n }
    }

    pub fn functions<'a>(&'a self, weights: &'a [f64], precision: Option<&'a [f64]>) -> GpFunctions<'a> {
        GpFunctions { kernel: &self.kernel, points: self.points(), weights, precision }
    }
}

/// Networks with inputs and gradients of outputs.
pub struct Nets {
    pub members: usize,
    pub widths: Vec<usize>,
    pub weights: Vec<f32>,
    pub x: Vec<f32>,
    pub grad: Vec<f32>,
}

impl Nets {
    pub fn new(members: usize, widths: &[usize], rows: usize, seed: u64) -> Self {
        let key = Key::new(seed);
        let mut weights = Vec::new();
        for m in 0..members {
            for (l, w) in widths.windows(2).enumerate() {
                let stream = key.fold(m as u64).fold(l as u64);
                weights.extend(normals(stream, (w[0] + 1) * w[1]).iter().map(|v| v / (w[0] as f64).sqrt()));
            }
        }
        let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
        Self {
            members,
            widths: widths.to_vec(),
            weights: narrow(&weights),
            x: narrow(&normals(key.fold(1000), members * inputs * rows)),
            grad: narrow(&normals(key.fold(1001), members * outputs * rows)),
        }
    }

    pub fn net(&self) -> Net<'_> {
        Net { members: self.members, widths: &self.widths, weights: &self.weights }
    }

    pub fn outputs(&self) -> usize {
        self.grad.len()
    }
}

/// What a rollout of networks is asked for.
pub struct Shape {
    pub members: usize,
    pub hidden: &'static [usize],
    pub targets: usize,
    pub exogenous: usize,
    pub rows: usize,
    pub block: usize,
    pub steps: usize,
    pub switch: bool,
    pub noisy: bool,
}

/// A plant of increments and absolute targets in turn, every column read now and with lags.
pub struct Rollout {
    shape: Shape,
    nets: Nets,
    inputs: Vec<(usize, usize)>,
    targets: Vec<(usize, bool)>,
    exogenous: Vec<usize>,
    history: Vec<f32>,
    future: Vec<f32>,
    of_inputs: [Vec<f32>; 2],
    of_targets: [Vec<f32>; 4],
    key: Key,
}

const PAST: usize = 4;

impl Rollout {
    pub fn new(shape: Shape, seed: u64) -> Self {
        let key = Key::new(seed);
        let columns = shape.targets + shape.exogenous;
        // exogenous columns first, so that a target's number is not its column's
        let exogenous: Vec<usize> = (0..shape.exogenous).rev().collect();
        let targets: Vec<_> = (0..shape.targets).map(|j| (shape.exogenous + j, j % 2 == 0)).collect();
        let inputs: Vec<_> =
            (0..columns).map(|c| (c, 0)).chain((0..columns).map(|c| (c, 1 + c % (PAST - 1)))).collect();
        let widths: Vec<usize> =
            [inputs.len()].iter().chain(shape.hidden).copied().chain([2 * shape.targets]).collect();
        let like = |stream: u64, n: usize, mean: f64, sd: f64| {
            normals(key.fold(stream), n).iter().map(|z| (mean + sd * z) as f32).collect::<Vec<f32>>()
        };
        Self {
            nets: Nets::new(shape.members, &widths, 0, seed + 1),
            history: like(1, PAST * columns * shape.rows, 0.5, 1.0),
            future: like(2, shape.steps * shape.exogenous * shape.rows, 0.5, 1.0),
            of_inputs: [like(3, inputs.len(), 0.5, 0.1), like(4, inputs.len(), 0.8, 0.1)],
            of_targets: [
                like(5, shape.targets, 0.0, 0.1),
                like(6, shape.targets, 0.2, 0.02),
                like(7, shape.targets, -4.0, 0.1),
                like(8, shape.targets, -0.5, 0.1),
            ],
            key: key.fold(9),
            shape,
            inputs,
            targets,
            exogenous,
        }
    }

    pub fn states(&self) -> usize {
        self.shape.steps * self.shape.targets * self.shape.rows
    }

    pub fn rollout(&self) -> NetRollout<'_> {
        NetRollout {
            net: self.nets.net(),
            inputs: &self.inputs,
            input_mean: &self.of_inputs[0],
            input_scale: &self.of_inputs[1],
            targets: &self.targets,
            target_mean: &self.of_targets[0],
            target_sd: &self.of_targets[1],
            least: &self.of_targets[2],
            most: &self.of_targets[3],
            columns: self.shape.targets + self.shape.exogenous,
            history: &self.history,
            past: PAST,
            future: &self.future,
            exogenous: &self.exogenous,
            steps: self.shape.steps,
            rows: self.shape.rows,
            block: self.shape.block,
            switch: self.shape.switch,
            key: self.shape.noisy.then_some(self.key),
        }
    }
}
