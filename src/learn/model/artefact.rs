//! Models as bytes in the postcard format.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Serialises a model. Plain data cannot fail to serialise; if they did, the result would be empty, which [`decode`] rejects.
pub fn encode<T: Serialize>(model: &T) -> Vec<u8> {
    postcard::to_allocvec(model).unwrap_or_default()
}

/// Restores a model; all bytes must be used. Damaged lengths cannot allocate more memory than there are bytes.
pub fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((model, [])) => Ok(model),
        Ok((_, rest)) => Err(corrupt(name, &format!("{} bytes are left over", rest.len()))),
        Err(e) => Err(corrupt(name, &e.to_string())),
    }
}

/// The error for bytes that are not the model `name`.
pub fn corrupt(name: &str, reason: &str) -> Error {
    Error::Data(format!(
        "the stored `{name}` model is damaged ({reason}); fit again (`twinopt fit`) or use another version (`twinopt models rollback`)"
    ))
}
