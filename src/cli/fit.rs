//! `twinopt fit`: learn, validate, calibrate, publish.

use std::path::PathBuf;

use serde_json::json;

use super::output::{self, SCHEMA_VERSION};
use super::project::Project;
use super::{Globals, progress};
use crate::check;
use crate::control::mpc::{MpcSettings, TunedMpc};
use crate::error::{Error, Result, plural};
use crate::ops::{Registry, plant};
use crate::scenario::results::ModelCard;

/// Learn, validate, calibrate and publish a model of a plant.
///
/// Fits every model of `choose`, scores them on the hold-out at every horizon against persistence and linear, and
/// publishes the winner in `models/<plant>`. A winner without skill is refused (exit 3).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt fit data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Learn and score, but publish nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (spec, _) = check::load_twin(&args.dir)?;
    let name = spec.value.name.value.clone();
    let registry = Registry::open(Project::find(&args.dir)?.model_dir(&name));
    let compute = globals.device.compute()?;
    let (plant, refused) = progress::told(globals, &name, |tell, _| -> Result<_> {
        if args.dry_run {
            let source = plant::read(spec, compute, tell)?;
            let mut fitted = source.fit(&source.log, &source.spec.value.model, None, globals.seed, tell)?;
            let refused = fitted.refused.take();
            return Ok((source.with(fitted)?, refused));
        }
        // before the work: who comes second hears it at once
        let _lock = registry.lock("fit")?;
        plant::fit_and_publish(plant::read(spec, compute, tell)?, &registry, globals.seed, tell)
    })?;
    if globals.json {
        output::json(&json!({
            "schema_version": SCHEMA_VERSION,
            "plant": plant.spec.value.name.value,
            "published": !args.dry_run,
            "champion": !args.dry_run && refused.is_none(),
            "refused": refused,
            "card": plant.card,
        }))?;
    } else if !globals.quiet {
        output::print(&table(&plant.card))?;
    }
    match refused {
        Some(why) if args.dry_run => Err(Error::Attention(format!("the model would be refused: {why}"))),
        Some(why) => {
            let champion = registry.champion()?.map_or_else(|| "there is no champion".into(), |v| v.name + " stays");
            Err(Error::Attention(format!("the model is refused ({champion}): {why}")))
        }
        None => Ok(()),
    }
}

/// How plans are made, and what comes of them.
fn plans(tuned: &TunedMpc, step: &str) -> String {
    let MpcSettings { model, lags, horizon, moves, correction, replan, cost_to_go } = &tuned.setting;
    let mut text = format!(
        "plans: {model} with {}, {horizon} x {step} ahead{} in {}, a new one every {}, correction {correction}; {}\n",
        plural(*lags, "past value"),
        if *cost_to_go { " and what is to come behind that" } else { "" },
        plural(*moves, "move"),
        plural(*replan, "step"),
        tuned.reason,
    );
    for p in tuned.expected.iter().filter(|p| p.planned.is_finite()) {
        text += &format!("expected: {} {:.4} (logged {:.4})\n", p.kpi, p.planned, p.logged);
    }
    text
}

/// Hold-out skill by horizon, one row per model and signal.
pub fn table(card: &ModelCard) -> String {
    let mut horizons = vec![1, card.horizon.div_ceil(2), card.horizon];
    horizons.dedup();
    let mut text = format!("{:<12} {:<22} {:>8}", "model", "signal", "n");
    for h in &horizons {
        text += &format!("  {:>10} {:>7} {:>7}", format!("rmse@{h}"), "skill", "in 90%");
    }
    text += "\n";
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for s in &card.scores {
        let row = (s.model.as_str(), s.signal.as_str());
        if seen.contains(&row) {
            continue;
        }
        seen.push(row);
        text += &format!("{:<12} {:<22} {:>8}", s.model, s.signal, s.n);
        for h in &horizons {
            let at = card.scores.iter().find(|o| (o.model.as_str(), o.signal.as_str()) == row && o.horizon == *h);
            text += &match at {
                Some(o) => format!("  {:>10.4} {:>7.3} {:>6.0}%", o.rmse, o.skill, 100.0 * o.coverage[2]),
                None => format!("  {:>10} {:>7} {:>7}", "-", "-", "-"),
            };
        }
        text += &format!("  {}\n", s.unit);
    }
    text += &format!(
        "\nskill: 1 - MSE / MSE of persistence on the hold-out, {} to {}; horizons in steps of {}; in 90%: of the hold-out, by \
         intervals whose widths follow how earlier forecasts came out (`--json` has them fixed too).\n",
        card.holdout_start, card.holdout_end, card.step
    );
    text += &format!("chosen: {}: {}\n", card.model, card.reason);
    if let Some(tuned) = &card.tuned {
        text += &plans(tuned, &card.step);
    }
    for note in &card.notes {
        text += &format!("note: {}\n", note.text);
    }
    if !card.version.is_empty() {
        text += &format!("version: {}\n", card.version);
    }
    text
}
