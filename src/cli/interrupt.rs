//! Ctrl-C. A termination signal ends the process as the system does it (143 in a shell): every file is published whole
//! or not at all, so nothing is torn, and `--resume` goes on.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Somebody looks at [`CAUGHT`] and will end with an orderly result.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Ctrl-C came while it was watched.
static CAUGHT: AtomicBool = AtomicBool::new(false);

/// What the interrupted work leaves, as whoever watches says.
static KEPT: Mutex<&str> = Mutex::new("");

/// In words that follow "interrupted".
pub(super) fn kept() -> &'static str {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, the first Ctrl-C does not end the process: who holds it looks at [`Watch::asked`] often and ends
/// with [`crate::error::Error::Interrupted`]. A second one ends the process at once, and so does the first at all other
/// times.
#[derive(Debug)]
pub struct Watch(());

/// Begins to watch; `kept`: what the work leaves when it is interrupted.
pub fn watch(kept: &'static str) -> Watch {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    WATCHED.store(true, Ordering::SeqCst);
    Watch(())
}

impl Watch {
    /// Whether the user wants an end.
    pub fn asked(&self) -> bool {
        CAUGHT.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// How long work that promised to look may take to end: one long step (a plan of many candidates) must not keep the
/// user waiting.
const PATIENCE: Duration = Duration::from_millis(600);

/// Listens for Ctrl-C. Without a listener the system's own handling ends the process: no loss.
pub(super) fn listen() {
    let _ = ctrlc::set_handler(|| {
        let watched = WATCHED.load(Ordering::SeqCst);
        let end = move || {
            let kept = if watched { kept() } else { "" };
            let _ = writeln!(std::io::stderr().lock(), "interrupted{kept}");
            std::process::exit(i32::from(crate::error::Error::Interrupted.exit_code()))
        };
        if watched && !CAUGHT.swap(true, Ordering::SeqCst) {
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                end()
            });
        } else {
            end()
        }
    });
}
