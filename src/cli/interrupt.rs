//! Ctrl-C and termination.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that the first Ctrl-C sets. Who takes it promises to look at it often and to end with
/// [`crate::error::Error::Interrupted`]; while nobody has taken it, Ctrl-C ends the process at once.
pub fn flag() -> Arc<AtomicBool> {
    FLAG.get_or_init(Default::default).clone()
}

/// Listens for signals: the first sets the flag, the second ends the process.
pub(super) fn listen() {
    // Without a handler (it can be set once only) the system's own ends the process: no loss.
    let _ = ctrlc::set_handler(|| match FLAG.get() {
        Some(flag) if !flag.swap(true, Ordering::SeqCst) => {}
        _ => std::process::exit(130),
    });
}
