//! Removes model versions that are no longer needed.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::Registry;
use super::project::Project;
use crate::disk::{entries, names_in, read_if_present, remove, sync_dir, temporary_name};
use crate::error::{Error, Result};

/// Default number of versions that [`collect`] keeps (not tuned).
pub const KEPT: usize = 30;

/// The field of `provenance.json` that names the model of a report.
#[derive(Deserialize)]
struct Reference {
    model_version: String,
}

/// Removes all versions of plant `name` except the champion, the `keep` newest former champions, the `keep` versions
/// with the newest events, and the versions on which a report of the plant is based. Returns the names of the removed
/// versions, sorted. If `dry_run` is true, nothing is removed. The caller must hold the lock of the registry.
///
/// # Errors
/// [`Error::NoInput`] or [`Error::Data`] if the registry or a report cannot be read. In that case, nothing is removed.
/// [`Error::Write`] if a version cannot be removed.
pub fn collect(project: &Project, registry: &Registry, name: &str, keep: usize, dry_run: bool) -> Result<Vec<String>> {
    let mut needed = referenced(&project.root.join("reports"), name)?;
    let champions = registry.champions()?.into_iter().rev().map(|v| v.name);
    // the first element is the present champion
    needed.extend(champions.take(keep + 1));
    let mut newest: Vec<String> = Vec::new();
    for event in registry.events()?.into_iter().rev() {
        if newest.len() < keep && !newest.contains(&event.version) {
            newest.push(event.version);
        }
    }
    needed.extend(newest);
    let mut versions = registry.versions()?;
    versions.retain(|v| !needed.contains(v));
    if !dry_run && !versions.is_empty() {
        let folder = registry.dir().join("versions");
        let write_error = |e| Error::write(&folder, e);
        for version in &versions {
            // a reader finds a complete version or none, because the folder is renamed before its files are removed
            let leaving = registry.dir().join(temporary_name(version));
            std::fs::rename(folder.join(version), &leaving).map_err(write_error)?;
            remove(&leaving);
        }
        sync_dir(&folder).map_err(write_error)?;
    }
    Ok(versions)
}

/// The models of all reports of plant `name` in the folder `reports`.
fn referenced(reports: &Path, name: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let of_plant = |folder: &String| *folder == name || folder.starts_with(&format!("{name}-"));
    for folder in names_in(reports).map_err(|e| Error::no_input(reports, e))?.into_iter().filter(of_plant) {
        let dir = reports.join(folder);
        let inner = entries(&dir).unwrap_or_default().into_iter().map(|entry| dir.join(entry));
        for report in inner.filter(|path| path.is_dir()).chain([dir.clone()]) {
            let file = report.join("provenance.json");
            let Some(bytes) = read_if_present(&file).map_err(|e| Error::no_input(&file, e))? else { continue };
            let Reference { model_version } = serde_json::from_slice(&bytes).map_err(|e| {
                Error::Data(format!("{}: {e}; no version was removed; run the scenarios again", file.display()))
            })?;
            found.insert(model_version);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::{Event, EventKind};
    use super::*;

    #[test]
    fn champions_new_versions_and_models_of_reports_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { root: dir.path().to_owned() };
        let registry = Registry::open(project.model_dir("p"));
        let add = |number: u8, kind| {
            let version = registry.publish(&[("model.bin", &[number][..])]).unwrap().name;
            let event = Event {
                kind,
                version: version.clone(),
                at: String::new(),
                reason: String::new(),
                data_end: String::new(),
            };
            registry.record(&event).unwrap();
            version
        };
        let kinds = [EventKind::Promoted; 3].into_iter().chain([EventKind::Refused; 7]);
        let all: Vec<String> = kinds.enumerate().map(|(i, kind)| add(i as u8, kind)).collect();
        let report = project.root.join("reports/p-other/x");
        std::fs::create_dir_all(&report).unwrap();
        std::fs::write(report.join("provenance.json"), format!("{{\"model_version\": \"{}\"}}", all[4])).unwrap();
        // the champion is version 2, and version 1 is the newest former champion
        let sorted = |numbers: &[usize]| {
            let mut names: Vec<String> = numbers.iter().map(|i| all[*i].clone()).collect();
            names.sort();
            names
        };
        let removed = sorted(&[0, 3, 5, 6, 7, 8]);
        assert_eq!(collect(&project, &registry, "p", 1, true).unwrap(), removed);
        assert_eq!(registry.versions().unwrap().len(), 10);
        assert_eq!(collect(&project, &registry, "p", 1, false).unwrap(), removed);
        assert_eq!(registry.versions().unwrap(), sorted(&[1, 2, 4, 9]));
        assert_eq!(names_in(registry.dir()).unwrap().len(), 2, "only `versions` and `events` are left");
        assert_eq!(registry.champion().unwrap().unwrap().name, all[2]);
        assert_eq!(registry.previous().unwrap().name, all[1]);
        // nothing is removed if the model of a report is unknown
        std::fs::write(report.join("provenance.json"), "{").unwrap();
        assert_eq!(collect(&project, &registry, "p", 0, false).unwrap_err().exit_code(), 65);
        assert_eq!(registry.versions().unwrap().len(), 4);
        assert_eq!(collect(&project, &Registry::open(project.model_dir("q")), "q", 1, false).unwrap(), [""; 0]);
    }
}
