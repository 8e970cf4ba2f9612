//! Reads numbers from numeric columns, and from text columns that contain numbers.

use std::collections::BTreeMap;

use arrow_array::Array;

use super::cast;
use super::missing::NULL;
use crate::config::{Decimal, LogSpec};
use crate::error::{LogFault, LogKey, plural};

/// Maximum number of texts that a message lists (not tuned).
const MAX_TEXTS: usize = 5;

/// Maximum number of different texts among the numbers of a column (not tuned).
const MAX_MISSING: usize = 20;

/// How numbers are written as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Numerals {
    pub comma: bool,
    pub missing: Vec<String>,
}

/// The texts in a column that are not numbers.
#[derive(Debug, Default)]
pub(super) struct OtherTexts {
    /// Number of rows with each text.
    counts: BTreeMap<String, usize>,
    /// Number of rows with a number.
    numbers: usize,
}

impl Numerals {
    pub fn new(spec: &LogSpec) -> Self {
        let missing = spec.missing.iter().map(|t| t.trim().to_owned()).collect();
        Self { comma: spec.decimal.as_ref().is_some_and(|d| d.value == Decimal::Comma), missing }
    }

    /// Returns the number in `text`. An empty text and the texts in `log.missing` become [`NULL`].
    fn number(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        if text.is_empty() || self.missing.iter().any(|m| m.eq_ignore_ascii_case(text)) {
            return Some(NULL);
        }
        if !self.comma {
            return text.parse().ok();
        }
        let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
        // A point, an apostrophe or a space may only separate groups of three digits.
        let separators = ['.', '\'', ' ', '\u{a0}', '\u{202f}'];
        let groups = whole.split(separators).skip(1).all(|g| g.len() == 3);
        let plain = || format!("{}.{fraction}", whole.replace(separators, ""));
        (groups && !fraction.contains(separators)).then(|| plain().parse().ok())?
    }

    /// Appends the numbers of a column to `out`. In a text column, `note` is called for each row that is not empty. It
    /// receives the text if this is not a number, and `None` otherwise. The value of a row without a number is
    /// [`NULL`]. Returns `None` if the column contains neither numbers nor text.
    pub fn read(&self, array: &dyn Array, out: &mut Vec<f64>, mut note: impl FnMut(usize, Option<&str>)) -> Option<()> {
        if !cast::is_text(array) {
            return cast::floats(array, out);
        }
        let mut known: Vec<(f64, Option<String>)> = Vec::new();
        let codes = cast::codes(array, |text| {
            let number = text.map_or(Some(NULL), |t| self.number(t));
            known.push((number.unwrap_or(NULL), text.filter(|_| number.is_none()).map(str::to_owned)));
            known.len() as u32 - 1
        })?;
        for (row, code) in codes.iter().enumerate() {
            let (value, text) = &known[*code as usize];
            out.push(*value);
            if text.is_some() || !value.is_nan() {
                note(row, text.as_deref());
            }
        }
        Some(())
    }
}

impl OtherTexts {
    /// Counts one row with a number (`None`), or with text that is not a number.
    pub fn add(&mut self, text: Option<&str>) {
        match text.map(|t| (t, self.counts.get_mut(t))) {
            None => self.numbers += 1,
            Some((_, Some(n))) => *n += 1,
            Some((text, None)) => {
                self.counts.insert(text.to_owned(), 1);
            }
        }
    }

    /// Returns the fault if a column or tag, described by `what`, contains texts that are not numbers.
    pub fn fault(&self, key: LogKey, what: &str) -> Option<LogFault> {
        let rows: usize = self.counts.values().sum();
        if rows == 0 {
            return None;
        }
        let mut texts: Vec<(&String, &usize)> = self.counts.iter().collect();
        texts.sort_by_key(|t| std::cmp::Reverse(t.1));
        let counted: Vec<String> = texts.iter().take(MAX_TEXTS).map(|(text, n)| format!("`{text}` ({n})")).collect();
        let more = match texts.len().saturating_sub(MAX_TEXTS) {
            0 => String::new(),
            n => format!(" and {}", plural(n, "other text", "other texts")),
        };
        let help = match self.notation() {
            None => "use a column that contains numbers, or export numbers only".to_owned(),
            Some((comma, missing)) => {
                let mut keys = Vec::new();
                if comma {
                    keys.push("`decimal = \",\"`".to_owned());
                }
                if !missing.is_empty() {
                    let quoted: Vec<String> = missing.into_iter().map(|t| toml::Value::String(t).to_string()).collect();
                    keys.push(format!("`missing = [{}]`", quoted.join(", ")));
                }
                format!("add {} to `log`, or export plain numbers", keys.join(" and "))
            }
        };
        let message = format!(
            "{what} contains text: {}{more}; {} of {} values are numbers",
            counted.join(", "),
            self.numbers,
            self.numbers + rows
        );
        Some(LogFault::new(key, message, help))
    }

    /// Returns whether numbers are written with a decimal comma, and the texts that are not numbers. Returns `None` if
    /// the column does not seem to contain numbers.
    pub fn notation(&self) -> Option<(bool, Vec<String>)> {
        let comma = Numerals { comma: true, missing: Vec::new() };
        let is_comma = |t: &&(&String, &usize)| t.0.contains(',') && comma.number(t.0).is_some();
        let texts: Vec<(&String, &usize)> = self.counts.iter().collect();
        let (with_comma, others): (Vec<_>, Vec<_>) = texts.iter().partition(is_comma);
        let rows = |list: &[&(&String, &usize)]| list.iter().map(|t| *t.1).sum::<usize>();
        let numbers = self.numbers + rows(&with_comma);
        let plausible = numbers > rows(&others) && others.len() <= MAX_MISSING;
        plausible.then(|| (!with_comma.is_empty(), others.iter().map(|t| t.0.trim().to_owned()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;

    fn read(numerals: &Numerals, texts: &[&str]) -> (Vec<f64>, OtherTexts) {
        let (mut out, mut other) = (Vec::new(), OtherTexts::default());
        numerals.read(&StringArray::from(texts.to_vec()), &mut out, |_, text| other.add(text)).unwrap();
        (out, other)
    }

    #[test]
    fn numbers_are_read_from_text() {
        let point = Numerals { comma: false, missing: vec!["Bad Input".into()] };
        let (values, other) = read(&point, &["1.5", " 2 ", "", "bad input", "-1e3"]);
        assert_eq!((values[0], values[1], values[4]), (1.5, 2.0, -1e3));
        assert!(values[2].is_nan() && values[3].is_nan() && other.fault(LogKey::Value, "x").is_none());
        let comma = Numerals { comma: true, missing: Vec::new() };
        for (text, number) in
            [("20,13", 20.13), ("1.234,5", 1234.5), ("1.234.567", 1_234_567.0), ("1 234,5", 1234.5), ("-7", -7.0)]
        {
            assert_eq!(comma.number(text), Some(number), "{text}");
        }
        assert_eq!([comma.number("12.5"), comma.number("1,2.3"), point.number("1,5")], [None; 3]);
    }

    #[test]
    fn texts_are_counted_and_the_setting_that_helps_is_named() {
        let point = Numerals { comma: false, missing: Vec::new() };
        let fault = |texts: &[&str]| read(&point, texts).1.fault(LogKey::Value, "x").unwrap();
        let f = fault(&["1", "No Data", "Bad", "No Data", "2", "3", "4"]);
        assert_eq!(f.message, "x contains text: `No Data` (2), `Bad` (1); 4 of 7 values are numbers");
        assert!(f.help.contains("`missing = [\"Bad\", \"No Data\"]`"), "{}", f.help);
        let f = fault(&["20,13", "7"]);
        assert!(f.help.contains("add `decimal = \",\"` to `log`"), "{}", f.help);
        let f = fault(&["20,13", "7", "NA"]);
        assert!(f.help.contains("`decimal = \",\"`") && f.help.contains("`missing = [\"NA\"]`"), "{}", f.help);
        assert!(fault(&["on", "off"]).help.starts_with("use a column that contains numbers"));
    }
}
