//! Where the log falls apart: episodes along the time line, and the segments of the grid.

use std::ops::Range;

use super::finding::Tally;
use super::resample::Grid;

/// A stretch of the time line that belongs to one episode; both ends belong to it (µs UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub from: i64,
    pub to: i64,
    /// Index of the episode's label.
    pub label: u32,
}

/// The time line as episodes, one after the other.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    pub blocks: Vec<Block>,
    /// Rows of an episode that began while another was still being logged: they have no place on one time line.
    pub overlap: Tally,
    pub rows: usize,
}

impl Episodes {
    /// Walks rows in time order. An episode goes on while its next row is no farther than `max_gap`; rows of another
    /// one that come in between overlap with it.
    pub fn new(time: &[i64], label: &[u32], max_gap: i64) -> Self {
        let mut order: Vec<usize> = (0..time.len()).collect();
        order.sort_by_key(|&i| (time[i], label[i]));
        let labels = label.iter().max().map_or(0, |m| *m as usize + 1);
        // Time of the next row with the same label.
        let mut next = vec![i64::MAX; time.len()];
        let mut seen = vec![i64::MAX; labels];
        for &i in order.iter().rev() {
            next[i] = seen[label[i] as usize];
            seen[label[i] as usize] = time[i];
        }
        let mut out = Self { rows: time.len(), ..Self::default() };
        let mut goes_on_at = i64::MAX;
        for &i in &order {
            let (t, l) = (time[i], label[i]);
            match out.blocks.last_mut() {
                Some(b) if b.label == l => b.to = t,
                Some(b) if goes_on_at != i64::MAX && goes_on_at - b.to <= max_gap => {
                    out.overlap.add(t);
                    continue;
                }
                _ => out.blocks.push(Block { from: t, to: t, label: l }),
            }
            goes_on_at = next[i];
        }
        out
    }

    /// Whether a row of episode `label` at `time` is part of the time line.
    pub fn holds(&self, time: i64, label: u32) -> bool {
        let after = self.blocks.partition_point(|b| b.from <= time);
        // Blocks may touch in one time stamp, so up to two end at or after it.
        self.blocks[after.saturating_sub(2)..after].iter().any(|b| b.label == label && time <= b.to)
    }

    /// Changes of episode.
    pub fn changes(&self) -> usize {
        self.blocks.len().saturating_sub(1)
    }
}

/// The segments of a grid, and why they end.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub segments: Vec<Range<usize>>,
    /// Stretches of the grid without any sample, longer than `max_gap`.
    pub gaps: Vec<Range<usize>>,
    /// Steps that hold samples of two episodes, which are left out.
    pub mixed: usize,
}

/// Splits the grid where no signal has a sample for longer than `max_gap` µs, and at changes of episode.
pub(super) fn split(grid: &Grid, alive: &[bool], episodes: Option<&Episodes>, max_gap: i64) -> Segments {
    let mut out = Segments::default();
    let mut cut = vec![false; grid.steps + 1];
    let mut mixed = vec![false; grid.steps];
    for pair in episodes.map_or(&[][..], |e| &e.blocks).windows(2) {
        let (Some(last), Some(first)) = (grid.bin(pair[0].to), grid.bin(pair[1].from)) else { continue };
        cut[first] = true;
        mixed[first] |= last == first;
    }
    let mut start = None;
    let mut last: Option<usize> = None;
    let close = |start: &mut Option<usize>, end: usize, out: &mut Segments| {
        if let Some(s) = start.take() {
            out.segments.push(s..end);
        }
    };
    for k in 0..grid.steps {
        if !alive[k] && !cut[k] {
            continue;
        }
        if let Some(l) = last
            && (k - l) as i64 * grid.step > max_gap
        {
            close(&mut start, l + 1, &mut out);
            out.gaps.push(l + 1..k);
        }
        if cut[k] {
            // Empty steps before the change belong to neither episode.
            if let Some(l) = last {
                close(&mut start, l + 1, &mut out);
            }
        }
        if mixed[k] {
            out.mixed += 1;
            close(&mut start, k, &mut out);
        } else {
            start.get_or_insert(k);
        }
        last = Some(k);
    }
    if let Some(l) = last {
        close(&mut start, l + 1, &mut out);
    }
    out.segments.retain(|s| !s.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(steps: usize) -> Grid {
        Grid { start: 0, step: 10, steps, slack: 0 }
    }

    #[test]
    fn long_gaps_split_and_short_ones_do_not() {
        let mut alive = vec![true; 20];
        alive[4..6].fill(false);
        alive[10..15].fill(false);
        let s = split(&grid(20), &alive, None, 30);
        assert_eq!((s.segments, s.gaps), (vec![0..10, 15..20], vec![10..15]));
    }

    #[test]
    fn episodes_split_and_a_step_of_two_is_left_out() {
        let time: Vec<i64> = (0..20).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..20).map(|i| u32::from(i >= 8)).collect();
        let e = Episodes::new(&time, &label, 30);
        assert_eq!((e.changes(), e.overlap.count), (1, 0));
        assert_eq!(split(&grid(20), &[true; 20], Some(&e), 30).segments, [0..8, 8..20]);
        let coarse = Grid { start: 0, step: 30, steps: 7, slack: 0 };
        let s = split(&coarse, &[true; 7], Some(&e), 90);
        assert_eq!((s.segments, s.mixed), (vec![0..2, 3..7], 1));
    }

    #[test]
    fn labels_may_come_back_and_overlaps_are_told() {
        let time: Vec<i64> = (0..30).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..30).map(|i| (i / 10) % 2).collect();
        assert_eq!(Episodes::new(&time, &label, 30).blocks.len(), 3);
        // Episode 1 begins 2 rows before episode 0 ends.
        let time: Vec<i64> = (0..10).chain(8..18).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..20).map(|i| u32::from(i >= 10)).collect();
        let e = Episodes::new(&time, &label, 30);
        assert_eq!((e.blocks.len(), e.overlap.count), (2, 2));
        assert!(e.holds(90, 0) && !e.holds(90, 1) && e.holds(100, 1));
    }
}
