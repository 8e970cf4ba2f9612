//! Serialisation of models in the postcard format.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Serialises a model. Serialising plain data cannot fail. If it did, the result would be empty, which [`decode`]
/// rejects.
pub fn encode<T: Serialize>(model: &T) -> Vec<u8> {
    postcard::to_allocvec(model).unwrap_or_default()
}

/// Restores a model from exactly `bytes`. Damaged lengths cannot allocate more memory than there are bytes.
pub fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((model, [])) => Ok(model),
        Ok((_, rest)) => Err(corrupt(name, &format!("it has {} unexpected bytes at the end", rest.len()))),
        Err(e) => Err(corrupt(name, &e.to_string())),
    }
}

/// The error for bytes that are not the model `name`.
pub fn corrupt(name: &str, reason: &str) -> Error {
    Error::Data(format!(
        "the stored `{name}` model is damaged ({reason}). Fit again (`twinopt fit`) or use another version (`twinopt models rollback`)"
    ))
}
