//! The fused rollout on the processor: a tile of rows goes through all steps, and its activations never leave the
//! nearest caches.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::dense::check;
use super::panel::{self, Store};
use crate::compute::curve::{Silu, exp, softplus};
use crate::compute::{Net, NetRollout};
use crate::error::{Error, Result};

/// Rows of a tile: more share the loading of a layer's weights, fewer leave more of the caches to them.
const TILE: usize = 64;
/// Rows of a panel at most: two registers of 512 bits.
const MOST: usize = 32;

pub fn rollout(rollout: &NetRollout, states: &mut [f32]) -> Result<()> {
    let NetRollout { net, rows, steps, columns, targets, .. } = *rollout;
    check(&net, "weights", net.weights.len(), net.members * Net::size(net.widths))?;
    check(&net, "inputs", rollout.inputs.len(), net.widths.first().copied().unwrap_or(0))?;
    check(&net, "outputs", 2 * targets.len(), net.widths.last().copied().unwrap_or(0))?;
    check(&net, "means of inputs", rollout.input_mean.len(), rollout.inputs.len())?;
    check(&net, "scales of inputs", rollout.input_scale.len(), rollout.inputs.len())?;
    for list in [rollout.target_mean, rollout.target_sd, rollout.least, rollout.most] {
        check(&net, "numbers for the targets", list.len(), targets.len())?;
    }
    check(&net, "past values", rollout.history.len(), rollout.past * columns * rows)?;
    check(&net, "future values", rollout.future.len(), steps * rollout.exogenous.len() * rows)?;
    check(&net, "states", states.len(), steps * targets.len() * rows)?;
    let known = |column: usize| column < columns;
    let sound = rollout.block > 0
        && rollout.past > 0
        && rollout.inputs.iter().all(|&(c, lag)| known(c) && lag < rollout.past)
        && targets.iter().all(|t| known(t.0))
        && rollout.exogenous.iter().all(|&c| known(c));
    if !sound {
        return Err(Error::Internal("a rollout reads or writes what is not there".into()));
    }
    if rows == 0 || steps == 0 || targets.is_empty() {
        return Ok(());
    }
    let n = panel::rows();
    let tiles = tiles(rollout, n);
    let frames = steps * targets.len() * n;
    let mut found: Vec<Vec<f32>> = tiles.iter().map(|t| vec![0.0; t.panels(n) * frames]).collect();
    let weights = packed(&net);
    found.par_iter_mut().zip(&tiles).for_each(|(states, tile)| {
        Arch::new().dispatch(Walk { rollout, weights: &weights, tile, states });
    });
    // `[tiles][steps][panels][targets][panel rows]` to `[steps][targets][rows]`.
    states.par_chunks_exact_mut(rows).enumerate().for_each(|(at, column)| {
        let (t, j) = (at / targets.len(), at % targets.len());
        for (tile, found) in tiles.iter().zip(&found) {
            let here = t * tile.panels(n);
            for (p, rows) in tile.rows.chunks(n).enumerate() {
                for (&r, v) in rows.iter().zip(&found[((here + p) * targets.len() + j) * n..]) {
                    column[r] = *v;
                }
            }
        }
    });
    Ok(())
}

/// Rows that follow the same member at every step, and that a thread carries through all steps.
struct Tile {
    /// Their member at the first step.
    member: usize,
    rows: Vec<usize>,
}

impl Tile {
    fn panels(&self, n: usize) -> usize {
        self.rows.len().div_ceil(n)
    }
}

fn tiles(rollout: &NetRollout, n: usize) -> Vec<Tile> {
    let members = rollout.net.members;
    let most = TILE.next_multiple_of(n);
    let mut tiles = Vec::with_capacity(rollout.rows.div_ceil(most) + members);
    for member in 0..members {
        let blocks = (member * rollout.block..rollout.rows).step_by(members * rollout.block);
        let rows: Vec<usize> = blocks.flat_map(|b| b..rollout.rows.min(b + rollout.block)).collect();
        tiles.extend(rows.chunks(most).map(|rows| Tile { member, rows: rows.to_vec() }));
    }
    tiles
}

/// Of every member, layer by layer: packed weights and biases.
fn packed(net: &Net) -> Vec<Vec<f32>> {
    let member = |mut weights: &[f32]| {
        let room = net.widths.windows(2).map(|w| panel::packed(w[0], w[1]) + w[1]).sum();
        let mut packed = Vec::with_capacity(room);
        for w in net.widths.windows(2) {
            let (matrix, rest) = weights.split_at(w[0] * w[1]);
            let (bias, rest) = rest.split_at(w[1]);
            panel::pack(matrix, w[0], &mut packed);
            packed.extend(bias);
            weights = rest;
        }
        packed
    };
    net.weights.chunks_exact(Net::size(net.widths)).map(member).collect()
}

/// One tile through all steps; `states`: `[steps][panels][targets][panel rows]`.
struct Walk<'a> {
    rollout: &'a NetRollout<'a>,
    /// [`packed`].
    weights: &'a [Vec<f32>],
    tile: &'a Tile,
    states: &'a mut [f32],
}

impl WithSimd for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let n = 2 * S::F32_LANES;
        let Self { rollout, weights, tile, states } = self;
        let NetRollout { net, columns, past, targets, .. } = *rollout;
        let panels = tile.panels(n);
        let widest = net.widths.iter().copied().max().unwrap_or(0);
        let (mut from, mut to) = (vec![0.0; panels * widest * n], vec![0.0; panels * widest * n]);
        // A ring: frame t lies at t + past − 1 modulo past.
        let mut frames = vec![0.0; past * panels * columns * n];
        for (frame, history) in frames
            .chunks_exact_mut((panels * columns * n).max(1))
            .zip(rollout.history.chunks_exact((columns * rollout.rows).max(1)))
        {
            for (panel, rows) in frame.chunks_exact_mut(columns * n).zip(tile.rows.chunks(n)) {
                for (to, from) in panel.chunks_exact_mut(n).zip(history.chunks_exact(rollout.rows)) {
                    gather(to, from, rows);
                }
            }
        }
        for (t, states) in states.chunks_exact_mut(panels * targets.len() * n).enumerate() {
            let at = |panel: usize, column: usize, lag: usize| {
                (((t + past - 1 - lag) % past * panels + panel) * columns + column) * n
            };
            for (p, (rows, x)) in tile.rows.chunks(n).zip(from.chunks_exact_mut(widest * n)).enumerate() {
                for (i, &c) in rollout.exogenous.iter().enumerate() {
                    let from = &rollout.future[(t * rollout.exogenous.len() + i) * rollout.rows..];
                    gather(&mut frames[at(p, c, 0)..at(p, c, 0) + n], from, rows);
                }
                for (i, (to, &(c, lag))) in panel::pairs_mut::<S>(x).iter_mut().zip(rollout.inputs).enumerate() {
                    let (mean, scale) = (s.splat_f32s(rollout.input_mean[i]), s.splat_f32s(rollout.input_scale[i]));
                    let x = panel::pairs::<S>(&frames[at(p, c, lag)..])[0];
                    *to = [s.mul_f32s(s.sub_f32s(x[0], mean), scale), s.mul_f32s(s.sub_f32s(x[1], mean), scale)];
                }
            }
            let member = (tile.member + if rollout.switch { t } else { 0 }) % net.members;
            through_layers(s, net.widths, &weights[member], widest * n, &mut from, &mut to);
            for (p, (rows, out)) in tile.rows.chunks(n).zip(from.chunks_exact(widest * n)).enumerate() {
                let states = &mut states[p * targets.len() * n..(p + 1) * targets.len() * n];
                next_states(s, rollout, t, rows, out, |c| &frames[at(p, c, 0)..], states);
                // Frame t + 1 takes the place of the oldest.
                for (&(c, _), state) in targets.iter().zip(states.chunks_exact(n)) {
                    let next = (((t + past) % past * panels + p) * columns + c) * n;
                    frames[next..next + n].copy_from_slice(state);
                }
            }
        }
    }
}

fn gather(to: &mut [f32], from: &[f32], rows: &[usize]) {
    for (to, &r) in to.iter_mut().zip(rows) {
        *to = from[r];
    }
}

/// Panels through a member's layers, from `from` to `from`; each panel has `room` numbers.
#[inline(always)]
fn through_layers<S: Simd>(
    s: S,
    widths: &[usize],
    mut weights: &[f32],
    room: usize,
    from: &mut Vec<f32>,
    to: &mut Vec<f32>,
) {
    for (layer, w) in widths.windows(2).enumerate() {
        let (matrix, rest) = weights.split_at(panel::packed(w[0], w[1]));
        let (bias, rest) = rest.split_at(w[1]);
        weights = rest;
        for (a, out) in from.chunks_exact(room).zip(to.chunks_exact_mut(room)) {
            let (a, to) = (&panel::pairs::<S>(a)[..w[0]], &mut panel::pairs_mut::<S>(out)[..w[1]]);
            panel::forward_packed(s, a, matrix, bias, Store::<S>(to));
            if layer + 2 < widths.len() {
                s.vectorize(Silu(&mut out[..w[1] * 2 * S::F32_LANES]));
            }
        }
        std::mem::swap(from, to);
    }
}

/// The next values of the targets: `states` `[targets][panel rows]` from the networks' outputs.
#[inline(always)]
fn next_states<'a, S: Simd>(
    s: S,
    rollout: &NetRollout,
    t: usize,
    rows: &[usize],
    out: &[f32],
    present: impl Fn(usize) -> &'a [f32],
    states: &mut [f32],
) {
    let (targets, out) = (rollout.targets, panel::pairs::<S>(out));
    let mut noise = [0.0; MOST];
    for (j, (&(c, increment), state)) in targets.iter().zip(panel::pairs_mut::<S>(states)).enumerate() {
        if let Some(key) = rollout.key {
            let key = key.fold(t as u64).fold(j as u64);
            for (z, &r) in noise.iter_mut().zip(rows) {
                *z = key.normal(r as u64) as f32;
            }
        }
        let (z, present) = (panel::pairs::<S>(&noise)[0], panel::pairs::<S>(present(c))[0]);
        for half in 0..2 {
            let mut value = out[j][half];
            if rollout.key.is_some() {
                let lv = bounded(s, out[targets.len() + j][half], rollout.least[j], rollout.most[j]);
                value = s.mul_add_e_f32s(exp(s, s.mul_f32s(lv, s.splat_f32s(0.5))), z[half], value);
            }
            let mean = s.splat_f32s(rollout.target_mean[j]);
            value = s.mul_add_e_f32s(value, s.splat_f32s(rollout.target_sd[j]), mean);
            state[half] = if increment { s.add_f32s(present[half], value) } else { value };
        }
    }
}

/// A log-variance softly kept between `least` and `most` (Chua et al. 2018, appendix).
#[inline(always)]
fn bounded<S: Simd>(s: S, lv: S::f32s, least: f32, most: f32) -> S::f32s {
    let (least, most) = (s.splat_f32s(least), s.splat_f32s(most));
    let lv = s.sub_f32s(most, softplus(s, s.sub_f32s(most, lv)));
    s.add_f32s(least, softplus(s, s.sub_f32s(lv, least)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Backend, Cpu};
    use crate::rng::Key;

    struct Case {
        widths: Vec<usize>,
        weights: Vec<f32>,
        history: Vec<f32>,
        future: Vec<f32>,
    }

    const INPUTS: [(usize, usize); 5] = [(0, 0), (1, 0), (0, 2), (3, 1), (2, 0)];
    const TARGETS: [(usize, bool); 2] = [(1, true), (0, false)];
    const EXOGENOUS: [usize; 2] = [3, 2];
    const MEAN: [f32; 5] = [0.1, -0.2, 0.3, 0.0, 0.5];
    const SCALE: [f32; 5] = [1.0, 0.5, 2.0, 1.5, 0.7];

    fn case(members: usize, rows: usize, steps: usize) -> Case {
        let widths = vec![5, 9, 7, 4];
        let numbers = |n: usize, key: u64, scale: f64| -> Vec<f32> {
            (0..n).map(|i| (scale * Key::new(3).fold(key).normal(i as u64)) as f32).collect()
        };
        Case {
            weights: numbers(members * Net::size(&widths), 0, 0.4),
            history: numbers(3 * 4 * rows, 1, 1.0),
            future: numbers(steps * 2 * rows, 2, 1.0),
            widths,
        }
    }

    impl Case {
        fn rollout(&self, rows: usize, steps: usize, block: usize, switch: bool, key: Option<Key>) -> NetRollout<'_> {
            NetRollout {
                net: Net {
                    members: self.weights.len() / Net::size(&self.widths),
                    widths: &self.widths,
                    weights: &self.weights,
                },
                inputs: &INPUTS,
                input_mean: &MEAN,
                input_scale: &SCALE,
                targets: &TARGETS,
                target_mean: &[0.05, -0.1],
                target_sd: &[0.2, 0.6],
                least: &[-4.0, -3.0],
                most: &[0.5, 0.2],
                columns: 4,
                history: &self.history,
                past: 3,
                future: &self.future,
                exogenous: &EXOGENOUS,
                steps,
                rows,
                block,
                switch,
                key,
            }
        }
    }

    /// One row after the other, one step after the other, in double precision.
    fn naive(r: &NetRollout) -> Vec<f32> {
        let mut states = vec![0.0; r.steps * r.targets.len() * r.rows];
        for row in 0..r.rows {
            let mut frames: Vec<Vec<f64>> = (0..r.past)
                .map(|p| (0..r.columns).map(|c| f64::from(r.history[(p * r.columns + c) * r.rows + row])).collect())
                .collect();
            for t in 0..r.steps {
                let now = frames.len() - 1;
                for (i, &c) in r.exogenous.iter().enumerate() {
                    frames[now][c] = f64::from(r.future[(t * r.exogenous.len() + i) * r.rows + row]);
                }
                let input = |(i, &(c, lag)): (usize, &(usize, usize))| {
                    (frames[now - lag][c] - f64::from(r.input_mean[i])) * f64::from(r.input_scale[i])
                };
                let mut a: Vec<f64> = r.inputs.iter().enumerate().map(input).collect();
                let member = (row / r.block + if r.switch { t } else { 0 }) % r.net.members;
                let size = Net::size(r.net.widths);
                let mut w = &r.net.weights[member * size..(member + 1) * size];
                for (layer, widths) in r.net.widths.windows(2).enumerate() {
                    let mut out = vec![0.0; widths[1]];
                    for (o, out) in out.iter_mut().enumerate() {
                        let z = f64::from(w[widths[0] * widths[1] + o])
                            + (0..widths[0]).map(|i| a[i] * f64::from(w[o * widths[0] + i])).sum::<f64>();
                        *out = if layer + 2 == r.net.widths.len() { z } else { z / (1.0 + (-z).exp()) };
                    }
                    w = &w[(widths[0] + 1) * widths[1]..];
                    a = out;
                }
                let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
                let mut next = vec![0.0; r.columns];
                for (j, &(c, increment)) in r.targets.iter().enumerate() {
                    let (least, most) = (f64::from(r.least[j]), f64::from(r.most[j]));
                    let lv = most - softplus(most - a[r.targets.len() + j]);
                    let lv = least + softplus(lv - least);
                    let z = r.key.map_or(0.0, |k| k.fold(t as u64).fold(j as u64).normal(row as u64));
                    let value = f64::from(r.target_mean[j]) + f64::from(r.target_sd[j]) * (a[j] + (0.5 * lv).exp() * z);
                    next[c] = value + if increment { frames[now][c] } else { 0.0 };
                    states[(t * r.targets.len() + j) * r.rows + row] = next[c] as f32;
                }
                frames.push(next);
            }
        }
        states
    }

    #[test]
    fn rollouts_are_those_of_a_loop_over_steps() {
        let (rows, steps) = (101, 6);
        let case = case(3, rows, steps);
        for (block, switch, key) in
            [(4, false, None), (1, false, Some(Key::new(8))), (50, true, None), (7, true, Some(Key::new(9)))]
        {
            let r = case.rollout(rows, steps, block, switch, key);
            let mut states = vec![f32::NAN; steps * 2 * rows];
            Cpu.rollout(&r, &mut states).unwrap();
            for (a, b) in states.iter().zip(naive(&r)) {
                assert!((a - b).abs() < 2e-5 * (1.0 + b.abs()), "{block} {switch}: {a} {b}");
            }
        }
    }

    #[test]
    fn rollouts_are_the_same_bytes_on_one_thread_or_two() {
        let (rows, steps) = (500, 4);
        let case = case(5, rows, steps);
        let r = case.rollout(rows, steps, 10, false, Some(Key::new(2)));
        let runs = [1, 2].map(|threads| {
            let mut states = vec![0.0; steps * 2 * rows];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Cpu.rollout(&r, &mut states)).unwrap();
            states.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        });
        assert_eq!(runs[0], runs[1]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let case = case(2, 10, 3);
        let r = case.rollout(10, 3, 5, false, None);
        let mut states = vec![0.0; 3 * 2 * 10];
        assert!(Cpu.rollout(&r, &mut states[1..]).is_err());
        assert!(Cpu.rollout(&NetRollout { past: 2, history: &r.history[..80], ..r }, &mut states).is_err());
        assert!(Cpu.rollout(&NetRollout { block: 0, ..r }, &mut states).is_err());
    }
}
