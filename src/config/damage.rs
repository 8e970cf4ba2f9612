//! Records the parts of a faulty file that are missing from its parsed value.

use std::collections::BTreeSet;
use std::ops::Range;

/// The parts of a file that were left out of its parsed value so that the rest can be checked.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Whether any part of the file was left out or replaced by a placeholder.
    pub any: bool,
    /// Names that are, or may be, defined in the parts that were left out.
    pub names: BTreeSet<String>,
    /// Byte ranges of the tables from which an entry was left out.
    pub tables: Vec<Range<usize>>,
    /// 1-based numbers of the lines with a syntax error, on which no other faults are reported.
    pub lines: BTreeSet<usize>,
}
