//! The ledger of a plant: one line per verification, with the promise that a report made about the same saving.
//!
//! The ledger is a file of JSON lines to which lines are only appended. Each line contains the hash of the line before
//! it, so that a change to a line is detected if another line follows. A change to the last line and the removal of
//! lines at the end are not detected.

use serde::{Deserialize, Serialize};

use super::saving::{Claim, Saving};
use crate::error::{Error, Result};
use crate::period::Period;

/// Version of the format of a line.
const SCHEMA_VERSION: u32 = 1;
/// Shortest period of a promise that is not called a season, in days.
const WHOLE_YEAR: f64 = 364.0;
/// The measured days count as whole years if they differ from a multiple of a year by at most this fraction of a year
/// (not tuned).
const MAX_PART_OF_YEAR: f64 = 0.05;

/// A promise: the saving of a KPI that a report states for a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// Hash of the file `results.json` of the report, and the run that wrote it.
    pub report: String,
    pub run: String,
    pub case: String,
    pub kpi: String,
    pub unit: String,
    /// End of the data from which the promise was made.
    pub data_end: String,
    /// The saving and its 90 % interval over `days` days.
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    pub days: f64,
}

/// Whether the measured saving agrees with the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The measured saving is verified or indicated, and lies within the promised interval.
    Kept,
    /// The promise is neither kept nor missed.
    Undecided,
    /// The measured saving is below the promise: the two intervals do not overlap, both cover whole years, and the data
    /// are not doubtful.
    Missed,
    /// As for `Missed`, but the measured saving is above the promise.
    Exceeded,
    /// The verification supports no statement about the saving.
    NotMeasured,
}

/// A promise, scaled to the days that were measured in the reporting period, and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromiseCheck {
    pub promise: Promise,
    /// Length in days of the measured part of the reporting period.
    pub days: f64,
    /// The promised saving over `days` days, with its 90 % interval.
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    pub outcome: Outcome,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub schema_version: u32,
    /// Version of twinopt.
    pub version: String,
    pub kpi: String,
    pub unit: String,
    pub baseline: Period,
    pub reporting: Period,
    pub adjusted_baseline: f64,
    pub measured: f64,
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    pub claim: Claim,
    /// Hash of the file with the frozen baseline, and hash of the consumption and the drivers in the reporting period.
    pub frozen: String,
    pub data: String,
    pub promise: Option<PromiseCheck>,
    /// Hash of the preceding line; empty in the first line.
    pub previous: String,
}

/// How many promises were kept. Each promise counts once, with its newest verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackRecord {
    pub kept: usize,
    pub undecided: usize,
    pub missed: usize,
    pub exceeded: usize,
}

impl PromiseCheck {
    /// Compares `promise` with the measured `saving`. The promise is scaled in proportion to the number of days. If
    /// `doubtful` is true, the data may be wrong, so the promise is neither kept nor missed.
    pub fn new(promise: Promise, saving: &Saving, doubtful: bool) -> Self {
        let scale = saving.days / promise.days;
        let [promised, low, high] = [promise.saving, promise.low, promise.high].map(|v| scale * v);
        let inside = low <= saving.saving && saving.saving <= high;
        let overlap = saving.low <= high && low <= saving.high;
        let seasonal = is_seasonal(promise.days, saving.days);
        let outcome = match saving.claim {
            Claim::NotFit | Claim::Extrapolated => Outcome::NotMeasured,
            Claim::Verified | Claim::Indicated if inside && !doubtful => Outcome::Kept,
            _ if overlap || seasonal || doubtful => Outcome::Undecided,
            _ if saving.saving > promised => Outcome::Exceeded,
            _ => Outcome::Missed,
        };
        Self { promise, days: saving.days, saving: promised, low, high, outcome }
    }

    /// Whether the promise and the measured saving may refer to different seasons.
    pub fn is_seasonal(&self) -> bool {
        is_seasonal(self.promise.days, self.days)
    }
}

/// Whether the days of a promise or the `measured` days are not whole years.
fn is_seasonal(promised: f64, measured: f64) -> bool {
    let years = measured / 365.25;
    promised < WHOLE_YEAR || (years - years.round().max(1.0)).abs() > MAX_PART_OF_YEAR
}

/// The lines of a ledger, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    pub entries: Vec<Entry>,
    /// Hash of the last line; empty if there is none.
    last: String,
    /// The last line, if it is complete but has no line break.
    unterminated: Option<String>,
}

impl Ledger {
    /// Parses the content of the file `name`. A last line that ends in the middle of an entry is ignored, because it
    /// was not written completely.
    ///
    /// # Errors
    /// [`Error::Data`] if a line is damaged, or if a line does not contain the hash of the preceding line.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut out = Self::default();
        for (i, line) in text.split_inclusive('\n').enumerate() {
            let terminated = line.ends_with('\n');
            let line = line.trim_end_matches(['\r', '\n']);
            let damaged = |why: String| {
                Error::Data(format!(
                    "{name}:{}: {why}; restore the file from a copy, or move it away to start a new ledger",
                    i + 1
                ))
            };
            let entry: Entry = match serde_json::from_str(line) {
                Ok(entry) => entry,
                Err(e) if e.is_eof() && !terminated => break,
                Err(e) => return Err(damaged(format!("the line is damaged ({e})"))),
            };
            if entry.schema_version != SCHEMA_VERSION {
                return Err(damaged(format!(
                    "the line has the schema version {}, not {SCHEMA_VERSION}",
                    entry.schema_version
                )));
            }
            if entry.previous != out.last {
                return Err(damaged("a preceding line was changed or removed, or a line was inserted".into()));
            }
            out.last = hash(line.as_bytes());
            out.unterminated = (!terminated).then(|| line.to_owned());
            out.entries.push(entry);
        }
        Ok(out)
    }

    /// Adds an entry and returns the text that replaces everything after the last line break of the file: the line of
    /// the entry, after the last line if that has no line break. The text does not end with a line break. This function
    /// sets the fields `schema_version`, `version` and `previous` of the entry.
    ///
    /// # Errors
    /// [`Error::Internal`] if the entry cannot be written as JSON.
    pub fn append(&mut self, entry: Entry) -> Result<String> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let entry = Entry { schema_version: SCHEMA_VERSION, version, previous: self.last.clone(), ..entry };
        let line = serde_json::to_string(&entry).map_err(|e| Error::Internal(e.to_string()))?;
        self.last = hash(line.as_bytes());
        self.entries.push(entry);
        Ok(match self.unterminated.take() {
            Some(before) => format!("{before}\n{line}"),
            None => line,
        })
    }

    /// The newest entry of each promise, oldest first. If a run is repeated with the same inputs, its promises are the
    /// same.
    pub fn promises(&self) -> Vec<Entry> {
        let key =
            |e: &Entry| e.promise.as_ref().map(|p| (p.promise.run.clone(), p.promise.case.clone(), e.kpi.clone()));
        let newest = |(i, e): &(usize, &Entry)| {
            let key_of_entry = key(e);
            key_of_entry.is_some() && !self.entries[i + 1..].iter().any(|later| key(later) == key_of_entry)
        };
        self.entries.iter().enumerate().filter(newest).map(|(_, e)| e.clone()).collect()
    }
}

impl TrackRecord {
    /// Counts the outcomes of `promises`, in which each promise occurs only once.
    pub fn new(promises: &[Entry]) -> Self {
        let count =
            |outcome| promises.iter().filter_map(|e| e.promise.as_ref()).filter(|p| p.outcome == outcome).count();
        Self {
            kept: count(Outcome::Kept),
            undecided: count(Outcome::Undecided),
            missed: count(Outcome::Missed),
            exceeded: count(Outcome::Exceeded),
        }
    }
}

/// Hash with 32 hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

#[cfg(test)]
#[path = "../../tests/unit/verify/ledger.rs"]
mod tests;
