//! Decompresses files, and converts their text to UTF-8.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::error::{Error, Result};

/// The content of a file, decompressed.
pub struct Content {
    pub bytes: Vec<u8>,
    /// Name of the compression format, if the file is compressed.
    pub compression: Option<&'static str>,
}

/// Reads a file, and decompresses gzip and Zstandard. `name` is the name of the file in messages.
///
/// # Errors
/// [`Error::NoInput`] if the file cannot be read; [`Error::Data`] if it is damaged or larger than `limit` bytes.
pub fn read(path: &Path, name: &str, limit: u64) -> Result<Content> {
    let mut bytes = Vec::new();
    let no_input = |e| Error::no_input(Path::new(name), e);
    let file = File::open(path).map_err(no_input)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(no_input)?;
    let (bytes, compression) = if bytes.starts_with(&[0x1f, 0x8b]) {
        (decompressed(name, flate2::read::MultiGzDecoder::new(&bytes[..]), limit)?, Some("gzip"))
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::new(&bytes[..]).map_err(|e| damaged(name, &e))?;
        (decompressed(name, decoder, limit)?, Some("zstd"))
    } else {
        (bytes, None)
    };
    if bytes.len() as u64 > limit {
        let mib = limit >> 20;
        let text = format!("{name}: the file is larger than {mib} MiB; raise the limit with `--memory`");
        return Err(Error::Data(text));
    }
    Ok(Content { bytes, compression })
}

fn decompressed(name: &str, decoder: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(limit + 1).read_to_end(&mut out).map_err(|e| damaged(name, &e))?;
    Ok(out)
}

fn damaged(name: &str, error: &std::io::Error) -> Error {
    Error::Data(format!("{name}: the compressed file is damaged ({error}); export it again"))
}

/// Converts the bytes of a text file to UTF-8. Returns the text and the name of the encoding.
pub fn utf8(bytes: Vec<u8>) -> (String, &'static str) {
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        let text = String::from_utf8(bytes[3..].to_vec());
        return text.map_or_else(|e| (windows(e.as_bytes()), "Windows-1252"), |text| (text, "UTF-8 with BOM"));
    }
    let sixteen = if bytes.starts_with(&[0xff, 0xfe]) {
        Some((UTF_16LE, "UTF-16 LE"))
    } else if bytes.starts_with(&[0xfe, 0xff]) {
        Some((UTF_16BE, "UTF-16 BE"))
    } else {
        without_mark(&bytes)
    };
    if let Some((encoding, name)) = sixteen {
        return (encoding.decode(&bytes).0.into_owned(), name);
    }
    let ascii = bytes.is_ascii();
    match String::from_utf8(bytes) {
        Ok(text) => (text, if ascii { "ASCII" } else { "UTF-8" }),
        Err(e) => (windows(e.as_bytes()), "Windows-1252"),
    }
}

/// Decodes Windows-1252, of which Latin-1 is a subset.
fn windows(bytes: &[u8]) -> String {
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

/// Recognises UTF-16 without a byte order mark: in an export, most characters are ASCII, so every second byte is zero.
fn without_mark(bytes: &[u8]) -> Option<(&'static encoding_rs::Encoding, &'static str)> {
    let head = &bytes[..bytes.len().min(4096) / 2 * 2];
    let zeros = |start: usize| head.iter().skip(start).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    if half == 0 {
        None
    } else if odd * 10 > half * 8 && even * 10 < half {
        Some((UTF_16LE, "UTF-16 LE"))
    } else if even * 10 > half * 8 && odd * 10 < half {
        Some((UTF_16BE, "UTF-16 BE"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_recognised() {
        let text = "Zeit;Außentemperatur °C\n1;2\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
        for (bytes, name) in [
            ([&[0xff, 0xfe], &le[..]].concat(), "UTF-16 LE"),
            (le, "UTF-16 LE"),
            ([&[0xfe, 0xff], &be[..]].concat(), "UTF-16 BE"),
            (be, "UTF-16 BE"),
            (latin, "Windows-1252"),
            ([&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(), "UTF-8 with BOM"),
            (text.as_bytes().to_vec(), "UTF-8"),
        ] {
            let (read, found) = utf8(bytes);
            assert_eq!((read.as_str(), found), (text, name));
        }
    }
}
