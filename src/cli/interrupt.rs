//! Ctrl-C and termination.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Somebody looks at [`CAUGHT`] and will end with an orderly result.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// The signal that came while it was watched; 0 for none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// While this lives, the first Ctrl-C (or SIGTERM) does not end the process: who holds it looks at [`Watch::asked`]
/// often and ends with [`crate::error::Error::Interrupted`]. A second signal ends the process at once, and so does the
/// first at all other times; every file is published whole or not at all, so nothing is torn.
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
        CAUGHT.load(Ordering::Relaxed) != 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// Exit code of a process that a signal ended in order: 128 + its number.
pub(super) fn exit_code() -> u8 {
    match CAUGHT.load(Ordering::SeqCst) {
        0 => crate::error::Error::Interrupted.exit_code(),
        signal => of(signal),
    }
}

fn of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Listens for signals. Without a listener the system's own handling ends the process: no loss.
pub(super) fn listen() {
    #[cfg(unix)]
    if let Ok(mut signals) =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])
    {
        std::thread::spawn(move || signals.forever().for_each(came));
    }
}

#[cfg(unix)]
fn came(signal: i32) {
    use std::io::Write as _;

    /// How long work that promised to look may take to end: one long step (a plan of many candidates) must not keep
    /// the user waiting.
    const PATIENCE: std::time::Duration = std::time::Duration::from_millis(600);

    let end = move || {
        let _ = writeln!(std::io::stderr().lock(), "interrupted");
        std::process::exit(i32::from(of(signal)))
    };
    let first = WATCHED.load(Ordering::SeqCst)
        && CAUGHT.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if first {
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            end()
        });
    } else {
        end()
    }
}
