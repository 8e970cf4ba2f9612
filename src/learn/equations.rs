//! The known equations of a plant: constants, derived signals and state equations, compiled and in order of evaluation.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::config::{At, TwinSpec};
use crate::expr::{ExprFault, Program, Registers, Scope};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;

/// The known equations of a plant.
#[derive(Debug, Clone, Default)]
pub struct Equations {
    /// Signals with a constant value.
    pub constants: Vec<Constant>,
    /// Derived signals that read only states, disturbances, set-points and past values, in order of evaluation. The
    /// values of these derived signals are known before the controls are chosen.
    pub early: Vec<Derived>,
    /// Derived signals that depend on current controls or outputs, in order of evaluation.
    pub late: Vec<Derived>,
    /// States with a known equation.
    pub next: Vec<NextState>,
    /// States without a column, each with its value at the first row of the log.
    pub starts: Vec<Constant>,
}

/// A signal with a constant value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// Column of the schema.
    pub signal: usize,
    /// Value of the constant signal, in the unit of the signal.
    pub value: f64,
}

/// A derived signal.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Column of the schema.
    pub signal: usize,
    pub program: Program,
}

/// The known equation of a state.
#[derive(Debug, Clone)]
pub struct NextState {
    /// Column of the schema.
    pub signal: usize,
    /// x(t + 1), in the unit of the state.
    pub program: Program,
    /// Whether a model learns the difference between x(t + 1) and the value of the equation.
    pub has_residual: bool,
}

/// A fault in an expression, and the byte range of the expression in `twin.toml`.
type PlacedFault = (Range<usize>, ExprFault);

impl Equations {
    /// Compiles the `value`, `expr` and `next` of every signal in `spec`. `schema` must contain the same signals as
    /// `spec`.
    ///
    /// # Errors
    /// Returns all faults in all expressions, each with the span of its expression in `twin.toml`.
    /// The span stored inside a fault is relative to the start of its expression.
    pub fn compile(spec: &TwinSpec, schema: &Schema, scope: &Scope) -> Result<Self, Vec<PlacedFault>> {
        let mut equations = Self::default();
        let mut derived = Vec::new();
        let mut faults = Vec::new();
        for signal in spec.signals.iter().map(|s| &s.value) {
            let Some(column) = schema.find(&signal.name) else { continue };
            if let Some(value) = &signal.value {
                equations.constants.push(Constant { signal: column, value: value.value });
            }
            if let Some(start) = &signal.start {
                equations.starts.push(Constant { signal: column, value: start.value });
            }
            if let Some(text) = &signal.expr {
                match compile(text, scope, schema, column, signal.unit.is_some()) {
                    Ok(program) => {
                        derived.push(Unordered { signal: column, program, span: text.span.clone(), late: false })
                    }
                    Err(fault) => faults.push((text.span.clone(), fault)),
                }
            }
            if let Some(text) = &signal.next {
                match compile(text, scope, schema, column, true) {
                    Ok(program) => {
                        let has_residual = signal.residual.as_ref().is_some_and(|r| r.value);
                        equations.next.push(NextState { signal: column, program, has_residual });
                    }
                    Err(fault) => faults.push((text.span.clone(), fault)),
                }
            }
        }
        let order = match in_order(&derived, schema) {
            Ok(order) => order,
            Err(cycles) => {
                faults.extend(cycles);
                Vec::new()
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let is_constant = |s: usize| equations.constants.iter().any(|c| c.signal == s);
        for &i in &order {
            let late = derived[i].program.reads.iter().any(|&(s, lag)| {
                let not_yet_known = matches!(schema.signals[s].role, Role::Control | Role::Output) && !is_constant(s);
                lag == 0 && (not_yet_known || derived.iter().any(|d| d.signal == s && d.late))
            });
            derived[i].late = late;
        }
        let mut derived: Vec<Option<Unordered>> = derived.into_iter().map(Some).collect();
        for i in order {
            if let Some(d) = derived[i].take() {
                let list = if d.late { &mut equations.late } else { &mut equations.early };
                list.push(Derived { signal: d.signal, program: d.program });
            }
        }
        Ok(equations)
    }

    /// Returns the signals on which the states and outputs of a plant depend, directly or through
    /// derived signals. `inputs` are the input columns of the plant model.
    pub fn influences(&self, inputs: &[(usize, usize)]) -> BTreeSet<usize> {
        let read = self.next.iter().flat_map(|n| n.program.reads.iter()).chain(inputs);
        let mut open: Vec<usize> = read.map(|r| r.0).collect();
        let mut found = BTreeSet::new();
        while let Some(signal) = open.pop() {
            if found.insert(signal) {
                open.extend(self.derived_program(signal).into_iter().flat_map(|p| p.reads.iter().map(|r| r.0)));
            }
        }
        found
    }

    /// Returns true if the states and outputs of a plant are computed by the same expressions in
    /// `self` and `other`. `inputs` are the input columns of the plant model.
    pub fn has_same_plant(&self, other: &Self, inputs: &[(usize, usize)]) -> bool {
        let read = self.influences(inputs);
        let derived = |e: &Self| -> Vec<(usize, Program)> {
            let all = e.derived().filter(|d| read.contains(&d.signal));
            all.map(|d| (d.signal, d.program.clone())).collect()
        };
        let next =
            |e: &Self| -> Vec<(usize, Program)> { e.next.iter().map(|n| (n.signal, n.program.clone())).collect() };
        next(self) == next(other) && derived(self) == derived(other)
    }

    /// The derived signals in the order of evaluation.
    pub fn derived(&self) -> impl Iterator<Item = &Derived> {
        self.early.iter().chain(&self.late)
    }

    /// The expression of `signal` if it is a derived signal.
    pub fn derived_program(&self, signal: usize) -> Option<&Program> {
        self.derived().find(|d| d.signal == signal).map(|d| &d.program)
    }

    /// The expressions of all derived signals and of all next states, each with the column that it computes.
    pub fn programs(&self) -> impl Iterator<Item = (usize, &Program)> {
        let next = self.next.iter().map(|n| (n.signal, &n.program));
        self.derived().map(|d| (d.signal, &d.program)).chain(next)
    }

    /// Number of frames that the equations read, including the current one.
    pub fn depth(&self) -> usize {
        1 + self.programs().map(|(_, p)| p.depth()).max().unwrap_or(0)
    }

    /// Returns true if `signal` is a state without a column in the log, so that its values are
    /// computed from its equation.
    pub fn is_computed(&self, signal: usize) -> bool {
        self.starts.iter().any(|s| s.signal == signal)
    }

    /// Writes the constants, the derived signals and the states without a column into every row of a measured or
    /// simulated trajectory. Lagged values are read only from the same segment.
    pub fn fill(&self, log: &mut Trajectory) {
        for &Constant { signal, value } in &self.constants {
            log.columns[signal].fill(value);
        }
        if self.early.is_empty() && self.late.is_empty() && self.starts.is_empty() {
            return;
        }
        let mut registers = Registers::default();
        let mut values = vec![0.0; log.particles];
        // The states without a column, which keep their values across a gap in the log.
        let mut states: Vec<(Constant, Vec<f64>)> =
            self.starts.iter().map(|s| (*s, vec![s.value; log.particles])).collect();
        for segment in log.segments.clone() {
            for t in segment.clone() {
                for (state, value) in &mut states {
                    let column = log.at_mut(state.signal, t);
                    if column.iter().all(|v| v.is_nan()) {
                        column.copy_from_slice(value);
                    } else {
                        value.copy_from_slice(column);
                    }
                }
                for Derived { signal, program } in self.derived() {
                    program.eval(&log.frame(t, segment.start), &mut registers, &mut values);
                    log.at_mut(*signal, t).copy_from_slice(&values);
                }
                for (state, value) in &mut states {
                    let Some(next) = self.next.iter().find(|n| n.signal == state.signal) else { continue };
                    next.program.eval(&log.frame(t, segment.start), &mut registers, &mut values);
                    // If an input of the equation is missing, the state keeps its value.
                    value.iter_mut().zip(&values).filter(|(_, v)| v.is_finite()).for_each(|(old, v)| *old = *v);
                }
            }
        }
    }

    /// In a simulated trajectory, recomputes all derived signals that read any of the `changed` signals, directly or
    /// through other derived signals. The first rows keep their values, because their lagged values
    /// are from before the run.
    pub fn update_derived(&self, run: &mut Trajectory, changed: &[usize]) {
        let mut changed = changed.to_vec();
        let (mut registers, mut values) = (Registers::default(), vec![0.0; run.particles]);
        for Derived { signal, program } in self.derived() {
            if !changed.iter().any(|s| program.reads_signal(*s)) {
                continue;
            }
            for t in program.depth()..run.steps {
                program.eval(&run.frame(t, 0), &mut registers, &mut values);
                run.at_mut(*signal, t).copy_from_slice(&values);
            }
            changed.push(*signal);
        }
    }
}

/// A compiled derived signal whose position in the order of evaluation is not yet known.
struct Unordered {
    signal: usize,
    program: Program,
    span: Range<usize>,
    late: bool,
}

/// Compiles `text` and converts the result to the unit of `target`. An impossible conversion is a fault if the unit of
/// `target` is `declared`; otherwise, the expression keeps its own unit.
fn compile(
    text: &At<String>,
    scope: &Scope,
    schema: &Schema,
    target: usize,
    declared: bool,
) -> Result<Program, ExprFault> {
    let program = Program::compile(text, scope)?;
    let signal = &schema.signals[target];
    match program.clone().in_unit(&signal.unit) {
        Ok(program) => Ok(program),
        Err(_) if !declared => Ok(program),
        Err(message) => Err(ExprFault {
            code: "unit-mismatch",
            span: 0..text.len(),
            message,
            help: format!(
                "give the expression the same unit as `{}` (`{}`), or change the unit of the signal",
                signal.name, signal.unit.text
            ),
        }),
    }
}

/// Orders the derived signals so that each comes after the derived signals that it reads. A cyclic dependency is a
/// fault even if it includes lags, because the first value of the cycle would be undefined.
fn in_order(derived: &[Unordered], schema: &Schema) -> Result<Vec<usize>, Vec<PlacedFault>> {
    struct Search<'a> {
        derived: &'a [Unordered],
        schema: &'a Schema,
        /// State of each derived signal in the depth-first search (0 = not visited, 1 = on the current path, 2 = done).
        mark: Vec<u8>,
        path: Vec<usize>,
        order: Vec<usize>,
        faults: Vec<PlacedFault>,
    }
    impl Search<'_> {
        fn visit(&mut self, i: usize) {
            self.mark[i] = 1;
            self.path.push(i);
            for k in 0..self.derived[i].program.reads.len() {
                let read = self.derived[i].program.reads[k].0;
                let Some(j) = self.derived.iter().position(|d| d.signal == read) else { continue };
                match self.mark[j] {
                    0 => self.visit(j),
                    1 => self.fault(j),
                    _ => {}
                }
            }
            self.path.pop();
            self.mark[i] = 2;
            self.order.push(i);
        }

        fn fault(&mut self, first: usize) {
            let at = self.path.iter().position(|&i| i == first).unwrap_or(0);
            let name = |i: usize| self.schema.signals[self.derived[i].signal].name.as_str();
            let mut chain: Vec<&str> = self.path[at..].iter().map(|&i| name(i)).collect();
            chain.push(name(first));
            let span = self.derived[first].span.clone();
            let fault = ExprFault {
                code: "cycle",
                span: 0..span.len(),
                message: format!("`{}` depends on itself: {}", name(first), chain.join(" → ")),
                help: "break the cycle. A signal that depends on its own past must be a state with `next = \"…\"`"
                    .into(),
            };
            // A signal that belongs to several cycles is reported only once.
            if !self.faults.iter().any(|f| f.0 == span) {
                self.faults.push((span, fault));
            }
        }
    }
    let n = derived.len();
    let mut search =
        Search { derived, schema, mark: vec![0; n], path: Vec::new(), order: Vec::new(), faults: Vec::new() };
    for i in 0..n {
        if search.mark[i] == 0 {
            search.visit(i);
        }
    }
    if search.faults.is_empty() { Ok(search.order) } else { Err(search.faults) }
}

#[cfg(test)]
#[path = "../../tests/unit/learn/equations.rs"]
mod tests;
