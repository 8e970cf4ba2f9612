//! How predictions come back as inputs while a model simulates, and where in the log it can.

use std::ops::Range;

use crate::learn::dataset::Dataset;
use crate::learn::map::{Layout, Target};
use crate::rng::Key;

/// What of a layout is fed back. States that are known equations, controls and disturbances are not: while a fit
/// simulates, they come from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Inputs that are states whose increments are targets.
    pub fed: Vec<Fed>,
    /// Of each target: whether it is an increment, which adds up.
    pub increments: Vec<bool>,
}

/// An input that is the state of a target, some frames ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed {
    pub input: usize,
    pub target: usize,
    pub lag: usize,
}

impl Feedback {
    pub fn of(layout: &Layout) -> Self {
        let of = |(input, &(signal, lag)): (usize, &(usize, usize))| {
            let target = layout.targets.iter().position(|t| *t == Target::Delta(signal))?;
            Some(Fed { input, target, lag })
        };
        Self {
            fed: layout.inputs.iter().enumerate().filter_map(of).collect(),
            increments: layout.targets.iter().map(|t| matches!(t, Target::Delta(_))).collect(),
        }
    }
}

/// Stretches of `block`, a range of positions in `rows`, whose transitions follow one another.
pub fn stretches(data: &Dataset, rows: &[usize], block: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = block.start;
    for i in block.start + 1..=block.end {
        if i == block.end || data.row[rows[i]] != data.row[rows[i - 1]] + 1 {
            found.push(start..i);
            start = i;
        }
    }
    found
}

/// First positions of windows of `length` transitions in a stretch, one every `stride`, from a random place on; `None`:
/// from its start on.
pub fn windows(stretch: &Range<usize>, length: usize, stride: usize, key: Option<Key>) -> Vec<usize> {
    if stretch.len() < length {
        return Vec::new();
    }
    let room = stretch.len() - length;
    let from = key.map_or(0, |key| key.below(0, stride.min(room + 1)));
    (stretch.start + from..=stretch.start + room).step_by(stride).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_that_are_predicted_come_back() {
        let layout = Layout {
            inputs: vec![(0, 0), (0, 1), (1, 0), (2, 0)],
            targets: vec![Target::Level(3), Target::Residual(1), Target::Delta(0)],
        };
        let feedback = Feedback::of(&layout);
        let fed = |input, lag| Fed { input, target: 2, lag };
        assert_eq!(feedback.fed, [fed(0, 0), fed(1, 1)]);
        assert_eq!(feedback.increments, [false, false, true]);
    }

    #[test]
    fn windows_stay_where_transitions_follow_one_another() {
        let data = Dataset {
            layout: Layout { inputs: vec![], targets: vec![] },
            x: vec![],
            y: vec![],
            row: vec![3, 4, 5, 9, 10, 11, 12, 13],
            step_ms: 1000,
        };
        let rows = [0, 1, 2, 3, 4, 6, 7];
        assert_eq!(stretches(&data, &rows, 0..7), [0..3, 3..5, 5..7]);
        assert_eq!(stretches(&data, &rows, 1..2), [1..2]);
        assert_eq!(windows(&(10..20), 4, 3, None), [10, 13, 16]);
        assert_eq!(windows(&(10..13), 4, 3, None), []);
        for i in 0..50 {
            let found = windows(&(10..20), 4, 3, Some(Key::new(i)));
            assert!(found.iter().all(|&w| w >= 10 && w + 4 <= 20) && found.len() >= 2, "{found:?}");
        }
    }
}
