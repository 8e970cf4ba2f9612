//! What was found in a log and what was done about it: plain data for `inspect`, the report and the registry.

use serde::{Deserialize, Serialize};

/// One input file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub file: String,
    pub rows: usize,
    /// BLAKE3 of the file's bytes, hex.
    pub hash: String,
}

/// One class of fault found in one signal (or in the time line, when `signal` is empty).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub signal: String,
    /// `out-of-order`, `duplicate`, `duplicate-conflict`, `gap`, `not-finite`, `missing`, `bad-flag`, `flat-line`,
    /// `out-of-range`, `unit-jump`, `clock-step`, `rate-of-change` …
    pub class: String,
    pub count: usize,
    /// UTC, RFC 3339.
    pub first: String,
    pub last: String,
    /// What was done: `dropped`, `held`, `interpolated`, `kept`, `sorted`, `split`.
    pub action: String,
    /// One sentence for a person.
    pub note: String,
}

/// How much a control was moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excitation {
    pub moves: usize,
    /// Standard deviation over its hard range (or over its own range where it has none).
    pub spread: f64,
    /// 1st and 99th percentile.
    pub low: f64,
    pub high: f64,
    /// False: it never moved, nothing can be learned about it.
    pub learnable: bool,
}

/// One signal's row of the quality table. Counts are grid steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalQuality {
    pub signal: String,
    pub unit: String,
    pub samples: usize,
    pub dropped: usize,
    pub held: usize,
    pub interpolated: usize,
    pub missing: usize,
    /// Usable share of the grid inside the segments.
    pub coverage: f64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    pub excitation: Option<Excitation>,
}

/// The log's quality.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub sources: Vec<Source>,
    /// UTC, RFC 3339.
    pub start: String,
    pub end: String,
    pub step: String,
    pub grid_steps: usize,
    pub segments: usize,
    pub signals: Vec<SignalQuality>,
    pub findings: Vec<Finding>,
    /// Signals below the configured completeness: nothing may be fitted.
    pub incomplete: Vec<String>,
}
