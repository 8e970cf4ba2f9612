//! Random inputs of any size for the operations.

use twinopt::compute::{Family, GpFunctions, Kernel, Net, Points};
use twinopt::rng::Key;

pub fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    key.fill_normal(&mut out);
    out
}

pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// Random points, and targets that are a smooth function of the points plus noise.
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

/// Random networks, their inputs, and gradients with respect to their outputs.
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
