//! Stores model versions as files: immutable folders named after the hash of their content, and an append-only log of
//! events.
//!
//! `versions/<hash>/` contains the files of a version and `manifest.json`, whose hash is the name of the folder. The
//! files `events/NNNNNNNN.json` contain the events in chronological order. The champion is the version named in the
//! last promotion or rollback. A version is written to a staging folder, synced and renamed, so that a reader sees a
//! complete version or none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Lock;
use crate::disk::{create_file, make_dir, names_in, remove, remove_temporary, sync_dir, temporary_name};
use crate::error::{Error, Result};

/// The files of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// File name → BLAKE3 hash of its content, in hex.
    pub files: BTreeMap<String, String>,
    /// Name of the version that was champion when this version was published.
    pub parent: Option<String>,
}

/// The effect of an event on a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Became champion.
    Promoted,
    /// The version did not become champion, because it was not better than the champion or had no skill.
    Refused,
    /// Became champion again.
    RolledBack,
}

impl EventKind {
    /// Returns the name that users see for this kind of event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Refused => "refused",
            Self::RolledBack => "rolled back",
        }
    }
}

/// One entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(rename = "verdict")]
    pub kind: EventKind,
    pub version: String,
    /// UTC, RFC 3339.
    pub at: String,
    /// The reason, in one sentence.
    pub reason: String,
    /// Time of the newest log row that was used (UTC).
    pub data_end: String,
}

/// A version on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub name: String,
    pub path: PathBuf,
}

/// The model registry of one plant, stored in a folder.
#[derive(Debug, Clone)]
pub struct Registry {
    dir: PathBuf,
}

const MANIFEST: &str = "manifest.json";

impl Registry {
    /// Opens the registry in `dir`. The folder is created when the first version is published.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes the lock of the registry for `verb`, and removes temporary files of processes that were killed.
    ///
    /// # Errors
    /// Returns [`Error::Busy`] if another process holds the lock.
    pub fn lock(&self, verb: &str) -> Result<Lock> {
        let lock = Lock::take(&self.dir, verb)?;
        remove_temporary(&self.dir);
        remove_temporary(&self.dir.join("events"));
        Ok(lock)
    }

    /// Writes a version. The name of a version depends only on its files and its parent, so writing the same version
    /// again changes nothing. If the champion already consists of exactly these files, no version is written, and the
    /// champion is returned.
    pub fn publish(&self, files: &[(&str, &[u8])]) -> Result<Version> {
        let champion = self.champion()?;
        let hashes: BTreeMap<String, String> =
            files.iter().map(|(n, b)| ((*n).to_owned(), blake3::hash(b).to_hex().to_string())).collect();
        if let Some(version) = &champion
            && self.manifest(&version.name).is_ok_and(|m| m.files == hashes)
            && self.check(&version.name).is_ok()
        {
            return Ok(version.clone());
        }
        let parent = champion.map(|v| v.name);
        let manifest = Manifest { files: hashes, parent };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Internal(e.to_string()))?;
        let name = version_name(&text);
        let versions = self.dir.join("versions");
        let path = versions.join(&name);
        if path.join(MANIFEST).exists() && self.check(&name).is_ok() {
            return Ok(Version { name, path });
        }
        let staging = self.dir.join(temporary_name(&name));
        let write = || -> std::io::Result<()> {
            make_dir(&versions)?;
            fs::create_dir(&staging)?;
            for (file, bytes) in files.iter().copied().chain([(MANIFEST, text.as_slice())]) {
                let mut f = File::create(staging.join(file))?;
                f.write_all(bytes)?;
                f.sync_all()?;
            }
            sync_dir(&staging)?;
            // an existing folder of this name is damaged, because an undamaged one would have been returned above
            remove(&path);
            fs::rename(&staging, &path)?;
            sync_dir(&versions)
        };
        write().map_err(|e| {
            remove(&staging);
            Error::write(&path, e)
        })?;
        Ok(Version { name, path })
    }

    /// Appends an event to the event log.
    pub fn record(&self, event: &Event) -> Result<()> {
        let folder = self.dir.join("events");
        make_dir(&folder).map_err(|e| Error::write(&folder, e))?;
        let number = self.event_files()?.last().map_or(1, |(n, _)| n + 1);
        let path = folder.join(format!("{number:08}.json"));
        let text = serde_json::to_vec_pretty(event).map_err(|e| Error::Internal(e.to_string()))?;
        // reusing a number fails
        create_file(&path, &text)
    }

    /// All events, oldest first.
    pub fn events(&self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for (_, path) in self.event_files()? {
            let text = fs::read(&path).map_err(|e| Error::no_input(&path, e))?;
            events.push(serde_json::from_slice(&text).map_err(|e| {
                Error::Data(format!("{}: {e}; to continue without this event, move the file away", path.display()))
            })?);
        }
        Ok(events)
    }

    fn event_files(&self) -> Result<Vec<(u64, PathBuf)>> {
        let folder = self.dir.join("events");
        let mut files = Vec::new();
        for name in names_in(&folder).map_err(|e| Error::no_input(&folder, e))? {
            if let Some(number) = name.strip_suffix(".json").and_then(|n| n.parse().ok()) {
                files.push((number, folder.join(&name)));
            }
        }
        files.sort();
        Ok(files)
    }

    /// The champion, if there is one.
    pub fn champion(&self) -> Result<Option<Version>> {
        Ok(self.champions()?.pop())
    }

    /// Time at which the champion was first promoted. Returns `None` if there is no champion.
    pub fn champion_since(&self) -> Result<Option<Timestamp>> {
        let Some(champion) = self.champion()? else { return Ok(None) };
        let events = self.events()?;
        let first = events.iter().find(|e| e.version == champion.name && e.kind != EventKind::Refused);
        Ok(first.and_then(|e| e.at.parse().ok()))
    }

    /// Names of all versions, sorted.
    pub fn versions(&self) -> Result<Vec<String>> {
        let folder = self.dir.join("versions");
        let mut names = names_in(&folder).map_err(|e| Error::no_input(&folder, e))?;
        names.sort();
        Ok(names)
    }

    /// Reads `file` in `version`. Checks the content against the manifest, and the manifest against the name of the
    /// version.
    pub fn read(&self, version: &str, file: &str) -> Result<Vec<u8>> {
        let manifest = self.manifest(version)?;
        let expected = manifest
            .files
            .get(file)
            .ok_or_else(|| Error::Data(format!("version {version} has no file {file}; run `twinopt fit` again")))?;
        let path = self.dir.join("versions").join(version).join(file);
        let bytes = fs::read(&path).map_err(|e| Error::no_input(&path, e))?;
        if blake3::hash(&bytes).to_hex().as_str() != expected {
            return Err(damaged(&path));
        }
        Ok(bytes)
    }

    /// Checks all files of `version` for damage.
    pub fn check(&self, version: &str) -> Result<()> {
        for file in self.manifest(version)?.files.keys() {
            self.read(version, file)?;
        }
        Ok(())
    }

    /// The manifest of `version`.
    pub fn manifest(&self, version: &str) -> Result<Manifest> {
        let path = self.dir.join("versions").join(version).join(MANIFEST);
        let text = fs::read(&path).map_err(|e| Error::no_input(&path, e))?;
        if version_name(&text) != version {
            return Err(damaged(&path));
        }
        serde_json::from_slice(&text).map_err(|_| damaged(&path))
    }

    /// The history of champions, from the oldest to the present one. A promotion appends a champion to the history. A
    /// rollback removes all champions after its target from the history, so that a second rollback goes further back.
    pub fn champions(&self) -> Result<Vec<Version>> {
        let mut champions: Vec<String> = Vec::new();
        for Event { kind, version, .. } in self.events()? {
            match kind {
                EventKind::Promoted => {
                    champions.retain(|v| *v != version);
                    champions.push(version);
                }
                EventKind::RolledBack => match champions.iter().position(|v| *v == version) {
                    Some(at) => champions.truncate(at + 1),
                    None => champions.push(version),
                },
                EventKind::Refused => {}
            }
        }
        let versions = self.dir.join("versions");
        Ok(champions.into_iter().map(|name| Version { path: versions.join(&name), name }).collect())
    }

    /// The newest undamaged version that was champion before the current champion.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if there is no such version.
    pub fn previous(&self) -> Result<Version> {
        let target = self.champions()?.into_iter().rev().skip(1).find(|v| self.check(&v.name).is_ok());
        target.ok_or_else(|| {
            let dir = self.dir.display();
            Error::Usage(format!(
                "{dir}: there is no earlier undamaged version to roll back to; fit a new one with `twinopt fit`"
            ))
        })
    }

    /// Restores [`Registry::previous`] as champion.
    pub fn rollback(&self, at: &str, reason: &str) -> Result<Version> {
        let target = self.previous()?;
        let name = &target.name;
        let last_event = self.events()?.into_iter().rev().find(|e| e.version == *name);
        self.record(&Event {
            kind: EventKind::RolledBack,
            version: name.clone(),
            at: at.to_owned(),
            reason: reason.to_owned(),
            data_end: last_event.map_or_else(String::new, |e| e.data_end),
        })?;
        Ok(target)
    }
}

fn version_name(manifest: &[u8]) -> String {
    blake3::hash(manifest).to_hex()[..16].to_owned()
}

fn damaged(path: &Path) -> Error {
    Error::Data(format!(
        "{} is damaged: its content differs from the published content; return to an undamaged version with `twinopt models DIR rollback`",
        path.display()
    ))
}

#[cfg(test)]
#[path = "../../tests/unit/ops/registry.rs"]
mod tests;
