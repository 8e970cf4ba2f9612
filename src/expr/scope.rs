//! The names of a twin, for its expressions; and the tag list with the units of derived signals.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{ExprFault, Program, Scope};
use crate::config::{self, At, Change, Complaint, TwinSpec};
use crate::schema::{Role, Schema};
use crate::units::Unit;

impl Scope {
    /// The signals and parameters of a twin, the parameters after a scenario's `changes`.
    ///
    /// A derived signal that declares no unit has the unit of its expression.
    /// Fails with the first thing that is wrong, and its place in the file.
    pub fn new(
        spec: &TwinSpec,
        schema: &Schema,
        changes: &IndexMap<String, At<Change>>,
    ) -> std::result::Result<Self, Complaint> {
        let mut scope = Self { dt: spec.step.seconds(), ..Self::default() };
        if let Some((name, change)) = changes.iter().find(|(name, _)| !spec.parameters.contains_key(*name)) {
            return Err((format!("`{name}` is no parameter of the twin"), change.span.clone()));
        }
        for (name, parameter) in &spec.parameters {
            let unit = match &parameter.value.unit {
                Some(text) => Unit::parse(text).map_err(|why| (why, text.span.clone()))?,
                None => Unit::one(),
            };
            let own = parameter.value.value.value;
            let value = changes.get(name).map_or(own, |change| change.apply(own));
            scope.parameters.insert(name.clone(), (value, unit));
        }
        let mut open = Vec::new();
        for (i, signal) in schema.signals.iter().enumerate() {
            let own = spec.signals.iter().find(|s| s.name.value == signal.name);
            match own.filter(|s| s.unit.is_none() && *s.role == Role::Derived).and_then(|s| s.expr.as_ref()) {
                Some(expr) => open.push(Open { signal: i, name: &signal.name, expr }),
                None => {
                    scope.signals.insert(signal.name.clone(), (i, signal.unit.clone()));
                }
            }
        }
        match scope.close(open).first() {
            None => Ok(scope),
            Some((left, fault)) => {
                Err((format!("`{}`: {}; {}", left.name, fault.message, fault.help), left.expr.span.clone()))
            }
        }
    }

    /// Gives every open signal the unit of its expression, in the order in which they depend on each other; returns
    /// those that have none, each with its fault.
    pub(crate) fn close<'a>(&mut self, mut open: Vec<Open<'a>>) -> Vec<(Open<'a>, ExprFault)> {
        loop {
            let mut left = Vec::new();
            let before = open.len();
            for signal in open {
                match Program::compile(signal.expr, self) {
                    Ok(program) => {
                        self.signals.insert(signal.name.to_owned(), (signal.signal, program.unit));
                    }
                    Err(fault) => left.push((signal, fault)),
                }
            }
            if left.is_empty() || left.len() == before {
                return left;
            }
            open = left.into_iter().map(|(signal, _)| signal).collect();
        }
    }
}

/// A derived signal whose unit is not known yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<'a> {
    /// Column in the schema.
    pub signal: usize,
    pub name: &'a str,
    pub expr: &'a At<String>,
}

/// The tag list of a twin, with the units of derived signals that declare none taken from their expressions.
pub fn schema(spec: &TwinSpec) -> std::result::Result<Arc<Schema>, Vec<Complaint>> {
    let plain = config::schema(spec)?;
    let scope = Scope::new(spec, &plain, &IndexMap::new()).map_err(|complaint| vec![complaint])?;
    let mut signals = plain.signals.clone();
    for signal in &mut signals {
        if let Some((_, unit)) = scope.signals.get(&signal.name) {
            signal.unit = unit.clone();
        }
    }
    Ok(Arc::new(Schema::new(signals)))
}
