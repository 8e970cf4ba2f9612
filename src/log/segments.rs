//! Splits a grid into segments at gaps and at changes of episode.

use std::ops::Range;

use super::episodes::Episodes;
use super::grid::Grid;

/// The segments of a grid, and the reasons for the splits between them.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub segments: Vec<Range<usize>>,
    /// Parts of the grid that are longer than `max_gap` and contain no sample of any signal.
    pub gaps: Vec<Range<usize>>,
    /// Number of steps that belong to no segment, because they contain samples from two episodes.
    pub mixed: usize,
}

impl Segments {
    /// Removes `steps` from all segments.
    pub fn remove(&mut self, steps: Range<usize>) {
        let parts = |s: Range<usize>| [s.start..s.end.min(steps.start), s.start.max(steps.end)..s.end];
        self.segments = self.segments.drain(..).flat_map(parts).filter(|s| !s.is_empty()).collect();
    }
}

/// Splits the grid at changes of episode, and at gaps in which no signal has a sample for more than `max_gap` µs.
pub(super) fn split(grid: &Grid, has_sample: &[bool], episodes: Option<&Episodes>, max_gap: i64) -> Segments {
    let mut out = Segments::default();
    let mut cut = vec![false; grid.steps + 1];
    let mut mixed = vec![false; grid.steps];
    for pair in episodes.map_or(&[][..], |e| &e.blocks).windows(2) {
        let (Some(last), Some(first)) = (grid.step_of(pair[0].to), grid.step_of(pair[1].from)) else { continue };
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
        if !has_sample[k] && !cut[k] {
            continue;
        }
        if let Some(l) = last
            && (k - l) as i64 * grid.step > max_gap
        {
            close(&mut start, l + 1, &mut out);
            out.gaps.push(l + 1..k);
        }
        if cut[k] {
            // Empty steps just before a change of episode belong to neither episode.
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
        Grid { start: 0, step: 10, steps, slack: 0, bounds: Vec::new() }
    }

    #[test]
    fn only_gaps_longer_than_max_gap_split_the_log() {
        let mut has_sample = vec![true; 20];
        has_sample[4..6].fill(false);
        has_sample[10..15].fill(false);
        let s = split(&grid(20), &has_sample, None, 30);
        assert_eq!((s.segments, s.gaps.len(), s.gaps[0].clone()), (vec![0..10, 15..20], 1, 10..15));
    }

    #[test]
    fn episodes_split_the_log_and_a_step_with_two_episodes_is_left_out() {
        let time: Vec<i64> = (0..20).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..20).map(|i| u32::from(i >= 8)).collect();
        let e = Episodes::new(&time, &label, 30);
        assert_eq!((e.changes(), e.overlap.count), (1, 0));
        assert_eq!(split(&grid(20), &[true; 20], Some(&e), 30).segments, [0..8, 8..20]);
        let coarse = Grid { start: 0, step: 30, steps: 7, slack: 0, bounds: Vec::new() };
        let s = split(&coarse, &[true; 7], Some(&e), 90);
        assert_eq!((s.segments, s.mixed), (vec![0..2, 3..7], 1));
    }
}
