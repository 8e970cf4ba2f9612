//! Determines the names that expressions of a twin may use, and the units of derived signals.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::fault::ExprFault;
use super::program::Program;
use crate::config::{self, At, Change, Complaint, TwinSpec};
use crate::schema::{Role, Schema};
use crate::units::Unit;

/// The names that an expression may use.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Map from the name of a signal to its column and unit.
    pub signals: HashMap<String, (usize, Unit)>,
    /// Map from the name of a parameter to its value and unit.
    pub parameters: HashMap<String, (f64, Unit)>,
    /// Sample time in seconds, which expressions read as `dt`.
    pub dt: f64,
}

impl Scope {
    /// Creates a scope that contains all signals of a schema and no parameters.
    pub fn from_schema(schema: &Schema, dt: f64) -> Self {
        let signals = schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone()))).collect();
        Self { signals, parameters: HashMap::new(), dt }
    }

    /// Creates a scope that contains the signals and parameters of a twin, including parameter changes made by a
    /// scenario.
    ///
    /// A derived signal without a declared unit has the unit of its expression. The error states the first fault and
    /// its position in the file.
    pub fn new(
        spec: &TwinSpec,
        schema: &Schema,
        changes: &IndexMap<String, At<Change>>,
    ) -> std::result::Result<Self, Complaint> {
        let mut scope = Self { dt: spec.step.seconds(), ..Self::default() };
        if let Some((name, change)) = changes.iter().find(|(name, _)| !spec.parameters.contains_key(*name)) {
            return Err((format!("`{name}` is not a parameter of the twin"), change.span.clone()));
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
        let mut untyped = Vec::new();
        for (i, signal) in schema.signals.iter().enumerate() {
            let own = spec.signals.iter().find(|s| s.name.value == signal.name);
            match own.filter(|s| s.unit.is_none() && *s.role == Role::Derived).and_then(|s| s.expr.as_ref()) {
                Some(expr) => untyped.push(UntypedSignal { signal: i, name: &signal.name, expr }),
                None => {
                    scope.signals.insert(signal.name.clone(), (i, signal.unit.clone()));
                }
            }
        }
        match scope.infer_units(untyped).first() {
            None => Ok(scope),
            Some((signal, fault)) => {
                Err((format!("`{}`: {}; {}", signal.name, fault.message, fault.help), signal.expr.span.clone()))
            }
        }
    }

    /// Assigns to every derived signal the unit of its expression, in dependency order. Returns the signals whose
    /// expressions contain faults.
    pub(crate) fn infer_units<'a>(
        &mut self,
        mut untyped: Vec<UntypedSignal<'a>>,
    ) -> Vec<(UntypedSignal<'a>, ExprFault)> {
        loop {
            let mut left = Vec::new();
            let before = untyped.len();
            for signal in untyped {
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
            untyped = left.into_iter().map(|(signal, _)| signal).collect();
        }
    }
}

/// A derived signal whose unit is inferred from its expression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UntypedSignal<'a> {
    /// Column in the schema.
    pub signal: usize,
    pub name: &'a str,
    pub expr: &'a At<String>,
}

/// Returns the schema of a twin. Derived signals without a declared unit get the unit of their expression.
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
