//! Shows progress as a bar or spinner on a terminal, and as one line per stage elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::globals::Globals;
use super::output::note;

/// Interval between consecutive frames of a spinner.
const TICK: Duration = Duration::from_millis(120);

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
    let as_lines = !globals.quiet && !std::io::stderr().is_terminal();
    let progress = |stage: &str| {
        spinner.set_message(stage.to_owned());
        if as_lines {
            note(globals, stage);
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
