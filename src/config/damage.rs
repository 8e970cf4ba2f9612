//! What is missing from the value of a file with faults.

use std::collections::BTreeSet;
use std::ops::Range;

/// What was left out of a value so that the rest of the file can be checked.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Whether something was left out or replaced by a placeholder.
    pub any: bool,
    /// Names that the file defines, or may define, in parts that were left out.
    pub names: BTreeSet<String>,
    /// Tables from which something was left out.
    pub tables: Vec<Range<usize>>,
    /// 1-based numbers of the lines with a syntax error; nothing else is reported on them.
    pub lines: BTreeSet<usize>,
}
