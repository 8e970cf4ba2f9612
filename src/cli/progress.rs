//! Progress with the time that is left, on a terminal only.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Globals;

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
