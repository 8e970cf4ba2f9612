//! Handles SIGINT (Ctrl-C) and SIGTERM (sent by service managers). SIGINT and SIGTERM stop the work in the same way but
//! give different exit codes. Every file is written completely or not at all, so an interrupt leaves no partial file.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit codes that shells use for a process ended by a signal: 128 plus the number of the signal.
const SIGINT_CODE: u8 = 130;
const SIGTERM_CODE: u8 = 143;

/// Exit code for the signal that arrived while a guard existed, or 0 if no signal has arrived.
static CAUGHT: AtomicU8 = AtomicU8::new(0);
/// Whether an [`InterruptGuard`] exists.
static GUARDED: AtomicBool = AtomicBool::new(false);

/// Text to print after "interrupted", and the time within which the work must stop after the first signal.
static WORK: Mutex<(&str, Duration)> = Mutex::new(("", Duration::ZERO));

/// Text about the files that the interrupted work leaves behind, which is printed after "interrupted".
pub(super) fn message() -> &'static str {
    WORK.lock().unwrap_or_else(PoisonError::into_inner).0
}

/// Exit code of an interrupted process.
pub(super) fn exit_code() -> u8 {
    match CAUGHT.load(Ordering::SeqCst) {
        0 => SIGINT_CODE,
        code => code,
    }
}

/// Defers the first signal. The owner of the guard polls [`InterruptGuard::is_interrupted`] and returns
/// [`crate::error::Error::Interrupted`]. A second signal ends the process at once. Without a guard, the first signal
/// ends the process at once.
#[derive(Debug)]
pub struct InterruptGuard(());

/// Creates the guard. The process ends `grace_period` after the first signal even if the work has not stopped, so that
/// one long step, such as a plan with many candidates, does not keep the user waiting.
pub fn guard(grace_period: Duration) -> InterruptGuard {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = ("", grace_period);
    GUARDED.store(true, Ordering::SeqCst);
    InterruptGuard(())
}

impl InterruptGuard {
    /// Replaces the text to print after "interrupted".
    pub fn set_message(&self, message: &'static str) {
        WORK.lock().unwrap_or_else(PoisonError::into_inner).0 = message;
    }

    /// Whether the process has received an interrupt signal.
    pub fn is_interrupted(&self) -> bool {
        CAUGHT.load(Ordering::Relaxed) != 0
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        GUARDED.store(false, Ordering::SeqCst);
    }
}

/// Starts the thread that handles signals. If the thread cannot be started, signals keep their default action, which
/// ends the process. If the default action of a signal ends the command `control`, only the newest rows of its log are
/// lost.
pub(super) fn listen() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let code = if signal == SIGTERM { SIGTERM_CODE } else { SIGINT_CODE };
            let guarded = GUARDED.load(Ordering::SeqCst);
            if guarded && CAUGHT.swap(code, Ordering::SeqCst) == 0 {
                let grace_period = WORK.lock().unwrap_or_else(PoisonError::into_inner).1;
                std::thread::spawn(move || {
                    std::thread::sleep(grace_period);
                    exit(message(), code)
                });
            } else {
                exit(if guarded { message() } else { "" }, code)
            }
        }
    });
}

fn exit(message: &str, code: u8) -> ! {
    let _ = writeln!(std::io::stderr().lock(), "interrupted{message}");
    std::process::exit(i32::from(code))
}
