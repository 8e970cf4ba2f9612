//! Matrix products for dense networks, computed with sums that stay in registers.
//!
//! Rows are processed in panels, each of which spans two vector registers. A panel of a matrix is stored as
//! `[columns][panel rows]`. A block of five output columns has ten sums, which stay in registers during the whole
//! product. The terms of each sum are added in a fixed order that depends neither on the other rows nor on the width of
//! the registers, so the result for a row depends only on that row.

use pulp::{Arch, Simd, WithSimd};

/// Number of output columns per block. Each column needs two independent sums. Two multiply-adds per cycle with a
/// latency of four cycles require at least eight independent sums, and five columns provide ten. With six columns, one
/// of the twelve sums would be spilled to memory.
const BLOCK: usize = 5;

/// A column of a panel, stored in two vector registers.
pub type Pair<S> = [<S as Simd>::f32s; 2];

/// Returns the number of rows per panel on this CPU.
pub fn rows() -> usize {
    struct Rows;
    impl WithSimd for Rows {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            2 * S::F32_LANES
        }
    }
    Arch::new().dispatch(Rows)
}

/// Views a panel as pairs of registers, with one pair per column.
#[inline(always)]
pub fn pairs<S: Simd>(panel: &[f32]) -> &[Pair<S>] {
    S::as_simd_f32s(panel).0.as_chunks().0
}

/// Mutable version of [`pairs`].
#[inline(always)]
pub fn pairs_mut<S: Simd>(panel: &mut [f32]) -> &mut [Pair<S>] {
    S::as_mut_simd_f32s(panel).0.as_chunks_mut().0
}

/// Determines what is done with the sums of a matrix product. `Finish` is a trait rather than a closure, because a
/// closure that is not inlined would be compiled for the baseline CPU, without wide vector instructions.
pub trait Finish<S: Simd> {
    /// Processes the sums that belong to column `at`.
    fn take(&mut self, s: S, at: usize, sums: Pair<S>);
}

/// Stores the sums.
pub struct Store<'a, S: Simd>(pub &'a mut [Pair<S>]);

impl<S: Simd> Finish<S> for Store<'_, S> {
    #[inline(always)]
    fn take(&mut self, _: S, at: usize, sums: Pair<S>) {
        self.0[at] = sums;
    }
}

/// Stores the sums after multiplication by the derivative of the activation.
pub struct Multiply<'a, S: Simd> {
    pub to: &'a mut [Pair<S>],
    pub factor: &'a [Pair<S>],
}

impl<S: Simd> Finish<S> for Multiply<'_, S> {
    #[inline(always)]
    fn take(&mut self, s: S, at: usize, sums: Pair<S>) {
        let factor = self.factor[at];
        self.to[at] = [s.mul_f32s(sums[0], factor[0]), s.mul_f32s(sums[1], factor[1])];
    }
}

/// `sums[j] + Σ_k a[k] · w[k][j]`.
#[inline(always)]
fn accumulate<'w, S: Simd>(
    s: S,
    mut sums: [Pair<S>; BLOCK],
    a: &[Pair<S>],
    w: impl Iterator<Item = [&'w f32; BLOCK]>,
) -> [Pair<S>; BLOCK] {
    for (a, w) in a.iter().zip(w) {
        sums = step(s, sums, *a, w.map(|w| *w));
    }
    sums
}

/// `sums[j] + a · w[j]`.
#[inline(always)]
fn step<S: Simd>(s: S, mut sums: [Pair<S>; BLOCK], a: Pair<S>, w: [f32; BLOCK]) -> [Pair<S>; BLOCK] {
    for (sum, w) in sums.iter_mut().zip(w) {
        let w = s.splat_f32s(w);
        sum[0] = s.mul_add_e_f32s(a[0], w, sum[0]);
        sum[1] = s.mul_add_e_f32s(a[1], w, sum[1]);
    }
    sums
}

/// Calls `finish` with the sums of at most `left` columns, starting at column `first`. The code contains no loop, so
/// that the sums stay in registers.
#[inline(always)]
fn finish_block<S: Simd>(s: S, finish: &mut impl Finish<S>, first: usize, left: usize, sums: [Pair<S>; BLOCK]) {
    let [a, b, c, d, e] = sums;
    finish.take(s, first, a);
    if left > 1 {
        finish.take(s, first + 1, b);
    }
    if left > 2 {
        finish.take(s, first + 2, c);
    }
    if left > 3 {
        finish.take(s, first + 3, d);
    }
    if left > 4 {
        finish.take(s, first + 4, e);
    }
}

/// Iterates over the elements of five columns in lockstep.
#[inline(always)]
fn zip_columns(columns: [&[f32]; BLOCK]) -> impl Iterator<Item = [&f32; BLOCK]> {
    let [a, b, c, d, e] = columns;
    a.iter().zip(b).zip(c).zip(d).zip(e).map(|((((a, b), c), d), e)| [a, b, c, d, e])
}

/// Applies a dense layer to a panel `a`, and passes bias + Σ input · weight of each output to `finish`. `weights` is
/// `[outputs][inputs]`.
#[inline(always)]
pub fn forward<S: Simd>(s: S, a: &[Pair<S>], weights: &[f32], bias: &[f32], mut finish: impl Finish<S>) {
    let (inputs, outputs) = (a.len(), bias.len());
    for first in (0..outputs).step_by(BLOCK) {
        let columns = [0, 1, 2, 3, 4].map(|j| &weights[(outputs - 1).min(first + j) * inputs..][..inputs]);
        let bias = |j: usize| bias.get(first + j).copied().unwrap_or(0.0);
        let sums = [
            [s.splat_f32s(bias(0)); 2],
            [s.splat_f32s(bias(1)); 2],
            [s.splat_f32s(bias(2)); 2],
            [s.splat_f32s(bias(3)); 2],
            [s.splat_f32s(bias(4)); 2],
        ];
        let sums = accumulate(s, sums, a, zip_columns(columns));
        finish_block(s, &mut finish, first, outputs - first, sums);
    }
}

/// Packs the weights of a layer, `[outputs][inputs]`, into blocks `[inputs / 5][outputs][5]` for the backward pass,
/// with zeros for missing inputs. Without packing, every step of the backward pass would read from a different cache
/// line.
pub fn pack_back(weights: &[f32], inputs: usize, packed: &mut Vec<f32>) {
    let outputs = weights.len() / inputs;
    packed.clear();
    packed.resize(outputs * inputs.next_multiple_of(BLOCK), 0.0);
    for (block, first) in packed.chunks_exact_mut(outputs * BLOCK).zip((0..inputs).step_by(BLOCK)) {
        for (to, row) in block.as_chunks_mut::<BLOCK>().0.iter_mut().zip(weights.chunks_exact(inputs)) {
            let row = &row[first..inputs.min(first + BLOCK)];
            match row.as_array() {
                Some(full) => *to = *full,
                None => to[..row.len()].copy_from_slice(row),
            }
        }
    }
}

/// Applies the transpose of a layer to a panel of gradients `g`, `[outputs]`, and passes the sum Σ gradient · weight
/// for each input to `finish`. `packed` contains the weights packed by [`pack_back`].
#[inline(always)]
pub fn backward<S: Simd>(s: S, g: &[Pair<S>], packed: &[f32], inputs: usize, mut finish: impl Finish<S>) {
    for (first, weights) in (0..inputs).step_by(BLOCK).zip(packed.chunks_exact(g.len() * BLOCK)) {
        let weights = weights.as_chunks::<BLOCK>().0.iter().map(|w| w.each_ref());
        let sums = accumulate(s, [[s.splat_f32s(0.0); 2]; BLOCK], g, weights);
        finish_block(s, &mut finish, first, inputs - first, sums);
    }
}

/// Transposes a panel `[columns][rows]` into `[columns / panel rows][rows][panel rows]`, with zeros for missing
/// columns.
#[inline(always)]
pub fn transpose<S: Simd>(panel: &[f32], out: &mut [f32]) {
    let n = 2 * S::F32_LANES;
    for (columns, out) in panel.chunks(n * n).zip(out.chunks_exact_mut(n * n)) {
        if columns.len() < n * n {
            out.fill(0.0);
        }
        for (i, column) in columns.chunks_exact(n).enumerate() {
            for (row, v) in out.chunks_exact_mut(n).zip(column) {
                row[i] = *v;
            }
        }
    }
}

/// Computes the weight gradients, which are sums over rows, for `bias.len()` outputs of a layer, starting at output
/// `first`.
///
/// `panels` contains the transposed inputs (see [`transpose`]) and the gradients `[outputs]` of each panel. The results
/// overwrite `matrix` `[outputs][inputs]` and `bias` `[outputs]`.
#[inline(always)]
pub fn weight_gradient<S: Simd>(
    s: S,
    panels: &[(&[f32], &[f32])],
    inputs: usize,
    first: usize,
    matrix: &mut [f32],
    bias: &mut [f32],
) {
    let n = 2 * S::F32_LANES;
    let outputs = bias.len();
    for q in 0..inputs.div_ceil(n) {
        for o in (0..outputs).step_by(BLOCK) {
            let column = [0, 1, 2, 3, 4].map(|j| first + (o + j).min(outputs - 1));
            let mut sums = [[s.splat_f32s(0.0); 2]; BLOCK];
            for (a, g) in panels {
                let a = pairs::<S>(&a[q * n * n..(q + 1) * n * n]);
                sums = accumulate(s, sums, a, zip_columns(column.map(|o| &g[o * n..(o + 1) * n])));
            }
            for (j, sum) in sums.into_iter().enumerate().take(outputs - o) {
                let row = &mut matrix[(o + j) * inputs..(o + j + 1) * inputs];
                let row = &mut row[q * n..inputs.min((q + 1) * n)];
                if let [full] = pairs_mut::<S>(row) {
                    *full = sum;
                } else {
                    let (low, high) = row.split_at_mut(row.len().min(n / 2));
                    s.partial_store_f32s(low, sum[0]);
                    s.partial_store_f32s(high, sum[1]);
                }
            }
        }
    }
    for (o, b) in bias.iter_mut().enumerate() {
        let mut sum = s.splat_f32s(0.0);
        for (_, g) in panels {
            for [low, high] in pairs::<S>(&g[(first + o) * n..(first + o + 1) * n]) {
                sum = s.add_f32s(sum, s.add_f32s(*low, *high));
            }
        }
        *b = s.reduce_sum_f32s(sum);
    }
}
