//! Ctrl-C, and the signal by which service managers end a process: both are treated alike, and told apart by the exit
//! code. Every file is published whole or not at all, so nothing is torn.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit codes as a shell gives them: 128 and the signal.
const BY_USER: u8 = 130;
const BY_MANAGER: u8 = 143;

/// Exit code of the signal that came while it was watched; 0: none came.
static CAUGHT: AtomicU8 = AtomicU8::new(0);
/// Somebody looks at [`CAUGHT`] and will end with an orderly result.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// What the interrupted work leaves, as whoever watches says, in words that follow "interrupted", and how long its end may
/// take.
static WORK: Mutex<(&str, Duration)> = Mutex::new(("", Duration::ZERO));

pub(super) fn kept() -> &'static str {
    WORK.lock().unwrap_or_else(PoisonError::into_inner).0
}

/// Exit code of interrupted work.
pub(super) fn exit_code() -> u8 {
    match CAUGHT.load(Ordering::SeqCst) {
        0 => BY_USER,
        code => code,
    }
}

/// While this lives, the first signal does not end the process: who holds it looks at [`Watch::asked`] often and ends
/// with [`crate::error::Error::Interrupted`]. A second one ends the process at once, and so does the first at all other
/// times.
#[derive(Debug)]
pub struct Watch(());

/// Begins to watch; `patience`: how long the work may take to end, since one long step (a plan of many candidates) must
/// not keep the user waiting.
pub fn watch(patience: Duration) -> Watch {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = ("", patience);
    WATCHED.store(true, Ordering::SeqCst);
    Watch(())
}

impl Watch {
    /// What the work leaves when it is interrupted, from now on.
    pub fn leaves(&self, kept: &'static str) {
        WORK.lock().unwrap_or_else(PoisonError::into_inner).0 = kept;
    }

    /// Whether an end is wanted.
    pub fn asked(&self) -> bool {
        CAUGHT.load(Ordering::Relaxed) != 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// Listens for signals, on a thread of its own. Without a listener the system's own handling ends the process: no loss
/// but that of a loop's newest rows.
pub(super) fn listen() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let code = if signal == SIGTERM { BY_MANAGER } else { BY_USER };
            let watched = WATCHED.load(Ordering::SeqCst);
            if watched && CAUGHT.swap(code, Ordering::SeqCst) == 0 {
                let patience = WORK.lock().unwrap_or_else(PoisonError::into_inner).1;
                std::thread::spawn(move || {
                    std::thread::sleep(patience);
                    end(kept(), code)
                });
            } else {
                end(if watched { kept() } else { "" }, code)
            }
        }
    });
}

fn end(kept: &str, code: u8) -> ! {
    let _ = writeln!(std::io::stderr().lock(), "interrupted{kept}");
    std::process::exit(i32::from(code))
}
