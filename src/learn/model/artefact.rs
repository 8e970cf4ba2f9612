//! Models as bytes: postcard, whole or not at all.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Writing into memory cannot fail for plain data; an empty artefact, which no decoder takes, stands for the impossible.
pub fn encode<T: Serialize>(model: &T) -> Vec<u8> {
    postcard::to_allocvec(model).unwrap_or_default()
}

/// Lists grow with the bytes that are there, whatever length they claim, so that corrupt bytes cost no memory.
pub fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((model, [])) => Ok(model),
        Ok((_, rest)) => Err(corrupt(name, &format!("{} bytes too many", rest.len()))),
        Err(e) => Err(corrupt(name, &e.to_string())),
    }
}

pub fn corrupt(name: &str, reason: &str) -> Error {
    Error::Data(format!(
        "the stored `{name}` model is damaged ({reason}); fit it again, or roll back to another version"
    ))
}
