//! Converts the values of a column to values of a signal. Logs and live input lines use the same mapping, so that both
//! are interpreted in the same way.

use crate::config::{Kind, Partial, Resample, SignalSpec, TimeSpan};
use crate::error::{Error, Result};
use crate::schema::{Bounds, Role};
use crate::units::Unit;

/// Describes how the values of one column are converted to values of its signal.
#[derive(Debug, Clone)]
pub struct ColumnMapping {
    /// Name of the column in a wide log, or tag in a long log.
    pub column: String,
    /// How the samples in a step are combined into one value.
    pub resample: Resample,
    /// The meaning of the values, if it is given or follows from `resample`.
    pub kind: Kind,
    /// Whether `kind` or `resample = "sum"` is given in `twin.toml`.
    pub kind_given: bool,
    /// Value of a step without a sample.
    pub empty: Option<f64>,
    pub partial: Partial,
    /// Whether it is normal for the value to stay constant for a long time, as is the case for controls, set-points and
    /// columns that are resampled with hold.
    pub holds: bool,
    /// `signal = gain * column + shift`.
    gain: f64,
    shift: f64,
    /// Range of valid values, in the unit of the signal. Values outside the valid range are dropped.
    pub valid: Option<Bounds>,
    /// A sensor is considered stuck if its value stays the same for longer than this time span.
    pub flat: Option<TimeSpan>,
}

impl ColumnMapping {
    /// Creates the mapping for the signal `spec`, whose unit is `unit`.
    ///
    /// # Errors
    /// [`Error::Data`] if `column_unit` is not a unit or cannot be converted to `unit`.
    pub fn new(spec: &SignalSpec, unit: &Unit) -> Result<Self> {
        let is_set = matches!(spec.role.value, Role::Control | Role::Setpoint);
        let given = spec.resample.as_ref().map(|r| r.value);
        let kind = spec.kind.as_ref().map_or_else(
            || match given {
                Some(Resample::Sum) => Kind::Amount,
                _ if is_set => Kind::State,
                _ => Kind::Level,
            },
            |k| k.value,
        );
        let resample = given.unwrap_or(match kind {
            Kind::Level => Resample::Mean,
            Kind::Amount | Kind::Counter => Resample::Sum,
            Kind::State => Resample::Hold,
        });
        let (gain, shift) = conversion(spec, unit)?;
        Ok(Self {
            column: spec.column.as_ref().unwrap_or(&spec.name).value.clone(),
            resample,
            kind,
            kind_given: spec.kind.is_some() || given == Some(Resample::Sum),
            empty: spec.empty.as_ref().map(|e| e.value),
            partial: spec.partial.as_ref().map_or(Partial::Missing, |p| p.value),
            holds: is_set || resample == Resample::Hold,
            gain,
            shift,
            valid: spec.valid.as_ref().map(|v| Bounds { low: v.value[0], high: v.value[1] }),
            flat: spec.flat.as_ref().map(|f| f.value),
        })
    }

    /// Converts a value of the column to the unit of the signal.
    #[inline]
    pub fn to_signal(&self, value: f64) -> f64 {
        // If the units are equal, every bit of the value is preserved, including the sign of -0.
        if self.gain == 1.0 && self.shift == 0.0 { value } else { self.gain * value + self.shift }
    }

    /// Converts a value of the signal to the unit of the column.
    pub fn to_column(&self, value: f64) -> f64 {
        (value - self.shift) / self.gain
    }

    /// Whether a value of the signal lies within `valid`.
    #[inline]
    pub fn is_valid(&self, value: f64) -> bool {
        self.valid.is_none_or(|valid| valid.contains(value))
    }

    /// Maximum time (µs) for which the value of a working sensor may stay the same.
    pub fn flat_us(&self) -> Option<i64> {
        self.flat.map(|flat| flat.ms().saturating_mul(1_000))
    }

    /// Returns true if a value that has been constant for `us` µs indicates a stuck sensor.
    pub fn is_stuck(&self, us: i64) -> bool {
        self.flat_us().is_some_and(|flat| us > flat)
    }
}

/// Returns the gain and shift that convert from the unit of the column to the unit of the signal.
fn conversion(spec: &SignalSpec, unit: &Unit) -> Result<(f64, f64)> {
    let Some(text) = &spec.column_unit else { return Ok((1.0, 0.0)) };
    let (name, column_unit) = (&spec.name.value, &text.value);
    let from = Unit::parse(text)
        .map_err(|e| Error::Data(format!("signal `{name}`: `column_unit = \"{column_unit}\"`: {e}")))?;
    from.conversion(unit).map_err(|_| {
        Error::Data(format!(
            "signal `{name}`: `column_unit = \"{column_unit}\"` cannot be converted to the unit of the signal, `{}`; correct one of them",
            unit.text
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(keys: &str, unit: &str) -> Result<ColumnMapping> {
        let spec: SignalSpec = toml::from_str(&format!("name = \"x\"\nrole = \"state\"\n{keys}")).unwrap();
        ColumnMapping::new(&spec, &Unit::parse(unit).unwrap())
    }

    #[test]
    fn fahrenheit_and_celsius_are_converted_both_ways() {
        let to_celsius = mapping("column_unit = \"degF\"", "degC").unwrap();
        assert!((to_celsius.to_signal(212.0) - 100.0).abs() < 1e-9);
        assert!((to_celsius.to_column(100.0) - 212.0).abs() < 1e-9);
        let to_fahrenheit = mapping("column_unit = \"degC\"", "degF").unwrap();
        assert!((to_fahrenheit.to_signal(-40.0) + 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_value_in_the_same_unit_keeps_every_bit() {
        for keys in ["", "column_unit = \"degC\""] {
            let same = mapping(keys, "degC").unwrap();
            for v in [-0.0, 0.1, 1e-300] {
                assert_eq!(same.to_signal(v).to_bits(), v.to_bits());
            }
        }
    }

    #[test]
    fn a_unit_of_another_dimension_is_refused() {
        let error = mapping("column_unit = \"kW\"", "degC").unwrap_err().to_string();
        assert!(error.contains("cannot be converted to the unit of the signal, `degC`"), "{error}");
    }

    #[test]
    fn limits_are_in_the_unit_of_the_signal() {
        let m = mapping("column_unit = \"degF\"\nvalid = [0, 50]\nflat = \"10min\"", "degC").unwrap();
        assert!(m.is_valid(m.to_signal(82.0)) && !m.is_valid(m.to_signal(0.0)));
        assert!(!m.is_stuck(600_000_000) && m.is_stuck(600_000_001));
    }
}
