//! A twin as bytes, and back, bit for bit.
//!
//! `model.bin`: magic (8 bytes), version (u32, little endian), length of the header (u32), BLAKE3 of the header
//! (32 bytes), the header (JSON), the payload (postcard). The header carries length and BLAKE3 of the payload.
//! The known equations are not in it: they are compiled from `twin.toml`, whose hash must fit.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Envelope, Provenance, Twin, config_hash};
use crate::compute::Compute;
use crate::config::TwinSpec;
use crate::error::{Error, Result};
use crate::learn::{EpistemicThresholds, Equations, Layout, NoiseModel, StepMap, model};
use crate::schema::{Bounds, Schema};

/// Name of the file.
pub const MODEL_FILE: &str = "model.bin";

const MAGIC: [u8; 8] = *b"TWINOPT\n";
const VERSION: u32 = 5;
const PRELUDE: usize = 8 + 4 + 4 + 32;
const LONGEST_HEADER: usize = 1 << 20;
const LONGEST_PAYLOAD: usize = 1 << 30;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    provenance: Provenance,
    model: String,
    layout: Layout,
    /// Names, in column order.
    signals: Vec<String>,
    step_ms: i64,
    /// Bytes.
    payload: usize,
    /// BLAKE3, hex.
    payload_hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    regressor: Vec<u8>,
    spread: NoiseModel,
    doubt: EpistemicThresholds,
    envelope: Envelope,
    seen: Vec<Bounds>,
    extremes: Vec<Bounds>,
}

impl Twin {
    /// The content of a [`MODEL_FILE`].
    ///
    /// # Errors
    /// [`Error::Internal`] when something cannot be written as bytes or is larger than the format allows.
    pub fn save(&self) -> Result<Vec<u8>> {
        let payload = Payload {
            regressor: self.map.regressor.encode(),
            spread: self.spread.clone(),
            doubt: self.doubt.clone(),
            envelope: self.envelope.clone(),
            seen: self.seen.clone(),
            extremes: self.extremes.clone(),
        };
        let payload = postcard::to_allocvec(&payload).map_err(|e| Error::Internal(format!("model as bytes: {e}")))?;
        let header = Header {
            provenance: self.provenance.clone(),
            model: self.map.regressor.name().into(),
            layout: self.map.layout.clone(),
            signals: self.map.schema.names().map(str::to_owned).collect(),
            step_ms: self.step_ms,
            payload: payload.len(),
            payload_hash: blake3::hash(&payload).to_hex().to_string(),
        };
        let header = serde_json::to_vec(&header).map_err(|e| Error::Internal(format!("model header: {e}")))?;
        if header.len() > LONGEST_HEADER || payload.len() > LONGEST_PAYLOAD {
            let sizes = format!("header {} bytes, payload {} bytes", header.len(), payload.len());
            return Err(Error::Internal(format!("the model is too large for its file: {sizes}")));
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

    /// The twin that [`Twin::save`] wrote as `bytes`; `file` is named in errors. `equations` are those of `spec`.
    ///
    /// # Errors
    /// [`Error::Data`] when a byte is not as it was written, and when `twin.toml` has changed in what the model depends on.
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
                "{}: the model was fitted with other signals, sample time or [model] settings than twin.toml has now; \
                 fit again (`twinopt fit`)",
                file.display()
            )));
        }
        let (payload, rest): (Payload, _) =
            postcard::take_from_bytes(payload).map_err(|e| corrupt(&format!("payload: {e}")))?;
        let targets = header.layout.targets.len();
        let columns = header.layout.inputs.iter().map(|i| i.0).chain(header.layout.targets.iter().map(|t| t.signal()));
        let sound = rest.is_empty()
            && columns.into_iter().all(|s| s < schema.len())
            && header.layout.inputs.iter().all(|i| i.1 < 1 << 20)
            && payload.seen.len() == schema.len()
            && payload.extremes.len() == schema.len()
            && payload.spread.is_sound(targets)
            && payload.spread.calibration.is_sound(schema.len())
            && payload.doubt.is_sound(targets)
            && payload.envelope.is_sound(schema.len())
            && header.step_ms > 0;
        if !sound {
            return Err(corrupt("its parts do not fit together"));
        }
        let regressor =
            model::decode(&header.model, &payload.regressor, compute).map_err(|e| corrupt(&e.to_string()))?;
        if regressor.shape() != (header.layout.inputs.len(), targets) {
            return Err(corrupt("its model has other columns than its layout"));
        }
        let map = StepMap { schema: schema.clone(), equations, layout: header.layout, regressor };
        Ok(Self {
            map,
            spread: payload.spread,
            doubt: payload.doubt,
            envelope: payload.envelope,
            seen: payload.seen,
            extremes: payload.extremes,
            step_ms: header.step_ms,
            carry: spec.model.carry_steps(spec.step.value),
            reach: Vec::new(),
            provenance: header.provenance,
        })
    }

    /// The provenance in a [`MODEL_FILE`], with every hash checked; needs no `twin.toml`.
    pub fn provenance(bytes: &[u8], file: &Path) -> Result<Provenance> {
        split(bytes).map(|(header, _)| header.provenance).map_err(|what| corrupt(file, &what))
    }
}

fn corrupt(file: &Path, what: &str) -> Error {
    Error::Data(format!(
        "{}: this is no intact model: {what}; take another version (`twinopt models rollback`) or fit again (`twinopt fit`)",
        file.display()
    ))
}

/// Header and payload, when every length and hash is right.
fn split(bytes: &[u8]) -> std::result::Result<(Header, &[u8]), String> {
    let (prelude, rest) = bytes.split_at_checked(PRELUDE).ok_or("the file is too short")?;
    if prelude[..8] != MAGIC {
        return Err("it does not begin as a model file".into());
    }
    let number = |at: usize| u32::from_le_bytes([prelude[at], prelude[at + 1], prelude[at + 2], prelude[at + 3]]);
    if number(8) != VERSION {
        return Err(format!("format version {} is not {VERSION}", number(8)));
    }
    let length = number(12) as usize;
    if length > LONGEST_HEADER {
        return Err(format!("a header of {length} bytes is too long"));
    }
    let (header, payload) = rest.split_at_checked(length).ok_or("the file ends inside its header")?;
    if blake3::hash(header).as_bytes() != &prelude[16..] {
        return Err("the header is not as it was written".into());
    }
    let header: Header = serde_json::from_slice(header).map_err(|e| format!("header: {e}"))?;
    if header.payload != payload.len() || payload.len() > LONGEST_PAYLOAD {
        return Err(format!("the payload has {} bytes, not {}", payload.len(), header.payload));
    }
    if blake3::hash(payload).to_hex().as_str() != header.payload_hash {
        return Err("the payload is not as it was written".into());
    }
    Ok((header, payload))
}
