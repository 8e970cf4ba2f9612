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

/// List, show, roll back, verify or remove the models of a plant.
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
    /// Restore the previous champion, if it can be used with the present `twin.toml`
    Rollback {
        /// Restore the previous champion even if it cannot be used with the present `twin.toml`
        #[arg(long)]
        force: bool,
    },
    /// Check all files of all versions for damage
    Verify,
    /// Remove old versions; never removes the champion or the model of a report
    Gc {
        /// Number of former champions, and number of newest versions, to keep
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

fn show(registry: &Registry, name: &str, version: Option<&str>, globals: &Globals) -> Result<()> {
    let version = match version {
        Some(v) => {
            let all = registry.versions()?;
            let mut matching = all.iter().filter(|n| n.starts_with(v));
            match (matching.next(), matching.next()) {
                (Some(one), None) => one.clone(),
                (None, _) => {
                    return Err(Error::Usage(format!("{name} has no version `{v}`; see `twinopt models DIR list`")));
                }
                _ => return Err(Error::Usage(format!("`{v}` matches several versions; give more characters"))),
            }
        }
        None => match registry.champion()? {
            Some(v) => v.name,
            None => return Err(Error::Usage(format!("{name} has no champion yet; fit one with `twinopt fit`"))),
        },
    };
    let card = plant::card(registry, &version)?;
    if globals.json { output::versioned(&card) } else { output::print(&fit::table(&card)) }
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
