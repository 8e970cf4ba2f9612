//! Finds entities that are logged at the same times, such as products or zones, and measures how active each one is.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::batches::{Batches, Decoding};
use super::cast;
use super::footer::{ColumnKind, FileColumn, LogFile};
use super::numerals::Numerals;
use crate::error::Result;

/// Maximum number of rows that are examined (not tuned).
const MAX_ROWS: usize = 3_000_000;
/// Maximum number of distinct values in a column that is used to distinguish rows with equal times (not tuned).
const MAX_VALUES: usize = 10_000;
/// Maximum number of columns that may distinguish rows (not tuned).
const MAX_COLUMNS: usize = 6;
/// Maximum number of numeric columns from which the activity is determined (not tuned).
const MAX_NUMBERS: usize = 12;
/// Minimum fraction of the rows that the columns, together with the time, must identify uniquely.
const IDENTIFIED: f64 = 0.95;

/// The columns that distinguish rows with equal times, and the combinations of their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Entities {
    pub columns: Vec<String>,
    /// The most active entity comes first.
    pub list: Vec<Entity>,
}

/// An entity, such as a product, identified by its values in the columns that distinguish rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    pub labels: Vec<String>,
    pub rows: usize,
    /// Number of values that are neither missing nor zero.
    pub active: usize,
}

/// Codes of the values of one column.
#[derive(Default)]
struct Coded {
    known: HashMap<String, u32>,
    codes: Vec<u32>,
}

impl Coded {
    fn add(&mut self, column: &arrow_array::ArrayRef) -> Option<()> {
        let known = &mut self.known;
        self.codes.extend(cast::codes(column, |v| {
            let next = known.len() as u32;
            *known.entry(v.unwrap_or("").to_owned()).or_insert(next)
        })?);
        Some(())
    }
}

/// Appends one number per row; rows with equal times get equal numbers. Returns `None` if the column contains no times.
fn add_times(column: &arrow_array::ArrayRef, texts: &mut Coded, out: &mut Vec<u64>) -> Option<()> {
    if let Some(integers) = cast::Integers::new(column) {
        out.extend(integers.iter().map(|v| v.map_or(u64::MAX, |v| v as u64)));
        return Some(());
    }
    let mut values = Vec::new();
    if cast::floats(column, &mut values).is_some() {
        out.extend(values.iter().map(|v| v.to_bits()));
        return Some(());
    }
    let from = texts.codes.len();
    texts.add(column)?;
    out.extend(texts.codes[from..].iter().map(|c| u64::from(*c)));
    Some(())
}

/// Returns the columns that, together with the column `time`, identify the rows of the files: one column, or two if one
/// is not sufficient. Returns `None` if no columns identify the rows. If the column `given` is known to distinguish the
/// entities, only this column is used.
///
/// # Errors
/// The errors of [`super::describe()`].
pub fn entities(files: &[PathBuf], time: &str, given: Option<&str>) -> Result<Option<Entities>> {
    let folder = |file: &Path| file.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    let files = files.iter().map(|f| LogFile::open(&folder(f), f)).collect::<Result<Vec<LogFile>>>()?;
    let Some(file) = files.last() else { return Ok(None) };
    let is_label = |c: &FileColumn| match given {
        Some(name) => c.name == name,
        None => matches!(c.kind, ColumnKind::Text | ColumnKind::Integer) && c.name != time,
    };
    let mut labels: Vec<&str> = file.columns.iter().filter(|c| is_label(c)).map(|c| c.name.as_str()).collect();
    // Text columns distinguish entities more often than numeric columns do.
    labels.sort_by_key(|name| file.columns.iter().any(|c| c.name == *name && c.kind != ColumnKind::Text));
    let numbers: Vec<&str> = file
        .columns
        .iter()
        .filter(|c| matches!(c.kind, ColumnKind::Float | ColumnKind::Integer) && c.name != time)
        .map(|c| c.name.as_str())
        .take(MAX_NUMBERS)
        .collect();
    let mut select = vec![(time, Decoding::Plain)];
    select.extend(labels.iter().map(|l| (*l, Decoding::Codes)));
    let mut coded: Vec<Coded> = labels.iter().map(|_| Coded::default()).collect();
    let (mut times, mut texts): (Vec<u64>, Coded) = (Vec::new(), Coded::default());
    for file in &files {
        let mut batches = Batches::new(file, &select)?;
        while let Some(columns) = batches.next()? {
            if times.len() >= MAX_ROWS {
                break;
            }
            let known = add_times(&columns[0], &mut texts, &mut times).is_some();
            if !known || columns[1..].iter().zip(&mut coded).any(|(c, coded)| coded.add(c).is_none()) {
                return Ok(None);
            }
        }
    }
    let candidates: Vec<usize> =
        (0..labels.len()).filter(|i| (2..=MAX_VALUES).contains(&coded[*i].known.len())).take(MAX_COLUMNS).collect();
    let pairs = candidates.iter().flat_map(|a| candidates.iter().filter(move |b| a < b).map(move |b| vec![*a, *b]));
    let mut sets = candidates.iter().map(|a| vec![*a]).chain(pairs);
    let rows = times.len();
    let key = |set: &[usize], row: usize| -> Vec<u32> { set.iter().map(|i| coded[*i].codes[row]).collect() };
    let identifies = |set: &Vec<usize>| {
        let keys: HashSet<(u64, Vec<u32>)> = (0..rows).map(|r| (times[r], key(set, r))).collect();
        keys.len() as f64 >= IDENTIFIED * rows as f64
    };
    let set = match given {
        Some(name) => labels.iter().position(|l| *l == name).map(|i| vec![i]),
        None => sets.find(identifies),
    };
    let Some(set) = set else { return Ok(None) };

    let mut active = vec![0usize; rows];
    let names: Vec<&str> = numbers.into_iter().filter(|n| !set.iter().any(|i| labels[*i] == *n)).collect();
    let select: Vec<(&str, Decoding)> = names.iter().map(|n| (*n, Decoding::Plain)).collect();
    let (mut first, mut values) = (0, Vec::new());
    for file in files.iter().filter(|_| !select.is_empty()) {
        let mut batches = Batches::new(file, &select)?;
        while let Some(columns) = batches.next()? {
            for column in &columns {
                values.clear();
                // Unreadable values do not count as activity.
                if Numerals::default().read(column, &mut values, |_, _| {}).is_none() {
                    continue;
                }
                for (row, v) in values.iter().enumerate().filter(|(row, _)| first + row < rows) {
                    active[first + row] += usize::from(v.is_finite() && *v != 0.0);
                }
            }
            first += columns.first().map_or(0, |c| c.len());
        }
    }
    let mut found: HashMap<Vec<u32>, (usize, usize)> = HashMap::new();
    for (row, active) in active.iter().enumerate() {
        let entity = found.entry(key(&set, row)).or_default();
        *entity = (entity.0 + 1, entity.1 + active);
    }
    let texts: Vec<Vec<&String>> = set
        .iter()
        .map(|i| {
            let mut texts: Vec<(&u32, &String)> = coded[*i].known.iter().map(|(text, code)| (code, text)).collect();
            texts.sort();
            texts.into_iter().map(|(_, text)| text).collect()
        })
        .collect();
    let entity = |(codes, (rows, active)): (Vec<u32>, (usize, usize))| Entity {
        labels: codes.iter().zip(&texts).map(|(code, texts)| texts[*code as usize].clone()).collect(),
        rows,
        active,
    };
    let mut list: Vec<Entity> = found.into_iter().map(entity).collect();
    list.retain(|e| e.labels.iter().all(|l| !l.is_empty()));
    list.sort_by(|a, b| (b.active, b.rows, &a.labels).cmp(&(a.active, a.rows, &b.labels)));
    let columns = set.iter().map(|i| labels[*i].to_owned()).collect();
    Ok((!list.is_empty()).then_some(Entities { columns, list }))
}
