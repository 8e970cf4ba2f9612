//! The units that an export states for its columns or tags.

use std::collections::BTreeMap;

use polars::prelude::*;

use crate::error::{Error, Result};
use crate::frame::FileFrame;
use crate::layout::Long;
use crate::series::Series;

/// The unit of each column: from the row below the header, from the unit column of a long export, from the values
/// (`cells`), or from names such as `Temp [°C]`.
///
/// # Errors
/// [`Error::Data`] if a column has different units.
pub fn of(
    frames: &[FileFrame],
    long: Option<&Long>,
    columns: &[Series],
    cells: &[(String, String)],
) -> Result<Vec<(String, String)>> {
    let mut units = Units::default();
    for frame in frames {
        for (name, unit) in &frame.units {
            units.add(name, unit, &frame.name)?;
        }
        if let Some((long, column)) = long.and_then(|long| Some((long, long.unit.as_ref()?))) {
            units.add_long(frame, &long.tag, column)?;
        }
    }
    for (name, unit) in cells {
        units.add(name, unit, "its values")?;
    }
    let names = frames.iter().flat_map(|f| f.frame.get_column_names()).map(|name| name.as_str());
    for name in names.chain(columns.iter().map(|c| c.name.as_str())) {
        let inside = name.strip_suffix(']').and_then(|n| n.rsplit_once('['));
        let inside = inside.or_else(|| name.strip_suffix(')').and_then(|n| n.rsplit_once('(')));
        if let Some((_, unit)) = inside {
            units.known.entry(name.to_owned()).or_insert_with(|| (unit.trim().to_owned(), String::new()));
        }
    }
    Ok(units.known.into_iter().map(|(name, (unit, _))| (name, unit)).collect())
}

/// The unit of each column, and the file that states it first.
#[derive(Default)]
struct Units {
    known: BTreeMap<String, (String, String)>,
}

impl Units {
    fn add(&mut self, name: &str, unit: &str, file: &str) -> Result<()> {
        let (known, first) = self.known.entry(name.to_owned()).or_insert_with(|| (unit.to_owned(), file.to_owned()));
        if known.to_lowercase() == unit.to_lowercase() {
            return Ok(());
        }
        Err(Error::Data(format!(
            "`{name}` has the unit `{known}` in {first} and the unit `{unit}` in {file}; export it in one unit, or import one \
             of the units with `--where`"
        )))
    }

    /// Adds the units in the column `unit` of a long export.
    fn add_long(&mut self, frame: &FileFrame, tag: &str, unit: &str) -> Result<()> {
        let bad = |e: PolarsError| Error::Data(format!("{}: {e}", frame.name));
        // a file may lack the column
        let Ok(units) = frame.frame.column(unit) else { return Ok(()) };
        let units = units.cast(&DataType::String).map_err(bad)?;
        let tags = frame.frame.column(tag).and_then(|c| c.cast(&DataType::String)).map_err(bad)?;
        let mut last = (None, None);
        for (tag, unit) in tags.str().map_err(bad)?.iter().zip(units.str().map_err(bad)?.iter()) {
            if (tag, unit) == last {
                continue;
            }
            last = (tag, unit);
            let (Some(tag), Some(unit)) = (tag.map(str::trim), unit.map(str::trim)) else { continue };
            if !tag.is_empty() && !unit.is_empty() {
                self.add(tag, unit, &frame.name)?;
            }
        }
        Ok(())
    }
}
