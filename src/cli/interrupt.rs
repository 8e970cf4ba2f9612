//! Ctrl-C and termination.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Somebody looks at [`ASKED`] and will end with an orderly result.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// A signal came while it was watched.
static ASKED: AtomicBool = AtomicBool::new(false);

/// How long work that promised to look may take to end.
const PATIENCE: Duration = Duration::from_millis(600);

/// What an interrupted batch leaves.
pub const KEPT: &str = "; what had finished is kept, the same command with `--resume` goes on from there";

/// While this lives, the first Ctrl-C does not end the process: who holds it looks at [`Watch::asked`] often and ends
/// with [`crate::error::Error::Interrupted`]. At all other times Ctrl-C ends the process at once; every file is
/// published whole or not at all, so nothing is torn.
#[derive(Debug)]
pub struct Watch(());

/// Begins to watch.
pub fn watch() -> Watch {
    WATCHED.store(true, Ordering::SeqCst);
    Watch(())
}

impl Watch {
    /// Whether the user wants an end.
    pub fn asked(&self) -> bool {
        ASKED.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// Listens for signals.
pub(super) fn listen() {
    // Without a handler (it can be set once only) the system's own ends the process: no loss.
    let _ = ctrlc::set_handler(|| {
        let watched = WATCHED.load(Ordering::SeqCst);
        if watched && !ASKED.swap(true, Ordering::SeqCst) {
            // one long step (a plan of many candidates) must not keep the user waiting
            std::thread::sleep(PATIENCE);
        }
        let kept = if watched { KEPT } else { "" };
        let _ = writeln!(std::io::stderr().lock(), "interrupted{kept}");
        std::process::exit(130)
    });
}
