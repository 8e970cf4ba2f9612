//! Records which parts of a faulty file are missing from its parsed value.

use std::collections::BTreeSet;
use std::ops::Range;

/// The parts of a file that were omitted from its parsed value so that the rest can be checked.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Whether any part of the file was omitted or replaced by a placeholder.
    pub any: bool,
    /// Names that are or may be defined in the omitted parts of the file.
    pub names: BTreeSet<String>,
    /// Byte ranges of the tables from which entries were omitted.
    pub tables: Vec<Range<usize>>,
    /// 1-based numbers of the lines with syntax errors; no other faults are reported on these lines.
    pub lines: BTreeSet<usize>,
}
