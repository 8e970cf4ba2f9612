//! Standardised training rows, and the bootstrap samples of the members.

use super::networks::Pass;
use super::scales::Scales;
use crate::learn::dataset::Dataset;
use crate::learn::model::blocks::Blocks;
use crate::rng::Key;

/// Number of rows copied together, chosen so that their values in a column fill one cache line.
const SIDE: usize = 16;

/// Standardised training rows.
#[derive(Debug)]
pub struct Samples {
    pub inputs: usize,
    pub targets: usize,
    /// For each row, its inputs followed by its targets: `[rows][inputs + targets]`. Each row is stored contiguously,
    /// because the rows are read in random order.
    values: Vec<f32>,
}

impl Samples {
    /// `y`: the targets of the networks, `[targets][transitions]`.
    pub fn new(data: &Dataset, y: &[Vec<f64>], rows: &[usize], scales: &Scales) -> Self {
        let (inputs, targets) = (data.x.len(), y.len());
        let mut values = Vec::with_capacity(rows.len() * (inputs + targets));
        for &r in rows {
            values.extend((0..inputs).map(|k| scales.input(k, |k| data.x[k][r])));
            values.extend((0..targets).map(|j| scales.target(j, y[j][r])));
        }
        Self { inputs, targets, values }
    }

    pub fn len(&self) -> usize {
        self.values.len() / (self.inputs + self.targets).max(1)
    }

    /// Standardised inputs of a row, followed by its standardised targets.
    pub fn row(&self, row: usize) -> &[f32] {
        let width = self.inputs + self.targets;
        &self.values[row * width..(row + 1) * width]
    }

    /// Copies the rows of each member into columns. All members have the same number of rows. Inputs are written to
    /// `pass`, and targets to `t`: `[members][targets][rows]`.
    pub fn gather(&self, rows: &[Vec<usize>], pass: &mut Pass, t: &mut Vec<f32>) {
        let n = rows.first().map_or(0, Vec::len);
        t.resize(rows.len() * self.targets * n, 0.0);
        pass.x.resize(rows.len() * self.inputs * n, 0.0);
        for (m, rows) in rows.iter().enumerate() {
            let x = &mut pass.x[m * self.inputs * n..(m + 1) * self.inputs * n];
            let t = &mut t[m * self.targets * n..(m + 1) * self.targets * n];
            let width = self.inputs + self.targets;
            for (start, some) in (0..n).step_by(SIDE).zip(rows.chunks(SIDE)) {
                let mut from = [&self.values[..width]; SIDE];
                for (from, &row) in from.iter_mut().zip(some) {
                    *from = self.row(row);
                }
                let columns = x.chunks_exact_mut(n).chain(t.chunks_exact_mut(n));
                for (k, column) in columns.enumerate() {
                    for (to, from) in column[start..].iter_mut().zip(&from[..some.len()]) {
                        *to = from[k];
                    }
                }
            }
        }
    }
}

/// For each member, a bootstrap sample of the blocks for training, and the other blocks for early stopping.
#[derive(Debug)]
pub struct Bags {
    /// Blocks drawn for each member. A block that was drawn several times is repeated.
    pub drawn: Vec<Vec<usize>>,
    pub left_out: Vec<Vec<usize>>,
}

impl Bags {
    pub fn new(blocks: &Blocks, members: usize, key: Key) -> Self {
        let mut bags = Self { drawn: Vec::with_capacity(members), left_out: Vec::with_capacity(members) };
        for m in 0..members {
            let counts = blocks.bootstrap(key.fold(m as u64));
            let drawn = counts.iter().enumerate().flat_map(|(b, &n)| std::iter::repeat_n(b, n as usize)).collect();
            let mut left_out: Vec<usize> = (0..counts.len()).filter(|&b| counts[b] == 0).collect();
            // If every block was drawn, which happens only if there are few blocks, all blocks are used for early
            // stopping.
            if left_out.is_empty() {
                left_out = (0..counts.len()).collect();
            }
            bags.drawn.push(drawn);
            bags.left_out.push(left_out);
        }
        bags
    }
}

/// Shuffles a list in place (Fisher & Yates; Durstenfeld 1964).
pub fn shuffle<T>(list: &mut [T], key: Key) {
    for i in (1..list.len()).rev() {
        list.swap(i, key.below(i as u64, i + 1));
    }
}
