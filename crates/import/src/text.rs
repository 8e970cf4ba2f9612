//! Reads and decompresses files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

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
