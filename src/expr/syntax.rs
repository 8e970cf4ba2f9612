//! Parsed expressions and their parser.

use std::fmt;
use std::ops::Range;

use super::fault::{ExprFault, nearest_help};
use super::function::Function;
use super::lexer::{Token, TokenKind, tokens};
use crate::units::Unit;

/// Maximum length of an expression in bytes (not tuned).
pub const MAX_LENGTH: usize = 16_384;
/// Maximum nesting depth of parentheses, calls, signs and powers, which limits the recursion of the parser (not tuned).
pub const MAX_DEPTH: usize = 100;

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

/// An operation or a leaf. Operands are indices of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeKind {
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
    pub kind: NodeKind,
    /// Byte range of the node in the text, without surrounding parentheses.
    pub span: Range<usize>,
}

/// A parsed expression. The syntax of a parsed expression is correct, but its names and units have not been checked.
///
/// Every node is stored after its operands, so a loop can visit the nodes without recursion. `Display` writes the
/// expression with as few parentheses as possible. Parsing the displayed text gives the same nodes.
#[derive(Debug, Clone)]
pub struct Expression {
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
}

impl Expression {
    /// Parses `text`. Possible faults: `syntax`, `too-long`, `too-deep`, `unknown-function`, `unknown-unit`, `arity`.
    pub fn parse(text: &str) -> Result<Self, ExprFault> {
        if text.len() > MAX_LENGTH {
            return Err(ExprFault {
                code: "too-long",
                span: 0..0,
                message: format!("the expression is longer than {MAX_LENGTH} bytes"),
                help: "split the expression into derived signals".into(),
            });
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, nodes: Vec::new() };
        parser.expression(0, 0)?;
        let next = parser.peek().clone();
        match next.kind {
            TokenKind::End => Ok(Self { text: text.to_owned(), nodes: parser.nodes }),
            _ => Err(parser.trailing(&next)),
        }
    }

    /// The texts of the operands that can determine the value, if the expression is limited by `clip`, `min`, `max` or
    /// `if`; otherwise, the list is empty. Nested limits are resolved.
    pub fn limited_operands(&self) -> Vec<&str> {
        let (mut found, mut open) = (Vec::new(), vec![self.nodes.len().saturating_sub(1)]);
        let mut is_limited = false;
        while let Some(node) = open.pop().and_then(|at| self.nodes.get(at)) {
            match &node.kind {
                NodeKind::Call(Function::Clip | Function::Min | Function::Max, operands) => open.extend(operands),
                NodeKind::Call(Function::If, operands) => open.extend(operands.iter().skip(1)),
                _ => {
                    found.extend(self.text.get(node.span.clone()));
                    continue;
                }
            }
            is_limited = true;
        }
        if is_limited { found } else { Vec::new() }
    }

    /// The names of signals and parameters in the expression, in textual order, with their byte ranges.
    #[cfg(test)]
    pub fn names(&self) -> Vec<(&str, Range<usize>)> {
        let is_name = |n: &'_ Node| matches!(n.kind, NodeKind::Name(_));
        let mut out: Vec<_> = self.nodes.iter().filter(|n| is_name(n)).collect();
        out.sort_by_key(|n| n.span.start);
        out.into_iter()
            .filter_map(|n| match &n.kind {
                NodeKind::Name(name) if name != "dt" => Some((name.as_str(), n.span.clone())),
                _ => None,
            })
            .collect()
    }

    /// Whether two expressions have the same nodes, even if they are written differently.
    #[cfg(test)]
    pub fn same(&self, other: &Self) -> bool {
        self.nodes.len() == other.nodes.len() && self.nodes.iter().zip(&other.nodes).all(|(a, b)| a.kind == b.kind)
    }
}

/// Precedence of a binary operator. Only `^` is right-associative.
fn precedence(operator: &str) -> Option<(u8, Binary)> {
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
    /// The next token.
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at]
    }

    /// Returns the next token and advances, but never beyond the final `End` token.
    fn take(&mut self) -> Token<'a> {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn push(&mut self, kind: NodeKind, span: Range<usize>) -> usize {
        self.nodes.push(Node { kind, span });
        self.nodes.len() - 1
    }

    /// Parses an expression whose binary operators have at least the precedence `min_precedence`, by precedence
    /// climbing (Richards 1979). Returns the node and its byte range in the text, including parentheses.
    fn expression(&mut self, min_precedence: u8, depth: usize) -> Result<(usize, Range<usize>), ExprFault> {
        if depth > MAX_DEPTH {
            return Err(ExprFault {
                code: "too-deep",
                span: self.peek().span.clone(),
                message: format!("the expression is nested more than {MAX_DEPTH} levels deep"),
                help: "split the expression into derived signals".into(),
            });
        }
        let (mut left, mut covered) = self.operand(depth)?;
        loop {
            let token = self.peek().clone();
            let TokenKind::Operator(operator) = token.kind else { break };
            let Some((precedence, binary)) = precedence(operator).filter(|s| s.0 >= min_precedence) else { break };
            self.take();
            let right_precedence = if binary == Binary::Pow { POWER } else { precedence + 1 };
            let (right, right_span) = self.expression(right_precedence, depth + 1)?;
            covered = covered.start..right_span.end;
            left = self.push(NodeKind::Binary(binary, left, right), covered.clone());
            let next = self.peek();
            if precedence == COMPARE
                && matches!(next.kind, TokenKind::Operator(o) if self::precedence(o).is_some_and(|s| s.0 == COMPARE))
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
        let node = match token.kind {
            TokenKind::Number(value) => return self.number(value, span),
            TokenKind::Name(name) if self.peek().kind == TokenKind::Open => return self.call(name, span, depth),
            TokenKind::Name(name) => self.push(NodeKind::Name(name.to_owned()), span.clone()),
            TokenKind::Open => {
                let (node, _) = self.expression(0, depth + 1)?;
                let close = self.close(&span, "the parenthesis")?;
                return Ok((node, span.start..close.end));
            }
            TokenKind::Operator("+") => return self.expression(SIGN, depth + 1),
            TokenKind::Operator(operator @ ("-" | "!" | "not")) => {
                let min_precedence = if operator == "not" { COMPARE } else { SIGN };
                let (operand, operand_span) = self.expression(min_precedence, depth + 1)?;
                let kind = if operator == "-" { NodeKind::Negate(operand) } else { NodeKind::Not(operand) };
                let span = span.start..operand_span.end;
                return Ok((self.push(kind, span.clone()), span));
            }
            TokenKind::End => {
                return Err(syntax(span, "the expression is incomplete", "add a name, a number or `(` here"));
            }
            TokenKind::Operator(operator) => {
                let help = "write an operand on both sides of the operator, or remove the operator";
                return Err(syntax(span, format!("`{operator}` has no left operand"), help));
            }
            TokenKind::Close => {
                return Err(syntax(span, "`)` has no matching `(`, or the parentheses are empty", "remove it"));
            }
            TokenKind::Comma => {
                return Err(syntax(span, "a value is missing before `,`", "add the argument or remove `,`"));
            }
            TokenKind::Unit(_) => {
                return Err(syntax(
                    span,
                    "a unit needs a preceding number",
                    "write the number first, as in `27[degC]`",
                ));
            }
        };
        Ok((node, span))
    }

    fn number(&mut self, value: f64, span: Range<usize>) -> Result<(usize, Range<usize>), ExprFault> {
        let next = self.peek().clone();
        if let TokenKind::Unit(text) = next.kind {
            self.take();
            let unit = Unit::parse(text).map_err(|message| ExprFault {
                code: "unknown-unit",
                span: next.span.clone(),
                message,
                help: "write a known unit in the brackets, as in `0.001[m]`".into(),
            })?;
            let span = span.start..next.span.end;
            return Ok((self.push(NodeKind::Quantity(value, unit), span.clone()), span));
        }
        Ok((self.push(NodeKind::Number(value), span.clone()), span))
    }

    fn call(&mut self, name: &str, span: Range<usize>, depth: usize) -> Result<(usize, Range<usize>), ExprFault> {
        let Some(function) = Function::from_name(name) else {
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
        if self.peek().kind != TokenKind::Close {
            loop {
                arguments.push(self.expression(0, depth + 1)?.0);
                if self.peek().kind != TokenKind::Comma {
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
                message: format!("`{name}` does not take {}", crate::error::plural(n, "argument", "arguments")),
                help: format!("write `{}`", function.usage()),
            });
        }
        Ok((self.push(NodeKind::Call(function, arguments), span.clone()), span))
    }

    /// Parses the `)` that matches the `(` at `open`.
    fn close(&mut self, open: &Range<usize>, what: &str) -> Result<Range<usize>, ExprFault> {
        let next = self.peek().clone();
        match next.kind {
            TokenKind::Close => Ok(self.take().span),
            TokenKind::End => Err(syntax(open.clone(), format!("{what} has no matching `)`"), "add `)`")),
            TokenKind::Comma => {
                Err(syntax(next.span, "`,` is only allowed between the arguments of a function", "remove it"))
            }
            _ => Err(self.trailing(&next)),
        }
    }

    /// Returns the fault for a token that appears where only an operator is valid.
    fn trailing(&self, token: &Token) -> ExprFault {
        let (message, help) = match token.kind {
            TokenKind::Close => ("`)` has no matching `(`", "remove `)`, or add `(`"),
            TokenKind::Comma => (
                "`,` is only allowed between the arguments of a function",
                "remove the comma; the decimal separator is a point, as in `0.5`",
            ),
            TokenKind::Unit(_) => {
                ("only a number can have a unit here", "remove the unit; names have the units declared in twin.toml")
            }
            _ => ("an operator is missing before this text", "write multiplication as `2 * x`"),
        };
        syntax(token.span.clone(), message, help)
    }
}

fn syntax(span: Range<usize>, message: impl Into<String>, help: &str) -> ExprFault {
    ExprFault { code: "syntax", span, message: message.into(), help: help.into() }
}

impl Binary {
    /// Returns the precedence of the operator and its text.
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

    /// Returns the operator's symbol without surrounding spaces, for messages.
    pub(super) fn symbol(self) -> &'static str {
        self.written().1.trim()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // every node is an operand of exactly one later node, which can therefore take the operand's text without
        // copying it
        let mut texts: Vec<(u8, String)> = Vec::with_capacity(self.nodes.len());
        let wrapped = |part: &mut (u8, String), min_precedence: u8| {
            let text = std::mem::take(&mut part.1);
            if part.0 < min_precedence { format!("({text})") } else { text }
        };
        for node in &self.nodes {
            let text = match &node.kind {
                NodeKind::Number(v) => (ATOM, format!("{v:?}")),
                NodeKind::Quantity(v, unit) => (ATOM, format!("{v:?}[{unit}]")),
                NodeKind::Name(name) => (ATOM, name.clone()),
                NodeKind::Negate(a) => (SIGN, format!("-{}", wrapped(&mut texts[*a], SIGN))),
                NodeKind::Not(a) => (SIGN, format!("!{}", wrapped(&mut texts[*a], SIGN))),
                NodeKind::Binary(operator, a, b) => {
                    let (precedence, written) = operator.written();
                    let (left, right) = match operator {
                        Binary::Pow => (ATOM, SIGN),
                        _ if precedence == COMPARE => (COMPARE + 1, COMPARE + 1),
                        _ => (precedence, precedence + 1),
                    };
                    let mut text = wrapped(&mut texts[*a], left);
                    text.push_str(written);
                    text.push_str(&wrapped(&mut texts[*b], right));
                    (precedence, text)
                }
                NodeKind::Call(function, arguments) => {
                    let list: Vec<String> = arguments.iter().map(|a| wrapped(&mut texts[*a], 0)).collect();
                    (ATOM, format!("{}({})", function.name(), list.join(", ")))
                }
            };
            texts.push(text);
        }
        f.write_str(texts.last().map_or("", |t| &t.1))
    }
}
