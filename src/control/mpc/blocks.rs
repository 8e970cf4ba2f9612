//! Move blocking: a long horizon is divided into a few blocks, with one free move per block.

/// Partition of the horizon into blocks. The target of a control is constant within a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    /// First step of each block, followed by the length of the horizon.
    starts: Vec<usize>,
}

impl Blocks {
    /// If `moves` = horizon / replan, every block is one replan interval long (the last block may
    /// be shorter). If `moves` is smaller than horizon / replan, the first block is one replan
    /// interval long, and the ends of the later blocks grow quadratically up to the horizon. If
    /// `moves` is larger than horizon / replan, the horizon is divided evenly among the moves.
    pub fn new(horizon: usize, replan: usize, moves: usize) -> Self {
        let (horizon, replan) = (horizon.max(1), replan.max(1));
        let n = moves.clamp(1, horizon);
        let intervals = horizon.div_ceil(replan);
        let end = |k: usize| -> usize {
            if n == intervals {
                (k * replan).min(horizon)
            } else if n > intervals {
                (k * horizon + n / 2) / n
            } else if n == 1 {
                k * horizon
            } else {
                let rest = (horizon - n * replan) as f64;
                k * replan + (rest * (k * (k - 1)) as f64 / (n * (n - 1)) as f64).round() as usize
            }
        };
        let mut starts = vec![0];
        starts.extend((1..=n).map(end));
        Self { starts }
    }

    /// Length of the longest block, in steps.
    pub fn longest(&self) -> usize {
        self.lengths().max().unwrap_or(1)
    }

    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn horizon(&self) -> usize {
        self.starts[self.count()]
    }

    /// Length of the shortest block, which determines the move limit per block. The last block is ignored, because the
    /// horizon may truncate it.
    pub fn shortest(&self) -> usize {
        let complete = (self.count() - 1).max(1);
        (0..complete).map(|k| self.starts[k + 1] - self.starts[k]).min().unwrap_or(1).max(1)
    }

    /// Number of steps in each block.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.starts.windows(2).map(|w| w[1] - w[0])
    }

    /// Index of the block that contains step `h`; beyond the horizon, the index of the last block.
    pub fn at(&self, h: usize) -> usize {
        self.starts.partition_point(|s| *s <= h).clamp(1, self.count()) - 1
    }

    /// Drops the first `elapsed` steps of a sequence, `[blocks * controls]`, and shifts the remaining steps to its
    /// start.
    pub fn shift(&self, sequence: &mut [f64], controls: usize, elapsed: usize) {
        for k in 0..self.count() {
            // The source block `from` is never earlier than block `k`, so the sequence can be shifted in place in
            // ascending order.
            let from = self.at(self.starts[k] + elapsed);
            sequence.copy_within(from * controls..(from + 1) * controls, k * controls);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_horizon() {
        assert_eq!(Blocks::new(24, 3, 8).starts, [0, 3, 6, 9, 12, 15, 18, 21, 24]);
        assert_eq!(Blocks::new(10, 4, 3).starts, [0, 4, 8, 10]);
        assert_eq!(Blocks::new(24, 3, 4).starts, [0, 3, 8, 15, 24]);
        assert_eq!(Blocks::new(24, 3, 1).starts, [0, 24]);
        assert_eq!(Blocks::new(6, 3, 6).starts, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(Blocks::new(3, 9, 99).starts, [0, 1, 2, 3]);
        for (horizon, replan, moves) in [(144, 1, 12), (100, 7, 5), (13, 2, 12), (1, 1, 1), (5, 9, 1)] {
            let b = Blocks::new(horizon, replan, moves);
            assert_eq!(b.horizon(), horizon);
            assert!(b.starts.windows(2).all(|w| w[0] < w[1]), "{b:?}");
        }
    }

    #[test]
    fn steps_map_to_blocks_and_plans_shift_in_time() {
        let b = Blocks::new(24, 3, 4);
        assert_eq!([0, 2, 3, 7, 8, 23, 99].map(|h| b.at(h)), [0, 0, 1, 1, 2, 3, 3]);
        assert_eq!(b.shortest(), 3);
        let even = Blocks::new(8, 2, 4);
        let mut plan = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0];
        even.shift(&mut plan, 2, 2);
        assert_eq!(plan, [2.0, 20.0, 3.0, 30.0, 4.0, 40.0, 4.0, 40.0]);
    }
}
