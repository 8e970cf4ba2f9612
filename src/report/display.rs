//! The unit in which a quantity is printed.

use super::number;
use crate::units::Unit;

/// Families of units, each in ascending order.
const FAMILIES: [&[&str]; 3] = [&["W", "kW", "MW", "GW"], &["Wh", "kWh", "MWh", "GWh"], &["g", "kg", "t", "kt"]];
/// A quantity keeps its unit if the largest value to print is in this range (not tuned).
const READABLE: std::ops::Range<f64> = 0.1..10_000.0;

/// The printed unit, and the factor that converts values to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    pub factor: f64,
    pub unit: String,
}

impl Display {
    /// Chooses the unit for values in `unit` whose largest magnitude is `largest`. Energies, powers and masses get the
    /// prefix that a person would use, such as MWh for 12 000 kWh, and composite units such as `kW*kg*h/kWh` are
    /// resolved.
    pub fn new(unit: &str, largest: f64) -> Self {
        let same = Self { factor: 1.0, unit: number::unit(unit) };
        let Ok(own) = Unit::parse(unit) else { return same };
        let factor = |to: &str| Unit::parse(to).ok().and_then(|to| own.factor(&to).ok());
        let Some(family) = FAMILIES.iter().find(|f| factor(f[1]).is_some()) else { return same };
        if (family.contains(&unit) && (READABLE.contains(&largest) || largest == 0.0)) || !largest.is_finite() {
            return same;
        }
        let choices = family.iter().filter_map(|to| Some(Self { factor: factor(to)?, unit: (*to).to_owned() }));
        let choices: Vec<Self> = choices.collect();
        let fits = |d: &&Self| (1.0..1_000.0).contains(&(largest * d.factor));
        let large = |d: &&Self| largest * d.factor >= 1.0;
        let chosen = choices.iter().find(fits).or_else(|| choices.iter().rev().find(large)).or(choices.get(1));
        chosen.cloned().unwrap_or(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_powers_and_masses_get_a_readable_prefix() {
        let shown = |unit: &str, largest: f64| {
            let d = Display::new(unit, largest);
            (format!("{:.4}", largest * d.factor), d.unit)
        };
        let text = |v: &str, u: &str| (v.to_owned(), u.to_owned());
        assert_eq!(shown("kWh", 9_291.0), text("9291.0000", "kWh"));
        assert_eq!(shown("kWh", 440_000.0), text("440.0000", "MWh"));
        assert_eq!(shown("W", 68_741.0), text("68.7410", "kW"));
        assert_eq!(shown("kW*kg*h/kWh", 17_893.0), text("17.8930", "t"));
        assert_eq!(shown("kW*kg*h/kWh", 12.0), text("12.0000", "kg"));
        assert_eq!(shown("K*h", 123_456.0), text("123456.0000", "K·h"));
        assert_eq!(shown("EUR", 1e7), text("10000000.0000", "EUR"));
        assert_eq!(shown("kWh", 0.0), text("0.0000", "kWh"));
        assert_eq!(shown("kg", 0.0), text("0.0000", "kg"));
        assert_eq!(shown("kW*kg*h/kWh", 0.0).1, "kg");
    }
}
