//! The functions of the expression language.

/// A function that an expression may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `if(c, a, b)`: a if c is true (neither 0 nor NaN), else b.
    If,
    /// Smallest of two or more values.
    Min,
    /// Largest of two or more values.
    Max,
    Abs,
    /// `clip(x, low, high)`: x limited to the range from low to high.
    Clip,
    Exp,
    Ln,
    Sqrt,
    /// Sine of an angle in radians.
    Sin,
    Cos,
    Floor,
    /// Rounds to the nearest whole number, with ties away from zero.
    Round,
    /// `lag(x, n)`: the value of the signal x, n steps ago.
    Lag,
    /// `sum(x, n)`: the sum of the signal x over the previous n steps, for example to add up the orders that are still
    /// in transit.
    Sum,
}

/// Name, function, minimum and maximum numbers of arguments, and usage text.
const FUNCTIONS: [(&str, Function, usize, usize, &str); 14] = [
    ("if", Function::If, 3, 3, "if(condition, then, else)"),
    ("min", Function::Min, 2, usize::MAX, "min(a, b, ...)"),
    ("max", Function::Max, 2, usize::MAX, "max(a, b, ...)"),
    ("abs", Function::Abs, 1, 1, "abs(x)"),
    ("clip", Function::Clip, 3, 3, "clip(x, low, high)"),
    ("exp", Function::Exp, 1, 1, "exp(x)"),
    ("ln", Function::Ln, 1, 1, "ln(x)"),
    ("sqrt", Function::Sqrt, 1, 1, "sqrt(x)"),
    ("sin", Function::Sin, 1, 1, "sin(x)"),
    ("cos", Function::Cos, 1, 1, "cos(x)"),
    ("floor", Function::Floor, 1, 1, "floor(x)"),
    ("round", Function::Round, 1, 1, "round(x)"),
    ("lag", Function::Lag, 2, 2, "lag(signal, steps)"),
    ("sum", Function::Sum, 2, 2, "sum(signal, steps)"),
];

impl Function {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|f| f.0 == name).map(|f| f.1)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FUNCTIONS.iter().map(|f| f.0)
    }

    fn row(self) -> &'static (&'static str, Self, usize, usize, &'static str) {
        FUNCTIONS.iter().find(|f| f.1 == self).unwrap_or(&FUNCTIONS[0])
    }

    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its usage, for messages.
    pub(super) fn usage(self) -> &'static str {
        self.row().4
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::If => "the second argument if the condition is true (neither 0 nor missing), otherwise the third",
            Self::Min => "the smallest value",
            Self::Max => "the largest value",
            Self::Abs => "the absolute value",
            Self::Clip => "x limited to the range from low to high",
            Self::Exp => "the exponential function",
            Self::Ln => "the natural logarithm",
            Self::Sqrt => "the square root",
            Self::Sin => "the sine of an angle in radians",
            Self::Cos => "the cosine of an angle in radians",
            Self::Floor => "the argument, rounded down to a whole number",
            Self::Round => "the nearest whole number; ties are rounded away from zero",
            Self::Lag => "the value of a signal some steps ago",
            Self::Sum => "the sum of a signal over the previous steps",
        }
    }

    pub(super) fn takes(self, arguments: usize) -> bool {
        (self.row().2..=self.row().3).contains(&arguments)
    }
}

/// The usage and the meaning of every function.
pub fn functions() -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNCTIONS.iter().map(|f| (f.4, f.1.meaning()))
}
