//! Units of measure: parsing, conversion, and the units of products, powers and integrals.
//!
//! A unit is written as a product of factors with exponents, like `W/(m2*K)`, `EUR/MWh` or `m^3/h`. A unit has a
//! dimension (the exponents of the base dimensions), a scale factor to SI and, for `degC` and `degF`, an offset. A
//! value in `degC` or `degF` is a point on the temperature scale, but within a product of units, `degC` and `degF`
//! denote temperature differences.

pub mod ending;
mod parse;
mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

use parse::Factor;
pub use table::Dimension;

/// The unit symbols that accept the same prefixes, with their dimension in base units and the prefixes.
pub fn symbols() -> Vec<(Vec<&'static str>, String, String)> {
    let kind = |dimension: Dimension| Unit { dimension, ..Unit::one() }.kind();
    table::groups().into_iter().map(|(symbols, dimension, prefixes)| (symbols, kind(dimension), prefixes)).collect()
}

/// A unit of measure. A value is converted to SI by `si = value * scale + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit as the user wrote it, or, for a computed unit, a string composed from its factors.
    pub text: String,
    pub dimension: Dimension,
    pub scale: f64,
    /// The offset in the conversion to SI, which is zero for all units except `degC` and `degF`.
    pub offset: f64,
}

/// Preferred units of integrals and products, one per dimension. The symbol `$` represents the unit's currency.
const PREFERRED: [&str; 11] =
    ["kWh", "kW", "$", "$/h", "$/MWh", "$/item", "$/(item*d)", "K*h", "item*d", "kWh/item", "g/kWh"];

impl Unit {
    /// The unit of dimensionless numbers, `1`.
    pub fn one() -> Self {
        Self { text: "1".into(), dimension: [0; 8], scale: 1.0, offset: 0.0 }
    }

    /// The unit `s` (seconds), in which `dt` is given.
    pub fn second() -> Self {
        Self { text: "s".into(), dimension: [0, 0, 1, 0, 0, 0, 0, 0], scale: 1.0, offset: 0.0 }
    }

    /// Parses a unit like `degC`, `kW`, `EUR/MWh`, `m^3/h`, `K*h`, `1` or `%`. If the unit is unknown, the error
    /// suggests the nearest known unit. In a composed unit such as `kW/degC`, `degC` denotes a temperature difference.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        Self::composed(&parse::factors(text)?, Some(text))
    }

    /// Builds the unit with the given factors. If `text` is `None`, the text is composed from the factors.
    fn composed(factors: &[Factor], text: Option<&str>) -> Result<Self, String> {
        let name = || text.map_or_else(|| parse::text(factors), str::to_owned);
        let mut unit = Self { text: name(), ..Self::one() };
        let mut currency: Option<&str> = None;
        for (symbol, e) in factors {
            let known = table::find(symbol).ok_or_else(|| format!("`{symbol}` is not a known unit"))?;
            if let Some((code, _)) = table::currency(symbol) {
                match currency {
                    Some(other) if other != code => {
                        return Err(format!(
                            "the unit `{}` mixes the currencies {other} and {code}; convert one of them first",
                            name()
                        ));
                    }
                    _ => currency = Some(code),
                }
            }
            for (sum, d) in unit.dimension.iter_mut().zip(known.dimension) {
                let d = i32::from(*sum) + i32::from(d) * e;
                *sum = i8::try_from(d).map_err(|_| format!("an exponent in the unit `{}` is too large", name()))?;
            }
            unit.scale *= known.scale.powi(*e);
            if factors.len() == 1 && *e == 1 {
                unit.offset = known.offset;
            }
        }
        if !unit.scale.is_finite() || unit.scale == 0.0 {
            return Err(format!("the scale of the unit `{}` is too large or too small", name()));
        }
        Ok(unit)
    }

    /// Returns true for a unit with an offset (`degC`, `degF`). Values in a unit with an offset cannot be added or
    /// multiplied, but their differences can.
    pub fn is_affine(&self) -> bool {
        self.offset != 0.0
    }

    /// Returns true for a unit without a dimension, such as `1`, `%`, `ppm` or `kW/W`. The scale of a dimensionless
    /// unit may differ from 1.
    pub fn is_dimensionless(&self) -> bool {
        self.dimension == [0; 8]
    }

    /// The unit of the difference between two values: `K` for `degC`, `delta_degF` for `degF`, and the unit itself
    /// otherwise.
    #[must_use]
    pub fn difference(&self) -> Self {
        if !self.is_affine() {
            return self.clone();
        }
        let text = if self.scale == 1.0 { "K" } else { "delta_degF" };
        Self { text: text.into(), offset: 0.0, ..self.clone() }
    }

    /// The temperature scale that corresponds to a unit of temperature differences: `degC` for `K`, `degF` for
    /// `delta_degF`. This method is the inverse of [`Unit::difference`].
    pub(crate) fn scale_with_zero(&self) -> Self {
        Self::parse(if self.scale == 1.0 { "degC" } else { "degF" }).unwrap_or_else(|_| self.clone())
    }

    /// The currency in a unit that contains money, such as `EUR` in `EUR/MWh`.
    pub fn currency(&self) -> Option<String> {
        if self.dimension[6] == 0 {
            return None;
        }
        self.factors().iter().find_map(|f| table::currency(&f.0).map(|c| c.0.to_owned()))
    }

    /// Returns true if values can be converted to `other`, which requires the same dimension and the same currency.
    pub fn same_dimension(&self, other: &Self) -> bool {
        self.dimension == other.dimension && (self.dimension[6] == 0 || self.currency() == other.currency())
    }

    /// Returns `(factor, shift)` such that `value in other = value in self * factor + shift`.
    pub fn conversion(&self, other: &Self) -> Result<(f64, f64), String> {
        self.factor(other).map(|_| self.affine_to(other))
    }

    /// Like [`Self::conversion`], but for units that are known to have the same dimension.
    pub(crate) fn affine_to(&self, other: &Self) -> (f64, f64) {
        (self.scale / other.scale, (self.offset - other.offset) / other.scale)
    }

    /// Converts a value in this unit to `other`.
    pub fn convert(&self, value: f64, other: &Self) -> Result<f64, String> {
        self.conversion(other).map(|(factor, shift)| value * factor + shift)
    }

    /// Returns the factor that converts a difference of values from this unit to `other`.
    pub fn factor(&self, other: &Self) -> Result<f64, String> {
        if !self.same_dimension(other) {
            return Err(match (self.currency(), other.currency()) {
                (Some(a), Some(b)) if a != b => format!("`{self}` is in {a} and `{other}` is in {b}"),
                _ => format!("`{self}` ({}) cannot be converted to `{other}` ({})", self.kind(), other.kind()),
            });
        }
        Ok(self.scale / other.scale)
    }

    /// The dimension as text in base units, such as `kg*m^2/s^3`.
    pub fn kind(&self) -> String {
        if self.is_dimensionless() {
            return "a plain number".into();
        }
        const BASE: [&str; 8] = ["kg", "m", "s", "K", "A", "mol", "money", "item"];
        let factors: Vec<Factor> =
            BASE.iter().zip(self.dimension).map(|(b, e)| ((*b).to_owned(), i32::from(e))).collect();
        parse::text(&factors.into_iter().filter(|f| f.1 != 0).collect::<Vec<_>>())
    }

    /// The unit of a product, in which `degC` and `degF` are treated as temperature differences.
    ///
    /// # Errors
    /// Returns an error if the currencies differ or if an exponent is too large.
    pub fn times(&self, other: &Self) -> Result<Self, String> {
        self.product(other, 1)
    }

    /// The unit of a quotient, determined by the same rules as in [`Unit::times`].
    pub fn per(&self, other: &Self) -> Result<Self, String> {
        self.product(other, -1)
    }

    fn product(&self, other: &Self, sign: i32) -> Result<Self, String> {
        let mut factors = self.difference().factors();
        factors.extend(other.difference().factors().into_iter().map(|(s, e)| (s, sign * e)));
        let merged = parse::merge(&factors)
            .ok_or_else(|| format!("an exponent in the product of `{self}` and `{other}` is too large"))?;
        Self::composed(&merged, None)
    }

    /// Raises the unit to an exponent. Returns the resulting unit and the factor by which the number, raised to the
    /// same exponent, must be multiplied: `m2 ^ 0.5` gives (`m`, 1), and `(kJ/kg) ^ 0.5` gives (`m/s`, √1000).
    ///
    /// # Errors
    /// Returns an error if an exponent of the result is not a whole number.
    pub fn power(&self, n: f64) -> Result<(Self, f64), String> {
        let whole = |e: f64| {
            let r = (e * n).round();
            ((e * n - r).abs() < 1e-9 && r.abs() <= 127.0).then_some(r as i32)
        };
        let unit = self.difference();
        let factors: Option<Vec<Factor>> =
            unit.factors().into_iter().map(|(s, e)| whole(f64::from(e)).map(|e| (s, e))).collect();
        if let Some(factors) = factors {
            let merged = parse::merge(&factors).ok_or_else(|| format!("an exponent of `{self}` ^ {n} is too large"))?;
            return Ok((Self::composed(&merged, None)?, 1.0));
        }
        let fail = || format!("`{self}` ^ {n} is not a unit");
        if unit.dimension[6] != 0 {
            return Err(fail());
        }
        const BASE: [&str; 8] = ["kg", "m", "s", "K", "A", "mol", "", "item"];
        let base: Option<Vec<Factor>> =
            BASE.iter().zip(unit.dimension).map(|(b, e)| whole(f64::from(e)).map(|e| ((*b).to_owned(), e))).collect();
        let base: Vec<Factor> = base.ok_or_else(fail)?.into_iter().filter(|f| f.1 != 0).collect();
        Ok((Self::composed(&base, None)?, unit.scale.powf(n)))
    }

    /// The preferred unit of a time integral: kWh for W, K*h for K, EUR for `W*EUR/MWh`, m3 for `m3/h`, and h for 1.
    /// The factor that converts an integral over seconds to this unit is
    /// `unit.times(&Unit::second())?.factor(&integral)`. In integrals, `degC` and `degF` are treated as temperature
    /// differences.
    pub fn integral(&self) -> Result<Self, String> {
        let product = self.times(&Self::second())?;
        if product.text == "s" { Self::parse("h") } else { Ok(product.preferred()) }
    }

    /// Returns the unit to which results in this unit are converted for printing. Simple units (`kW`, `EUR/MWh`,
    /// `m3/h`) are unchanged. Composite units of energy become kWh, those of money become the plain currency, and
    /// dimensionless ones become `1`. All remaining units are simplified: `kg*h/s` becomes kg, `kW*t*h/MWh` becomes t,
    /// and `mbar*s` becomes mbar*h.
    #[must_use]
    pub fn preferred(&self) -> Self {
        let factors = self.factors();
        let simple = match factors.as_slice() {
            [(_, e)] => *e == 1,
            [(_, a), (_, b)] => *a > 0 && *b == -1,
            _ => false,
        };
        if self.text == "1" || (simple && (factors.len() == 1 || !self.is_dimensionless())) {
            return self.clone();
        }
        if self.is_dimensionless() {
            return Self::one();
        }
        let currency = self.currency().unwrap_or_default();
        let shown = PREFERRED.iter().filter_map(|t| Self::parse(&t.replace('$', &currency)).ok());
        for unit in shown {
            if self.same_dimension(&unit) {
                return unit;
            }
        }
        let mut of_factors = factors.iter().filter(|(_, e)| *e == 1).filter_map(|(symbol, _)| Self::parse(symbol).ok());
        let factor = of_factors.find(|u| self.same_dimension(u));
        let simplified = || collapsed(&factors).and_then(|f| Self::composed(&f, None).ok());
        factor.or_else(simplified).unwrap_or_else(|| self.clone())
    }

    /// The factors of the unit, parsed from its text. The text of every `Unit` can be parsed.
    fn factors(&self) -> Vec<Factor> {
        parse::factors(&self.text).unwrap_or_default()
    }
}

/// The text that follows a number in the unit `text`: a space and the unit, or nothing for a dimensionless number.
pub fn unit_suffix(text: &str) -> String {
    if text == "1" { String::new() } else { format!(" {text}") }
}

impl Default for Unit {
    fn default() -> Self {
        Self::one()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Merges factors of the same dimension, which may cancel out. Time factors are merged into `h`.
fn collapsed(factors: &[Factor]) -> Option<Vec<Factor>> {
    let time = Unit::second().dimension;
    let mut out: Vec<(Dimension, Factor)> = Vec::new();
    for (symbol, e) in factors {
        let dimension = table::find(symbol)?.dimension;
        match out.iter_mut().find(|o| o.0 == dimension) {
            Some((_, (kept, sum))) => {
                *sum += e;
                if dimension == time {
                    *kept = "h".into();
                }
            }
            None => {
                let integrated = symbol == "s" && *e == 1;
                out.push((dimension, (if integrated { "h".into() } else { symbol.clone() }, *e)));
            }
        }
    }
    Some(out.into_iter().map(|o| o.1).filter(|f| f.1 != 0).collect())
}

#[cfg(test)]
#[path = "../tests/unit/units.rs"]
mod tests;
