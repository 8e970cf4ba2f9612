//! Reads structs in Thrift's compact protocol, which Parquet uses for footers and page headers:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
//!
//! Nothing is allocated, and every length is checked against the remaining bytes. All functions return `None` if the
//! bytes are damaged.

/// Maximum nesting depth of structs (not tuned). If a file has no nested columns, the structs in its footer are nested
/// four levels deep.
const MAX_DEPTH: usize = 64;

/// Field types.
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// The bytes that have not been read yet.
pub(super) struct Walk<'a> {
    left: &'a [u8],
    /// Nesting depth of the value that is being read.
    depth: usize,
}

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, depth: 0 }
    }

    /// Number of bytes that have not been read yet.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Reads a struct. `field` is called with the number and the type of each field. If `field` returns false because
    /// it has not read the value, the value is skipped.
    pub fn structure(&mut self, mut field: impl FnMut(&mut Self, i64, u8) -> Option<bool>) -> Option<()> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let mut number = 0;
        loop {
            let header = self.byte()?;
            let kind = header & 0x0f;
            if kind == 0 {
                self.depth -= 1;
                return Some(());
            }
            number = if header & 0xf0 == 0 { self.integer()? } else { number.checked_add(i64::from(header >> 4))? };
            // the value of a boolean is encoded in the field type
            if !field(self, number, kind)? && !matches!(kind, 1 | 2) {
                self.skip(kind)?;
            }
        }
    }

    /// Reads a list of structs. The function `member` reads one struct of the list.
    pub fn structures(&mut self, mut member: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let (members, kind) = self.list_header()?;
        (0..members).try_for_each(|_| if kind == STRUCT { member(self) } else { None })
    }

    /// Reads an integer.
    pub fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, kind: u8) -> Option<()> {
        match kind {
            1..=3 => self.bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let length = self.varint()?;
                self.bytes(length)
            }
            LIST | 10 => {
                let (members, kind) = self.list_header()?;
                if self.depth >= MAX_DEPTH {
                    return None;
                }
                self.depth += 1;
                (0..members).try_for_each(|_| self.skip(kind))?;
                self.depth -= 1;
                Some(())
            }
            STRUCT => self.structure(|_, _, _| Some(false)),
            // a Parquet footer contains no maps
            _ => None,
        }
    }

    /// Returns the number of members of a list, and their type. Every member of a list takes at least one byte.
    fn list_header(&mut self) -> Option<(usize, u8)> {
        let header = self.byte()?;
        let members = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            few => usize::from(few),
        };
        (members <= self.left.len()).then_some((members, header & 0x0f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_consistent(bytes: &[u8]) -> bool {
        Walk::new(bytes).structure(|_, _, _| Some(false)).is_some()
    }

    #[test]
    fn a_struct_that_ends_early_or_claims_too_much_is_damaged() {
        // The struct has the fields 1 (i32 = 2), 2 (list of three i32), 3 (binary of two bytes) and 5 (list of one
        // struct with a boolean).
        let complete = [0x15, 4, 0x19, 0x35, 2, 4, 6, 0x18, 2, 7, 7, 0x29, 0x1c, 0x11, 0, 0];
        assert!(is_consistent(&complete));
        assert!((0..complete.len()).all(|n| !is_consistent(&complete[..n])));
        let many = [&complete[..12], &[0xfc, 0xff, 0xff, 0xff, 0xff, 7], &complete[13..]].concat();
        assert!(!is_consistent(&many));
        assert!(!is_consistent(&[0x1c; 200]) && !is_consistent(&[0x19; 200]));
    }

    #[test]
    fn fields_have_their_numbers_and_values() {
        // field 1 (i32 = -3), field 20 in the long form (i64 = 300) and field 21 (list of two structs)
        let bytes = [0x15, 5, 0x06, 40, 0xd8, 4, 0x19, 0x2c, 0x15, 2, 0, 0x15, 4, 0, 0];
        let (mut numbers, mut members) = (Vec::new(), Vec::new());
        let mut walk = Walk::new(&bytes);
        let done = walk.structure(|w, number, kind| {
            match kind {
                I32 | I64 => numbers.push((number, w.integer()?)),
                LIST => w.structures(|w| {
                    w.structure(|w, number, _| {
                        members.push((number, w.integer()?));
                        Some(true)
                    })
                })?,
                _ => return Some(false),
            }
            Some(true)
        });
        assert!(done.is_some() && walk.remaining() == 0);
        assert_eq!((numbers, members), (vec![(1, -3), (20, 300)], vec![(1, 1), (1, 2)]));
    }
}
