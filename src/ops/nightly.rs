//! Writes the page about a nightly retraining.

use std::path::PathBuf;

use super::night::{Night, Outcome, history};
use super::project::Project;
use super::{Registry, promise};
use crate::config::{Loaded, TwinSpec};
use crate::disk::{make_dir, write_file};
use crate::error::{Error, Result};
use crate::log::Quality;
use crate::report::{GateFigures, NightKind, NightRow, Nightly, nightly};

/// File name of the page in the report folder of the plant.
pub const PAGE: &str = "nightly.html";
/// Number of retrainings in the history on the page.
const LISTED: usize = 30;

/// Where the page of a plant is written, and where its promises are stored.
pub struct Place {
    report_dir: PathBuf,
    twin_dir: PathBuf,
    timezone: String,
}

impl Place {
    pub fn new(project: &Project, twin: &Loaded<TwinSpec>) -> Self {
        let timezone = twin.value.timezone.as_ref().map_or("UTC", |z| z.value.as_str()).to_owned();
        let twin_dir = twin.path.parent().map_or_else(PathBuf::new, PathBuf::from);
        Self { report_dir: project.report_dir(&twin.value.name.value), twin_dir, timezone }
    }

    /// Writes the page of `night`, the last night in the history.
    ///
    /// # Errors
    /// [`Error::Write`] if the page cannot be written.
    pub fn write(&self, registry: &Registry, night: &Night, quality: Option<&Quality>) -> Result<()> {
        // a damaged history or ledger is reported by `status` and `verify`
        let mut nights = history(registry.dir()).unwrap_or_else(|_| vec![night.clone()]);
        let promises = promise::ledger(&self.twin_dir).map(|ledger| ledger.promises()).unwrap_or_default();
        let examined = nights.iter().rev().find_map(|n| Some((n.drift.as_ref()?.notes(), n.at.clone())));
        nights.reverse();
        let gate = night.comparison.as_ref().map(|c| GateFigures {
            blocks: c.blocks,
            change: c.change,
            bound: c.bound,
            coverage: c.coverage,
            tolerance: c.tolerance,
            champion_coverage: c.champion_coverage,
            worst_slice: c.worst_slice.as_ref().map(|s| (s.name.clone(), s.change)),
        });
        let page = nightly(&Nightly {
            plant: &night.plant,
            timezone: &self.timezone,
            last: row(night),
            before: nights.get(1).map(row),
            action: night.cause.map_or_else(
                || "No action is needed.".to_owned(),
                |cause| cause.action(&self.twin_dir.display().to_string()),
            ),
            exit_code: night.exit_code,
            seconds: night.seconds,
            champion_since: registry.champion_since().ok().flatten().map(|t| t.to_string()),
            import: &night.import,
            gate,
            drift: examined,
            quality,
            promises: &promises,
            history: nights.iter().take(LISTED).map(row).collect(),
        })?;
        make_dir(&self.report_dir).map_err(|e| Error::write(&self.report_dir, e))?;
        write_file(&self.report_dir.join(PAGE), page.as_bytes())
    }
}

fn row(night: &Night) -> NightRow {
    NightRow {
        at: night.at.clone(),
        kind: match night.outcome {
            Outcome::NeedsAttention => NightKind::NeedsAttention,
            Outcome::RefusedData | Outcome::Failed => NightKind::Failed,
            _ => NightKind::Good,
        },
        word: night.outcome.word(),
        reason: night.reason.clone(),
        champion: night.champion.clone(),
        rows: night.rows,
        data_end: night.data_end.clone(),
    }
}
