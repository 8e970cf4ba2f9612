//! Converts text values to numbers or states, and counts the entries that are not numbers.

use std::collections::BTreeMap;

use crate::dialect::is_unit;
use crate::error::{Error, Result, list};
use crate::number::{self, Class, Decimal, Signs};

/// Pairs of states; the first state becomes 0 and the second becomes 1. Names are compared without regard to case.
const STATES: [(&str, &str); 16] = [
    ("off", "on"),
    ("false", "true"),
    ("no", "yes"),
    ("closed", "open"),
    ("close", "open"),
    ("stopped", "running"),
    ("stop", "run"),
    ("stop", "start"),
    ("inactive", "active"),
    ("disabled", "enabled"),
    ("aus", "ein"),
    ("aus", "an"),
    ("nein", "ja"),
    ("zu", "auf"),
    ("halt", "betrieb"),
    ("normal", "alarm"),
];

/// Texts that historians write instead of a missing value.
const SYSTEM: [&str; 18] = [
    "bad input",
    "no data",
    "i/o timeout",
    "pt created",
    "comm fail",
    "bad",
    "bad quality",
    "not connect",
    "out of serv",
    "scan off",
    "intf shut",
    "calc failed",
    "invalid data",
    "no sample",
    "bad total",
    "scan timeout",
    "no result",
    "arc off-line",
];
/// Texts that historians write instead of a missing number, but that can also denote the state of a machine.
const SYSTEM_OR_STATE: [&str; 9] =
    ["shutdown", "configure", "error", "failed", "offline", "invalid", "undefined", "over range", "under range"];

/// For one column or tag, counts of the entries that are numbers and of the entries that are not numbers.
#[derive(Debug, Default)]
pub struct Texts {
    /// For each entry that is not a number, the number of rows that contain this entry. At most [`MAX_TEXTS`] entries
    /// are counted.
    pub others: BTreeMap<String, usize>,
    pub numbers: usize,
    /// For each unit that follows a number, such as `kW` in `1.5 kW`, the number of rows. These entries are in `others`
    /// too.
    units: BTreeMap<String, usize>,
    /// Evidence about the decimal separator from the numbers with units.
    unit_signs: Signs,
}

const MAX_TEXTS: usize = 10_000;

impl Texts {
    /// Counts an entry, and adds its evidence about the decimal separator to `signs`.
    pub fn add(&mut self, text: &str, signs: &mut Signs) {
        match signs.add(text) {
            Class::Empty => {}
            Class::Other => {
                if let Some((number, unit)) = quantity(text) {
                    self.unit_signs.add(number);
                    *self.units.entry(unit.to_owned()).or_default() += 1;
                }
                let room = self.others.len() < MAX_TEXTS;
                match self.others.get_mut(text.trim()) {
                    Some(n) => *n += 1,
                    None if room => {
                        self.others.insert(text.trim().to_owned(), 1);
                    }
                    None => {}
                }
            }
            _ => self.numbers += 1,
        }
    }

    /// Number of rows whose entry is neither a number nor a marker for a missing value.
    fn states(&self) -> usize {
        self.others.iter().filter(|(text, _)| !is_system(text, true)).map(|(_, n)| n).sum()
    }

    /// Number of rows whose entry is a number with a unit.
    fn quantities(&self) -> usize {
        self.units.values().sum()
    }

    /// The unit that follows the numbers of the column `name`, if most entries are numbers with a unit. The evidence
    /// about the decimal separator is added to `signs`.
    ///
    /// # Errors
    /// [`Error::Data`] if the numbers have different units.
    pub fn unit(&self, name: &str, signs: &mut Signs) -> Result<Option<String>> {
        if self.conversion() != Conversion::Quantities {
            return Ok(None);
        }
        signs.merge(&self.unit_signs);
        let mut units = self.units.keys();
        match (units.next(), units.next()) {
            (Some(a), Some(b)) => Err(Error::Data(format!(
                "`{name}` has values in `{a}` and in `{b}`; export it in one unit, or import the rows of one unit with `--where`"
            ))),
            (unit, _) => Ok(unit.cloned()),
        }
    }

    /// How the column is converted.
    pub fn conversion(&self) -> Conversion {
        let (quantities, states) = (self.quantities(), self.states());
        if quantities > 0 && self.numbers + quantities >= states.saturating_sub(quantities) {
            return Conversion::Quantities;
        }
        if self.numbers > 0 && self.numbers >= states {
            return Conversion::Numbers;
        }
        let states: Vec<&String> = self.others.keys().filter(|t| !is_system(t, false)).collect();
        if self.numbers == 0 && states.is_empty() {
            // the column is empty or contains no numbers
            return if self.others.is_empty() { Conversion::Empty } else { Conversion::Numbers };
        }
        if self.numbers == 0 {
            let mut lower: Vec<String> = states.iter().map(|s| s.to_lowercase()).collect();
            lower.sort();
            lower.dedup();
            let pair = STATES.into_iter().find(|(zero, one)| lower.iter().all(|s| s == zero || s == one));
            if let Some((zero, one)) = pair {
                return Conversion::States(zero, one);
            }
        }
        Conversion::Texts
    }

    /// A list of the entries that become missing values, with the number of rows that contain each entry.
    pub fn lost(&self) -> Option<String> {
        let mut lost: Vec<(&String, &usize)> = self.others.iter().collect();
        if self.conversion() == Conversion::Quantities {
            lost.retain(|(text, _)| quantity(text).is_none());
        }
        lost.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let lost: Vec<String> = lost.iter().map(|(text, n)| format!("{n} × `{text}`")).collect();
        (!lost.is_empty()).then(|| list(&lost, 6))
    }
}

/// Splits an entry such as `1.5 kW` into the number and its unit.
fn quantity(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let is_number = |c: char| c.is_ascii_digit() || ".,'’ \u{a0}\u{202f}+-−".contains(c);
    let end = text.find(|c| !is_number(c))?;
    let (number, unit) = text.split_at(end);
    // `12A` is more likely to be a code than a current
    let separate = number.ends_with([' ', '\u{a0}', '\u{202f}']);
    let is_code = unit.len() == 1 && unit.chars().all(char::is_alphabetic) && !separate;
    let number = number.trim();
    let valid = number.ends_with(|c: char| c.is_ascii_digit())
        && !matches!(number::classify(number), Class::Other | Class::Empty)
        && is_unit(unit)
        && !is_code;
    valid.then_some((number, unit))
}

/// Whether an entry denotes a missing value. `among_numbers` is false for a column of states.
fn is_system(text: &str, among_numbers: bool) -> bool {
    let lower = text.to_lowercase();
    let known = |list: &[&str]| list.contains(&lower.as_str());
    number::is_missing(text) || text.starts_with('#') || known(&SYSTEM) || (among_numbers && known(&SYSTEM_OR_STATE))
}

/// The type to which the entries of a column are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    Empty,
    Numbers,
    /// Numbers that are followed by a unit.
    Quantities,
    /// The names of the states 0 and 1.
    States(&'static str, &'static str),
    Texts,
}

impl Conversion {
    /// The number to which `text` is converted; NaN if the value is missing or if the column stays text.
    pub fn number(self, text: &str, decimal: Decimal) -> f64 {
        match self {
            Self::Empty | Self::Numbers => number::number(text, decimal).unwrap_or(f64::NAN),
            Self::Quantities => {
                let text = quantity(text).map_or(text, |(number, _)| number);
                number::number(text, decimal).unwrap_or(f64::NAN)
            }
            Self::States(zero, one) => match text.trim().to_lowercase() {
                t if t == zero => 0.0,
                t if t == one => 1.0,
                _ => f64::NAN,
            },
            Self::Texts => f64::NAN,
        }
    }
}

/// Describes how a text column was converted, if this is important for the user.
pub fn describe(name: &str, texts: &Texts, conversion: Conversion) -> Option<String> {
    match conversion {
        Conversion::Empty => Some(format!("`{name}` is empty")),
        Conversion::Numbers | Conversion::Quantities => {
            texts.lost().map(|lost| format!("`{name}`: {lost} read as missing values"))
        }
        Conversion::States(zero, one) => {
            let lost: Vec<String> =
                texts.others.iter().filter(|(t, _)| is_system(t, false)).map(|(t, n)| format!("{n} × `{t}`")).collect();
            let lost =
                if lost.is_empty() { String::new() } else { format!("; {} read as missing values", list(&lost, 6)) };
            Some(format!("`{name}`: `{zero}` = 0 and `{one}` = 1{lost}"))
        }
        Conversion::Texts if texts.numbers > 0 => Some(format!(
            "`{name}` stays text: only {} of its values are numbers; the others are {}",
            texts.numbers,
            texts.lost().unwrap_or_default()
        )),
        Conversion::Texts => {
            let names: Vec<&String> = texts.others.keys().collect();
            Some(format!("`{name}` stays text: {}", list(&names, 6)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(texts: &[&str]) -> Conversion {
        let (mut counts, mut signs) = (Texts::default(), Signs::default());
        texts.iter().for_each(|t| counts.add(t, &mut signs));
        counts.conversion()
    }

    #[test]
    fn values_in_two_units_are_refused() {
        let (mut counts, mut signs) = (Texts::default(), Signs::default());
        for text in ["21,5 °C", "21 °C"] {
            counts.add(text, &mut signs);
        }
        assert_eq!(counts.unit("T", &mut signs).unwrap().as_deref(), Some("°C"));
        assert_eq!(signs.decide(true), Ok(Some(Decimal::Comma)));
        counts.add("70 °F", &mut signs);
        let error = counts.unit("T", &mut signs).unwrap_err().to_string();
        assert!(error.contains("`T` has values in `°C` and in `°F`"), "{error}");
    }

    #[test]
    fn columns_become_numbers_states_or_texts() {
        assert_eq!(conversion(&["1.5", "Bad Input", "Bad Input", "No Data", "", "I/O Timeout"]), Conversion::Numbers);
        assert_eq!(conversion(&["On", "OFF", "on", "Bad Input"]), Conversion::States("off", "on"));
        assert_eq!(conversion(&["Aus", "Aus"]), Conversion::States("aus", "ein"));
        assert_eq!(conversion(&["A12", "A13"]), Conversion::Texts);
        assert_eq!(conversion(&["Auto", "Manual", "Auto", "3"]), Conversion::Texts);
        assert_eq!(conversion(&["", ""]), Conversion::Empty);
        assert_eq!(conversion(&["1.5 kW", "2 kW", "Bad Input", "3"]), Conversion::Quantities);
        assert_eq!(conversion(&["12A", "13A", "12B"]), Conversion::Texts);
        let quantities = Conversion::Quantities;
        assert_eq!(quantities.number("1.234,5 m³/h", Decimal::Comma), 1234.5);
        assert_eq!(quantities.number("-3 °C", Decimal::Comma), -3.0);
        assert!(quantities.number("Bad Input", Decimal::Comma).is_nan());
        let states = Conversion::States("off", "on");
        assert_eq!((states.number("On", Decimal::Point), states.number(" off", Decimal::Comma)), (1.0, 0.0));
        assert!(states.number("Bad Input", Decimal::Point).is_nan());
    }
}
