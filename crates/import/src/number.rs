//! Reads numbers with a decimal point or a decimal comma.

/// Decimal separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    Point,
    Comma,
}

impl Decimal {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Point, Self::Comma].into_iter().find(|d| d.name() == text)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Comma => "comma",
        }
    }
}

/// Evidence about the decimal separator, collected from the entries of a column.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// First number that has a decimal point or commas between groups of digits.
    pub point: Option<String>,
    /// First number that has a decimal comma or points between groups of digits.
    pub comma: Option<String>,
    /// First entry such as `1.234`, which is a valid number with either decimal separator.
    pub unclear_point: Option<String>,
    /// First entry such as `1,234`, which is a valid number with either decimal separator.
    pub unclear_comma: Option<String>,
    pub numbers: usize,
    /// Number of entries that are not numbers.
    pub others: usize,
}

/// How an entry can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Empty,
    /// A number without a decimal separator.
    Plain,
    Point,
    Comma,
    UnclearPoint,
    UnclearComma,
    Other,
}

impl Signs {
    pub fn add(&mut self, text: &str) -> Class {
        let class = classify(text);
        let slot = match class {
            Class::Empty => return class,
            Class::Plain => None,
            Class::Point => Some(&mut self.point),
            Class::Comma => Some(&mut self.comma),
            Class::UnclearPoint => Some(&mut self.unclear_point),
            Class::UnclearComma => Some(&mut self.unclear_comma),
            Class::Other => {
                self.others += 1;
                return class;
            }
        };
        self.numbers += 1;
        if let Some(slot @ None) = slot {
            *slot = Some(text.to_owned());
        }
        class
    }

    /// Adds the evidence from another column.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.point, &other.point),
            (&mut self.comma, &other.comma),
            (&mut self.unclear_point, &other.unclear_point),
            (&mut self.unclear_comma, &other.unclear_comma),
        ];
        for (own, other) in pairs {
            if own.is_none() {
                own.clone_from(other);
            }
        }
        self.numbers += other.numbers;
        self.others += other.others;
    }

    /// Whether any number has a decimal separator or a separator between groups of digits.
    pub fn has_sign(&self) -> bool {
        [&self.point, &self.comma, &self.unclear_point, &self.unclear_comma].into_iter().any(Option::is_some)
    }

    /// The decimal separator that follows from the entries. `None` if no entry has a decimal separator.
    ///
    /// # Errors
    /// The error contains either two entries that contradict each other, or one ambiguous entry and an empty string.
    pub fn decide(&self, point_is_usual: bool) -> Result<Option<Decimal>, (String, String)> {
        match (&self.point, &self.comma, &self.unclear_point, &self.unclear_comma) {
            (Some(a), Some(b), ..) => Err((a.clone(), b.clone())),
            (Some(_), None, ..) => Ok(Some(Decimal::Point)),
            (None, Some(_), ..) => Ok(Some(Decimal::Comma)),
            (None, None, None, None) => Ok(None),
            (None, None, Some(_), None) if point_is_usual => Ok(Some(Decimal::Point)),
            (None, None, Some(a), Some(b)) => Err((a.clone(), b.clone())),
            (None, None, Some(a), None) | (None, None, None, Some(a)) => Err((a.clone(), String::new())),
        }
    }
}

/// Whether an entry denotes a missing value in any kind of export.
pub fn is_missing(text: &str) -> bool {
    matches!(
        text.trim(),
        "" | "NaN" | "nan" | "NAN" | "null" | "NULL" | "Null" | "None" | "NA" | "N/A" | "n/a" | "-" | "--" | "---"
    )
}

/// Determines how an entry can be read.
pub fn classify(text: &str) -> Class {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Class::Empty;
    }
    let (mut points, mut commas, mut simple) = (0, 0, true);
    for b in bytes {
        match b {
            b'0'..=b'9' => {}
            b'.' => points += 1,
            b',' => commas += 1,
            _ => simple = false,
        }
    }
    if simple && points == 0 && commas == 0 {
        return Class::Plain;
    }
    if simple && points == 1 && commas == 0 && !is_group(bytes, b'.') {
        return if bytes.len() > 1 { Class::Point } else { Class::Other };
    }
    match (number(text, Decimal::Point), number(text, Decimal::Comma)) {
        (None, None) => Class::Other,
        (Some(_), None) => Class::Point,
        (None, Some(_)) => Class::Comma,
        (Some(a), Some(b)) if a == b => Class::Plain,
        (Some(_), Some(_)) if points > 0 => Class::UnclearPoint,
        (Some(_), Some(_)) => Class::UnclearComma,
    }
}

/// Whether the text consists of one to three digits, followed by `sign` and exactly three digits.
fn is_group(text: &[u8], sign: u8) -> bool {
    let at = text.iter().position(|b| *b == sign).unwrap_or(0);
    (1..=3).contains(&at) && text.len() == at + 4 && text[0] != b'0'
}

/// Reads a number. The digits before the decimal separator may be divided into groups of three, for example `12'345`.
pub fn number(text: &str, decimal: Decimal) -> Option<f64> {
    let text = text.trim();
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    let bytes = text.as_bytes();
    if bytes.iter().all(plain) && (decimal == Decimal::Point || !bytes.contains(&b'.')) {
        return text.parse().ok();
    }
    let (sign, groups) = match decimal {
        Decimal::Point => ('.', [',', '\'', '’', ' ', '\u{a0}', '\u{202f}']),
        Decimal::Comma => (',', ['.', '\'', '’', ' ', '\u{a0}', '\u{202f}']),
    };
    let mut out = String::with_capacity(text.len());
    let rest = text.strip_prefix(['-', '−']).inspect(|_| out.push('-')).or_else(|| text.strip_prefix('+'));
    let rest = rest.unwrap_or(text);
    let end = rest.find([sign, 'e', 'E']).unwrap_or(rest.len());
    let (whole, fraction) = rest.split_at(end);
    match whole.find(|c: char| groups.contains(&c)) {
        None => out.push_str(whole),
        Some(first) => {
            let separator = whole[first..].chars().next()?;
            let mut parts = whole.split(separator);
            let head = parts.next()?;
            if !(1..=3).contains(&head.len()) || head.starts_with('0') {
                return None;
            }
            out.push_str(head);
            for part in parts {
                if part.len() != 3 {
                    return None;
                }
                out.push_str(part);
            }
        }
    }
    if let Some(rest) = fraction.strip_prefix(sign) {
        out.push('.');
        out.push_str(rest);
    } else {
        out.push_str(fraction);
    }
    let valid = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if !out.chars().all(valid) {
        return None;
    }
    out.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_both_decimal_signs() {
        for (text, point, comma) in [
            ("20.13", Some(20.13), None),
            ("20,13", None, Some(20.13)),
            ("1.234,5", None, Some(1234.5)),
            ("1,234.5", Some(1234.5), None),
            ("1.234", Some(1.234), Some(1234.0)),
            ("1 234 567,25", None, Some(1_234_567.25)),
            ("1\u{a0}234", Some(1234.0), Some(1234.0)),
            ("12'345.5", Some(12345.5), None),
            ("-1,5e-3", None, Some(-1.5e-3)),
            ("−5", Some(-5.0), Some(-5.0)),
            ("+7", Some(7.0), Some(7.0)),
            (".5", Some(0.5), None),
            ("1.2.3", None, None),
            ("12.34.567", None, None),
            ("Bad Input", None, None),
            ("inf", None, None),
            ("1e400x", None, None),
            (".", None, None),
            ("0.512", Some(0.512), None),
        ] {
            assert_eq!((number(text, Decimal::Point), number(text, Decimal::Comma)), (point, comma), "{text}");
        }
    }

    #[test]
    fn the_sign_follows_from_the_whole_column() {
        let decide = |texts: &[&str]| {
            let mut signs = Signs::default();
            for text in texts {
                signs.add(text);
            }
            signs.decide(true)
        };
        assert_eq!(decide(&["1.234", "0.512"]), Ok(Some(Decimal::Point)));
        assert_eq!(decide(&["1.234", "1.234.567"]), Ok(Some(Decimal::Comma)));
        assert_eq!(decide(&["1,234", "2,5"]), Ok(Some(Decimal::Comma)));
        assert_eq!(decide(&["1", "", "x"]), Ok(None));
        assert!(decide(&["1,234"]).is_err() && decide(&["2,5", "2.5"]).is_err());
    }
}
