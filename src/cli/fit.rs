//! `twinopt fit`: fit, validate, calibrate and publish a model.

use std::path::PathBuf;

use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use super::plant::PlantFolder;
use super::progress::Stages;
use crate::control::mpc::{MpcSettings, TunedMpc};
use crate::error::{Error, Result, plural};
use crate::ops::night::last_duration;
use crate::ops::{plant, publish};
use crate::scenario::results::ModelCard;

/// Fit, validate, calibrate and publish a model of a plant.
///
/// Fits every model in `choose` and publishes the best one in `models/<plant>`. Scores the models on the hold-out at
/// every horizon, and compares them with persistence and a linear model. Refuses a model without skill (exit code 3).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt fit data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Fit and score, but publish nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
    let fit = |stages: &Stages<'_>| -> Result<_> {
        let progress: &dyn Fn(&str) = &|stage| stages.show(stage, 0, 0);
        if args.dry_run {
            let source = plant::read(spec, compute, progress)?;
            let mut fitted = source.fit(&source.log, &source.spec.value.model, None, globals.seed, progress)?;
            let refused = fitted.refusal.take();
            return Ok((source.with_fitted(fitted)?, refused));
        }
        // take the lock before the fit, so that a second process fails at once
        let _lock = registry.lock("fit")?;
        publish::fit_and_publish(plant::read(spec, compute, progress)?, &registry, globals.seed, progress)
    };
    let (plant, refused) = fit(&Stages::of_repeated_command(globals, &name, last_duration(registry.dir())))?;
    output::suspicions(globals, &plant.quality);
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

/// The tuned MPC settings and the expected KPIs.
fn plans(tuned: &TunedMpc, step: &str) -> String {
    let MpcSettings { model, lags, horizon, moves, correction, replan, cost_to_go } = &tuned.setting;
    let mut text = format!(
        "plans: {model} with {}, horizon {horizon} x {step}{}, {}, a new plan every {}, correction {correction}; {}\n",
        plural(*lags, "past value", "past values"),
        if *cost_to_go { " plus a terminal cost" } else { "" },
        plural(*moves, "move", "moves"),
        plural(*replan, "step", "steps"),
        tuned.reason,
    );
    for p in tuned.expected.iter().filter(|p| p.planned.is_finite()) {
        text += &format!("expected: {} {:.4} (logged {:.4})\n", p.kpi, p.planned, p.logged);
    }
    text
}

/// The model card as a table: hold-out skill by horizon, one row per model and signal.
pub fn table(card: &ModelCard) -> String {
    let mut horizons = vec![1, card.horizon.div_ceil(2), card.horizon];
    horizons.dedup();
    let mut text = format!("{:<12} {:<22} {:>8}", "model", "signal", "n");
    for h in &horizons {
        text += &format!("  {:>10} {:>7} {:>7}", format!("rmse@{h}"), "skill", "in 90%");
    }
    text += "\n";
    let mut printed: Vec<(&str, &str)> = Vec::new();
    for s in &card.scores {
        let row = (s.model.as_str(), s.signal.as_str());
        if printed.contains(&row) {
            continue;
        }
        printed.push(row);
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
        "\nskill: 1 - MSE / MSE of persistence on the hold-out, {} to {}. Horizons are in steps of {}. `in 90%`: coverage of the \
         90 % intervals on the hold-out, with adaptive widths (`--json` also gives the coverage with fixed widths).\n",
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
