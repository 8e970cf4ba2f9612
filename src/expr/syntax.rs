//! The parsed expression, and the parser.

use std::fmt;
use std::ops::Range;

use super::function::Function;
use super::lexer::{Token, Word, tokens};
use super::{ExprFault, nearest_help};
use crate::units::Unit;

/// Longest text, in bytes.
pub const LONGEST: usize = 16_384;
/// Deepest nesting of parentheses, calls, signs and powers.
pub const DEEPEST: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
}

/// A node; operands are indices of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    /// A number with a unit: `0.001[m]`.
    Quantity(f64, Unit),
    Name(String),
    Negate(usize),
    Not(usize),
    Binary(Binary, usize, usize),
    Call(Function, Vec<usize>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub kind: Kind,
    /// Byte range in the text, without surrounding parentheses.
    pub span: Range<usize>,
}

/// A parsed expression: syntax is right, names and units are not looked at yet.
///
/// Nodes are stored operands first, so that walking them takes a loop and no recursion. `Display` writes the expression
/// with the fewest parentheses; parsing that again gives the same nodes.
#[derive(Debug, Clone)]
pub struct Expression {
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
}

impl Expression {
    /// Parses `text`. Faults: `syntax`, `too-long`, `too-deep`, `unknown-function`, `unknown-unit`, `arity`.
    pub fn parse(text: &str) -> Result<Self, ExprFault> {
        if text.len() > LONGEST {
            return Err(ExprFault {
                code: "too-long",
                span: 0..0,
                message: format!("the expression is longer than {LONGEST} bytes"),
                help: "split it into derived signals".into(),
            });
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, nodes: Vec::new() };
        parser.expression(0, 0)?;
        let next = parser.peek().clone();
        match next.word {
            Word::End => Ok(Self { text: text.to_owned(), nodes: parser.nodes }),
            _ => Err(parser.trailing(&next)),
        }
    }

    /// Every signal or parameter name it uses, with its place, in the order of the text.
    pub fn names(&self) -> Vec<(&str, Range<usize>)> {
        let named = |n: &'_ Node| matches!(n.kind, Kind::Name(_));
        let mut out: Vec<_> = self.nodes.iter().filter(|n| named(n)).collect();
        out.sort_by_key(|n| n.span.start);
        out.into_iter()
            .filter_map(|n| match &n.kind {
                Kind::Name(name) if name != "dt" => Some((name.as_str(), n.span.clone())),
                _ => None,
            })
            .collect()
    }

    /// The text that it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether two expressions have the same nodes, wherever these stand in their texts.
    pub fn same(&self, other: &Self) -> bool {
        self.nodes.len() == other.nodes.len() && self.nodes.iter().zip(&other.nodes).all(|(a, b)| a.kind == b.kind)
    }
}

/// Binding strength of binary operators; `^` alone binds to the right.
fn strength(operator: &str) -> Option<(u8, Binary)> {
    Some(match operator {
        "||" => (1, Binary::Or),
        "&&" => (2, Binary::And),
        "<" => (COMPARE, Binary::Lt),
        "<=" => (COMPARE, Binary::Le),
        ">" => (COMPARE, Binary::Gt),
        ">=" => (COMPARE, Binary::Ge),
        "==" => (COMPARE, Binary::Eq),
        "!=" => (COMPARE, Binary::Ne),
        "+" => (5, Binary::Add),
        "-" => (5, Binary::Sub),
        "*" => (6, Binary::Mul),
        "/" => (6, Binary::Div),
        "^" => (POWER, Binary::Pow),
        _ => return None,
    })
}

const COMPARE: u8 = 4;
const SIGN: u8 = 7;
const POWER: u8 = 8;
const ATOM: u8 = 9;

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    nodes: Vec<Node>,
}

impl<'a> Parser<'a> {
    /// The next token; the last one (`End`) is never passed.
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at]
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn push(&mut self, kind: Kind, span: Range<usize>) -> usize {
        self.nodes.push(Node { kind, span });
        self.nodes.len() - 1
    }

    /// Precedence climbing (Richards 1979): operators of at least strength `least`. Returns the node and the range
    /// that it covers with its parentheses.
    fn expression(&mut self, least: u8, depth: usize) -> Result<(usize, Range<usize>), ExprFault> {
        if depth > DEEPEST {
            return Err(ExprFault {
                code: "too-deep",
                span: self.peek().span.clone(),
                message: format!("the expression nests deeper than {DEEPEST} levels"),
                help: "split it into derived signals".into(),
            });
        }
        let (mut left, mut covered) = self.operand(depth)?;
        loop {
            let token = self.peek().clone();
            let Word::Operator(operator) = token.word else { break };
            let Some((strength, binary)) = strength(operator).filter(|s| s.0 >= least) else { break };
            self.take();
            let right_least = if binary == Binary::Pow { POWER } else { strength + 1 };
            let (right, to) = self.expression(right_least, depth + 1)?;
            covered = covered.start..to.end;
            left = self.push(Kind::Binary(binary, left, right), covered.clone());
            let next = self.peek();
            if strength == COMPARE
                && matches!(next.word, Word::Operator(o) if self::strength(o).is_some_and(|s| s.0 == COMPARE))
            {
                return Err(ExprFault {
                    code: "syntax",
                    span: next.span.clone(),
                    message: "comparisons cannot be chained".into(),
                    help: "write `a < b and b < c`".into(),
                });
            }
        }
        Ok((left, covered))
    }

    fn operand(&mut self, depth: usize) -> Result<(usize, Range<usize>), ExprFault> {
        let token = self.take();
        let span = token.span.clone();
        let node = match token.word {
            Word::Number(value) => return self.number(value, span),
            Word::Name(name) if self.peek().word == Word::Open => return self.call(name, span, depth),
            Word::Name(name) => self.push(Kind::Name(name.to_owned()), span.clone()),
            Word::Open => {
                let (node, _) = self.expression(0, depth + 1)?;
                let close = self.close(&span, "the parenthesis")?;
                return Ok((node, span.start..close.end));
            }
            Word::Operator("+") => return self.expression(SIGN, depth + 1),
            Word::Operator(operator @ ("-" | "!" | "not")) => {
                let least = if operator == "not" { COMPARE } else { SIGN };
                let (of, to) = self.expression(least, depth + 1)?;
                let kind = if operator == "-" { Kind::Negate(of) } else { Kind::Not(of) };
                let span = span.start..to.end;
                return Ok((self.push(kind, span.clone()), span));
            }
            Word::End => {
                return Err(syntax(span, "the expression ends too early", "a name, number or `(` is missing here"));
            }
            Word::Operator(operator) => {
                let help = "an operator stands between two values: complete or remove it";
                return Err(syntax(span, format!("`{operator}` has no value on its left"), help));
            }
            Word::Close => return Err(syntax(span, "`)` closes nothing, or an empty pair", "remove it")),
            Word::Comma => {
                return Err(syntax(span, "a value is missing before `,`", "give the argument or remove `,`"));
            }
            Word::Unit(_) => {
                return Err(syntax(span, "a unit needs its number", "write the number first, like `27[degC]`"));
            }
        };
        Ok((node, span))
    }

    fn number(&mut self, value: f64, span: Range<usize>) -> Result<(usize, Range<usize>), ExprFault> {
        let next = self.peek().clone();
        if let Word::Unit(text) = next.word {
            self.take();
            let unit = Unit::parse(text).map_err(|message| ExprFault {
                code: "unknown-unit",
                span: next.span.clone(),
                message,
                help: "write a known unit in the brackets, like `0.001[m]`".into(),
            })?;
            let span = span.start..next.span.end;
            return Ok((self.push(Kind::Quantity(value, unit), span.clone()), span));
        }
        Ok((self.push(Kind::Number(value), span.clone()), span))
    }

    fn call(&mut self, name: &str, span: Range<usize>, depth: usize) -> Result<(usize, Range<usize>), ExprFault> {
        let Some(function) = Function::named(name) else {
            let other = [
                ("log", "ln"),
                ("pow", "^"),
                ("mean", "a kpi"),
                ("clamp", "clip"),
                ("iff", "if"),
                ("ceil", "-floor(-x)"),
            ];
            let help = match other.iter().find(|o| o.0 == name.to_lowercase()) {
                Some((_, "^")) => "write `x^n`".to_owned(),
                Some((_, "a kpi")) => "a mean over time is a KPI: `name = { mean = \"...\" }`".to_owned(),
                Some((_, o)) => format!("did you mean `{o}`?"),
                None => nearest_help(name, Function::names(), "functions"),
            };
            let message = format!("`{name}` is not a function");
            return Err(ExprFault { code: "unknown-function", span, message, help });
        };
        let open = self.take().span;
        let mut arguments = Vec::new();
        if self.peek().word != Word::Close {
            loop {
                arguments.push(self.expression(0, depth + 1)?.0);
                if self.peek().word != Word::Comma {
                    break;
                }
                self.take();
            }
        }
        let close = self.close(&open, &format!("the parenthesis of `{name}`"))?;
        let span = span.start..close.end;
        if !function.takes(arguments.len()) {
            let n = arguments.len();
            return Err(ExprFault {
                code: "arity",
                span,
                message: format!("`{name}` does not take {}", crate::error::plural(n, "argument")),
                help: format!("write `{}`", function.usage()),
            });
        }
        Ok((self.push(Kind::Call(function, arguments), span.clone()), span))
    }

    /// The `)` of the `(` at `open`.
    fn close(&mut self, open: &Range<usize>, what: &str) -> Result<Range<usize>, ExprFault> {
        let next = self.peek().clone();
        match next.word {
            Word::Close => Ok(self.take().span),
            Word::End => Err(syntax(open.clone(), format!("{what} is not closed"), "add `)`")),
            Word::Comma => Err(syntax(next.span, "`,` separates arguments of functions only", "remove it")),
            _ => Err(self.trailing(&next)),
        }
    }

    /// Something stands where an operator should.
    fn trailing(&self, token: &Token) -> ExprFault {
        let (message, help) = match token.word {
            Word::Close => ("`)` closes nothing", "remove it, or add the `(`"),
            Word::Comma => ("`,` separates arguments of functions only", "remove it; decimals have a point: `0.5`"),
            Word::Unit(_) => ("only a number can be given a unit", "signals and parameters have their own; remove it"),
            _ => ("an operator is missing before this", "write it out: `2 * x`"),
        };
        syntax(token.span.clone(), message, help)
    }
}

fn syntax(span: Range<usize>, message: impl Into<String>, help: &str) -> ExprFault {
    ExprFault { code: "syntax", span, message: message.into(), help: help.into() }
}

impl Binary {
    fn written(self) -> (u8, &'static str) {
        match self {
            Self::Or => (1, " or "),
            Self::And => (2, " and "),
            Self::Lt => (COMPARE, " < "),
            Self::Le => (COMPARE, " <= "),
            Self::Gt => (COMPARE, " > "),
            Self::Ge => (COMPARE, " >= "),
            Self::Eq => (COMPARE, " == "),
            Self::Ne => (COMPARE, " != "),
            Self::Add => (5, " + "),
            Self::Sub => (5, " - "),
            Self::Mul => (6, " * "),
            Self::Div => (6, " / "),
            Self::Pow => (POWER, "^"),
        }
    }

    /// As in messages: `+`.
    pub(super) fn symbol(self) -> &'static str {
        self.written().1.trim()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every node is the operand of one later node, so its text can be moved there.
        let mut texts: Vec<(u8, String)> = Vec::with_capacity(self.nodes.len());
        let wrapped = |part: &mut (u8, String), least: u8| {
            let text = std::mem::take(&mut part.1);
            if part.0 < least { format!("({text})") } else { text }
        };
        for node in &self.nodes {
            let text = match &node.kind {
                Kind::Number(v) => (ATOM, format!("{v:?}")),
                Kind::Quantity(v, unit) => (ATOM, format!("{v:?}[{unit}]")),
                Kind::Name(name) => (ATOM, name.clone()),
                Kind::Negate(a) => (SIGN, format!("-{}", wrapped(&mut texts[*a], SIGN))),
                Kind::Not(a) => (SIGN, format!("!{}", wrapped(&mut texts[*a], SIGN))),
                Kind::Binary(operator, a, b) => {
                    let (strength, written) = operator.written();
                    let (left, right) = match operator {
                        Binary::Pow => (ATOM, SIGN),
                        _ if strength == COMPARE => (COMPARE + 1, COMPARE + 1),
                        _ => (strength, strength + 1),
                    };
                    let mut text = wrapped(&mut texts[*a], left);
                    text.push_str(written);
                    text.push_str(&wrapped(&mut texts[*b], right));
                    (strength, text)
                }
                Kind::Call(function, arguments) => {
                    let list: Vec<String> = arguments.iter().map(|a| wrapped(&mut texts[*a], 0)).collect();
                    (ATOM, format!("{}({})", function.name(), list.join(", ")))
                }
            };
            texts.push(text);
        }
        f.write_str(texts.last().map_or("", |t| &t.1))
    }
}
