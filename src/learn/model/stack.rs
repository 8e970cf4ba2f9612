//! A weighted mean of models.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{artefact, decode};
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::learn::regressor::{Particle, Regressor};

/// Name of the stack in the model list.
pub const STACK: &str = "stack";

/// Several models of one layout, each target a weighted mean of their predictions (Wolpert 1992; weights that are not
/// negative and sum to one, as Breiman 1996 advises). Member m follows member m of every part.
#[derive(Debug)]
pub struct Stack {
    parts: Vec<Arc<dyn Regressor>>,
    /// `[parts][targets]`.
    weights: Vec<Vec<f64>>,
    /// Columns that predictions of parts are written to, one set per thread at work.
    room: Mutex<Vec<Vec<Vec<f64>>>>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// (name, bytes) of each part.
    parts: Vec<(String, Vec<u8>)>,
    weights: Vec<Vec<f64>>,
}

impl Stack {
    /// `weights`: `[parts][targets]`. Parts that weigh nothing are left out.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no part, or shapes differ.
    pub fn new(parts: Vec<Arc<dyn Regressor>>, weights: Vec<Vec<f64>>) -> Result<Self> {
        let shape = parts.first().map(|p| p.shape());
        let fits = parts.len() == weights.len()
            && parts.iter().all(|p| Some(p.shape()) == shape)
            && weights.iter().all(|w| Some(w.len()) == shape.map(|s| s.1));
        if !fits || parts.is_empty() {
            return Err(Error::Internal("the parts of a stack do not fit together".into()));
        }
        let (parts, weights) =
            parts.into_iter().zip(weights).filter(|(_, w)| w.iter().any(|w| *w > 0.0)).unzip::<_, _, Vec<_>, Vec<_>>();
        Ok(Self { parts, weights, room: Mutex::default() })
    }

    pub(super) fn decode(bytes: &[u8], compute: &Compute) -> Result<Self> {
        let Stored { parts, weights } = artefact::decode(STACK, bytes)?;
        // A stack in a stack could nest without end.
        let known = |name: &str| super::NAMES.contains(&name);
        let part = |(name, bytes): &(String, Vec<u8>)| match known(name) {
            true => decode(name, bytes, compute),
            false => Err(artefact::corrupt(STACK, "a part is no model of the list")),
        };
        let parts = parts.iter().map(part).collect::<Result<Vec<_>>>()?;
        let sound = weights.iter().flatten().all(|w| (0.0..=1.0).contains(w));
        match Self::new(parts, weights) {
            Ok(stack) if sound && !stack.parts.is_empty() => Ok(stack),
            _ => Err(artefact::corrupt(STACK, "its parts do not fit together")),
        }
    }

    /// Adds the weighted columns that `part` writes for every part; stops when one writes none.
    fn sum(
        &self,
        particles: &[Particle],
        out: &mut [Vec<f64>],
        mut part: impl FnMut(usize, &mut [Vec<f64>]) -> bool,
        weight: impl Fn(usize, usize) -> f64,
    ) -> bool {
        let lock = || self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = lock().pop().unwrap_or_default();
        let rows = particles.iter().map(|p| p.rows.end).max().unwrap_or(0);
        room.resize_with(out.len(), Vec::new);
        room.iter_mut().for_each(|c| c.resize(rows.max(c.len()), 0.0));
        let mut whole = true;
        for i in 0..self.parts.len() {
            whole &= part(i, &mut room);
            if !whole {
                break;
            }
            for (j, (out, column)) in out.iter_mut().zip(&room).enumerate() {
                let w = weight(i, j);
                for p in particles {
                    for (o, v) in out[p.rows.clone()].iter_mut().zip(&column[p.rows.clone()]) {
                        *o = if i == 0 { w * v } else { *o + w * v };
                    }
                }
            }
        }
        lock().push(room);
        whole
    }
}

impl Regressor for Stack {
    fn name(&self) -> &'static str {
        STACK
    }

    fn shape(&self) -> (usize, usize) {
        self.parts.first().map_or((0, 0), |p| p.shape())
    }

    fn members(&self) -> usize {
        self.parts.iter().map(|p| p.members()).max().unwrap_or(1)
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        let part = |i: usize, out: &mut [Vec<f64>]| {
            self.parts[i].predict(x, particles, out);
            true
        };
        self.sum(particles, out, part, |i, j| self.weights[i][j]);
    }

    fn encode(&self) -> Vec<u8> {
        let parts = self.parts.iter().map(|p| (p.name().to_owned(), p.encode())).collect();
        artefact::encode(&Stored { parts, weights: self.weights.clone() })
    }

    fn vjp(&self, x: &[&[f64]], particles: &[Particle], cotangent: &[Vec<f64>], out: &mut [Vec<f64>]) -> bool {
        let part = |i: usize, out: &mut [Vec<f64>]| {
            let scaled: Vec<Vec<f64>> =
                cotangent.iter().zip(&self.weights[i]).map(|(c, w)| c.iter().map(|v| w * v).collect()).collect();
            self.parts[i].vjp(x, particles, &scaled, out)
        };
        self.sum(particles, out, part, |_, _| 1.0)
    }

    /// That of the mixture of its parts: what each doubts, and how far they are apart.
    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        let (q, all) = (self.shape().1, [Particle { member: None, rows: 0..rows }]);
        let mut mean = vec![vec![0.0; rows]; q];
        self.predict(x, &all, &mut mean);
        out.iter_mut().for_each(|c| c[..rows].fill(0.0));
        let (mut own, mut doubt) = (mean.clone(), mean.clone());
        for (part, weights) in self.parts.iter().zip(&self.weights) {
            part.predict(x, &all, &mut own);
            part.epistemic(x, rows, &mut doubt);
            for (j, w) in weights.iter().enumerate() {
                for (r, o) in out[j][..rows].iter_mut().enumerate() {
                    *o += w * (doubt[j][r].powi(2) + (own[j][r] - mean[j][r]).powi(2));
                }
            }
        }
        out.iter_mut().for_each(|c| c[..rows].iter_mut().for_each(|o| *o = o.sqrt()));
    }

    fn note(&self) -> Option<String> {
        let share = |w: &[f64]| 100.0 * w.iter().sum::<f64>() / w.len().max(1) as f64;
        let parts = self.parts.iter().zip(&self.weights);
        Some(parts.map(|(p, w)| format!("{} {:.0} %", p.name(), share(w))).collect::<Vec<_>>().join(", "))
    }
}
