//! Saves twins to files and loads them. The predictions of a loaded twin are bitwise identical to
//! the predictions of the saved twin.
//!
//! The file `model.bin` consists of a signature (8 bytes), the format version (u32, little endian), the length of the
//! header (u32), the BLAKE3 hash of the header (32 bytes), the header (JSON) and the payload (postcard). The header
//! contains the length and the BLAKE3 hash of the payload. The known equations are not stored but compiled from
//! `twin.toml`. The hash of the relevant part of `twin.toml` must match the hash stored in
//! `model.bin`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::learned::Twin;
use super::provenance::{Provenance, config_hash};
use crate::compute::Compute;
use crate::config::TwinSpec;
use crate::error::{Error, Result};
use crate::learn::{EpistemicThresholds, Equations, Layout, NoiseModel, StepMap, model};
use crate::schema::{Bounds, Schema};

/// Name of the file in which a twin is saved.
pub const MODEL_FILE: &str = "model.bin";

const MAGIC: [u8; 8] = *b"TWINOPT\n";
const VERSION: u32 = 6;
/// Number of bytes before the header.
const PRELUDE: usize = 8 + 4 + 4 + 32;
/// Maximum sizes of header and payload in bytes, which prevent a corrupt length from exhausting the memory (not tuned).
const MAX_HEADER: usize = 1 << 20;
const MAX_PAYLOAD: usize = 1 << 30;
/// Maximum lag of an input, which prevents a corrupt lag from exhausting the memory (not tuned).
const MAX_LAG: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    provenance: Provenance,
    model: String,
    layout: Layout,
    /// Names of the signals, in column order.
    signals: Vec<String>,
    step_ms: i64,
    /// Length of the payload in bytes.
    payload: usize,
    /// Hexadecimal BLAKE3 hash of the payload.
    payload_hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    regressor: Vec<u8>,
    noise_model: NoiseModel,
    epistemic: EpistemicThresholds,
    envelope: Envelope,
    logged_ranges: Vec<Bounds>,
    extremes: Vec<Bounds>,
}

impl Twin {
    /// Serialises the twin to the contents of a [`MODEL_FILE`].
    ///
    /// # Errors
    /// Returns [`Error::Internal`] if the twin cannot be serialised or exceeds the size limits of
    /// the format.
    pub fn save(&self) -> Result<Vec<u8>> {
        let payload = Payload {
            regressor: self.map.regressor.encode(),
            noise_model: self.noise_model.clone(),
            epistemic: self.epistemic.clone(),
            envelope: self.envelope.clone(),
            logged_ranges: self.logged_ranges.clone(),
            extremes: self.extremes.clone(),
        };
        let payload =
            postcard::to_allocvec(&payload).map_err(|e| Error::Internal(format!("serialising the model: {e}")))?;
        let header = Header {
            provenance: self.provenance.clone(),
            model: self.map.regressor.name().into(),
            layout: self.map.layout.clone(),
            signals: self.map.schema.names().map(str::to_owned).collect(),
            step_ms: self.step_ms,
            payload: payload.len(),
            payload_hash: blake3::hash(&payload).to_hex().to_string(),
        };
        let header = serde_json::to_vec(&header)
            .map_err(|e| Error::Internal(format!("the header of the model cannot be serialised: {e}")))?;
        if header.len() > MAX_HEADER || payload.len() > MAX_PAYLOAD {
            let sizes = format!("the header has {} bytes and the payload {} bytes", header.len(), payload.len());
            return Err(Error::Internal(format!("the model exceeds the size limits of its file format: {sizes}")));
        }
        let mut bytes = Vec::with_capacity(PRELUDE + header.len() + payload.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(blake3::hash(&header).as_bytes());
        bytes.extend(header);
        bytes.extend(payload);
        Ok(bytes)
    }

    /// Restores a twin from the `bytes` that [`Twin::save`] returned. `equations` are the compiled equations of `spec`.
    /// Error messages contain the path `file`.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if the bytes are corrupt, or if a part of `twin.toml` on which the
    /// model depends has changed.
    pub fn load(
        bytes: &[u8],
        file: &Path,
        spec: &TwinSpec,
        schema: &Arc<Schema>,
        equations: Equations,
        compute: &Compute,
    ) -> Result<Self> {
        let corrupt = |what: &str| corrupt(file, what);
        let (header, payload) = split(bytes).map_err(|what| corrupt(&what))?;
        if header.provenance.config_hash != config_hash(spec)? || !header.signals.iter().eq(schema.names()) {
            return Err(Error::Data(format!(
                "{}: the signals, the parameters, the sample time, or the settings of [model] or `log` in twin.toml \
                 have changed since the model was fitted. Fit again (`twinopt fit`)",
                file.display()
            )));
        }
        let (payload, rest): (Payload, _) =
            postcard::take_from_bytes(payload).map_err(|e| corrupt(&format!("payload: {e}")))?;
        let targets = header.layout.targets.len();
        let columns = header.layout.inputs.iter().map(|i| i.0).chain(header.layout.targets.iter().map(|t| t.signal()));
        let sound = rest.is_empty()
            && columns.into_iter().all(|s| s < schema.len())
            && header.layout.inputs.iter().all(|i| i.1 < MAX_LAG)
            && payload.logged_ranges.len() == schema.len()
            && payload.extremes.len() == schema.len()
            && payload.noise_model.is_valid(targets)
            && payload.noise_model.calibration.is_valid(schema.len())
            && payload.epistemic.is_valid(targets)
            && payload.envelope.is_valid(schema.len())
            && header.step_ms > 0;
        if !sound {
            return Err(corrupt("the contents of the file are inconsistent"));
        }
        let regressor =
            model::decode(&header.model, &payload.regressor, compute).map_err(|e| corrupt(&e.to_string()))?;
        if regressor.shape() != (header.layout.inputs.len(), targets) {
            return Err(corrupt("the shape of the model does not match its layout"));
        }
        let map = StepMap { schema: schema.clone(), equations, layout: header.layout, regressor };
        Ok(Self {
            map,
            noise_model: payload.noise_model,
            epistemic: payload.epistemic,
            envelope: payload.envelope,
            logged_ranges: payload.logged_ranges,
            extremes: payload.extremes,
            step_ms: header.step_ms,
            carry: spec.model.carry_steps(spec.step.value),
            skill_horizons: Vec::new(),
            provenance: header.provenance,
        })
    }

    /// Reads the provenance from the bytes of a [`MODEL_FILE`] and checks all hashes, without reading `twin.toml`.
    pub fn provenance(bytes: &[u8], file: &Path) -> Result<Provenance> {
        split(bytes).map(|(header, _)| header.provenance).map_err(|what| corrupt(file, &what))
    }
}

fn corrupt(file: &Path, what: &str) -> Error {
    Error::Data(format!(
        "{}: the model file is damaged: {what}. Use another version (`twinopt models rollback`) or fit again \
         (`twinopt fit`)",
        file.display()
    ))
}

/// Splits a file into header and payload, and checks their lengths and hashes.
fn split(bytes: &[u8]) -> std::result::Result<(Header, &[u8]), String> {
    let (prelude, rest) = bytes.split_at_checked(PRELUDE).ok_or("the file is too short")?;
    if prelude[..8] != MAGIC {
        return Err("the file does not start with the signature of a model file".into());
    }
    let number = |at: usize| u32::from_le_bytes([prelude[at], prelude[at + 1], prelude[at + 2], prelude[at + 3]]);
    if number(8) != VERSION {
        return Err(format!("the format version is {}, but this program reads version {VERSION}", number(8)));
    }
    let length = number(12) as usize;
    if length > MAX_HEADER {
        return Err(format!("the header is too long ({length} bytes)"));
    }
    let (header, payload) = rest.split_at_checked(length).ok_or("the file ends within its header")?;
    if blake3::hash(header).as_bytes() != &prelude[16..] {
        return Err("the hash of the header does not match".into());
    }
    let header: Header = serde_json::from_slice(header).map_err(|e| format!("header: {e}"))?;
    if header.payload != payload.len() || payload.len() > MAX_PAYLOAD {
        return Err(format!("the payload has {} bytes instead of {}", payload.len(), header.payload));
    }
    if blake3::hash(payload).to_hex().as_str() != header.payload_hash {
        return Err("the hash of the payload does not match".into());
    }
    Ok((header, payload))
}
