//! Serialisation of models in the postcard format.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Serialises a model. Models are plain data, so serialisation is not expected to fail. If serialisation fails, the
/// result is empty, and [`decode`] rejects empty input.
pub fn encode<T: Serialize>(model: &T) -> Vec<u8> {
    postcard::to_allocvec(model).unwrap_or_default()
}

/// Restores a model from `bytes` and rejects unused bytes at the end. A corrupted length field cannot cause an
/// allocation larger than the input.
pub fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((model, [])) => Ok(model),
        Ok((_, rest)) => Err(corrupt(name, &format!("there are {} unexpected bytes at the end", rest.len()))),
        Err(e) => Err(corrupt(name, &e.to_string())),
    }
}

/// The error returned for bytes that do not contain a valid model `name`.
pub fn corrupt(name: &str, reason: &str) -> Error {
    Error::Data(format!(
        "the stored `{name}` model is damaged ({reason}). Refit the model with `twinopt fit`, or return to an \
         earlier version with `twinopt models rollback`"
    ))
}
