//! The result of a verification.

use std::path::PathBuf;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::days::Day;
use super::event::NonRoutineEvent;
use super::intervals::Length;
use super::ledger::{Entry, PromiseCheck, TrackRecord};
use super::saving::Saving;
use super::statistics::{Fitness, Statistics};
use crate::period::Period;

/// The settings and the data of a baseline that was used for a verification. The settings and the data must not change
/// afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenBaseline {
    pub kpi: String,
    pub baseline: Period,
    pub length: Length,
    pub drivers: Vec<String>,
    /// The events and the public holidays in the baseline period.
    pub events: Vec<NonRoutineEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Date>,
    /// The model family, and the number of intervals per fold.
    pub model: String,
    pub fold: usize,
    /// Hash of the measured consumption and the drivers in the baseline period, and hash of the predicted consumption
    /// in this period.
    pub data: String,
    pub fit: String,
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub plant: String,
    pub timezone: String,
    pub unit: String,
    /// The formula of the KPI, and the signals that it reads.
    pub formula: String,
    pub boundary: Vec<String>,
    pub reporting: Period,
    pub frozen: FrozenBaseline,
    /// All events whose periods are left out, and all days that the model treats as Sundays.
    pub events: Vec<NonRoutineEvent>,
    pub holidays: Vec<Date>,
    /// The file that contains the frozen baseline.
    pub file: PathBuf,
    pub statistics: Statistics,
    pub fitness: Fitness,
    pub saving: Saving,
    /// The saving and its interval in money, if the KPI is a part of the cost that is paid.
    pub money: Option<[f64; 3]>,
    pub currency: Option<String>,
    /// The promise of a report about this saving.
    pub promise: Option<PromiseCheck>,
    /// All promises of the ledger, and how many of them were kept.
    pub promises: Vec<Entry>,
    pub record: TrackRecord,
    /// Hash of the file with the frozen baseline, and hash of the consumption and the drivers in the reporting period.
    pub frozen_hash: String,
    pub data_hash: String,
    pub warnings: Vec<String>,
    pub days: Vec<Day>,
}
