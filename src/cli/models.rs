//! `twinopt models`: the model registry of a plant.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::json;

use super::fit;
use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION, note};
use crate::config;
use crate::error::{Error, Result, plural};
use crate::ops::project::Project;
use crate::ops::{self, Event, Registry, gc, plant};
use crate::scenario::results::{ModelCard, Score};

/// List, show, compare, roll back, verify or remove the models of a plant.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt models data/datacenter list\n  twinopt models data/datacenter rollback")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List all versions, each with its events
    List,
    /// Show the model card of a version
    Show {
        /// Version, or the first characters of its name (default: the champion)
        #[arg(value_name = "VERSION")]
        // the field is not named `version`, because that is the id of the flag `--version`
        name: Option<String>,
    },
    /// Compare the hold-out scores of two versions
    Diff {
        /// Version, or the first characters of its name
        before: String,
        /// Version, or the first characters of its name (default: the champion)
        after: Option<String>,
    },
    /// Restore the previous champion, if it can be used with the present `twin.toml`
    Rollback {
        /// Restore the previous champion even if it cannot be used with the present `twin.toml`
        #[arg(long)]
        force: bool,
    },
    /// Check all files of all versions for damage
    Verify,
    /// Remove old versions, but never the champion or the model of a report
    Gc {
        /// Number of former champions to keep, and number of newest versions to keep
        #[arg(long, value_name = "N", default_value_t = gc::KEPT)]
        keep: usize,
        /// List the versions that would be removed, without removing them
        #[arg(long)]
        dry_run: bool,
    },
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let twin = config::load_twin(&args.dir)?;
    let name = twin.value.name.value.clone();
    let project = Project::find(&args.dir)?;
    let registry = Registry::open(project.model_dir(&name));
    match &args.action {
        Action::List => list(&registry, &name, globals),
        Action::Show { name: version } => show(&registry, &name, version.as_deref(), globals),
        Action::Diff { before, after } => diff(&registry, &name, before, after.as_deref(), globals),
        Action::Rollback { force } => {
            // without an earlier version, fail before taking the lock
            registry.previous()?;
            let _lock = registry.lock("models rollback")?;
            let target = registry.previous()?.name;
            if let Some(why) = plant::unusable(&registry, &target, &twin, &globals.device.compute()?) {
                let dir = args.dir.display();
                if !force {
                    return Err(Error::Usage(format!(
                        "no command would use the previous champion {target}: {why}; champion unchanged; restore the \
                         old twin.toml, fit a new model with `twinopt fit {dir}`, or roll back anyway with `--force`"
                    )));
                }
                note(globals, &format!("no command will use {target}: {why}"));
            }
            let version = registry.rollback(&ops::now(), "requested on the command line")?;
            if globals.json {
                return output::json(&json!({ "schema_version": SCHEMA_VERSION, "champion": version.name }));
            }
            if globals.quiet {
                return Ok(());
            }
            output::print(&format!("{name}: champion is now {}", version.name))
        }
        Action::Verify => verify(&registry, &name, globals),
        Action::Gc { keep, dry_run } => {
            let _lock = if *dry_run { None } else { Some(registry.lock("models gc")?) };
            let removed = gc::collect(&project, &registry, &name, *keep, *dry_run)?;
            if globals.json {
                let key = if *dry_run { "would_remove" } else { "removed" };
                return output::json(&json!({ "schema_version": SCHEMA_VERSION, "plant": name, key: removed }));
            }
            if globals.quiet {
                return Ok(());
            }
            let verb = if *dry_run { "would be removed" } else { "removed" };
            let list: String = removed.iter().map(|v| format!("\n  {v}")).collect();
            output::print(&format!("{name}: {} {verb}{list}", plural(removed.len(), "version", "versions")))
        }
    }
}

fn list(registry: &Registry, name: &str, globals: &Globals) -> Result<()> {
    let champion = registry.champion()?.map(|v| v.name);
    let events = registry.events()?;
    if globals.json {
        return output::json(&json!({
            "schema_version": SCHEMA_VERSION,
            "plant": name,
            "champion": champion,
            "versions": registry.versions()?,
            "events": events,
        }));
    }
    if events.is_empty() {
        return output::print(&format!("{name} has no models yet; fit one with `twinopt fit`"));
    }
    // each version is listed once, in the order of its first event
    let mut versions: IndexMap<&str, Vec<&Event>> = IndexMap::new();
    for e in &events {
        versions.entry(&e.version).or_default().push(e);
    }
    let mut text = String::new();
    let stored = registry.versions()?;
    for (version, events) in versions {
        let removed = if stored.iter().any(|v| v == version) { "" } else { "  (removed)" };
        let mark = if champion.as_deref() == Some(version) { '*' } else { ' ' };
        for (i, e) in events.iter().enumerate() {
            let head = if i == 0 { format!("{mark} {version}") } else { " ".repeat(2 + version.len()) };
            text += &format!("{head}  {:<11}  {}  {}{removed}\n", e.kind.as_str(), e.at, e.reason);
        }
    }
    output::print(&(text + "* champion"))
}

/// The full name of the version that begins with `prefix`, or the name of the champion if there is no prefix.
fn find(registry: &Registry, name: &str, prefix: Option<&str>) -> Result<String> {
    let Some(prefix) = prefix else {
        let none = || Error::Usage(format!("{name} has no champion yet; fit one with `twinopt fit`"));
        return registry.champion()?.map(|v| v.name).ok_or_else(none);
    };
    let all = registry.versions()?;
    let mut matching = all.iter().filter(|n| n.starts_with(prefix));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => Err(Error::Usage(format!("{name} has no version `{prefix}`; see `twinopt models DIR list`"))),
        _ => Err(Error::Usage(format!("`{prefix}` matches several versions; enter more characters"))),
    }
}

fn show(registry: &Registry, name: &str, version: Option<&str>, globals: &Globals) -> Result<()> {
    let card = plant::card(registry, &find(registry, name, version)?)?;
    if globals.json { output::versioned(&card) } else { output::print(&fit::table(&card)) }
}

fn diff(registry: &Registry, name: &str, before: &str, after: Option<&str>, globals: &Globals) -> Result<()> {
    let (old, new) = (find(registry, name, Some(before))?, find(registry, name, after)?);
    let (old, new) = (plant::card(registry, &old)?, plant::card(registry, &new)?);
    if globals.json {
        return output::json(&json!({ "schema_version": SCHEMA_VERSION, "plant": name, "before": old, "after": new }));
    }
    let scores = |card: &ModelCard| -> IndexMap<(String, usize), Score> {
        let ends = [1, card.horizon];
        let chosen = card.scores.iter().filter(|s| s.model == card.model && ends.contains(&s.horizon));
        chosen.map(|s| ((s.signal.clone(), s.horizon), s.clone())).collect()
    };
    let mut text = format!("{:<9} {:<18} {:<24} hold-out\n", "", "version", "model");
    for (label, card) in [("before", &old), ("after", &new)] {
        let ModelCard { version, model, holdout_start: from, holdout_end: to, .. } = card;
        text += &format!("{label:<9} {version:<18} {model:<24} {from} to {to}\n");
    }
    text += &format!("\n{:<24} {:>8}  {:>20}  {:>16}  {:>14}\n", "signal", "horizon", "RMSE", "skill", "in 90 %");
    let (old_scores, new_scores) = (scores(&old), scores(&new));
    for ((signal, horizon), a) in &old_scores {
        let Some(b) = new_scores.get(&(signal.clone(), *horizon)) else { continue };
        text += &format!(
            "{signal:<24} {horizon:>8}  {:>20}  {:>16}  {:>14}\n",
            format!("{:.4} -> {:.4}", a.rmse, b.rmse),
            format!("{:.3} -> {:.3}", a.skill, b.skill),
            format!("{:.0} % -> {:.0} %", 100.0 * a.coverage[2], 100.0 * b.coverage[2]),
        );
    }
    if (&old.holdout_start, &old.holdout_end) != (&new.holdout_start, &new.holdout_end) {
        text += "The hold-outs differ, so different scores may be due to the data. `twinopt retrain` compares two \
                 models on the same data.\n";
    }
    output::print(&text)
}

fn verify(registry: &Registry, name: &str, globals: &Globals) -> Result<()> {
    let versions = registry.versions()?;
    let mut damaged: Vec<(String, String)> =
        versions.iter().filter_map(|v| Some((v.clone(), registry.check(v).err()?.to_string()))).collect();
    // the champion must exist
    match registry.champion() {
        Ok(Some(champion)) if !versions.contains(&champion.name) => {
            damaged.extend(registry.check(&champion.name).err().map(|e| (champion.name, e.to_string())));
        }
        Ok(_) => {}
        Err(e) => damaged.push((name.to_owned(), e.to_string())),
    }
    if globals.json {
        output::json(
            &json!({ "schema_version": SCHEMA_VERSION, "plant": name, "versions": versions, "damaged": damaged }),
        )?;
    } else if damaged.is_empty() {
        output::print(&format!("{name}: {}, no damage", plural(versions.len(), "version", "versions")))?;
    }
    match damaged.first() {
        None => Ok(()),
        Some(_) => {
            let all: Vec<&str> = damaged.iter().map(|(_, why)| why.as_str()).collect();
            Err(Error::Data(all.join("\n")))
        }
    }
}
