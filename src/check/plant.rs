//! What the checks know of a plant: its names and units as far as they are in order, and its log's columns.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;

use super::faults::{Faults, suggest};
use super::log::LogFacts;
use crate::config::{At, Change, Loaded, SignalSpec, TwinSpec, inner_place};
use crate::error::nearest;
use crate::expr::{Open, Program, Scope};
use crate::schema::Role;
use crate::units::Unit;

/// A twin file ready to be checked, and to check scenarios against.
#[derive(Clone)]
pub struct Plant<'a> {
    pub file: &'a Loaded<TwinSpec>,
    pub(super) log: Arc<LogFacts>,
    /// The first signal of each name.
    pub(super) signals: IndexMap<&'a str, &'a SignalSpec>,
    pub(super) scope: Scope,
    /// Names whose unit is at fault: what follows from it is not reported again.
    unsure: HashSet<String>,
    /// Units of KPIs, as far as they are in order.
    pub(super) kpis: HashMap<String, Unit>,
}

/// Whose text an expression is, for messages.
pub(super) struct Wanted<'u> {
    pub what: String,
    /// The unit that the value must fit; any where absent.
    pub unit: Option<&'u Unit>,
}

impl<'a> Plant<'a> {
    /// Reads the log's columns and time span (not its values) beside the twin file.
    pub fn new(file: &'a Loaded<TwinSpec>) -> Self {
        let spec = &file.value;
        let mut plant = Self {
            file,
            log: Arc::new(LogFacts::read(file)),
            signals: IndexMap::new(),
            scope: Scope { dt: spec.step.seconds(), ..Scope::default() },
            unsure: HashSet::new(),
            kpis: HashMap::new(),
        };
        let mut open = Vec::new();
        for (i, signal) in spec.signals.iter().enumerate() {
            if plant.signals.contains_key(signal.name.as_str()) {
                continue;
            }
            plant.signals.insert(&signal.name, signal);
            let expr = signal.expr.as_ref().filter(|_| *signal.role == Role::Derived && signal.unit.is_none());
            if let Some(expr) = expr {
                open.push(Open { signal: i, name: &signal.name, expr });
                continue;
            }
            let unit = signal.unit.as_ref().map_or_else(|| Ok(Unit::one()), |u| Unit::parse(u));
            let unit = unit.unwrap_or_else(|_| {
                plant.unsure.insert(signal.name.value.clone());
                Unit::one()
            });
            plant.scope.signals.insert(signal.name.value.clone(), (i, unit));
        }
        for (name, parameter) in &spec.parameters {
            let unit = parameter.unit.as_ref().map_or_else(|| Ok(Unit::one()), |u| Unit::parse(u));
            let unit = unit.unwrap_or_else(|_| {
                plant.unsure.insert(name.clone());
                Unit::one()
            });
            plant.scope.parameters.insert(name.clone(), (*parameter.value.value, unit));
        }
        let left: Vec<Open<'_>> = plant.scope.close(open).into_iter().map(|(signal, _)| signal).collect();
        for signal in left {
            plant.unsure.insert(signal.name.to_owned());
            plant.scope.signals.insert(signal.name.to_owned(), (signal.signal, Unit::one()));
        }
        for (name, kpi) in &spec.kpi {
            if let Some(unit) = super::kpi::unit(kpi, &plant) {
                plant.kpis.insert(name.clone(), unit);
            }
        }
        plant
    }

    /// The plant with the parameters that a scenario changes.
    pub(super) fn with(&self, changes: &IndexMap<String, At<Change>>) -> Self {
        let mut plant = self.clone();
        for (name, change) in changes {
            if let Some((value, _)) = plant.scope.parameters.get_mut(name) {
                *value = change.apply(*value);
            }
        }
        plant
    }

    pub(super) fn spec(&self) -> &'a TwinSpec {
        &self.file.value
    }

    /// Unit of a signal, if it is in order.
    pub(super) fn unit(&self, signal: &str) -> Option<&Unit> {
        if self.unsure.contains(signal) {
            return None;
        }
        self.scope.signals.get(signal).map(|(_, unit)| unit)
    }

    /// Whether an expression reads a name whose unit is at fault.
    pub(super) fn is_unsure(&self, expr: &str) -> bool {
        expr.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|n| self.unsure.contains(n) || self.file.damage.names.contains(n))
    }

    /// Names of the signals with one of `roles`.
    pub(super) fn names_of(&self, roles: &[Role]) -> Vec<&'a str> {
        self.signals.iter().filter(|(_, s)| roles.contains(&s.role)).map(|(name, _)| *name).collect()
    }

    /// The signal called `name`, which must have one of `roles`; else a fault at `place`.
    pub(super) fn expect<T>(
        &self,
        faults: &mut Faults<'_, T>,
        name: &str,
        place: &Range<usize>,
        roles: &[Role],
        wanted: &str,
    ) -> Option<&'a SignalSpec> {
        let found = self.signals.get(name).copied();
        let known = self.names_of(roles);
        match found {
            Some(signal) if roles.contains(&signal.role) => return Some(signal),
            Some(signal) => {
                let help = format!("{wanted} is wanted here: {}", choices(name, &known));
                faults.add("wrong-role", place, format!("`{name}` is {}", role_name(*signal.role)), help);
            }
            None if faults.is_lost(name) || self.file.damage.names.contains(name) => {}
            None if self.spec().parameters.contains_key(name) => {
                let help = format!("{wanted} is wanted here: {}", choices(name, &known));
                faults.add("wrong-role", place, format!("`{name}` is a parameter"), help);
            }
            None => {
                let all: Vec<&str> = self.signals.keys().copied().collect();
                // A typing error is nearer to its own role; any other signal is told with the role it has.
                let help = match (nearest(name, known.iter().copied()), nearest(name, all.iter().copied())) {
                    (None, Some(other)) => format!("did you mean `{other}`? {wanted} is wanted here"),
                    _ => suggest(name, known.iter().copied()),
                };
                faults.add("unknown-signal", place, format!("there is no signal `{name}`"), help);
            }
        }
        None
    }

    /// Compiles an expression; a fault is reported at its place inside the quotes.
    pub(super) fn expression<T>(
        &self,
        faults: &mut Faults<'_, T>,
        expr: &At<String>,
        wanted: &Wanted<'_>,
    ) -> Option<Program> {
        let lost = |name: &str| faults.is_lost(name) || self.file.damage.names.contains(name);
        let unsure = self.is_unsure(expr);
        match Program::compile(expr, &self.scope) {
            Ok(program) => {
                let unit = wanted.unit.filter(|_| !unsure);
                match unit.map(|unit| program.clone().in_unit(unit)) {
                    Some(Err(why)) => {
                        let help = format!(
                            "change the expression so that it is in `{}`, or correct the units of the signals in it",
                            unit.map_or("", |u| &u.text)
                        );
                        faults.add("unit-mismatch", &expr.span, format!("{}: {why}", wanted.what), help);
                        None
                    }
                    _ => Some(program),
                }
            }
            Err(fault) => {
                let name = expr.get(fault.span.clone()).unwrap_or("");
                let follows =
                    if fault.code == "unknown-name" { lost(name) } else { fault.code == "unit-mismatch" && unsure };
                if !follows {
                    let place = inner_place(faults.text(), &expr.span, &fault.span);
                    faults.add(fault.code, &place, format!("{}: {}", wanted.what, fault.message), fault.help);
                }
                None
            }
        }
    }
}

/// `did you mean …?`, or the names to choose from.
fn choices(name: &str, known: &[&str]) -> String {
    suggest(name, known.iter().copied())
}

/// A role with its article.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::State => "a state",
        Role::Output => "an output",
        Role::Control => "a control",
        Role::Disturbance => "a disturbance",
        Role::Setpoint => "a set-point",
        Role::Derived => "a derived signal",
    }
}
