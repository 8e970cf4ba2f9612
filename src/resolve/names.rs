//! The names that a twin file defines.

use std::collections::HashSet;
use std::ops::Range;

use indexmap::IndexMap;

use super::faults::{Faults, short, suggest};
use crate::config::{At, Change, Loaded, SignalSpec, TimeSpan, TwinSpec, inner_place, key_place, signals};
use crate::error::nearest;
use crate::expr::{Program, Scope, UntypedSignal};
use crate::schema::{Role, Schema};
use crate::units::Unit;

/// The signals and parameters of a twin, with their units.
#[derive(Clone)]
pub struct Names<'a> {
    pub file: &'a Loaded<TwinSpec>,
    /// The signals by name. If a name occurs twice, the first signal is used.
    pub signals: IndexMap<&'a str, &'a SignalSpec>,
    pub scope: Scope,
    /// Schema of the signals. Signals with an invalid unit have the unit `1` in this schema.
    pub schema: Schema,
    /// Names with an invalid unit. Faults caused by an invalid unit are not reported separately.
    invalid_units: HashSet<String>,
}

/// Requirements on an expression.
pub struct Wanted<'u> {
    /// Name of the setting that contains the expression, for messages.
    pub what: String,
    /// The unit to which the value is converted. `None` allows any unit.
    pub unit: Option<&'u Unit>,
}

impl<'a> Names<'a> {
    pub fn new(file: &'a Loaded<TwinSpec>) -> Self {
        let spec = &file.value;
        let mut names = Self {
            file,
            signals: IndexMap::new(),
            scope: Scope { dt: spec.step.seconds(), ..Scope::default() },
            schema: Schema::new(signals(spec, |_, _| {})),
            invalid_units: HashSet::new(),
        };
        let mut open = Vec::new();
        for (i, signal) in spec.signals.iter().enumerate() {
            if names.signals.contains_key(signal.name.as_str()) {
                continue;
            }
            names.signals.insert(&signal.name, signal);
            let expr = signal.expr.as_ref().filter(|_| *signal.role == Role::Derived && signal.unit.is_none());
            if let Some(expr) = expr {
                open.push(UntypedSignal { signal: i, name: &signal.name, expr });
                continue;
            }
            let unit = names.unit_or_one(&signal.name, signal.unit.as_ref());
            names.scope.signals.insert(signal.name.value.clone(), (i, unit));
        }
        for (name, parameter) in &spec.parameters {
            let unit = names.unit_or_one(name, parameter.unit.as_ref());
            names.scope.parameters.insert(name.clone(), (*parameter.value.value, unit));
        }
        let left: Vec<UntypedSignal<'_>> =
            names.scope.infer_units(open).into_iter().map(|(signal, _)| signal).collect();
        for signal in left {
            names.invalid_units.insert(signal.name.to_owned());
            names.scope.signals.insert(signal.name.to_owned(), (signal.signal, Unit::one()));
        }
        for signal in &mut names.schema.signals {
            if let Some((_, unit)) = names.scope.signals.get(&signal.name) {
                signal.unit = unit.clone();
            }
        }
        names
    }

    fn unit_or_one(&mut self, name: &str, text: Option<&At<String>>) -> Unit {
        text.map_or_else(|| Ok(Unit::one()), |text| Unit::parse(text)).unwrap_or_else(|_| {
            self.invalid_units.insert(name.to_owned());
            Unit::one()
        })
    }

    /// Returns a copy of the names with a scenario's parameter changes applied.
    #[must_use]
    pub fn with(&self, changes: &IndexMap<String, At<Change>>) -> Self {
        let mut names = self.clone();
        for (name, change) in changes {
            if let Some((value, _)) = names.scope.parameters.get_mut(name) {
                *value = change.apply(*value);
            }
        }
        names
    }

    pub fn spec(&self) -> &'a TwinSpec {
        &self.file.value
    }

    /// Returns the sample time, if the file contains a valid one.
    pub fn step(&self) -> Option<TimeSpan> {
        let step = &self.spec().step;
        (!step.span.is_empty() && step.ms() > 0).then_some(step.value)
    }

    /// Returns the column of a signal in the schema.
    pub fn column(&self, signal: &str) -> Option<usize> {
        self.scope.signals.get(signal).map(|(column, _)| *column)
    }

    /// Returns the unit of a signal if the unit is valid.
    pub fn unit(&self, signal: &str) -> Option<&Unit> {
        if self.invalid_units.contains(signal) {
            return None;
        }
        self.scope.signals.get(signal).map(|(_, unit)| unit)
    }

    /// Whether an expression contains a name whose unit is invalid.
    pub fn has_invalid_unit(&self, expr: &str) -> bool {
        expr.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|n| self.invalid_units.contains(n) || self.file.damage.names.contains(n))
    }

    /// Whether `name` may be defined in an omitted part of `twin.toml` or of the file to which `faults` refers.
    pub fn is_lost(&self, faults: &Faults<'_>, name: &str) -> bool {
        faults.is_lost(name) || self.file.damage.names.contains(name)
    }

    /// Returns the names of the signals that have one of `roles`.
    pub fn with_role(&self, roles: &[Role]) -> Vec<&'a str> {
        self.signals.iter().filter(|(_, s)| roles.contains(&s.role)).map(|(name, _)| *name).collect()
    }

    /// Returns the signal called `name`, or adds a fault at `place` if no signal has this name and one of `roles`.
    /// `wanted` describes the permitted roles in messages.
    pub fn expect(
        &self,
        faults: &mut Faults<'_>,
        name: &str,
        place: &Range<usize>,
        roles: &[Role],
        wanted: &str,
    ) -> Option<&'a SignalSpec> {
        let known = self.with_role(roles);
        let wrong_role = |faults: &mut Faults<'_>, is: &str| {
            let help = format!("this setting needs {wanted}; {}", suggest(name, known.iter().copied()));
            faults.add("wrong-role", place, format!("`{name}` is {is}"), help);
        };
        match self.signals.get(name).copied() {
            Some(signal) if roles.contains(&signal.role) => return Some(signal),
            Some(signal) => wrong_role(faults, role_name(*signal.role)),
            None if self.is_lost(faults, name) => {}
            None if self.spec().parameters.contains_key(name) => wrong_role(faults, "a parameter"),
            None => {
                // Suggest a similar name with the right role. If all similar names have other roles, the help text also
                // states the required role.
                let near = |among: &mut dyn Iterator<Item = &'a str>| nearest(name, among);
                let (own, other) = (near(&mut known.iter().copied()), near(&mut self.signals.keys().copied()));
                let help = match (own, other) {
                    (None, Some(other)) => format!("did you mean `{other}`? This setting needs {wanted}"),
                    _ => suggest(name, known.iter().copied()),
                };
                faults.add("unknown-signal", place, format!("there is no signal `{name}`"), help);
            }
        }
        None
    }

    /// Returns the column of the control called `name`, or adds a fault at `place` if no control has this name.
    pub fn control(&self, faults: &mut Faults<'_>, name: &str, place: &Range<usize>) -> Option<usize> {
        self.expect(faults, name, place, &[Role::Control], "a control")?;
        self.column(name)
    }

    /// Same as [`Names::control`], but for a `name` that is a key in the file. `value` is the byte range of the value
    /// of this key.
    pub fn control_key(&self, faults: &mut Faults<'_>, name: &str, value: &Range<usize>) -> Option<usize> {
        let place = key_place(faults.text(), name, value);
        self.control(faults, name, &place)
    }

    /// Compiles an expression and converts its value to the required unit. Each fault is reported at its location
    /// within the quoted expression.
    pub fn expression(&self, faults: &mut Faults<'_>, expr: &At<String>, wanted: &Wanted<'_>) -> Option<Program> {
        let unit_is_unknown = self.has_invalid_unit(expr);
        match Program::compile(expr, &self.scope) {
            Ok(program) => {
                let Some(unit) = wanted.unit.filter(|_| !unit_is_unknown) else { return Some(program) };
                match program.clone().in_unit(unit) {
                    // a number without a unit is not converted
                    Ok(_) if program.reads.is_empty() && program.unit.dimension == Unit::one().dimension => {
                        Some(program)
                    }
                    Ok(converted) => Some(converted),
                    Err(why) => {
                        let help = format!(
                            "change the expression so that its unit is `{}`, or correct the units of the signals in it",
                            unit.text
                        );
                        faults.add("unit-mismatch", &expr.span, format!("{}: {why}", wanted.what), help);
                        None
                    }
                }
            }
            Err(fault) => {
                let name = expr.get(fault.span.clone()).unwrap_or("");
                let follows = match fault.code {
                    "unknown-name" => self.is_lost(faults, name),
                    "unit-mismatch" => unit_is_unknown,
                    _ => false,
                };
                if !follows {
                    let place = inner_place(faults.text(), &expr.span, &fault.span);
                    faults.add(fault.code, &place, format!("{}: {}", wanted.what, fault.message), fault.help);
                }
                None
            }
        }
    }

    /// Reports a value that is outside the hard limits of the control `signal`, or is not a multiple of the control's
    /// `multiple`.
    pub fn within_limits(&self, faults: &mut Faults<'_>, signal: &str, value: &At<f64>, owner: &str) {
        let Some(signal) = self.signals.get(signal) else { return };
        let name = &signal.name.value;
        if !value.is_finite() {
            let message = format!("{owner}: the value of `{name}` must be a finite number");
            faults.add("wrong-value", &value.span, message, "write a finite number");
        } else if let Some(hard) =
            signal.hard.as_ref().filter(|h| h[0] <= h[1] && !(**value >= h[0] && **value <= h[1]))
        {
            let unit =
                signal.unit.as_ref().filter(|u| u.value != "1").map_or(String::new(), |u| format!(" {}", u.value));
            let number = short(**value);
            let message =
                format!("{owner}: {number}{unit} is outside the hard limits [{}, {}] of `{name}`", hard[0], hard[1]);
            let nearest = value.max(hard[0]).min(hard[1]);
            let help = format!("write a value within the limits, like {}", short(nearest));
            faults.add("outside-limits", &value.span, message, help);
        } else if let Some(multiple) = signal.multiple.as_ref().filter(|m| ***m > 0.0) {
            let rounded = (**value / **multiple).round();
            if (**value / **multiple - rounded).abs() > 1e-9 {
                let message = format!(
                    "{owner}: the value {} of `{name}` is not a multiple of {}",
                    short(**value),
                    multiple.value
                );
                let help = format!("write e.g. {}", short(rounded * **multiple));
                faults.add("outside-limits", &value.span, message, help);
            }
        }
    }

    /// Warns if a time span is not a whole number of steps, because the time span would be rounded.
    pub fn whole_steps(&self, faults: &mut Faults<'_>, span: &At<TimeSpan>, key: &str) {
        self.odd_span(faults, span, key, |step| span.steps(step, 1));
    }

    /// Like [`Self::whole_steps`], but for a minimum, which is rounded up.
    pub fn whole_steps_up(&self, faults: &mut Faults<'_>, span: &At<TimeSpan>, key: &str) {
        self.odd_span(faults, span, key, |step| span.steps_up(step));
    }

    fn odd_span(&self, faults: &mut Faults<'_>, span: &At<TimeSpan>, key: &str, steps: impl Fn(TimeSpan) -> usize) {
        let Some(step) = self.step().filter(|step| span.ms() % step.ms() != 0) else { return };
        let used = TimeSpan::from_steps(steps(step), step.ms());
        let message =
            format!("`{key}` is {}, which is not a whole number of steps of {step}; {used} is used", span.value);
        faults.warn("odd-span", &span.span, message, format!("use a multiple of the step, like `\"{used}\"`"));
    }
}

/// Returns the name of a role with its indefinite article.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::State => "a state",
        Role::Output => "an output",
        Role::Control => "a control",
        Role::Disturbance => "a disturbance",
        Role::Setpoint => "a set-point",
        Role::Derived => "a derived signal",
    }
}
