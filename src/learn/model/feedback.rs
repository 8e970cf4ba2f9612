//! Finds the inputs to which predictions are fed back in a simulation, and the windows of the log over which a
//! simulation can run.

use std::ops::Range;

use crate::learn::dataset::Dataset;
use crate::learn::layout::{Layout, Target};
use crate::rng::Key;

/// The inputs of a layout to which predictions are fed back. During fitting, all other inputs of a simulation are taken
/// from the log: controls, disturbances and states with known equations.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Inputs that read a state whose increment is a target of the model.
    pub inputs: Vec<FeedbackInput>,
    /// Whether each target is an increment: `[targets]`.
    pub increments: Vec<bool>,
}

/// An input that reads, with a lag of `lag` frames, the state that target number `target` predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackInput {
    pub input: usize,
    pub target: usize,
    pub lag: usize,
}

impl Feedback {
    pub fn new(layout: &Layout) -> Self {
        let feedback_input = |(input, &(signal, lag)): (usize, &(usize, usize))| {
            let target = layout.targets.iter().position(|t| *t == Target::Delta(signal))?;
            Some(FeedbackInput { input, target, lag })
        };
        Self {
            inputs: layout.inputs.iter().enumerate().filter_map(feedback_input).collect(),
            increments: layout.targets.iter().map(|t| matches!(t, Target::Delta(_))).collect(),
        }
    }
}

/// Returns, for each position in `rows`, the end of the sequence of consecutive transitions that
/// contains this position.
pub fn sequence_ends(data: &Dataset, rows: &[usize]) -> Vec<usize> {
    let mut ends = vec![rows.len(); rows.len()];
    for i in (1..rows.len()).rev() {
        ends[i - 1] = if data.row[rows[i]] == data.row[rows[i - 1]] + 1 { ends[i] } else { i };
    }
    ends
}

/// Returns the length of the longest window of consecutive transitions, or `length` if this is
/// smaller.
pub fn longest_window(ends: &[usize], length: usize) -> usize {
    ends.iter().enumerate().map(|(i, end)| end - i).max().unwrap_or(1).min(length).max(1)
}

/// Returns the start positions, in `block`, of windows that contain `length` consecutive
/// transitions. The starts are `stride` positions apart. The first position is random, or the start
/// of the block if `key` is `None`. A window may extend beyond the end of its block.
pub fn windows(
    block: Range<usize>,
    ends: &[usize],
    length: usize,
    stride: usize,
    key: Option<Key>,
) -> impl Iterator<Item = usize> {
    let from = key.map_or(0, |key| key.below(0, stride.min(block.len().max(1))));
    (block.start + from..block.end).step_by(stride).filter(move |&i| i + length <= ends[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_predicted_states_are_fed_back() {
        let layout = Layout {
            inputs: vec![(0, 0), (0, 1), (1, 0), (2, 0)],
            targets: vec![Target::Level(3), Target::Residual(1), Target::Delta(0)],
        };
        let feedback = Feedback::new(&layout);
        let expected = |input, lag| FeedbackInput { input, target: 2, lag };
        assert_eq!(feedback.inputs, [expected(0, 0), expected(1, 1)]);
        assert_eq!(feedback.increments, [false, false, true]);
    }

    #[test]
    fn windows_contain_consecutive_transitions_only() {
        let data = Dataset {
            layout: Layout { inputs: vec![], targets: vec![] },
            x: vec![],
            y: vec![],
            row: vec![3, 4, 5, 9, 10, 11, 12, 13],
            step_ms: 1000,
            control_moves: vec![],
        };
        let rows = [0, 1, 2, 3, 4, 6, 7];
        let ends = sequence_ends(&data, &rows);
        assert_eq!(ends, [3, 3, 3, 5, 5, 7, 7]);
        assert_eq!((longest_window(&ends, 9), longest_window(&ends, 2)), (3, 2));
        let starts = |block, length, key| windows(block, &ends, length, 2, key).collect::<Vec<_>>();
        assert_eq!(starts(0..7, 2, None), [0]);
        assert_eq!(starts(0..7, 1, None), [0, 2, 4, 6]);
        assert_eq!(starts(1..7, 2, None), [1, 3, 5]);
        let shifted: Vec<Vec<usize>> = (0..9).map(|i| starts(0..7, 1, Some(Key::new(i)))).collect();
        assert!(shifted.contains(&vec![0, 2, 4, 6]) && shifted.contains(&vec![1, 3, 5]), "{shifted:?}");
    }
}
