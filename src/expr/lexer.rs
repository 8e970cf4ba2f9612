//! Text to tokens.

use std::ops::Range;

use super::ExprFault;

/// A word of the language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word<'a> {
    Number(f64),
    Name(&'a str),
    /// What stands between `[` and `]`: the unit of a number.
    Unit(&'a str),
    /// An operator, spelt in one way only.
    Operator(&'static str),
    Open,
    Close,
    Comma,
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    pub word: Word<'a>,
    pub span: Range<usize>,
}

/// Spellings of the operators, the longer first.
const OPERATORS: [(&str, &str); 25] = [
    ("**", "^"),
    ("<=", "<="),
    (">=", ">="),
    ("==", "=="),
    ("!=", "!="),
    ("&&", "&&"),
    ("||", "||"),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("×", "*"),
    ("·", "*"),
    ("⋅", "*"),
    ("÷", "/"),
    ("∕", "/"),
    ("−", "-"),
    ("–", "-"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("^", "^"),
    ("<", "<"),
    (">", ">"),
    ("!", "!"),
];

/// All tokens; the last one is [`Word::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExprFault> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else {
            out.push(Token { word: Word::End, span: at..at });
            return Ok(out);
        };
        let (word, length) = match c {
            '(' => (Word::Open, 1),
            ')' => (Word::Close, 1),
            ',' => (Word::Comma, 1),
            '[' => {
                let end = rest.find(']').ok_or_else(|| {
                    fault(at..at + 1, "`[` opens a unit that is not closed", "write the unit like `27[degC]`")
                })?;
                (Word::Unit(&rest[1..end]), end + 1)
            }
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) => {
                let length = number_length(rest);
                let value: f64 = rest[..length].parse().unwrap_or(f64::NAN);
                if !value.is_finite() {
                    return Err(fault(at..at + length, "the number is too large", "use a number below 1.8e308"));
                }
                (Word::Number(value), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = &rest[..name_length(rest)];
                let word = match name {
                    "and" => Word::Operator("&&"),
                    "or" => Word::Operator("||"),
                    "not" => Word::Operator("not"),
                    _ => Word::Name(name),
                };
                (word, name.len())
            }
            _ => match OPERATORS.iter().find(|o| rest.starts_with(o.0)) {
                Some((spelling, operator)) => (Word::Operator(operator), spelling.len()),
                None => return Err(stray(c, at..at + c.len_utf8())),
            },
        };
        out.push(Token { word, span: at..at + length });
        at += length;
    }
}

/// Digits, a fraction, an exponent.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut n = digits(0);
    if text[n..].starts_with('.') {
        n += 1 + digits(n + 1);
    }
    if text[n..].starts_with(['e', 'E']) {
        let sign = usize::from(text[n + 1..].starts_with(['+', '-']));
        let exponent = digits(n + 1 + sign);
        if exponent > 0 {
            n += 1 + sign + exponent;
        }
    }
    n
}

/// Letters, digits and `_`; also `.` in between, as in `TIC101.PV`.
pub(super) fn name_length(text: &str) -> usize {
    let inner = |c: char| c.is_alphanumeric() && !matches!(c, '²' | '³') || c == '_';
    let mut length = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let dot = c == '.' && length > 0 && chars.peek().is_some_and(|n| inner(n.1));
        if !(inner(c) || dot) {
            break;
        }
        length = i + c.len_utf8();
    }
    length
}

fn fault(span: Range<usize>, message: &str, help: &str) -> ExprFault {
    ExprFault { code: "syntax", span, message: message.into(), help: help.into() }
}

fn stray(c: char, span: Range<usize>) -> ExprFault {
    let help = match c {
        '=' => "compare with `==`".to_owned(),
        '&' => "write `&&` or `and`".to_owned(),
        '|' => "write `||` or `or`".to_owned(),
        '%' => "write the fraction (0.05) or a number with a unit (5[%]); there is no modulo".to_owned(),
        '?' | ':' => "write `if(condition, then, else)`".to_owned(),
        '"' | '\'' | '`' => "write names without quotes".to_owned(),
        ';' => "separate arguments by `,`".to_owned(),
        ']' => "a unit stands right after its number, like `27[degC]`".to_owned(),
        '{' | '}' => "use `(` and `)`".to_owned(),
        _ => "known are numbers, names, + - * / ^, comparisons, `and or not`, ( ) and functions".to_owned(),
    };
    ExprFault { code: "syntax", span, message: format!("`{}` is not expected here", c.escape_debug()), help }
}
