//! Reads numbers from numeric columns, and from text columns that contain numbers.

use std::collections::BTreeMap;

use arrow_array::Array;

use super::cast;
use super::missing::NULL;
use crate::config::{Decimal, LogSpec};
use crate::error::{LogFault, LogKey, plural};

/// Maximum number of entries that a message lists (not tuned).
const MAX_TEXTS: usize = 5;

/// Maximum number of different entries in a numeric column that are not numbers (not tuned).
const MAX_MISSING: usize = 20;

/// Maximum number of different entries that are counted separately (not tuned).
const MAX_COUNTED: usize = 1_000;

/// Characters other than the point and the comma that may separate groups of three digits.
const SEPARATORS: [char; 4] = ['\'', ' ', '\u{a0}', '\u{202f}'];

/// How numbers are written as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Numerals {
    /// The decimal separator. Groups of three digits may be separated only if the decimal separator is given.
    pub decimal: Option<Decimal>,
    pub missing: Vec<String>,
}

/// Classification of the text in one row of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Number,
    /// A number like `1.234`, whose point may be a decimal point or a thousands separator.
    Unclear(&'a str),
    /// A number of at least four digits without separators, like `1234`.
    Ungrouped,
    /// A number with a decimal point, like `0.234` or `1.2`.
    Point(&'a str),
    /// An entry that is not a number.
    Other(&'a str),
}

/// How the numbers of a text column seem to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// The decimal separator of the numbers; `None` if the numbers can be read without a setting.
    With(Option<Decimal>),
    /// The numbers have a comma that is either a decimal or a thousands separator. Contains an example.
    Ambiguous(String),
    /// Some numbers have a decimal comma, and others have a decimal point. Contains an example with a comma.
    Mixed(String),
}

/// The entries in a column that are not numbers.
#[derive(Debug, Default)]
pub(super) struct OtherTexts {
    /// Number of rows that contain each entry.
    counts: BTreeMap<String, usize>,
    /// Number of rows with entries that are not counted separately.
    others: usize,
    /// Number of rows with a number.
    numbers: usize,
    /// The first [`Cell::Unclear`].
    unclear: Option<String>,
    /// Whether at least one row contains a [`Cell::Ungrouped`].
    ungrouped: bool,
    /// The first [`Cell::Point`].
    point: Option<String>,
    /// Whether at least one row contains a [`Cell::Number`]. If all numbers have three digits after the point, the
    /// point is a decimal point.
    integer: bool,
}

impl Numerals {
    pub fn new(spec: &LogSpec) -> Self {
        let missing = spec.missing.iter().map(|t| t.trim().to_owned()).collect();
        Self { decimal: spec.decimal.as_ref().map(|d| d.value), missing }
    }

    /// Returns the number in `text`. An empty entry and the entries listed in `log.missing` become [`NULL`].
    fn number(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        if text.is_empty() || self.missing.iter().any(|m| m.eq_ignore_ascii_case(text)) {
            return Some(NULL);
        }
        let (decimal, other) = match self.decimal {
            None => return text.parse().ok(),
            Some(Decimal::Point) => ('.', ','),
            Some(Decimal::Comma) => (',', '.'),
        };
        let (whole, fraction) = text.split_once(decimal).unwrap_or((text, ""));
        let separates = |c: char| c == other || SEPARATORS.contains(&c);
        let groups = whole.split(separates).skip(1).all(|g| g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit()));
        let mut plain = whole.replace(separates, "");
        if !fraction.is_empty() {
            plain = format!("{plain}.{fraction}");
        }
        if groups && !fraction.contains(separates) { plain.parse().ok() } else { None }
    }

    /// Whether `text` can be read as a number with this decimal separator.
    fn reads(decimal: Decimal, text: &str) -> bool {
        Self { decimal: Some(decimal), missing: Vec::new() }.number(text).is_some_and(f64::is_finite)
    }

    /// Appends the numbers of a column to `out`. In a text column, `note` is called for each row that is not empty. The
    /// value of a row without a number is [`NULL`]. Returns `None` if the column contains neither numbers nor text.
    pub fn read(&self, array: &dyn Array, out: &mut Vec<f64>, mut note: impl FnMut(usize, Cell<'_>)) -> Option<()> {
        if !cast::is_text(array) {
            return cast::floats(array, out);
        }
        let mut known: Vec<(Option<f64>, String)> = Vec::new();
        let codes = cast::codes(array, |text| {
            known.push((text.map_or(Some(NULL), |t| self.number(t)), text.unwrap_or_default().to_owned()));
            known.len() as u32 - 1
        })?;
        let cells: Vec<Cell<'_>> = known.iter().map(|(number, text)| self.cell(*number, text)).collect();
        for (row, code) in codes.iter().enumerate() {
            let (value, cell) = (known[*code as usize].0.unwrap_or(NULL), cells[*code as usize]);
            out.push(value);
            if matches!(cell, Cell::Other(_)) || !value.is_nan() {
                note(row, cell);
            }
        }
        Some(())
    }

    fn cell<'a>(&self, number: Option<f64>, text: &'a str) -> Cell<'a> {
        let Some(number) = number else { return Cell::Other(text) };
        let digits = text.trim().trim_start_matches(['-', '+']);
        let is_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        match digits.split_once('.') {
            _ if self.decimal.is_some() => Cell::Number,
            Some((whole, fraction))
                if fraction.len() == 3 && whole.len() <= 3 && is_digits(whole) && is_digits(fraction) =>
            {
                if whole.starts_with('0') { Cell::Point(text) } else { Cell::Unclear(text) }
            }
            Some(_) => Cell::Point(text),
            None if number.abs() < 1_000.0 => Cell::Number,
            None => Cell::Ungrouped,
        }
    }
}

impl OtherTexts {
    /// A number whose point may separate thousands; `None` if the other numbers show that the point is a decimal point.
    fn unclear(&self) -> Option<&String> {
        self.unclear.as_ref().filter(|_| self.integer && !self.ungrouped && self.point.is_none())
    }

    /// Counts one row.
    pub fn add(&mut self, cell: Cell<'_>) {
        let text = match cell {
            Cell::Other(text) => text,
            _ => {
                self.numbers += 1;
                self.ungrouped |= cell == Cell::Ungrouped;
                self.integer |= cell == Cell::Number;
                if let (Cell::Point(text), None) = (cell, &self.point) {
                    self.point = Some(text.trim().to_owned());
                }
                if let (Cell::Unclear(text), None) = (cell, &self.unclear) {
                    self.unclear = Some(text.trim().to_owned());
                }
                return;
            }
        };
        if let Some(n) = self.counts.get_mut(text) {
            *n += 1;
        } else if self.counts.len() < MAX_COUNTED {
            self.counts.insert(text.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Returns the fault if a column or tag, described by `what`, contains entries that are not numbers.
    pub fn fault(&self, key: LogKey, what: &str) -> Option<LogFault> {
        let rows = self.counts.values().sum::<usize>() + self.others;
        if rows == 0 {
            let unclear = self.unclear()?;
            let message =
                format!("{what} contains numbers like `{unclear}`, in which the point may separate thousands");
            let help =
                format!("add `decimal = \".\"` to `log` if `{unclear}` has a decimal point, or `decimal = \",\"`");
            return Some(LogFault::new(key, message, help));
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
            Some((Written::Mixed(text), _)) => format!(
                "`{text}` has a decimal comma, but other numbers of the column have a decimal point{}; export all numbers with the same decimal separator",
                self.point.as_ref().map_or_else(String::new, |p| format!(", like `{p}`"))
            ),
            Some((Written::Ambiguous(text), _)) => format!(
                "`{text}` contains either a decimal separator or a separator of thousands; add `decimal = \",\"` or `decimal = \".\"` to `log`"
            ),
            Some((Written::With(decimal), missing)) => {
                let mut keys = Vec::new();
                let mut reason = "";
                match decimal {
                    Some(Decimal::Comma) => {
                        reason = "the numbers have a decimal comma, so ";
                        keys.push("`decimal = \",\"`".to_owned());
                    }
                    Some(Decimal::Point) => keys.push("`decimal = \".\"`".to_owned()),
                    None => {}
                }
                if !missing.is_empty() {
                    let quoted: Vec<String> = missing.into_iter().map(|t| toml::Value::String(t).to_string()).collect();
                    keys.push(format!("`missing = [{}]`", quoted.join(", ")));
                }
                let other =
                    if reason.is_empty() { "export plain numbers" } else { "convert the log with `twinopt import`" };
                format!("{reason}add {} to `log`, or {other}", keys.join(" and "))
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

    /// Returns how the numbers are written, and the entries that are not numbers. Returns `None` if the column does not
    /// seem to contain numbers.
    pub fn notation(&self) -> Option<(Written, Vec<String>)> {
        let grouped = |t: &str| t.contains(SEPARATORS) || t.contains(',') || t.matches('.').count() > 1;
        let reads = |decimal: Decimal, t: &str| grouped(t.trim()) && Numerals::reads(decimal, t);
        let (mut comma, mut point, mut both, mut others) = (None, 0, None, Vec::new());
        let mut rows = (self.numbers, self.others);
        for (text, n) in &self.counts {
            let read = (reads(Decimal::Comma, text), reads(Decimal::Point, text));
            comma = comma.or_else(|| (read == (true, false)).then(|| text.trim().to_owned()));
            point += usize::from(read == (false, true));
            match read {
                (false, false) => {
                    rows.1 += n;
                    others.push(text.trim().to_owned());
                }
                (true, true) => {
                    both.get_or_insert_with(|| text.trim().to_owned());
                    rows.0 += n;
                }
                _ => rows.0 += n,
            }
        }
        // a number whose notation does not match that of the others must not become a missing value
        let is_number = |t: &String| t.contains(|c: char| c.is_ascii_digit()) && !t.contains(char::is_alphabetic);
        let unclear = (comma.is_some() && point > 0) || others.iter().any(|t| is_number(t) && grouped(t));
        if rows.0 <= rows.1 || others.len() > MAX_MISSING || unclear {
            return None;
        }
        let both = both.or_else(|| self.unclear().cloned());
        let written = match (comma, both) {
            (Some(comma), _) if self.point.is_some() => Written::Mixed(comma),
            (Some(_), _) => Written::With(Some(Decimal::Comma)),
            _ if point > 0 => Written::With(Some(Decimal::Point)),
            (None, Some(text)) if text.contains([',', '.']) => Written::Ambiguous(text),
            (None, Some(_)) => Written::With(Some(Decimal::Point)),
            (None, None) => Written::With(None),
        };
        Some((written, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;

    fn read(numerals: &Numerals, texts: &[&str]) -> (Vec<f64>, OtherTexts) {
        let (mut out, mut other) = (Vec::new(), OtherTexts::default());
        numerals.read(&StringArray::from(texts.to_vec()), &mut out, |_, cell| other.add(cell)).unwrap();
        (out, other)
    }

    #[test]
    fn numbers_are_read_from_text() {
        let point = Numerals { decimal: None, missing: vec!["Bad Input".into()] };
        let (values, other) = read(&point, &["1.5", " 2 ", "", "bad input", "-1e3"]);
        assert_eq!((values[0], values[1], values[4]), (1.5, 2.0, -1e3));
        assert!(values[2].is_nan() && values[3].is_nan() && other.fault(LogKey::Value, "x").is_none());
        let comma = Numerals { decimal: Some(Decimal::Comma), missing: Vec::new() };
        for (text, number) in
            [("20,13", 20.13), ("1.234,5", 1234.5), ("1.234.567", 1_234_567.0), ("1 234,5", 1234.5), ("-7", -7.0)]
        {
            assert_eq!(comma.number(text), Some(number), "{text}");
        }
        assert_eq!([comma.number("12.5"), comma.number("1,2.3"), point.number("1,5")], [None; 3]);
    }

    #[test]
    fn texts_are_counted_and_the_setting_that_helps_is_named() {
        let point = Numerals { decimal: None, missing: Vec::new() };
        let fault = |texts: &[&str]| read(&point, texts).1.fault(LogKey::Value, "x").unwrap();
        let f = fault(&["1", "No Data", "Bad", "No Data", "2", "3", "4"]);
        assert_eq!(f.message, "x contains text: `No Data` (2), `Bad` (1); 4 of 7 values are numbers");
        assert!(f.help.contains("`missing = [\"Bad\", \"No Data\"]`"), "{}", f.help);
        let f = fault(&["20,13", "7"]);
        assert!(f.help.contains("add `decimal = \",\"` to `log`"), "{}", f.help);
        assert!(f.help.starts_with("the numbers have a decimal comma"), "{}", f.help);
        let f = fault(&["9.3", "235,5", "7", "1250"]);
        assert!(
            f.help.starts_with("`235,5` has a decimal comma, but other numbers of the column have a decimal point")
        );
        assert!(f.help.contains("like `9.3`") && !f.help.contains("`decimal"), "{}", f.help);
        let f = fault(&["20,13", "7", "NA"]);
        assert!(f.help.contains("`decimal = \",\"`") && f.help.contains("`missing = [\"NA\"]`"), "{}", f.help);
        assert!(fault(&["on", "off"]).help.starts_with("use a column that contains numbers"));
    }

    #[test]
    fn a_separator_of_thousands_is_not_read_as_a_decimal_comma() {
        let plain = Numerals { decimal: None, missing: Vec::new() };
        let notation = |texts: &[&str]| read(&plain, texts).1.notation();
        let with =
            |decimal, missing: &[&str]| Some((Written::With(decimal), missing.iter().map(|t| (*t).into()).collect()));
        assert_eq!(notation(&["1,250", "980", "1,310"]), Some((Written::Ambiguous("1,250".into()), Vec::new())));
        assert_eq!(notation(&["1,250", "980", "20,5"]), with(Some(Decimal::Comma), &[]));
        assert_eq!(notation(&["987.6", "1,234.5", "1,250", "n/a"]), with(Some(Decimal::Point), &["n/a"]));
        assert_eq!(notation(&["1,234,567", "12"]), with(Some(Decimal::Point), &[]));
        assert_eq!(notation(&["1,234.5", "20,5", "3", "4", "5"]), None);
        assert_eq!(notation(&["1 250", "980", "990"]), with(Some(Decimal::Point), &[]));
        assert_eq!(notation(&["1.234.567", "1.250"]), with(Some(Decimal::Comma), &[]));
        let point = Numerals { decimal: Some(Decimal::Point), missing: Vec::new() };
        let numbers = ["1,234.5", "-1,250", "12", "1e3", "1 250.25"].map(|t| point.number(t));
        assert_eq!(numbers, [1234.5, -1250.0, 12.0, 1e3, 1250.25].map(Some));
        assert_eq!([point.number("1,25"), point.number("1,2345.0"), point.number("1,a23")], [None; 3]);
        let help = read(&plain, &["1,250", "980"]).1.fault(LogKey::Value, "x").unwrap().help;
        assert!(help.contains("`1,250`") && help.contains("`decimal = \".\"`"), "{help}");
    }

    #[test]
    fn a_point_that_may_separate_thousands_is_asked_for() {
        let plain = Numerals { decimal: None, missing: Vec::new() };
        let fault =
            |texts: &[&str]| read(&plain, texts).1.fault(LogKey::Value, "x").map(|f| f.message + "; " + &f.help);
        let text = fault(&["890", "1.033", "1.210", ""]).unwrap();
        assert!(
            text.contains("`1.033`") && text.contains("`decimal = \".\"`") && text.contains("`decimal = \",\"`"),
            "{text}"
        );
        assert_eq!(fault(&["1.033", "20.000"]), None);
        for other in ["0.890", "1.5", "1234.500", "1500"] {
            assert_eq!(fault(&["1.033", other]), None, "{other}");
        }
        assert_eq!(
            read(&plain, &["1.033", "890"]).1.notation(),
            Some((Written::Ambiguous("1.033".into()), Vec::new()))
        );
        let given = Numerals { decimal: Some(Decimal::Point), missing: Vec::new() };
        let (values, other) = read(&given, &["1.033", "890"]);
        assert_eq!((values, other.fault(LogKey::Value, "x")), (vec![1.033, 890.0], None));
    }

    #[test]
    fn only_some_of_many_texts_are_kept() {
        let mut other = OtherTexts::default();
        (0..5_000).for_each(|i| other.add(Cell::Other(&format!("text {i}"))));
        assert_eq!((other.counts.len(), other.others), (MAX_COUNTED, 4_000));
        assert!(other.fault(LogKey::Value, "x").unwrap().message.ends_with("0 of 5000 values are numbers"));
    }
}
