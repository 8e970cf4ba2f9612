//! The `log` table of `twin.toml`: the location, the layout and the notation of the log.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};

/// Location and layout of the log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// Parquet files, relative to the twin's folder; `*` matches within a folder. The files have to be inside the
    /// project, unless their folder is listed in the environment variable `TWINOPT_LOG_FOLDERS`.
    pub files: At<Files>,
    /// Name of the time column.
    pub time: At<String>,
    /// Name of the column that identifies episodes: a new episode starts whenever its value changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<At<String>>,
    /// Time zone of time stamps that contain none: an IANA name, such as `Europe/Berlin`, or an offset, such as
    /// `+01:00` (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<At<String>>,
    /// Format of time stamps that are text, in the notation of strftime, such as `%d.%m.%Y %H:%M`, or a list of formats
    /// that are tried in order. ISO 8601 text and dates that begin with the year need no format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_format: Option<At<TimeFormats>>,
    /// Unit of time stamps that are numbers. By default, the unit is inferred from the size of the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<At<TimeUnit>>,
    /// Whether the time stamp of a sample marks the start or the end of the interval that the sample covers (default
    /// `start`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<At<Stamps>>,
    /// Texts that mark a missing value in a column of numbers, such as `["Bad Input", "No Data"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Decimal separator of numbers that are written as text: `.` or `,` (default `.`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<At<Decimal>>,
    /// Selects the rows to read: column → value or list of values, such as `{ sku = "A12" }`.
    #[serde(default, rename = "where", skip_serializing_if = "IndexMap::is_empty")]
    pub only: IndexMap<String, At<Labels>>,
    /// Start of the part of the log to use: a date, such as `2024-03-01`, or a time in UTC. Set it to the date of a change
    /// to the plant if older rows describe another plant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<At<String>>,
    /// End of the part of the log to use: a date, which is included, or a time in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<At<String>>,
    /// Periods to leave out, such as repairs or tests: `["2024-03-04..2024-03-08"]`. A date as the end is included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<At<String>>,
    /// Longest gap that does not split the log into segments (default: three sample times).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<At<TimeSpan>>,
    /// Layout of a log in long format, which has one row per sample. If `long` is absent, the log has wide format, with
    /// one column per signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<At<LongSpec>>,
    /// Minimum fraction of usable rows for each learned signal and each control (default 0.8). No model is fitted if
    /// any learned signal or control has a smaller fraction of usable rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completeness: Option<At<f64>>,
}

impl LogSpec {
    /// Returns the settings of a log in wide format, with defaults for all other settings.
    pub fn wide(files: String, time: String) -> Self {
        Self {
            files: At::from(Files::One(files)),
            time: At::from(time),
            episode: None,
            timezone: None,
            time_format: None,
            time_unit: None,
            stamps: None,
            missing: Vec::new(),
            decimal: None,
            only: IndexMap::new(),
            from: None,
            until: None,
            exclude: Vec::new(),
            max_gap: None,
            long: None,
            completeness: None,
        }
    }

    /// The value of `completeness`, or its default (not tuned).
    pub fn completeness(&self) -> f64 {
        self.completeness.as_ref().map_or(0.8, |c| c.value)
    }

    /// The value of `max_gap` in milliseconds, or its default (not tuned).
    pub fn max_gap_ms(&self, step: TimeSpan) -> i64 {
        self.max_gap.as_ref().map_or(step.ms().saturating_mul(3), |g| g.ms())
    }
}

/// Unit of the numbers in a time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Nanoseconds since 1970.
    Ns,
    /// Microseconds since 1970.
    Us,
    /// Milliseconds since 1970.
    Ms,
    /// Seconds since 1970.
    S,
    /// Minutes since 1970.
    Min,
    /// Hours since 1970.
    H,
    /// Days since 1970.
    D,
    /// Days since 1899-12-30 in local time, as used by spreadsheets.
    Spreadsheet,
    /// Digits of a local date and time: `20240131`, `202401311530` or `20240131153000`.
    Digits,
}

/// Whether time stamps mark the start or the end of the interval that a sample covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stamps {
    Start,
    End,
}

/// Decimal separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Decimal {
    #[serde(rename = ".")]
    Point,
    #[serde(rename = ",")]
    Comma,
}

/// One or more values of a column.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Labels {
    One(String),
    Many(Vec<String>),
}

impl Labels {
    pub fn contain(&self, label: &str) -> bool {
        match self {
            Self::One(l) => l == label,
            Self::Many(l) => l.iter().any(|l| l == label),
        }
    }
}

/// One or more formats of time stamps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TimeFormats {
    One(String),
    Many(Vec<String>),
}

impl TimeFormats {
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(format) => std::slice::from_ref(format),
            Self::Many(formats) => formats,
        }
    }
}

/// One or more file name patterns.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Files {
    One(String),
    Many(Vec<String>),
}

impl Files {
    pub fn patterns(&self) -> &[String] {
        match self {
            Self::One(p) => std::slice::from_ref(p),
            Self::Many(p) => p,
        }
    }
}

/// Column names of a log in long format.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongSpec {
    pub tag: At<String>,
    pub value: At<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<At<String>>,
    /// Values of the quality column that mark good samples. A range of numbers is written like `192..255` (default
    /// `["good", "192..255"]`, as in OPC).
    #[serde(default = "good_flags")]
    pub good: Vec<String>,
}

impl LongSpec {
    /// Whether `good` differs from its default.
    pub fn has_own_flags(&self) -> bool {
        self.good != good_flags()
    }
}

fn good_flags() -> Vec<String> {
    vec!["good".into(), "192..255".into()]
}
