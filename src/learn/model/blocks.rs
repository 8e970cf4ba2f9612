//! Contiguous blocks of training rows. The bootstrap draws whole blocks, because neighbouring rows are correlated
//! (non-overlapping block bootstrap: Carlstein 1986).

use std::ops::Range;

use crate::learn::dataset::Dataset;
use crate::rng::Key;

/// Maximum number of blocks (not tuned; more blocks would use more memory without improving the bootstrap).
const MAX_BLOCKS: usize = 250;
const DAY_MS: i64 = 86_400_000;

/// The training rows, divided into blocks of about one day and at least 20 steps (not tuned). No block contains rows of
/// more than one fold.
#[derive(Debug)]
pub struct Blocks {
    /// Range of each block, as positions in the list of training rows.
    pub ranges: Vec<Range<usize>>,
    /// Fold to which each block belongs; `None` for a block between two folds.
    pub folds: Vec<Option<usize>>,
}

impl Blocks {
    pub fn new(data: &Dataset, rows: &[usize], folds: &[Vec<usize>]) -> Self {
        let mut fold_of = vec![None; data.len()];
        for (k, fold) in folds.iter().enumerate() {
            for &r in fold {
                fold_of[r] = Some(k);
            }
        }
        let day = usize::try_from(DAY_MS / data.step_ms.max(1)).unwrap_or(1);
        // There are at least ten blocks, even if the log is short.
        let longest = day.max(20).min(rows.len().div_ceil(10)).max(rows.len().div_ceil(MAX_BLOCKS)).max(1);
        let mut blocks = Self { ranges: Vec::new(), folds: Vec::new() };
        let mut start = 0;
        for i in 1..=rows.len() {
            let ends = i == rows.len() || i - start == longest || fold_of[rows[i]] != fold_of[rows[start]];
            if ends {
                blocks.ranges.push(start..i);
                blocks.folds.push(fold_of[rows[start]]);
                start = i;
            }
        }
        blocks
    }

    /// Number of times each block occurs in the bootstrap sample drawn with `key`. The number of draws with replacement
    /// equals the number of blocks.
    pub fn bootstrap(&self, key: Key) -> Vec<u32> {
        let mut counts = vec![0; self.ranges.len()];
        for i in 0..counts.len() {
            counts[key.below(i as u64, self.ranges.len())] += 1;
        }
        counts
    }
}
