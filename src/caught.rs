//! Catches panics in the code of other crates, and suppresses the message that a panic usually prints.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and returns its result, or `None` if it panics. The caller must report the panic as an error.
pub fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.ok()
}

/// Whether a panic in this thread would be caught by [`catch`].
pub fn is_quiet() -> bool {
    QUIET.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_none_and_later_panics_are_loud_again() {
        assert_eq!(catch(|| if is_quiet() { 7 } else { 0 }), Some(7));
        assert_eq!(catch(|| catch(|| -> u8 { panic!("inner") }).is_none() && is_quiet()), Some(true));
        assert!(!is_quiet());
    }
}
