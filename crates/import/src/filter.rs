//! Row filters such as `sku == 'A12' and line == 2`.

use polars::prelude::*;

use crate::error::{Error, Result};
use crate::number::{self, Decimal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Text(String),
    Number(f64),
}

/// One comparison of a column with a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub column: String,
    comparison: Comparison,
    literal: Literal,
}

/// Parses comparisons joined by `and`.
///
/// # Errors
/// [`Error::Usage`] if a part of the text cannot be parsed; the message quotes this part.
pub fn parse(text: &str) -> Result<Vec<Condition>> {
    let bad = |what: &str| {
        let text = format!(
            "--where `{text}`: {what}; write comparisons with ==, !=, <, <=, > or >=, joined by `and`, such as \
             \"sku == 'A12' and line == 2\""
        );
        Error::Usage(text)
    };
    let mut rest = text.trim();
    let mut out = Vec::new();
    loop {
        let (column, after) = word(rest).ok_or_else(|| bad("a column name is missing"))?;
        let after = after.trim_start();
        const SIGNS: [(&str, Comparison); 7] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessEqual),
            (">=", Comparison::GreaterEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ];
        let (sign, comparison) = SIGNS
            .into_iter()
            .find(|(sign, _)| after.starts_with(sign))
            .ok_or_else(|| bad(&format!("there is no comparison after `{}`", column.0)))?;
        let (value, after) = word(after[sign.len()..].trim_start()).ok_or_else(|| bad("a value is missing"))?;
        let literal = match value.0.parse::<f64>() {
            Ok(number) if !value.1 && number.is_finite() => Literal::Number(number),
            _ if value.1 => Literal::Text(value.0),
            _ => return Err(bad(&format!("the text `{}` must be in quotes", value.0))),
        };
        if matches!(literal, Literal::Text(_)) && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            return Err(bad("texts can be compared only with == and !="));
        }
        out.push(Condition { column: column.0, comparison, literal });
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(out);
        }
        rest = rest
            .strip_prefix("and ")
            .or_else(|| rest.strip_prefix("AND "))
            .or_else(|| rest.strip_prefix("&&"))
            .ok_or_else(|| bad(&format!("`{rest}` follows a comparison")))?
            .trim_start();
    }
}

/// Splits a text after its first word. Returns the word, whether the word was quoted, and the rest of the text.
fn word(text: &str) -> Option<((String, bool), &str)> {
    let first = text.chars().next()?;
    if matches!(first, '\'' | '"' | '`') {
        let end = text[1..].find(first)?;
        return Some(((text[1..=end].to_owned(), true), &text[end + 2..]));
    }
    let end = text.find(|c: char| c.is_whitespace() || "=!<>&".contains(c)).unwrap_or(text.len());
    (end > 0).then(|| ((text[..end].to_owned(), false), &text[end..]))
}

impl Condition {
    /// Whether a text satisfies the condition. A number in quotes is compared as text.
    pub fn text(&self, text: &str) -> bool {
        match &self.literal {
            Literal::Text(literal) => (text.trim() == literal) == (self.comparison == Comparison::Equal),
            Literal::Number(_) => {
                let value = number::number(text, Decimal::Point).or_else(|| number::number(text, Decimal::Comma));
                value.is_some_and(|v| self.number(v))
            }
        }
    }

    /// The text that the column must equal, if the condition is an equality.
    pub fn asked_text(&self) -> Option<&str> {
        match (&self.literal, self.comparison) {
            (Literal::Text(text), Comparison::Equal) => Some(text),
            _ => None,
        }
    }

    fn number(&self, value: f64) -> bool {
        let Literal::Number(literal) = self.literal else { return false };
        match self.comparison {
            Comparison::Equal => value == literal,
            Comparison::NotEqual => value != literal,
            Comparison::Less => value < literal,
            Comparison::LessEqual => value <= literal,
            Comparison::Greater => value > literal,
            Comparison::GreaterEqual => value >= literal,
        }
    }

    /// The condition as a polars expression, or `None` if the expression would have a different meaning for this column
    /// type.
    pub fn pushed_down(&self, data_type: &DataType) -> Option<Expr> {
        let column = col(self.column.as_str());
        let value = match (&self.literal, data_type) {
            (Literal::Text(text), DataType::String) => lit(text.as_str()),
            (Literal::Number(number), t) if t.is_primitive_numeric() => lit(*number),
            _ => return None,
        };
        let value = match data_type {
            DataType::String => value,
            _ => value.cast(DataType::Float64),
        };
        let column = if data_type == &DataType::String { column } else { column.cast(DataType::Float64) };
        Some(match self.comparison {
            Comparison::Equal => column.eq(value),
            Comparison::NotEqual => column.neq(value),
            Comparison::Less => column.lt(value),
            Comparison::LessEqual => column.lt_eq(value),
            Comparison::Greater => column.gt(value),
            Comparison::GreaterEqual => column.gt_eq(value),
        })
    }

    /// The rows of `frame` that satisfy the condition. A null satisfies no condition.
    pub fn rows(&self, frame: &DataFrame) -> PolarsResult<Vec<bool>> {
        let column = frame.column(&self.column)?.as_materialized_series();
        Ok(match (&self.literal, column.dtype()) {
            (_, DataType::String) => column.str()?.iter().map(|t| t.is_some_and(|t| self.text(t))).collect(),
            (Literal::Number(_), _) => {
                let numbers = column.cast(&DataType::Float64)?;
                numbers.f64()?.iter().map(|v| v.is_some_and(|v| self.number(v))).collect()
            }
            (Literal::Text(_), _) => {
                let texts = column.cast(&DataType::String)?;
                texts.str()?.iter().map(|t| t.is_some_and(|t| self.text(t))).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_parsed_and_applied() {
        let conditions = parse("sku == 'A 12' and `line no`>=2&&x!=\"and\"").unwrap();
        assert_eq!(conditions.iter().map(|c| c.column.as_str()).collect::<Vec<_>>(), ["sku", "line no", "x"]);
        assert!(conditions[0].text("A 12") && !conditions[0].text("A12"));
        assert!(conditions[1].text("2,0") && conditions[1].text("10") && !conditions[1].text("1.9"));
        assert!(conditions[2].text("or") && !conditions[2].text("and"));
        for bad in ["", "sku", "sku == ", "sku == A12", "sku < 'A'", "a == 1 or b == 2", "a == 'x"] {
            assert!(matches!(parse(bad), Err(Error::Usage(_))), "{bad}");
        }
    }
}
