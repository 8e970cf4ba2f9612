//! Affine functions of the variables of a mixed-integer program.

/// An affine function of the variables of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Form {
    pub constant: f64,
    /// Pairs (variable, coefficient), in ascending order of the variables.
    pub(super) terms: Vec<(usize, f64)>,
    /// Difference between the constant in each simulated future and `constant`: `[futures]`. Empty if the function is
    /// the same in all futures.
    pub spread: Vec<f64>,
}

impl Form {
    pub fn constant(constant: f64) -> Self {
        Self { constant, ..Self::default() }
    }

    pub fn variable(variable: usize, coefficient: f64) -> Self {
        Self { terms: vec![(variable, coefficient)], ..Self::default() }
    }

    pub fn is_constant(&self) -> bool {
        self.terms.is_empty()
    }

    /// Number of variables on which the function depends.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// `factor_a` a + `factor_b` b.
    pub fn sum(a: &Self, factor_a: f64, b: &Self, factor_b: f64) -> Self {
        let mut terms = Vec::with_capacity(a.terms.len() + b.terms.len());
        let (mut left, mut right) = (a.terms.iter().peekable(), b.terms.iter().peekable());
        loop {
            let (variable, coefficient) = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(&&(i, v)), Some(&&(j, w))) if i == j => {
                    left.next();
                    right.next();
                    (i, factor_a * v + factor_b * w)
                }
                (Some(&&(i, v)), other) if other.is_none_or(|o| i < o.0) => {
                    left.next();
                    (i, factor_a * v)
                }
                (_, Some(&&(j, w))) => {
                    right.next();
                    (j, factor_b * w)
                }
                (Some(_), None) => break,
            };
            if coefficient != 0.0 {
                terms.push((variable, coefficient));
            }
        }
        let constant = factor_a * a.constant + factor_b * b.constant;
        Self { constant, terms, spread: spread_of_sum(&a.spread, factor_a, &b.spread, factor_b) }
    }

    pub fn scaled(&self, factor: f64) -> Self {
        Self::sum(self, factor, &Self::default(), 0.0)
    }

    /// Adds `factor` times `other`.
    pub fn add(&mut self, other: &Self, factor: f64) {
        *self = Self::sum(self, 1.0, other, factor);
    }

    /// The value of the function for the given values of the variables.
    pub fn value(&self, values: &[f64]) -> f64 {
        self.constant + self.terms.iter().map(|(i, v)| v * values[*i]).sum::<f64>()
    }

    /// The function averaged over the futures.
    pub fn expected(&self) -> Self {
        Self { spread: Vec::new(), ..self.clone() }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.constant.is_finite() && self.terms.iter().all(|t| t.1.is_finite())
    }
}

fn spread_of_sum(a: &[f64], factor_a: f64, b: &[f64], factor_b: f64) -> Vec<f64> {
    match (a, b) {
        ([], []) => Vec::new(),
        (a, []) => a.iter().map(|v| factor_a * v).collect(),
        ([], b) => b.iter().map(|v| factor_b * v).collect(),
        (a, b) => a.iter().zip(b).map(|(a, b)| factor_a * a + factor_b * b).collect(),
    }
}
