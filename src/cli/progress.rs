//! Progress: with the time that is left on a terminal, a line for each piece of work elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Globals;
use super::output::note;

/// A bar of `total` pieces of work, on standard error; it shows nothing when quiet or not on a terminal.
pub fn bar(globals: &Globals, total: u64, what: &str) -> ProgressBar {
    let shown = !globals.quiet && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// Does `work` while `bar` follows `done`, which the work counts up.
pub fn watched<T>(bar: &ProgressBar, done: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    // set on the way out of a defect too: the scope waits for the watcher
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bar.set_position(done.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        work()
    })
}

/// Does `work` under a sign of life that follows what it tells; its second argument passes on notes to the user.
pub fn told<T>(globals: &Globals, what: &str, work: impl FnOnce(&dyn Fn(&str), &dyn Fn(&str)) -> T) -> T {
    let spinner = spinner(globals, what);
    let lines = !globals.quiet && !std::io::stderr().is_terminal();
    let tell = |now: &str| {
        spinner.set_message(now.to_owned());
        if lines {
            note(globals, now);
        }
    };
    let done = work(&tell, &|text| spinner.suspend(|| note(globals, text)));
    spinner.finish_and_clear();
    done
}

/// A sign of life for work of unknown length.
pub fn spinner(globals: &Globals, what: &str) -> ProgressBar {
    let shown = !globals.quiet && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target).with_message(what.to_owned());
    if shown {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}
