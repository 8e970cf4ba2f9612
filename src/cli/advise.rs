//! `twinopt advise`: recommended set-points for the step after the end of the log.

use std::path::PathBuf;

use jiff::Timestamp;

use super::globals::Globals;
use super::output::{self, note};
use super::plant::PlantFolder;
use super::{clock, progress};
use crate::config::TimeSpan;
use crate::error::Result;
use crate::live::{Advice, advise};
use crate::ops::{plant, publish};
use crate::terminal::printable;
use crate::units::unit_suffix;

/// Recommend set-points, based on the newest rows of the log.
///
/// Plans from the end of the log, with the `[mpc]` settings of the twin. For every control, prints the present value,
/// the advised value, the change, the allowed range and the reason. Also prints how far the plan is from the training
/// data, how confident the model is, and when to undo the change. Gives no advice (exit code 3) if even a smaller
/// change would leave the range of the training data. Disturbances, such as the weather, may be outside this range.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt advise data/datacenter\n  twinopt advise data/datacenter --json")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Advise even if the plan leaves the range of the training data
    #[arg(long)]
    pub allow_extrapolation: bool,
}

/// Age of the end of the log, in steps, above which a note is printed (not tuned).
const OLD_STEPS: i64 = 10;

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
    let (advice, end, step) = progress::with_spinner(globals, &name, |progress, note| -> Result<_> {
        let plant = publish::open_published(plant::read(spec, compute, progress)?, &registry, note)?;
        progress("planning");
        let advice = advise(&plant, &plant.compiled, globals.seed, args.allow_extrapolation, Some(&clock::start()))?;
        let end = advice.from.parse().unwrap_or_else(|_| plant.log.time(plant.log.steps));
        Ok((advice, end, plant.log.step_ms))
    })?;
    let age = Timestamp::now().as_millisecond() - end.as_millisecond();
    if age > OLD_STEPS * step {
        let age = rounded(age);
        note(globals, &format!("the last measurement is {age} old ({end}); the advice is for that time, not for now"));
    }
    advice.warnings.iter().for_each(|text| note(globals, text));
    if globals.json { output::versioned(&advice) } else { output::print(&printable(&table(&advice))) }
}

/// Rounds `ms` down to whole days, hours, minutes or seconds, using the largest of these units that fits into `ms` at
/// least twice.
fn rounded(ms: i64) -> TimeSpan {
    let unit = [86_400_000, 3_600_000, 60_000].into_iter().find(|unit| ms >= 2 * unit).unwrap_or(1_000);
    TimeSpan::from_ms(ms / unit * unit)
}

fn table(a: &Advice) -> String {
    let mut text = format!(
        "{:<20} {:>10} {:>10} {:>10}  {:<22} {:<8} reason\n",
        "control", "now", "advised", "change", "allowed", "unit"
    );
    for c in &a.controls {
        let bound = |v: Option<f64>| v.map_or("open".to_owned(), |v| format!("{v:.4}"));
        let allowed = format!("{} to {}", bound(c.allowed[0]), bound(c.allowed[1]));
        text += &format!(
            "{:<20} {:>10.4} {:>10.4} {:>+10.4}  {allowed:<22} {:<8} {}\n",
            c.tag, c.now, c.advised, c.change, c.unit, c.reason
        );
    }
    for (c, later) in a.controls.iter().filter_map(|c| Some((c, c.later.as_ref()?))) {
        let unit = unit_suffix(&c.unit);
        text += &format!(
            "{}: {:.4} -> {:.4}{unit} now, then on to {:.4}{unit} by {}\n",
            c.tag, c.now, c.advised, later.value, later.at
        );
    }
    if let Some(why) = &a.leave {
        let what = match a.controls.iter().all(|c| c.advised == c.now) {
            true => "leave the controls as they are",
            false => "do not follow the plan",
        };
        text += &format!("\n{what}: {why}\nthe figures below are those of this plan\n");
    }
    let support = serde_json::to_value(a.support).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    text += &format!(
        "\nstart of plan: {}; length: {}; support: {support}; better than {} in {:.0} % of the simulated futures\n",
        a.from,
        a.horizon,
        a.compared_with,
        100.0 * a.confidence
    );
    for k in &a.kpis {
        text += &format!("{} {:+.4}{}\n", k.name, k.change, unit_suffix(&k.unit));
    }
    for u in &a.undo {
        let unit = unit_suffix(&u.unit);
        text +=
            &format!("undo the change if {} is not between {:.4} and {:.4}{unit} at {}\n", u.tag, u.low, u.high, u.at);
    }
    text
}
