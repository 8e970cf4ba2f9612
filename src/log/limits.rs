//! Compares the sizes stated in a Parquet file with limits, before the Parquet library relies on these sizes.
//!
//! The Parquet library (`parquet` 59) allocates memory for whatever the footer and the page headers claim, and recurses
//! into nested columns. A hostile or damaged file can exhaust the memory or the stack, which aborts the process before
//! any error is handled. The limits are far above what logs of plants need (none of them is tuned).

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::thrift::{I32, I64, LIST, STRUCT, Walk};

/// Maximum number of rows of a file.
const MAX_ROWS: i64 = 1_000_000_000;
/// Maximum number of columns, including nested ones.
const MAX_COLUMNS: usize = 20_000;
/// Maximum depth of nested columns.
const MAX_NESTING: usize = 32;
/// Maximum number of row groups.
const MAX_GROUPS: usize = 100_000;
/// Maximum size of an uncompressed page.
const MAX_PAGE: i64 = 256 << 20;
/// Maximum number of uncompressed bytes per byte of the file.
const MAX_RATIO: i64 = 1_000;
/// Maximum number of rows per byte of the file.
const MAX_DENSITY: i64 = 100;
/// A small file may exceed [`MAX_RATIO`] and [`MAX_DENSITY`] up to this number of bytes or rows.
const SMALL: i64 = 16 << 20;

/// The largest number of rows or bytes that a file of `length` bytes may claim if at most `ratio` of them are allowed
/// per byte of the file.
fn most(length: u64, ratio: i64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX).saturating_mul(ratio).saturating_add(SMALL)
}

/// What a footer claims.
#[derive(Default)]
struct Footer {
    /// Number of children of each element of the schema, in depth-first order.
    children: Vec<i64>,
    rows: i64,
    /// Number of columns of each row group.
    groups: Vec<usize>,
    uncompressed: i64,
    /// Whether the footer has negative numbers where they are not allowed.
    negative: bool,
    /// The largest offset at which a column ends.
    end: i64,
}

impl Footer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut footer = Self::default();
        Walk::new(bytes).structure(|w, number, kind| {
            match (number, kind) {
                (2, LIST) => w.structures(|w| footer.element(w))?,
                (3, I64) => footer.rows = footer.count(w)?,
                (4, LIST) => w.structures(|w| footer.group(w))?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(footer)
    }

    /// Reads a number that must not be negative.
    fn count(&mut self, w: &mut Walk<'_>) -> Option<i64> {
        let value = w.integer()?;
        self.negative |= value < 0;
        Some(value)
    }

    fn element(&mut self, w: &mut Walk<'_>) -> Option<()> {
        let mut children = 0;
        w.structure(|w, number, kind| {
            if (number, kind) != (5, I32) {
                return Some(false);
            }
            children = self.count(w)?;
            Some(true)
        })?;
        self.children.push(children);
        Some(())
    }

    fn group(&mut self, w: &mut Walk<'_>) -> Option<()> {
        let mut columns = 0;
        w.structure(|w, number, kind| {
            match (number, kind) {
                (1, LIST) => w.structures(|w| {
                    columns += 1;
                    w.structure(|w, number, kind| {
                        let is_metadata = (number, kind) == (3, STRUCT);
                        if is_metadata {
                            self.column(w)?;
                        }
                        Some(is_metadata)
                    })
                })?,
                (3, I64) => {
                    self.count(w)?;
                }
                _ => return Some(false),
            }
            Some(true)
        })?;
        self.groups.push(columns);
        Some(())
    }

    fn column(&mut self, w: &mut Walk<'_>) -> Option<()> {
        let (mut compressed, mut data, mut dictionary) = (0, 0, 0);
        w.structure(|w, number, kind| {
            if kind != I64 {
                return Some(false);
            }
            match number {
                5 => {
                    self.count(w)?;
                }
                6 => self.uncompressed = self.uncompressed.saturating_add(self.count(w)?),
                7 => compressed = self.count(w)?,
                9 => data = self.count(w)?,
                11 => dictionary = self.count(w)?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        let start = if dictionary > 0 { dictionary.min(data) } else { data };
        self.end = self.end.max(start.saturating_add(compressed));
        Some(())
    }

    /// The number of columns, and the depth of the schema. Returns `None` if the numbers of children are inconsistent.
    fn shape(&self) -> Option<(usize, usize)> {
        let (root, elements) = self.children.split_first()?;
        // number of unvisited children of each open element
        let mut open = vec![*root];
        let (mut leaves, mut depth) = (0, 0);
        for children in elements {
            while open.last() == Some(&0) {
                open.pop();
            }
            *open.last_mut()? -= 1;
            if *children > 0 {
                open.push(*children);
            } else {
                leaves += 1;
            }
            depth = depth.max(open.len());
            if depth > MAX_NESTING {
                return Some((leaves, depth));
            }
        }
        open.iter().all(|left| *left == 0).then_some((leaves, depth))
    }
}

/// Checks the footer of a file of `length` bytes.
///
/// # Errors
/// Returns the reason if the footer is damaged or exceeds a limit.
pub(super) fn check_footer(bytes: &[u8], length: u64) -> Result<(), String> {
    let damaged = || "its footer is damaged".to_owned();
    let footer = Footer::read(bytes).ok_or_else(damaged)?;
    if footer.negative || footer.end > i64::try_from(length).unwrap_or(i64::MAX) {
        return Err("its footer refers to data outside the file".into());
    }
    let (columns, depth) = footer.shape().ok_or_else(damaged)?;
    if depth > MAX_NESTING {
        return Err(format!("its columns are nested more than {MAX_NESTING} levels deep"));
    }
    if columns > MAX_COLUMNS {
        return Err(format!("it has {columns} columns, but at most {MAX_COLUMNS} are read"));
    }
    if footer.groups.iter().any(|n| *n != columns) {
        return Err(damaged());
    }
    if footer.groups.len() > MAX_GROUPS {
        return Err(format!("it has {} row groups, but at most {MAX_GROUPS} are read", footer.groups.len()));
    }
    if footer.rows > MAX_ROWS {
        return Err(format!("it has {} rows, but at most {MAX_ROWS} are read; split it", footer.rows));
    }
    if footer.rows > most(length, MAX_DENSITY) {
        return Err(format!("it claims more than {MAX_DENSITY} rows per byte"));
    }
    if footer.uncompressed > most(length, MAX_RATIO) {
        return Err(format!("it claims to be compressed by more than {MAX_RATIO} to 1"));
    }
    Ok(())
}

/// Checks the page headers of the column in the bytes `start..start + length` of `file`, which has `size` bytes. A
/// header that cannot be read is reported by the Parquet library.
///
/// # Errors
/// Returns the reason if a page exceeds a limit.
pub(super) fn check_pages(file: &File, start: u64, length: u64, size: u64) -> Result<(), &'static str> {
    let (mut at, mut total) = (0, 0_i64);
    let mut buffer = vec![0; 1 << 10];
    while at < length {
        let available = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = &mut buffer[..available];
        if file.read_exact_at(bytes, start + at).is_err() {
            return Ok(());
        }
        let mut walk = Walk::new(bytes);
        let (mut uncompressed, mut compressed) = (0, 0);
        let header = walk.structure(|w, number, kind| {
            match (number, kind) {
                (2, I32) => uncompressed = w.integer()?,
                (3, I32) => compressed = w.integer()?,
                _ => return Some(false),
            }
            Some(true)
        });
        let read = available - walk.remaining();
        if header.is_none() {
            // a page header with long statistics may be larger than the buffer
            if available == buffer.len() && buffer.len() < 1 << 20 {
                buffer.resize(buffer.len() * 4, 0);
                continue;
            }
            return Ok(());
        }
        total = total.saturating_add(uncompressed);
        if compressed < 0 || !(0..=MAX_PAGE).contains(&uncompressed) || total > most(size, MAX_RATIO) {
            return Err("a page claims more data than it can contain");
        }
        at += read as u64 + compressed as u64;
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/unit/log/limits.rs"]
mod tests;
