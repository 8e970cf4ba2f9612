//! Shows progress as a bar or spinner on a terminal, and as one line per stage elsewhere.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::globals::Globals;
use super::output::{line, note};

/// Interval between consecutive frames of a spinner.
const TICK: Duration = Duration::from_millis(120);

/// Interval between the lines that show that a long stage is still in progress.
const BEAT: Duration = Duration::from_secs(10);

/// Prints a line every ten seconds until it is dropped.
pub struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts to print the text that `text` returns. Prints nothing with `--quiet` or on a terminal, where a bar or a
    /// spinner shows the progress.
    pub fn new(globals: &Globals, text: impl Fn() -> String + Send + 'static) -> Self {
        if !prints_lines(globals) {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = channel();
        let beat = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                line(&text());
            }
        };
        Self { stop: Some(stop), thread: std::thread::Builder::new().spawn(beat).ok() }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn prints_lines(globals: &Globals) -> bool {
    !globals.quiet && !std::io::stderr().is_terminal()
}

/// A progress bar with the remaining time, on standard error. Hidden with `--quiet`, or if standard error is not a
/// terminal.
pub fn bar(globals: &Globals, total: u64, label: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target(globals));
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    bar.with_message(label.to_owned())
}

/// Runs `work` with a spinner. `work` receives two functions: the first shows the present stage, and the second prints
/// a note to the user.
pub fn with_spinner<T>(globals: &Globals, label: &str, work: impl FnOnce(&dyn Fn(&str), &dyn Fn(&str)) -> T) -> T {
    let spinner = spinner(globals, label);
    let stage = Arc::new(Mutex::new((label.to_owned(), Instant::now())));
    let shown = stage.clone();
    let _heartbeat = Heartbeat::new(globals, move || {
        let (stage, since) = &*shown.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{stage}: {} s so far", since.elapsed().as_secs())
    });
    let progress = |text: &str| {
        spinner.set_message(text.to_owned());
        *stage.lock().unwrap_or_else(PoisonError::into_inner) = (text.to_owned(), Instant::now());
        if prints_lines(globals) {
            note(globals, text);
        }
    };
    let result = work(&progress, &|text| spinner.suspend(|| note(globals, text)));
    spinner.finish_and_clear();
    result
}

/// A spinner for work of unknown length.
pub fn spinner(globals: &Globals, label: &str) -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, target(globals)).with_message(label.to_owned());
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(TICK);
    }
    spinner
}

fn target(globals: &Globals) -> ProgressDrawTarget {
    let visible = !globals.quiet && std::io::stderr().is_terminal();
    if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
