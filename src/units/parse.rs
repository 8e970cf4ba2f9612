//! Parses and prints units such as `W/(m2*K)`, whose factors are [(W, 1), (m, −2), (K, −1)].

use super::table;

/// A symbol and its exponent.
pub(super) type Factor = (String, i32);

/// Maximum length of a unit in bytes (not tuned).
const MAX_LENGTH: usize = 120;
/// Maximum nesting depth of parentheses (not tuned).
const MAX_DEPTH: usize = 8;
/// Largest exponent (not tuned).
const MAX_EXPONENT: i32 = 12;

/// Parses the factors of a unit and returns them in textual order. Equal symbols are merged, so that they may cancel
/// out.
pub(super) fn factors(text: &str) -> Result<Vec<Factor>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the unit is empty; write `1` for a plain number".into());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("the unit is longer than {MAX_LENGTH} bytes"));
    }
    let mut parser = Parser { text, rest: text };
    let mut out = Vec::new();
    parser.product(1, 0, &mut out)?;
    if !parser.rest.is_empty() {
        return Err(parser.unexpected());
    }
    merge(&out).ok_or_else(|| format!("an exponent in the unit `{text}` is out of range"))
}

/// Merges equal symbols. Returns `None` if an exponent is out of range.
pub(super) fn merge(factors: &[Factor]) -> Option<Vec<Factor>> {
    let mut out: Vec<Factor> = Vec::new();
    for (symbol, e) in factors {
        match out.iter_mut().find(|f| f.0 == *symbol) {
            Some(f) => f.1 += e,
            None => out.push((symbol.clone(), *e)),
        }
    }
    out.retain(|f| f.1 != 0);
    out.iter().all(|f| f.1.abs() <= MAX_EXPONENT).then_some(out)
}

/// Returns a product of factors as text, such as `W*h/(m^2*K)`, or `1` if there are no factors.
pub(super) fn text(factors: &[Factor]) -> String {
    let side = |sign: i32| -> Vec<String> {
        let chosen = factors.iter().filter(|f| f.1.signum() == sign);
        chosen.map(|(s, e)| if e.abs() == 1 { s.clone() } else { format!("{s}^{}", e.abs()) }).collect()
    };
    let (numerator, denominator) = (side(1), side(-1));
    let numerator = if numerator.is_empty() { "1".to_owned() } else { numerator.join("*") };
    match denominator.as_slice() {
        [] => numerator,
        [one] => format!("{numerator}/{one}"),
        more => format!("{numerator}/({})", more.join("*")),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn product(&mut self, sign: i32, depth: usize, out: &mut Vec<Factor>) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("the parentheses in the unit `{}` are nested too deeply", self.text));
        }
        self.term(sign, depth, out)?;
        loop {
            self.rest = self.rest.trim_start();
            let Some(c) = self.rest.chars().next() else { return Ok(()) };
            let sign = match c {
                '*' | '.' | '·' | '⋅' | '×' => {
                    self.rest = &self.rest[c.len_utf8()..];
                    sign
                }
                '/' | '÷' => {
                    self.rest = &self.rest[c.len_utf8()..];
                    -sign
                }
                c if is_symbol(c) => sign,
                _ => return Ok(()),
            };
            self.term(sign, depth, out)?;
        }
    }

    fn term(&mut self, sign: i32, depth: usize, out: &mut Vec<Factor>) -> Result<(), String> {
        self.rest = self.rest.trim_start();
        let first = out.len();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            self.product(1, depth + 1, out)?;
            self.rest = self.rest.trim_start();
            self.rest = self
                .rest
                .strip_prefix(')')
                .ok_or_else(|| format!("a parenthesis in the unit `{}` is not closed", self.text))?;
        } else if self.rest.starts_with('1') && !self.rest[1..].starts_with(|c: char| is_symbol(c) || c == '.') {
            self.rest = &self.rest[1..];
        } else {
            let symbol = self.symbol()?;
            out.push((symbol, 1));
        }
        let exponent = sign * self.exponent()?;
        for f in &mut out[first..] {
            f.1 = f.1.saturating_mul(exponent);
        }
        Ok(())
    }

    fn symbol(&mut self) -> Result<String, String> {
        let run = self.rest.find(|c: char| !is_symbol(c)).unwrap_or(self.rest.len());
        let whole = &self.rest[..run];
        if whole.is_empty() || whole.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        // a digit is part of the symbol in `inH2O`, but an exponent in `m3`
        let bare =
            if table::find(whole).is_some() { whole } else { whole.trim_end_matches(|c: char| c.is_ascii_digit()) };
        if table::find(bare).is_none() {
            let help = match table::nearest(bare) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "examples of units are degC, kW, kWh, m3/h, bar, EUR/MWh, item, % and 1".to_owned(),
            };
            return Err(format!("`{bare}` is not a known unit; {help}"));
        }
        let bare = bare.to_owned();
        self.rest = &self.rest[bare.len()..];
        Ok(bare)
    }

    /// Parses an exponent, which is written as `^2`, `^-1`, `^(-1)`, `2`, `-1` or `²`. If there is no exponent, returns
    /// 1.
    fn exponent(&mut self) -> Result<i32, String> {
        const RAISED: [(char, i32); 6] = [('¹', 1), ('²', 2), ('³', 3), ('⁴', 4), ('⁵', 5), ('⁶', 6)];
        let mut chars = self.rest.chars();
        let Some(c) = chars.next() else { return Ok(1) };
        let negative = c == '⁻';
        let raised = if negative { chars.next() } else { Some(c) };
        if let Some((c, e)) = RAISED.iter().find(|r| Some(r.0) == raised) {
            self.rest = &self.rest[c.len_utf8() + if negative { '⁻'.len_utf8() } else { 0 }..];
            return Ok(if negative { -e } else { *e });
        }
        let caret = c == '^';
        let mut rest = if caret { self.rest[1..].trim_start() } else { self.rest };
        let paren = caret && rest.starts_with('(');
        if paren {
            rest = &rest[1..];
        }
        let minus = rest.starts_with('-');
        let digits = if minus { &rest[1..] } else { rest };
        let n = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if n == 0 {
            return if caret {
                Err(format!("an exponent in the unit `{}` is not a whole number", self.text))
            } else {
                Ok(1)
            };
        }
        let e = digits[..n].parse::<i32>().ok().filter(|e| *e <= MAX_EXPONENT);
        let e = e.ok_or_else(|| format!("an exponent in the unit `{}` is out of range", self.text))?;
        rest = &digits[n..];
        if paren {
            rest = rest
                .strip_prefix(')')
                .ok_or_else(|| format!("a parenthesis in the unit `{}` is not closed", self.text))?;
        }
        self.rest = rest;
        Ok(if minus { -e } else { e })
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => format!(
                "`{c}` is not expected in the unit `{}`; write a unit like `m3/h`, `EUR/MWh` or `W/(m2*K)`",
                self.text
            ),
            None => format!("the unit `{}` is incomplete", self.text),
        }
    }
}

fn is_symbol(c: char) -> bool {
    c.is_alphanumeric() && !"¹²³⁴⁵⁶".contains(c) || matches!(c, '_' | '%' | '‰' | '°' | '$' | '€' | '£')
}
