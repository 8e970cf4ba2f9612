//! Checks the Parquet footer before the Parquet library reads it.
//!
//! The Parquet library (`parquet` 59) allocates memory for as many list members as the footer claims to contain. If the
//! footer is damaged, the allocation can exceed the available memory and abort the process, which no error handling can
//! prevent. This module can be deleted once the Parquet library limits its allocations to the size of the footer. The
//! test `impossible_counts_in_a_file_never_abort_the_process` (`tests/internal/log`) shows whether this check is still
//! needed.
//!
//! The footer is a struct in Thrift's compact protocol:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// Maximum nesting depth of structs (not tuned). If a file has no nested columns, the structs in its footer are nested
/// four levels deep.
const MAX_DEPTH: usize = 64;

/// Returns true if no list claims to have more members than fit into the footer, and every value ends within the
/// footer.
pub(super) fn is_consistent(bytes: &[u8]) -> bool {
    Walk { left: bytes }.structure(0).is_some()
}

struct Walk<'a> {
    left: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.get(bytes..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        loop {
            let header = self.byte()?;
            if header & 0x0f == 0 {
                return Some(());
            }
            if header & 0xf0 == 0 {
                self.varint()?;
            }
            // The value of a boolean is encoded in the field type.
            if !matches!(header & 0x0f, 1 | 2) {
                self.value(header & 0x0f, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            12 if depth < MAX_DEPTH => self.structure(depth + 1),
            // A Parquet footer contains no maps.
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let header = self.byte()?;
        let members = match header >> 4 {
            15 => self.varint()?,
            few => usize::from(few),
        };
        if members > self.left.len() || depth >= MAX_DEPTH {
            return None;
        }
        (0..members).try_for_each(|_| self.value(header & 0x0f, depth + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_that_ends_early_or_claims_too_much_is_inconsistent() {
        // The struct has the fields 1 (i32 = 2), 2 (list of three i32), 3 (binary of two bytes) and 5 (list of one
        // struct with a boolean).
        let complete = [0x15, 4, 0x19, 0x35, 2, 4, 6, 0x18, 2, 7, 7, 0x29, 0x1c, 0x11, 0, 0];
        assert!(is_consistent(&complete));
        assert!((0..complete.len()).all(|n| !is_consistent(&complete[..n])));
        let many = [&complete[..12], &[0xfc, 0xff, 0xff, 0xff, 0xff, 7], &complete[13..]].concat();
        assert!(!is_consistent(&many));
        assert!(!is_consistent(&[0x1c; 200]));
    }
}
