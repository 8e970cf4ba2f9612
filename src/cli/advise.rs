//! `twinopt advise`: the next set-points, from the newest rows of the log.

use std::path::PathBuf;

use jiff::Timestamp;

use super::output::{self, note, plain};
use super::project::Project;
use super::{Globals, clock, progress};
use crate::check;
use crate::config::TimeSpan;
use crate::error::Result;
use crate::live::{Advice, advise};
use crate::ops::{Registry, plant};

/// Say which set-points come next, from the newest rows of the log.
///
/// Plans from the end of the log as `[mpc]` of the twin says, and prints per control: now, advised, change, allowed range
/// and reason; how near the move is to what the model has seen, how sure it is, and when to undo it. Refuses (exit 3) when
/// no share of the move lies within what the model has seen, unless it is the weather alone that is new.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt advise data/datacenter\n  twinopt advise data/datacenter --json")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Advise also where the model has seen nothing alike
    #[arg(long)]
    pub allow_extrapolation: bool,
}

/// A log that ended more steps ago is old.
const OLD: i64 = 10;

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (spec, _) = check::load_twin(&args.dir)?;
    let name = spec.value.name.value.clone();
    let registry = Registry::open(Project::find(&args.dir)?.model_dir(&name));
    let compute = globals.device.compute()?;
    let (advice, end, step) = progress::told(globals, &name, |tell, note| -> Result<_> {
        let plant = plant::published(plant::read(spec, compute, tell)?, &registry, note)?;
        tell("planning");
        let advice = advise(&plant, &plant.compiled, globals.seed, args.allow_extrapolation, Some(&clock::start()))?;
        Ok((advice, plant.log.time(plant.log.steps), plant.log.step_ms))
    })?;
    let age = Timestamp::now().as_millisecond() - end.as_millisecond();
    if age > OLD * step {
        let age = roughly(age);
        note(globals, &format!("the log ended {age} ago, at {end}: the advice is for then, not for now"));
    }
    advice.warnings.iter().for_each(|text| note(globals, text));
    if globals.json { output::versioned(&advice) } else { output::print(&plain(&table(&advice))) }
}

/// An age in whole days, hours or minutes, whichever says enough.
fn roughly(ms: i64) -> TimeSpan {
    let unit = [86_400_000, 3_600_000, 60_000].into_iter().find(|unit| ms >= 2 * unit).unwrap_or(1_000);
    TimeSpan::from_ms(ms / unit * unit)
}

/// The unit behind a number; nothing for a number without one.
fn unit(text: &str) -> String {
    if text == "1" { String::new() } else { format!(" {text}") }
}

fn table(a: &Advice) -> String {
    let mut text = format!(
        "{:<20} {:>10} {:>10} {:>10}  {:<22} {:<8} reason\n",
        "control", "now", "advised", "change", "allowed", "unit"
    );
    for c in &a.controls {
        let end = |v: Option<f64>| v.map_or("open".to_owned(), |v| format!("{v:.4}"));
        let allowed = format!("{} to {}", end(c.allowed[0]), end(c.allowed[1]));
        text += &format!(
            "{:<20} {:>10.4} {:>10.4} {:>+10.4}  {allowed:<22} {:<8} {}\n",
            c.tag, c.now, c.advised, c.change, c.unit, c.reason
        );
    }
    let support = serde_json::to_value(a.support).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    text += &format!(
        "\nfrom {}, planned over {}; support: {support}; better than keeping the controls in {:.0} % of futures\n",
        a.from,
        a.horizon,
        100.0 * a.confidence
    );
    for k in &a.kpis {
        text += &format!("{} {:+.4}{}\n", k.name, k.change, unit(&k.unit));
    }
    for u in &a.undo {
        let unit = unit(&u.unit);
        text += &format!("undo it if {} is not within {:.4} to {:.4}{unit} at {}\n", u.tag, u.low, u.high, u.at);
    }
    text
}
