//! The lexer: splits the text of an expression into tokens.

use std::ops::Range;

use super::fault::ExprFault;

/// The kind and the value of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind<'a> {
    Number(f64),
    Name(&'a str),
    /// The text between `[` and `]`, which is the unit of a number.
    Unit(&'a str),
    /// An operator in its canonical spelling.
    Operator(&'static str),
    Open,
    Close,
    Comma,
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    pub kind: TokenKind<'a>,
    pub span: Range<usize>,
}

/// Accepted spellings of the operators, each with its canonical spelling. Longer spellings come first.
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

/// Returns all tokens of `text`. The last token is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExprFault> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else {
            out.push(Token { kind: TokenKind::End, span: at..at });
            return Ok(out);
        };
        let (kind, length) = match c {
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            ',' => (TokenKind::Comma, 1),
            '[' => {
                let end = rest.find(']').ok_or_else(|| {
                    fault(at..at + 1, "`[` has no matching `]`", "write a number with its unit as `27[degC]`")
                })?;
                (TokenKind::Unit(&rest[1..end]), end + 1)
            }
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) => {
                let length = number_length(rest);
                let value: f64 = rest[..length].parse().unwrap_or(f64::NAN);
                if !value.is_finite() {
                    return Err(fault(at..at + length, "the number is too large", "use a number below 1.8e308"));
                }
                (TokenKind::Number(value), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = &rest[..name_length(rest)];
                let kind = match name {
                    "and" => TokenKind::Operator("&&"),
                    "or" => TokenKind::Operator("||"),
                    "not" => TokenKind::Operator("not"),
                    _ => TokenKind::Name(name),
                };
                (kind, name.len())
            }
            _ => match OPERATORS.iter().find(|o| rest.starts_with(o.0)) {
                Some((spelling, operator)) => (TokenKind::Operator(operator), spelling.len()),
                None => return Err(unexpected(c, at..at + c.len_utf8())),
            },
        };
        out.push(Token { kind, span: at..at + length });
        at += length;
    }
}

/// Length of the number at the start of `text`. A number consists of digits, an optional fraction and an optional
/// exponent.
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

/// Returns true if `name` is a valid name for a signal or parameter. A valid name consists of letters, digits and `_`,
/// with `.` between them, does not start with a digit, and is not a keyword.
pub fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    first && name_length(name) == name.len() && !["dt", "and", "or", "not"].contains(&name)
}

/// Length of the name at the start of `text`. A name consists of letters, digits and `_`, with `.` between them, as in
/// `TIC101.PV`.
fn name_length(text: &str) -> usize {
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

fn unexpected(c: char, span: Range<usize>) -> ExprFault {
    let help = match c {
        '=' => "compare with `==`".to_owned(),
        '&' => "write `&&` or `and`".to_owned(),
        '|' => "write `||` or `or`".to_owned(),
        '%' => "write a fraction (0.05) or a number with a unit (5[%]); there is no modulo operator".to_owned(),
        '?' | ':' => "write `if(condition, then, else)`".to_owned(),
        '"' | '\'' | '`' => "write names without quotes".to_owned(),
        ';' => "separate arguments with `,`".to_owned(),
        ']' => "write the unit directly after its number, like `27[degC]`".to_owned(),
        '{' | '}' => "use `(` and `)`".to_owned(),
        _ => "an expression may contain numbers, names, + - * / ^, comparisons, `and or not`, ( ) and functions"
            .to_owned(),
    };
    ExprFault { code: "syntax", span, message: format!("`{}` is not expected here", c.escape_debug()), help }
}
