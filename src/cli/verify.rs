//! `twinopt verify`: verifies the saving that was realised after a change.

use std::path::PathBuf;

use jiff::civil::Date;

use super::globals::Globals;
use super::plant::PlantFolder;
use super::{output, progress};
use crate::error::{Error, Result};
use crate::ops::plant;
use crate::ops::project::Project;
use crate::ops::verification::{Request, verify, write_page};
use crate::terminal::printable;
use crate::units::unit_suffix;
use crate::verify::{self, Fitness, Length, Outcome, TrackRecord, Verification};

/// Verify a saving after a change by comparing the measured use with an adjusted baseline.
///
/// Fits a model of the use before the change, with the calendar and the disturbances of the twin, such as weather and
/// load, as inputs. The model predicts the use in the reporting period without the change. The saving is the predicted
/// use minus the measured use. The 90 % interval of the saving is the widest of three intervals, which are all printed.
/// At its first use, the baseline is frozen and stored as `verify/KPI.json` in the folder of the twin. Each
/// verification appends a line to `verify/ledger.jsonl` in that folder, and writes the page
/// `reports/<plant>/verification-KPI.html`. If the model is not accurate enough for a statement, the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  twinopt verify data/datacenter --baseline 2024-05-01..2024-07-31 --reporting 2024-08-01..2024-09-30\n  twinopt verify plan --start 2025-01-06 --weeks 8 > trial.csv\n  twinopt verify trial data/datacenter --days trial.csv"
)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Folder of the twin, e.g. data/datacenter
    #[arg(required = true)]
    pub dir: Option<PathBuf>,
    /// Period before the change, FROM..TO; a date as TO includes that day
    #[arg(long, value_name = "PERIOD", required = true)]
    pub baseline: Option<String>,
    /// Period after the change, FROM..TO
    #[arg(long, value_name = "PERIOD", required = true)]
    pub reporting: Option<String>,
    /// KPI to verify, which is an integral or a sum (default: the KPI that has a price)
    #[arg(long, value_name = "NAME")]
    pub kpi: Option<String>,
    /// Signals on which the use depends and which the change does not affect (default: all disturbances)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub drivers: Option<Vec<String>>,
    /// Length of the intervals (default: hour, or the step of the log if that is longer)
    #[arg(long, value_enum)]
    pub interval: Option<Interval>,
    /// TOML file with the periods to leave out, as `[[event]]` tables with `period` and `reason`, and with public
    /// `holidays`, which the model treats as Sundays
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Folder of the report that promised this saving, e.g. reports/datacenter
    #[arg(long, value_name = "DIR")]
    pub promise: Option<PathBuf>,
    /// Case of the `--promise` report that was put into operation (default: the only case of the report)
    #[arg(long, value_name = "NAME", requires = "promise")]
    pub case: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Interval {
    Hour,
    Day,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the schedule of a randomised on/off trial as CSV
    Plan(PlanArgs),
    /// Analyse a randomised on/off trial
    Trial(TrialArgs),
}

#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// First day of the trial
    #[arg(long, value_name = "DATE")]
    pub start: Date,
    /// Number of weeks, rounded down to an even number
    #[arg(long, default_value_t = 8)]
    pub weeks: usize,
}

#[derive(Debug, clap::Args)]
pub struct TrialArgs {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Schedule of the trial, as printed by `verify plan`
    #[arg(long, value_name = "FILE")]
    pub days: PathBuf,
    /// KPI to verify, which is an integral or a sum (default: the KPI that has a price)
    #[arg(long, value_name = "NAME")]
    pub kpi: Option<String>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    match &args.verb {
        Some(Verb::Plan(plan)) => print_plan(plan, globals),
        Some(Verb::Trial(trial)) => print_trial(trial, globals),
        None => print_saving(args, globals),
    }
}

fn print_saving(args: &Args, globals: &Globals) -> Result<()> {
    let missing = || Error::Usage("give the folder of the twin, `--baseline` and `--reporting`".into());
    let (Some(dir), Some(baseline), Some(reporting)) = (&args.dir, &args.baseline, &args.reporting) else {
        return Err(missing());
    };
    let PlantFolder { name, spec, compute, .. } = PlantFolder::open(dir, globals)?;
    let request = Request {
        baseline: baseline.clone(),
        reporting: reporting.clone(),
        kpi: args.kpi.clone(),
        drivers: args.drivers.clone(),
        length: args.interval.map(|i| match i {
            Interval::Hour => Length::Hour,
            Interval::Day => Length::Day,
        }),
        events: args.events.clone(),
        promise: args.promise.clone(),
        case: args.case.clone(),
    };
    let seed = globals.seed.unwrap_or(spec.value.model.seed.value);
    let found = progress::with_spinner(globals, &name, |progress, _| {
        let source = plant::read(spec, compute, progress)?;
        progress("fitting the adjusted baseline");
        verify(&source, dir, &request, seed)
    })?;
    let page = write_page(&Project::find(dir)?.report_dir(&name), &found)?;
    if globals.json {
        output::versioned(&found)?;
    } else {
        output::print(&printable(&text(&found)))?;
        output::note(globals, &format!("report: {}", page.display()));
    }
    match found.fitness {
        Fitness::NotFit => Err(Error::Attention(
            "the model of the baseline is not accurate enough for a statement about savings; add drivers that explain the \
             use, or use a longer baseline"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// The result as text.
fn text(v: &Verification) -> String {
    let (s, q) = (&v.saving, &v.statistics);
    let unit = unit_suffix(&v.unit);
    let number = |value: f64| format!("{}{unit}", rounded(value, s.high - s.low));
    let percent = |share: Option<f64>| share.map_or("n/a".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let mut out = format!(
        "{}: `{}`, {}\n  saving             {} ({} to {}), {} of the adjusted baseline\n  adjusted baseline  {}\n  measured           {}\n",
        v.plant,
        v.frozen.kpi,
        s.claim.as_str(),
        number(s.saving),
        number(s.low),
        number(s.high),
        percent(s.relative),
        number(s.adjusted_baseline),
        number(s.measured),
    );
    if let Some([value, low, high]) = v.money {
        let currency = v.currency.as_ref().map_or(String::new(), |c| format!(" {c}"));
        let money = |m: f64| format!("{}{currency}", rounded(m, high - low));
        out +=
            &format!("  in money           {} ({} to {})\n", money(value), money(low.min(high)), money(high.max(low)));
    }
    if let Some(check) = &v.promise {
        let outcome = match check.outcome {
            Outcome::Kept => "kept, the measured saving lies within the promised interval",
            Outcome::Undecided => "undecided, neither kept nor missed",
            Outcome::Missed => "missed, the measured saving is below the promised interval",
            Outcome::Exceeded => "exceeded, the measured saving is above the promised interval",
            Outcome::NotMeasured => "the verification supports no statement",
        };
        out += &format!(
            "  promised           {} ({} to {}) in {:.0} days by `{}`: {outcome}\n",
            number(check.saving),
            number(check.low),
            number(check.high),
            check.days,
            check.promise.case,
        );
    }
    if v.record != TrackRecord::default() {
        let TrackRecord { kept, undecided, missed, exceeded } = v.record;
        out +=
            &format!("  all promises       {kept} kept, {undecided} undecided, {missed} missed, {exceeded} exceeded\n");
    }
    let side = |[below, above]: [f64; 2]| format!("−{} / +{}", rounded(below, below), rounded(above, above));
    out += &format!(
        "  90 % interval      widest of formula {}, bootstrap {}, placebo windows {}{unit}\n",
        side(s.formula),
        side(s.bootstrap),
        side(s.placebo),
    );
    out += &format!(
        "  model              {} of {} and the calendar, {} out-of-fold intervals (n = {}, p = {}, n′ = {:.0})\n",
        v.frozen.model,
        if v.frozen.drivers.is_empty() { "no driver".to_owned() } else { v.frozen.drivers.join(", ") },
        match v.frozen.length {
            Length::Hour => "hourly",
            Length::Day => "daily",
            Length::Step => "single-step",
        },
        q.n,
        q.p,
        q.effective_n,
    );
    out += &format!(
        "  fit                CV(RMSE) {}, adjusted {}; NMBE {}; PNRMSE {:.3}{}\n",
        percent(q.cv_rmse),
        percent(q.cv_rmse_adjusted),
        percent(q.nmbe),
        q.pnrmse,
        q.monthly.map_or(String::new(), |(bias, cv)| {
            format!("; by month CV(RMSE) {:.1} %, NMBE {:.1} %", 100.0 * cv, 100.0 * bias)
        }),
    );
    out += &format!(
        "  periods            baseline {} to {}, reporting {} to {}\n  frozen             {}\n",
        v.frozen.baseline.from,
        v.frozen.baseline.to,
        v.reporting.from,
        v.reporting.to,
        v.file.display()
    );
    for event in &v.events {
        out += &format!("  left out           {}: {}\n", event.period, event.reason);
    }
    for warning in &v.warnings {
        out += &format!("  warning            {warning}\n");
    }
    out
}

/// Formats `value`, rounded to about a hundredth of `width`.
fn rounded(value: f64, width: f64) -> String {
    let exponent = if width > 0.0 && width.is_finite() { width.log10().floor() as i32 - 2 } else { -3 };
    if exponent >= 0 {
        let unit = 10f64.powi(exponent);
        format!("{:.0}", (value / unit).round() * unit)
    } else {
        format!("{value:.*}", exponent.unsigned_abs() as usize)
    }
}

fn print_plan(args: &PlanArgs, globals: &Globals) -> Result<()> {
    let days = verify::plan(args.start, args.weeks, globals.seed.unwrap_or(1));
    if days.is_empty() {
        return Err(Error::Usage("a trial needs at least two weeks".into()));
    }
    if globals.json {
        return output::json(&days);
    }
    let line = |d: &verify::TrialDay| format!("{},{},{}\n", d.date, d.pair, if d.on { "on" } else { "off" });
    output::print(&format!("date,pair,state\n{}", days.iter().map(line).collect::<String>()))
}

fn print_trial(args: &TrialArgs, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, compute, .. } = PlantFolder::open(&args.dir, globals)?;
    let seed = globals.seed.unwrap_or(spec.value.model.seed.value);
    let source = progress::with_spinner(globals, &name, |progress, _| plant::read(spec, compute, progress))?;
    let (trial, kpi) = crate::ops::verification::trial(&source, &args.days, args.kpi.as_deref(), seed)?;
    if globals.json {
        return output::versioned(&trial);
    }
    let unit = unit_suffix(&kpi.unit.text);
    let number = |v: f64| rounded(v, trial.high - trial.low);
    output::print(&format!(
        "{name}: `{}`, {} of {} pairs of days were measured\n  saving per day  {} ({} to {}){unit}\n  p-value         {:.4} (randomisation test of no effect)\n",
        kpi.name,
        trial.pairs,
        trial.planned,
        number(trial.saving),
        number(trial.low),
        number(trial.high),
        trial.p,
    ))
}
