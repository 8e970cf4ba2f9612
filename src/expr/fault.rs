//! Mistakes in expressions.

use std::ops::Range;

use crate::error;

/// A mistake in an expression, with its position in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprFault {
    /// One of `syntax`, `too-long`, `too-deep`, `unknown-name`, `unknown-function`, `unknown-unit`, `unit-mismatch`,
    /// `arity`, `bad-lag` and `bad-bounds`.
    pub code: &'static str,
    /// Byte range in the expression's text.
    pub span: Range<usize>,
    pub message: String,
    pub help: String,
}

/// Help for an unknown name: `did you mean ...?`, or a list of the known names.
pub(super) fn nearest_help<'a>(name: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    match error::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => {
            let some: Vec<&str> = known.iter().take(12).copied().collect();
            let more = if known.len() > 12 { ", ..." } else { "" };
            format!("known {what} are {}{more}", some.join(", "))
        }
    }
}
