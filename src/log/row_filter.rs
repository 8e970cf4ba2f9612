//! Selects the rows of a log whose columns have the values given by `log.where`.

use std::collections::BTreeSet;

use arrow_array::Array;
use indexmap::IndexMap;

use super::batches::{Decoding, each_batch};
use super::cast;
use super::footer::LogFile;
use super::scan::{require, wrong_type};
use crate::config::{At, Labels};
use crate::error::{Error, LogKey, Result};

/// Maximum number of values that a message lists (not tuned).
const MAX_VALUES: usize = 12;

/// The row filter of a log, and the values found in the filtered columns.
#[derive(Debug)]
pub(super) struct RowFilter<'a> {
    only: &'a IndexMap<String, At<Labels>>,
    /// Values that were found in each filtered column.
    found: Vec<BTreeSet<String>>,
    kept: usize,
}

impl<'a> RowFilter<'a> {
    pub fn new(only: &'a IndexMap<String, At<Labels>>) -> Self {
        Self { only, found: vec![BTreeSet::new(); only.len()], kept: 0 }
    }

    /// Returns the columns that the filter reads.
    pub fn columns(&self, file: &LogFile) -> Result<Vec<&'a str>> {
        self.only.keys().map(|name| require(file, name, "filter").map(|_| name.as_str())).collect()
    }

    /// Returns, for each row of a batch, whether the row is selected. `columns` contains the columns of the filter, in
    /// the order of the filter. If a column has the wrong type, returns its index as the error.
    pub fn select(&mut self, columns: &[impl AsRef<dyn Array>], rows: usize) -> std::result::Result<Vec<bool>, usize> {
        let mut keep = vec![true; rows];
        for (i, ((column, labels), found)) in columns.iter().zip(self.only.values()).zip(&mut self.found).enumerate() {
            let codes = cast::codes(column.as_ref(), |value| {
                let value = value.unwrap_or("");
                if found.len() < MAX_VALUES && !found.contains(value) {
                    found.insert(value.to_owned());
                }
                u32::from(labels.value.contain(value))
            });
            keep.iter_mut().zip(codes.ok_or(i)?).for_each(|(k, code)| *k &= code == 1);
        }
        self.kept += keep.iter().filter(|k| **k).count();
        Ok(keep)
    }

    /// Returns, for each row of a file, whether the row is selected.
    pub fn select_file(&mut self, file: &LogFile) -> Result<Vec<bool>> {
        let names = self.columns(file)?;
        let select: Vec<_> = names.iter().map(|name| (*name, Decoding::Codes)).collect();
        let mut keep = Vec::with_capacity(file.rows);
        each_batch(file, &select, |columns| {
            let rows = columns.first().map_or(0, |c| c.len());
            let batch = self.select(columns, rows).map_err(|i| wrong_type(file, names[i], &columns[i]))?;
            keep.extend(batch);
            Ok(())
        })?;
        Ok(keep)
    }

    /// Returns an error if no row was selected.
    pub fn require_rows(&self) -> Result<()> {
        if self.only.is_empty() || self.kept > 0 {
            return Ok(());
        }
        let found = self.only.keys().zip(&self.found).map(|(name, values)| {
            let values: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
            let more = if values.len() == MAX_VALUES { ", …" } else { "" };
            format!("`{name}` contains {}{more}", values.join(", "))
        });
        let found = found.collect::<Vec<_>>().join(", and ");
        Err(Error::log(LogKey::Where, "no row of the log is selected by `where`", format!("{found}; correct `where`")))
    }
}
