//! Checks the pages of a column before the Parquet library decodes them.
//!
//! The Parquet library (`parquet` 59) allocates memory for as many values as a page claims to contain. If a page is
//! damaged, the allocation can exceed the available memory and abort the process. This module can be deleted once the
//! Parquet library limits its allocations to the size of the page. Sizes in footers and page headers are checked by
//! `limits`.

use std::fs::File;
use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::limits::check_pages;

/// The row groups that one reader reads from a file. Each reader needs its own file handle, so that readers can run in
/// parallel.
pub(super) struct Chunks {
    pub file: Arc<File>,
    pub meta: Arc<ParquetMetaData>,
    pub groups: Vec<usize>,
}

impl RowGroups for Chunks {
    fn num_rows(&self) -> usize {
        rows(&self.meta, &self.groups)
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let (file, meta, groups) = (Arc::clone(&self.file), Arc::clone(&self.meta), self.groups.clone().into_iter());
        Ok(Box::new(Chunk { file, meta, leaf, groups }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.groups.iter().map(|g| self.meta.row_group(*g)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.meta
    }
}

/// Returns the number of rows in the given row groups, as stated in the footer.
pub(super) fn rows(meta: &ParquetMetaData, groups: &[usize]) -> usize {
    let count = |g: &usize| usize::try_from(meta.row_group(*g).num_rows()).unwrap_or(0);
    groups.iter().map(count).fold(0, usize::saturating_add)
}

/// The pages of one column, one row group at a time.
struct Chunk {
    file: Arc<File>,
    meta: Arc<ParquetMetaData>,
    leaf: usize,
    groups: std::vec::IntoIter<usize>,
}

impl Iterator for Chunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.next()?;
        let chunk = self.meta.row_group(group).column(self.leaf);
        let (start, length) = chunk.byte_range();
        let checked = self.file.metadata().map_err(Into::into).and_then(|m| {
            check_pages(&self.file, start, length, m.len()).map_err(|why| ParquetError::General(why.into()))
        });
        if let Err(e) = checked {
            return Some(Err(e));
        }
        let pages = SerializedPageReader::new(Arc::clone(&self.file), chunk, rows(&self.meta, &[group]), None);
        let optional = chunk.column_descr().max_def_level() > 0;
        Some(pages.map(|pages| Box::new(Checked { pages, optional }) as Box<dyn PageReader>))
    }
}

impl PageIterator for Chunk {}

/// A page reader that rejects impossible pages.
struct Checked {
    pages: SerializedPageReader<File>,
    /// Whether the pages begin with definition levels.
    optional: bool,
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        match &page {
            Some(page) if !is_possible(page, self.optional) => {
                Err(ParquetError::General("a page claims more values than it can contain".into()))
            }
            _ => Ok(page),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// Returns true if a page of a column without nesting is large enough for the number of values that it claims to
/// contain.
fn is_possible(page: &Page, optional: bool) -> bool {
    let (values, encoding, claimed) = match page {
        // Each value of a dictionary takes at least one byte.
        Page::DictionaryPage { buf, num_values, .. } => return *num_values as usize <= buf.len(),
        Page::DataPage { buf, encoding, num_values, .. } => {
            let levels = match buf.first_chunk::<4>() {
                Some(length) if optional => 4 + u32::from_le_bytes(*length) as usize,
                _ => 0,
            };
            (buf.get(levels..), encoding, num_values)
        }
        Page::DataPageV2 { buf, encoding, num_values, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            (usize::try_from(levels).ok().and_then(|l| buf.get(l..)), encoding, num_values)
        }
    };
    // In both delta encodings of byte arrays, a page begins with the number of lengths that it contains.
    match (encoding, values) {
        (Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY, Some(values)) => {
            claimed_lengths(values).is_none_or(|n| n <= u64::from(*claimed))
        }
        _ => true,
    }
}

/// Reads the number of values from the header of a delta encoding. The header contains the block size, the number of
/// miniblocks and the number of values, in this order.
fn claimed_lengths(block: &[u8]) -> Option<u64> {
    let mut bytes = block.iter();
    let mut number = || {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = bytes.next()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    number()?;
    number()?;
    number()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(num_values: u32) -> Page {
        Page::DictionaryPage { buf: vec![0; 16].into(), num_values, encoding: Encoding::PLAIN, is_sorted: false }
    }

    fn texts(count: &[u8]) -> Page {
        // The page contains two bytes of levels, followed by blocks of 128 values, each with four miniblocks.
        let buf = [&[2, 0, 0, 0, 6, 1, 0x80, 1, 4], count, &[0]].concat();
        Page::DataPage {
            buf: buf.into(),
            num_values: 3,
            encoding: Encoding::DELTA_LENGTH_BYTE_ARRAY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    #[test]
    fn pages_that_claim_too_many_values_are_impossible() {
        assert!(is_possible(&dictionary(16), true) && !is_possible(&dictionary(17), true));
        assert!(is_possible(&texts(&[3]), true) && !is_possible(&texts(&[4]), true));
        assert!(!is_possible(&texts(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), true));
    }
}
