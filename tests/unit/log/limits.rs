//! Tests of `src/log/limits.rs`.

use super::*;

/// A zigzag varint.
fn integer(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut out = Vec::new();
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

/// A struct with the fields `(number, type, value)`.
fn structure(fields: &[(i64, u8, Vec<u8>)]) -> Vec<u8> {
    let long_form =
        |(number, kind, value): &(i64, u8, Vec<u8>)| [vec![*kind], integer(*number), value.clone()].concat();
    let mut out: Vec<u8> = fields.iter().flat_map(long_form).collect();
    out.push(0);
    out
}

fn list(members: &[Vec<u8>]) -> Vec<u8> {
    let mut count = Vec::new();
    let mut rest = members.len();
    while rest > 0x7f {
        count.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    count.push(rest as u8);
    [vec![0xf0 | STRUCT], count, members.concat()].concat()
}

fn schema(children: &[i64]) -> Vec<u8> {
    list(&children.iter().map(|n| structure(&[(5, I32, integer(*n))])).collect::<Vec<_>>())
}

/// A file with one row group whose columns all have the given sizes and offset.
fn footer(children: &[i64], rows: i64, columns: usize, uncompressed: i64, compressed: i64, offset: i64) -> Vec<u8> {
    let metadata =
        structure(&[(6, I64, integer(uncompressed)), (7, I64, integer(compressed)), (9, I64, integer(offset))]);
    let column = structure(&[(3, STRUCT, metadata)]);
    let group = structure(&[(1, LIST, list(&vec![column; columns])), (3, I64, integer(rows))]);
    structure(&[(2, LIST, schema(children)), (3, I64, integer(rows)), (4, LIST, list(&[group]))])
}

fn verdict(bytes: &[u8]) -> String {
    check_footer(bytes, 1_000).err().unwrap_or_default()
}

#[test]
fn ordinary_footers_are_accepted_and_hostile_claims_refused() {
    assert_eq!(verdict(&footer(&[2, 0, 0], 1_000, 2, 8_000, 400, 4)), "");
    // a nested column: the root has a list of structs with two leaves
    assert_eq!(verdict(&footer(&[2, 0, 1, 2, 0, 0], 10, 3, 100, 100, 4)), "");
    for (what, bytes) in [
        ("footer is damaged", footer(&[1 << 31, 0, 0], 10, 2, 100, 100, 4)),
        ("footer is damaged", footer(&[3, 0, 0], 10, 2, 100, 100, 4)),
        ("footer is damaged", footer(&[1, 0, 0], 10, 2, 100, 100, 4)),
        ("footer is damaged", footer(&[2, 0, 0], 10, 3, 100, 100, 4)),
        ("footer is damaged", vec![0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7]),
        ("outside the file", footer(&[-1], 10, 0, 100, 100, 4)),
        ("outside the file", footer(&[1, 0], 10, 1, 100, 100, -4)),
        ("outside the file", footer(&[1, 0], 10, 1, 100, 100, 901)),
        ("outside the file", footer(&[1, 0], 10, 1, 100, 1 << 62, i64::MAX)),
        ("nested more than 32", footer(&[[1; 40].as_slice(), &[0]].concat(), 10, 1, 100, 100, 4)),
        ("30000 columns", footer(&[[30_000].as_slice(), &vec![0; 30_000]].concat(), 10, 30_000, 1, 1, 4)),
        ("1000000001 rows", footer(&[1, 0], 1_000_000_001, 1, 100, 100, 4)),
        ("100 rows per byte", footer(&[1, 0], SMALL + 100_001, 1, 100, 100, 4)),
        ("1000 to 1", footer(&[1, 0], 10, 1, SMALL + 1_000_001, 100, 4)),
        ("1000 to 1", footer(&[2, 0, 0], 10, 2, SMALL, 100, 4)),
    ] {
        assert!(verdict(&bytes).contains(what), "{what}: {}", verdict(&bytes));
    }
}

#[test]
fn pages_that_claim_too_much_are_refused() {
    let page = |uncompressed, compressed: usize| {
        let header =
            structure(&[(1, I32, integer(0)), (2, I32, integer(uncompressed)), (3, I32, integer(compressed as i64))]);
        [header, vec![7; compressed]].concat()
    };
    let check = |pages: &[Vec<u8>]| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("column");
        let bytes = [b"PAR1".to_vec(), pages.concat()].concat();
        std::fs::write(&path, &bytes).unwrap();
        let length = bytes.len() as u64;
        check_pages(&File::open(&path).unwrap(), 4, length - 4, length)
    };
    assert_eq!(check(&[page(100, 50), page(100, 3_000), page(0, 0)]), Ok(()));
    // the limit applies to each page and to the total size of all pages
    assert!(check(&[page(100, 50), page(MAX_PAGE + 1, 300_000)]).is_err());
    assert!(check(&[page(SMALL / 2, 100), page(SMALL / 2, 100)]).is_ok());
    assert!(check(&[page(SMALL, 100), page(SMALL, 100)]).is_err());
    assert!(check(&[page(-1, 50)]).is_err());
    // a header that is longer than the first buffer
    let long =
        structure(&[(2, I32, integer(5)), (3, I32, integer(5)), (8, 8, [vec![0xa8, 0x46], vec![1; 9_000]].concat())]);
    assert_eq!(check(&[[long.clone(), vec![0; 5]].concat(), page(1, 1)]), Ok(()));
    assert!(check(&[[long, vec![0; 5]].concat(), page(MAX_PAGE + 1, 1)]).is_err());
}
