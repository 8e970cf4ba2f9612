//! A twin file with the data needed for its checks: the names that it defines, and the contents of its log.

use std::ops::Deref;
use std::sync::Arc;

use indexmap::IndexMap;

use super::log_facts::LogFacts;
use crate::config::{At, Change, Loaded, TwinSpec};
use crate::log::OperatingHours;
use crate::resolve::Names;

/// The names that are defined in a twin, and the contents of its log.
#[derive(Clone)]
pub struct Plant<'a> {
    names: Names<'a>,
    pub(super) log: Arc<LogFacts>,
}

impl<'a> Plant<'a> {
    /// Reads the columns and the time span of the log, and the ranges of the values if these are needed.
    pub fn new(file: &'a Loaded<TwinSpec>) -> Self {
        Self { names: Names::new(file), log: Arc::new(LogFacts::read(file)) }
    }

    /// Returns the operating time of the plant per year, in days of 24 hours; `None` if the log has not been read.
    pub fn operating_days(&self) -> Option<f64> {
        self.log.operating_hours().map(OperatingHours::days_per_year)
    }

    /// Returns a copy of the plant with a scenario's parameter changes applied.
    pub(super) fn with(&self, changes: &IndexMap<String, At<Change>>) -> Self {
        Self { names: self.names.with(changes), ..self.clone() }
    }
}

impl<'a> Deref for Plant<'a> {
    type Target = Names<'a>;

    fn deref(&self) -> &Names<'a> {
        &self.names
    }
}
