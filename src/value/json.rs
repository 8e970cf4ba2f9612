//! Reads numbers from JSON. JSON has no NaN, so NaN is stored as `null`.

use serde::{Deserialize, Deserializer};

/// Reads a number, or NaN from `null`.
pub fn number_or_nan<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(d)?.unwrap_or(f64::NAN))
}

/// Reads an array of numbers, with NaN for each `null`.
pub fn numbers_or_nan<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<[f64; N], D::Error>
where
    [Option<f64>; N]: Deserialize<'de>,
{
    Ok(<[Option<f64>; N]>::deserialize(d)?.map(|v| v.unwrap_or(f64::NAN)))
}
