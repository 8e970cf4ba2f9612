//! One formatter for every number of a report.
//!
//! A number is printed to the last place that its uncertainty supports, and to no more significant digits than asked
//! for. The place of an interval follows the rule of the Particle Data Group (Review of Particle Physics, §5.3): two
//! digits of the half-width when they are 10 to 35, else one. Thousands are set apart by a narrow no-break space.

use askama::filters::Safe;

use crate::scenario::results::{Difference, Estimate};

/// Significant digits in sentences and on page one.
pub const PROSE: i32 = 3;
/// Significant digits in tables.
pub const TABLE: i32 = 4;

const GAP: char = '\u{202f}';
const MINUS: char = '\u{2212}';

/// A printed number that still knows its value: `<data value="…">…</data>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    pub value: f64,
    pub text: String,
}

impl Quantity {
    fn new(value: f64, text: String) -> Self {
        Self { value, text }
    }

    /// Safe as HTML: digits, signs and spaces only.
    pub fn html(&self) -> Safe<String> {
        Safe(format!("<data value=\"{:?}\">{}</data>", self.value, self.text))
    }
}

/// A value between two others, printed to a common last place.
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

/// Power of ten of the last digit worth printing for `value` ± `half`, at `digits` significant digits at most.
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

/// `v` rounded to 10^`place`, in full.
fn at_place(v: f64, place: i32) -> String {
    if !v.is_finite() {
        return "n/a".into();
    }
    let size = v.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4 && place < -5) {
        return scientific(v, (exponent(v) - place).clamp(0, 3));
    }
    let rounded = if place > 0 { (v / 10f64.powi(place)).round() * 10f64.powi(place) } else { v };
    let digits = format!("{:.*}", usize::try_from(-place).unwrap_or(0), rounded.abs());
    let negative = rounded < 0.0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let (whole, rest) = digits.split_once('.').map_or((digits.as_str(), None), |(w, r)| (w, Some(r)));
    let mut out = String::with_capacity(digits.len() + 8);
    if negative {
        out.push(MINUS);
    }
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 && whole.len() > 4 {
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
    let raised: String = power.chars().map(|c| if c == '-' { '⁻' } else { raise(c) }).collect();
    format!("{}×10{raised}", mantissa.replace('-', &MINUS.to_string()))
}

fn raise(c: char) -> char {
    const UP: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    c.to_digit(10).and_then(|d| UP.get(d as usize)).copied().unwrap_or(c)
}

/// A number that has no interval of its own.
pub fn plain(v: f64, digits: i32) -> Quantity {
    let place = last_place(v, 0.0, digits);
    let text = at_place(v, place);
    Quantity::new(v, trim(text))
}

/// `20.00` says more than is known of a number without an interval: trailing zeros after the point go.
fn trim(text: String) -> String {
    if text.contains('.') && !text.contains('×') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Several numbers of one kind, with as many decimals each, by the largest of them.
pub fn alike(values: &[f64], digits: i32) -> Vec<Quantity> {
    let place = values.iter().map(|v| last_place(*v, 0.0, digits)).max().unwrap_or(0);
    let texts: Vec<String> = values.iter().map(|v| at_place(*v, place)).collect();
    let cut = texts.iter().all(|t| t.contains('.') && !t.contains('×'));
    let zeros = if cut { texts.iter().map(|t| t.len() - t.trim_end_matches('0').len()).min().unwrap_or(0) } else { 0 };
    let zip = values.iter().zip(texts);
    zip.map(|(v, t)| Quantity::new(*v, t[..t.len() - zeros].trim_end_matches('.').to_owned())).collect()
}

/// `value` in [`low`, `high`], all to the place that the interval's half-width gives.
pub fn within(value: f64, low: f64, high: f64, digits: i32) -> Interval {
    let half = (high - low).abs() / 2.0;
    let place = last_place(value, half, digits);
    let q = |v| Quantity::new(v, at_place(v, place));
    if half == 0.0 {
        let value = plain(value, digits);
        return Interval { low: value.clone(), high: value.clone(), value };
    }
    Interval { value: q(value), low: q(low), high: q(high) }
}

/// Median with P10 and P90.
pub fn estimate(e: &Estimate, digits: i32) -> Interval {
    within(e.p50, e.p10, e.p90, digits)
}

/// A difference with its sign.
pub fn signed(v: f64, digits: i32) -> Quantity {
    let q = plain(v, digits);
    Quantity::new(v, plus(v, q.text))
}

fn plus(v: f64, text: String) -> String {
    if v > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) { format!("+{text}") } else { text }
}

/// A paired difference: mean with sign, and its 90 % interval.
pub fn difference(d: &Difference, digits: i32) -> Interval {
    let mut i = within(d.mean, d.low, d.high, digits);
    for q in [&mut i.value, &mut i.low, &mut i.high] {
        q.text = plus(q.value, std::mem::take(&mut q.text));
    }
    i
}

/// A share as percent. One decimal below 10 % and above 90 %, where it matters; an exact 0 or 1 has none.
pub fn percent(share: f64) -> Quantity {
    let p = share * 100.0;
    let text = if !p.is_finite() {
        "n/a".into()
    } else if p == 0.0 || p == 100.0 || (10.0..=90.0).contains(&p.abs()) || p.abs() >= 110.0 {
        format!("{} %", at_place(p, 0))
    } else if p > 0.0 && p < 0.1 {
        "<0.1 %".into()
    } else if p < 100.0 && p > 99.9 {
        ">99.9 %".into()
    } else {
        format!("{} %", at_place(p, -1))
    };
    Quantity::new(share, text.replace(' ', "\u{a0}").replace('<', "&lt;").replace('>', "&gt;"))
}

/// A share as percent, as plain text for sentences (not yet escaped).
pub fn percent_text(share: f64) -> String {
    percent(share).text.replace("&lt;", "<").replace("&gt;", ">")
}

/// A whole count.
pub fn count(n: usize) -> String {
    at_place(n as f64, 0)
}

/// A number of exactly `decimals` decimals (scores, skills: columns that must align).
pub fn fixed(v: f64, decimals: i32) -> Quantity {
    Quantity::new(v, at_place(v, -decimals))
}

/// `text` and its unit, not to be parted at a line's end.
pub fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_owned() } else { format!("{text}\u{a0}{unit}") }
}

/// A unit as people write it: `degC` → `°C`, `m^3/h` → `m³/h`, `K*h` → `K·h`, `1` → nothing.
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
                out.push(if c == '-' { '⁻' } else { raise(c) })
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
mod tests {
    use super::*;

    fn interval(v: f64, low: f64, high: f64) -> String {
        let i = within(v, low, high, PROSE);
        format!("{} ({} to {})", i.value.text, i.low.text, i.high.text).replace(GAP, "_")
    }

    #[test]
    fn no_digit_below_the_interval() {
        assert_eq!(interval(12_345.0, 10_245.0, 14_445.0), "12_300 (10_200 to 14_400)");
        assert_eq!(interval(34.21, 25.9, 42.5), "34 (26 to 43)");
        assert_eq!(interval(1.2345, 1.2145, 1.2545), "1.23 (1.21 to 1.25)");
        assert_eq!(interval(-0.004, -0.034, 0.03), "\u{2212}0.004 (\u{2212}0.034 to 0.030)");
        assert_eq!(interval(3.0, -420.0, 500.0), "0 (\u{2212}400 to 500)");
        assert_eq!(interval(7.0, 7.0, 7.0), "7 (7 to 7)");
    }

    #[test]
    fn plain_numbers_keep_the_digits_asked_for() {
        let p = |v| plain(v, PROSE).text.replace(GAP, "_");
        assert_eq!([p(1_234_567.0), p(1234.0), p(99.96), p(0.012_345)], ["1_230_000", "1230", "100", "0.0123"]);
        assert_eq!([p(20.0), p(0.0), p(-0.0), p(-1.5)], ["20", "0", "0", "\u{2212}1.5"]);
        assert_eq!([p(1.5e18), p(2.0e-7), p(f64::NAN)], ["1.50×10¹⁸", "2.00×10⁻⁷", "n/a"]);
        assert_eq!(count(1_234_567).replace(GAP, "_"), "1_234_567");
        assert_eq!(signed(0.25, 3).text, "+0.25");
    }

    #[test]
    fn a_family_of_numbers_has_equal_decimals() {
        let t: Vec<String> = alike(&[18.04, 20.0, 25.51], PROSE).into_iter().map(|q| q.text).collect();
        assert_eq!(t, ["18.0", "20.0", "25.5"]);
        let t: Vec<String> = alike(&[10.0, 25.0], PROSE).into_iter().map(|q| q.text).collect();
        assert_eq!(t, ["10", "25"]);
    }

    #[test]
    fn shares_are_percent() {
        let p = |v| percent_text(v).replace('\u{a0}', " ");
        assert_eq!([p(0.0), p(1.0), p(0.5), p(0.034), p(0.956)], ["0 %", "100 %", "50 %", "3.4 %", "95.6 %"]);
        assert_eq!([p(0.0004), p(0.9996), p(3.2), p(-0.25)], ["<0.1 %", ">99.9 %", "320 %", "\u{2212}25 %"]);
        assert_eq!(percent(0.0004).text, "&lt;0.1\u{a0}%");
    }

    #[test]
    fn units_read_as_people_write_them() {
        assert_eq!([unit("degC"), unit("m^3/h"), unit("K*h"), unit("1")], ["°C", "m³/h", "K·h", ""]);
        assert_eq!([unit("degC/degC"), unit("W*m^-2"), unit("EUR/MWh"), unit("%")], ["°C/°C", "W·m⁻²", "EUR/MWh", "%"]);
        assert_eq!(unit("<b>&"), "<b>&");
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_what_is_meant(v in -1e9f64..1e9, half in 0.0f64..1e6) {
            let i = within(v, v - half, v + half, TABLE);
            let read: f64 = i.value.text.replace(MINUS, "-").replace(GAP, "").parse().unwrap();
            let place = 10f64.powi(last_place(v, half, TABLE));
            proptest::prop_assert!((read - v).abs() <= 0.5 * place * (1.0 + 1e-9) + 1e-12 * v.abs(), "{} for {v}", i.value.text);
        }
    }
}
