//! Formats the numbers in a report.
//!
//! A number is rounded to the last decimal place that its uncertainty justifies, and to at most a given number of
//! significant digits. The last decimal place is chosen by the rule of the Particle Data Group (Review of Particle
//! Physics, §5.3): the half-width of the interval keeps two digits if they are between 10 and 35, and one digit
//! otherwise. Thousands are separated by a narrow no-break space.

use askama::filters::Safe;

use crate::scenario::results::{Difference, Estimate};

/// Number of significant digits in sentences and on the first page.
pub const PROSE: i32 = 3;
/// Number of significant digits in tables.
pub const TABLE: i32 = 4;

const GAP: char = '\u{202f}';
const MINUS: char = '\u{2212}';

/// A number and its text, printed as `<data value="…">…</data>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    pub value: f64,
    pub text: String,
    /// Power of ten of the last printed digit.
    place: i32,
}

impl Quantity {
    fn new(value: f64, text: String, place: i32) -> Self {
        Self { value, text, place }
    }

    /// The number with a plus sign if it is positive.
    pub fn with_sign(self) -> Self {
        Self { text: with_plus(self.value, self.text), ..self }
    }

    /// The HTML element. The text contains only digits, signs and spaces, so it needs no escaping.
    pub fn html(&self) -> Safe<String> {
        Safe(format!("<data value=\"{:?}\">{}</data>", self.value, self.text))
    }
}

/// A value and the ends of its interval, all rounded to the same decimal place.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    pub value: Quantity,
    pub low: Quantity,
    pub high: Quantity,
}

/// Power of ten of the first significant digit.
fn exponent(v: f64) -> i32 {
    v.abs().log10().floor() as i32
}

/// Power of ten of the last digit to print for `value` ± `half`, if at most `digits` significant digits are printed.
fn last_place(value: f64, half: f64, digits: i32) -> i32 {
    let by_digits = (value != 0.0 && value.is_finite()).then(|| exponent(value) - (digits - 1));
    let by_interval = (half > 0.0 && half.is_finite()).then(|| {
        let e = exponent(half);
        if half / 10f64.powi(e) < 3.55 { e - 1 } else { e }
    });
    match (by_digits, by_interval) {
        (Some(d), Some(i)) => d.max(i),
        (Some(p), None) | (None, Some(p)) => p,
        (None, None) => 0,
    }
}

/// `v` rounded to 10^`place`, in decimal notation unless it is very large or very small.
fn at_place(v: f64, place: i32) -> String {
    if !v.is_finite() {
        return "n/a".into();
    }
    let size = v.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4 && place < -5) {
        return scientific(v, (exponent(v) - place).clamp(0, 3));
    }
    let rounded = if place >= 0 { (v / 10f64.powi(place)).round() * 10f64.powi(place) } else { v };
    let digits = format!("{:.*}", usize::try_from(-place).unwrap_or(0), rounded.abs());
    let negative = rounded < 0.0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let (whole, rest) = digits.split_once('.').map_or((digits.as_str(), None), |(w, r)| (w, Some(r)));
    let mut out = String::with_capacity(digits.len() + 8);
    if negative {
        out.push(MINUS);
    }
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(GAP);
        }
        out.push(c);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

fn scientific(v: f64, decimals: i32) -> String {
    let text = format!("{:.*e}", usize::try_from(decimals).unwrap_or(0), v);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let raised: String = power.chars().map(|c| if c == '-' { '⁻' } else { superscript(c) }).collect();
    format!("{}×10{raised}", mantissa.replace('-', &MINUS.to_string()))
}

/// Converts a digit to a superscript, and returns other characters unchanged.
fn superscript_digit(c: char) -> char {
    if c.is_ascii_digit() { superscript(c) } else { c }
}

fn superscript(c: char) -> char {
    const UP: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    c.to_digit(10).and_then(|d| UP.get(d as usize)).copied().unwrap_or(c)
}

/// A number without an interval.
pub fn plain(v: f64, digits: i32) -> Quantity {
    let place = last_place(v, 0.0, digits);
    let text = at_place(v, place);
    Quantity::new(v, trim(text), place)
}

/// Removes trailing zeros after the decimal point, because they would suggest a higher accuracy.
fn trim(text: String) -> String {
    if text.contains('.') && !text.contains('×') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `v` rounded to the same decimal place as `other`. The text is empty if the rounded value is zero.
pub fn rounded_like(v: f64, other: &Quantity) -> Quantity {
    let mut text = at_place(v, other.place);
    if !text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        text.clear();
    }
    Quantity::new(v, text, other.place)
}

/// Formats a range as `10–25`, or as `−5 to 10`, because a dash next to a minus sign is hard to read.
pub fn span(low: &Quantity, high: &Quantity) -> String {
    format!("{}{}{}", low.text, dash(low, high), high.text)
}

/// The separator between the two ends of a range.
pub fn dash(low: &Quantity, high: &Quantity) -> &'static str {
    if low.text.starts_with(MINUS) || high.text.starts_with(MINUS) { " to " } else { "–" }
}

/// Formats several numbers with the same number of decimals, which depends on the largest number.
pub fn aligned(values: &[f64], digits: i32) -> Vec<Quantity> {
    at_common_place(values, common_place(values, digits))
}

/// Formats numbers like [`aligned`], but with enough decimals to resolve a hundredth of `range`, if it is given.
pub fn aligned_within(values: &[f64], digits: i32, range: Option<f64>) -> Vec<Quantity> {
    let place = common_place(values, digits);
    at_common_place(values, range.filter(|r| *r > 0.0 && r.is_finite()).map_or(place, |r| place.min(exponent(r) - 2)))
}

fn common_place(values: &[f64], digits: i32) -> i32 {
    values.iter().filter(|v| **v != 0.0).map(|v| last_place(*v, 0.0, digits)).max().unwrap_or(0)
}

fn at_common_place(values: &[f64], place: i32) -> Vec<Quantity> {
    let texts: Vec<String> = values.iter().map(|v| at_place(*v, place)).collect();
    let cut = texts.iter().all(|t| t.contains('.') && !t.contains('×'));
    let zeros = if cut { texts.iter().map(|t| t.len() - t.trim_end_matches('0').len()).min().unwrap_or(0) } else { 0 };
    let zip = values.iter().zip(texts);
    zip.map(|(v, t)| Quantity::new(*v, t[..t.len() - zeros].trim_end_matches('.').to_owned(), place)).collect()
}

/// Formats `value` and its interval from `low` to `high`, rounded to the decimal place that the half-width determines.
pub fn within(value: f64, low: f64, high: f64, digits: i32) -> Interval {
    let half = (high - low).abs() / 2.0;
    let place = last_place(value, half, digits);
    // Zero is printed without decimals.
    let q = |v: f64| Quantity::new(v, if v == 0.0 { "0".to_owned() } else { at_place(v, place) }, place);
    if half == 0.0 {
        let value = plain(value, digits);
        return Interval { low: value.clone(), high: value.clone(), value };
    }
    Interval { value: q(value), low: q(low), high: q(high) }
}

impl Interval {
    /// Formats fractions as percentages. `unit` is the unit that is printed, such as `%`.
    pub fn shares(value: f64, low: f64, high: f64, digits: i32, unit: &str) -> Self {
        let i = within(100.0 * value, 100.0 * low, 100.0 * high, digits);
        let q = |q: Quantity, v| Quantity::new(v, format!("{}\u{a0}{unit}", q.text), q.place - 2);
        Self { value: q(i.value, value), low: q(i.low, low), high: q(i.high, high) }
    }

    /// The interval with a plus sign before each positive number.
    pub fn with_signs(self) -> Self {
        Self { value: self.value.with_sign(), low: self.low.with_sign(), high: self.high.with_sign() }
    }
}

/// Formats a number from a configuration file, such as a limit, with up to six digits.
pub fn exact(v: f64) -> Quantity {
    plain(v, 6)
}

/// Median with P10 and P90.
pub fn estimate(e: &Estimate, digits: i32) -> Interval {
    within(e.p50, e.p10, e.p90, digits)
}

/// A difference with a sign.
pub fn signed(v: f64, digits: i32) -> Quantity {
    plain(v, digits).with_sign()
}

fn with_plus(v: f64, text: String) -> String {
    if v > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) { format!("+{text}") } else { text }
}

/// Formats a paired difference as its signed mean and its 90 % interval.
pub fn difference(d: &Difference, digits: i32) -> Interval {
    within(d.mean, d.low, d.high, digits).with_signs()
}

/// Formats a fraction as a percentage. Percentages below 10 % and near 100 % have one decimal,
/// except for exactly 0 % and 100 %.
pub fn percent(share: f64) -> Quantity {
    let p = share * 100.0;
    let text = if !p.is_finite() {
        "n/a".into()
    } else if p == 0.0 || p == 100.0 || (9.95..=99.0).contains(&p.abs()) || p.abs() >= 101.0 {
        format!("{} %", at_place(p, 0))
    } else if p > 0.0 && p < 0.1 {
        "<0.1 %".into()
    } else if p < 100.0 && p > 99.9 {
        ">99.9 %".into()
    } else {
        format!("{} %", at_place(p, -1))
    };
    Quantity::new(share, text.replace(' ', "\u{a0}").replace('<', "&lt;").replace('>', "&gt;"), -3)
}

/// A fraction as a percentage in plain text, without HTML escapes.
pub fn percent_text(share: f64) -> String {
    percent(share).text.replace("&lt;", "<").replace("&gt;", ">")
}

pub fn count(n: usize) -> String {
    at_place(n as f64, 0)
}

/// Formats a number with exactly `decimals` decimals, for table columns that contain scores.
pub fn fixed(v: f64, decimals: i32) -> Quantity {
    Quantity::new(v, at_place(v, -decimals), -decimals)
}

/// `text` and its unit, joined by a no-break space.
pub fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_owned() } else { format!("{text}\u{a0}{unit}") }
}

/// An allowed range such as `10–25`, `≤ 27` or `any`.
pub fn allowed_range(low: Option<f64>, high: Option<f64>) -> String {
    let low = low.filter(|v| v.is_finite());
    let high = high.filter(|v| v.is_finite());
    match (low, high) {
        (Some(l), Some(h)) => span(&exact(l), &exact(h)),
        (Some(l), None) => format!("≥\u{a0}{}", exact(l).text),
        (None, Some(h)) => format!("≤\u{a0}{}", exact(h).text),
        (None, None) => "any".into(),
    }
}

/// A unit in common notation: `degC` → `°C`, `m^3/h` → `m³/h`, `K*h` → `K·h`, `1` → empty.
pub fn unit(text: &str) -> String {
    let text = text.trim();
    if text == "1" {
        return String::new();
    }
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let mut raised = false;
    for c in text.chars().chain(['\0']) {
        if c.is_alphanumeric() || (raised && c == '-') {
            if raised {
                out.push(if c == '-' { '⁻' } else { superscript(c) })
            } else {
                word.push(c)
            }
            continue;
        }
        raised = false;
        match word.as_str() {
            "degC" => out.push_str("°C"),
            "degF" => out.push_str("°F"),
            "deg" => out.push('°'),
            "Ohm" | "ohm" => out.push('Ω'),
            "m2" | "km2" | "cm2" | "mm2" | "ft2" => out.extend(word.chars().map(superscript_digit)),
            "m3" | "cm3" | "dm3" | "ft3" => out.extend(word.chars().map(superscript_digit)),
            other => out.push_str(other),
        }
        word.clear();
        match c {
            '\0' => {}
            '*' => out.push('·'),
            '^' => raised = true,
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[path = "../../tests/unit/report/number.rs"]
mod tests;
