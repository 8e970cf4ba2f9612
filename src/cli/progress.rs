//! Shows the present stage of a command: as a bar or spinner on a terminal, and as lines elsewhere.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::globals::Globals;
use super::output::{line, note};
use super::pace::Pace;
use crate::scenario::{Steps, Work};

/// Interval between consecutive frames of a spinner or bar.
const TICK: Duration = Duration::from_millis(120);
/// Time after which a command that printed nothing prints its stage.
const FIRST: Duration = Duration::from_secs(2);
/// Interval between the lines that show that a long stage is still in progress.
const BEAT: Duration = Duration::from_secs(10);

/// Style of a stage of known length.
const BAR: &str = "{msg} {bar:30} {percent} %, {eta} left";
/// Style of simulations, whose time left is estimated from the measured time per step.
const PACED: &str = "{msg} {bar:30} {percent} %, {pace}";
/// Number of units in the progress bar of the simulations.
const PARTS: u64 = 1_000;
/// Style of a stage of unknown length.
const SPINNER: &str = "{spinner} {msg} ({elapsed}{left})";

/// The estimated time left; unknown if the command has not run before or has already taken longer than its last run.
#[derive(Debug, Clone, Copy)]
struct TimeLeft {
    start: Instant,
    /// Duration of the last run of the command.
    last: Option<Duration>,
}

impl TimeLeft {
    fn text(self) -> String {
        let left = self.last.and_then(|last| last.checked_sub(self.start.elapsed()));
        left.map_or_else(String::new, |left| format!("; about {} s left, going by the last run", left.as_secs()))
    }
}

/// Shows the present stage of a command, on standard error. Shows nothing with `--quiet`.
pub struct Stages<'a> {
    globals: &'a Globals,
    bar: ProgressBar,
    left: TimeLeft,
    /// True if a line is printed at the start of each stage.
    announced: bool,
    /// Start time and progress of the simulations; `None` during all other stages.
    pace: SharedPace,
    _heartbeat: Heartbeat,
}

type SharedPace = Arc<Mutex<Option<(Instant, Arc<Mutex<Pace>>)>>>;

impl<'a> Stages<'a> {
    /// Shows `label` until the first stage starts.
    pub fn new(globals: &'a Globals, label: &str) -> Self {
        Self::start(globals, label, BEAT, None)
    }

    /// Like [`Stages::new`], for a command whose last run took the time `last`.
    pub fn of_repeated_command(globals: &'a Globals, label: &str, last: Option<Duration>) -> Self {
        Self::start(globals, label, BEAT, last)
    }

    /// The stages of a command that usually ends immediately. Without a terminal, nothing is printed in the first two
    /// seconds.
    pub fn of_quick_command(globals: &'a Globals, label: &str) -> Self {
        Self::start(globals, label, FIRST, None)
    }

    fn start(globals: &'a Globals, label: &str, first: Duration, last: Option<Duration>) -> Self {
        let left = TimeLeft { start: Instant::now(), last };
        let terminal = std::io::stderr().is_terminal();
        let target = match terminal && !globals.quiet {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::hidden();
        restart(&bar, label, 0, left);
        // the first frame must not be the default bar, which shows `0/0`
        bar.set_draw_target(target);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        let lines = !terminal && !globals.quiet;
        let pace = SharedPace::default();
        let (shown, present) = (bar.clone(), pace.clone());
        let text = move || {
            let pace = locked(&present).as_ref().map(|(start, pace)| (*start, *locked(pace)));
            state(&shown, left, pace)
        };
        let heartbeat = if lines { Heartbeat::new(first, text) } else { Heartbeat::none() };
        Self { globals, bar, left, announced: lines && first == BEAT, pace, _heartbeat: heartbeat }
    }

    /// Shows that `done` of `total` units of work in the stage `name` are done. `total` is 0 if the total work is
    /// unknown.
    pub fn show(&self, name: &str, done: u64, total: u64) {
        if self.bar.message() != name || self.bar.length().unwrap_or(0) != total {
            *locked(&self.pace) = None;
            restart(&self.bar, name, total, self.left);
            if self.announced {
                note(self.globals, name);
            }
        }
        if total > 0 {
            self.bar.set_position(done);
        }
    }

    /// Shows the simulations of a batch with `steps` steps. The returned value counts the finished steps.
    pub fn simulations(&self, name: &str, steps: Steps) -> Simulations {
        restart(&self.bar, name, PARTS, self.left);
        if self.announced {
            note(self.globals, name);
        }
        let pace = Arc::new(Mutex::new(Pace::new(steps)));
        let (start, shown) = (Instant::now(), pace.clone());
        *locked(&self.pace) = Some((start, pace.clone()));
        if let Ok(style) = ProgressStyle::with_template(PACED) {
            self.bar.set_style(style.with_key("pace", move |_: &ProgressState, out: &mut dyn Write| {
                let _ = out.write_str(&left_text(locked(&shown).left(start.elapsed())));
            }));
        }
        Simulations { bar: self.bar.clone(), pace, start }
    }

    /// Hides the bar while `work` runs, because `work` prints.
    pub fn suspend(&self, work: impl FnOnce()) {
        self.bar.suspend(work);
    }
}

/// Counts the finished steps of the simulations of a batch.
pub struct Simulations {
    bar: ProgressBar,
    pace: Arc<Mutex<Pace>>,
    start: Instant,
}

impl Simulations {
    pub fn add(&self, work: Work) {
        let mut pace = locked(&self.pace);
        pace.add(work, self.start.elapsed());
        self.bar.set_position((PARTS as f64 * pace.share(self.start.elapsed())) as u64);
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn left_text(left: Option<Duration>) -> String {
    left.map_or_else(|| "time left unknown".to_owned(), |left| format!("about {} s left", left.as_secs()))
}

impl Drop for Stages<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Starts a stage at zero. `total` is 0 if the length of the stage is unknown.
fn restart(bar: &ProgressBar, name: &str, total: u64, left: TimeLeft) {
    if let Ok(style) = ProgressStyle::with_template(if total > 0 { BAR } else { SPINNER }) {
        bar.set_style(style.with_key("left", move |_: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&left.text());
        }));
    }
    if total > 0 {
        bar.set_length(total);
    } else {
        bar.unset_length();
    }
    bar.set_message(name.to_owned());
    bar.reset();
}

/// The present stage as one line of text. `pace` is given if the present stage is a batch of simulations.
fn state(bar: &ProgressBar, left: TimeLeft, pace: Option<(Instant, Pace)>) -> String {
    let (name, so_far) = (bar.message(), bar.elapsed().as_secs());
    if let Some((start, pace)) = pace {
        let (now, percent) = (start.elapsed(), 100.0 * pace.share(start.elapsed()));
        return match pace.left(now) {
            Some(left) => format!("{name}: {percent:.0} %, {so_far} s so far, {}", left_text(Some(left))),
            None => format!("{name}: {so_far} s so far, {}", left_text(None)),
        };
    }
    match bar.length().filter(|total| *total > 0) {
        Some(total) if bar.position() > 0 => {
            let percent = 100.0 * bar.position() as f64 / total as f64;
            format!("{name}: {percent:.0} %, {so_far} s so far, about {} s left", bar.eta().as_secs())
        }
        _ => format!("{name}: {so_far} s so far{}", left.text()),
    }
}

/// Runs `work` with a spinner. `work` receives two functions: the first shows the present stage, and the second prints
/// a note to the user.
pub fn with_spinner<T>(globals: &Globals, label: &str, work: impl FnOnce(&dyn Fn(&str), &dyn Fn(&str)) -> T) -> T {
    let stages = Stages::new(globals, label);
    work(&|name| stages.show(name, 0, 0), &|text| stages.suspend(|| note(globals, text)))
}

/// Prints a line every ten seconds until this value is dropped.
struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    fn none() -> Self {
        Self { stop: None, thread: None }
    }

    /// Prints the text that `text` returns, first after the time `first`, and then at intervals of [`BEAT`].
    fn new(first: Duration, text: impl Fn() -> String + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let beat = move || {
            let mut wait = first;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                line(&text());
                wait = BEAT;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_stage_has_a_share_only_if_its_length_is_known() {
        let bar = ProgressBar::hidden();
        let new = TimeLeft { start: Instant::now(), last: None };
        let shown = |bar: &ProgressBar| state(bar, new, None);
        restart(&bar, "reading", 0, new);
        assert_eq!(shown(&bar), "reading: 0 s so far");
        restart(&bar, "simulating", 200, new);
        assert_eq!(shown(&bar), "simulating: 0 s so far");
        bar.inc(50);
        assert!(shown(&bar).starts_with("simulating: 25 %, 0 s so far, about "), "{}", shown(&bar));
        restart(&bar, "writing", 0, new);
        assert_eq!(shown(&bar), "writing: 0 s so far");
    }

    #[test]
    fn the_time_left_is_known_only_if_the_command_took_longer_the_last_time() {
        let text = |last: f64| TimeLeft { start: Instant::now(), last: Some(Duration::from_secs_f64(last)) }.text();
        assert_eq!(text(90.9), "; about 90 s left, going by the last run");
        assert_eq!(text(0.0), "");
        assert_eq!(TimeLeft { start: Instant::now(), last: None }.text(), "");
    }
}
