//! The known part of a twin: constants, derived signals and known next values, compiled and put in order.

use std::ops::Range;

use crate::expr::{ExprFault, Program, Registers, Scope};
use crate::schema::{Role, Schema};
use crate::spec::{At, SignalSpec, TwinSpec};
use crate::trajectory::Trajectory;

/// The known part of a twin.
#[derive(Debug, Clone, Default)]
pub struct Equations {
    /// Signals with a constant value.
    pub constants: Vec<(usize, f64)>,
    /// Derived signals that need only x, d, set-points and the past: known before the controls are. In order of need.
    pub early: Vec<(usize, Program)>,
    /// Derived signals that need u or y. In order of need.
    pub late: Vec<(usize, Program)>,
    /// Known next values of states, in the state's unit; with `true`, a residual is learned on top.
    pub next: Vec<(usize, Program, bool)>,
}

/// A fault and the byte range in `twin.toml` of the text that it is in.
type Placed = (Range<usize>, ExprFault);

impl Equations {
    /// Compiles the `value`, `expr` and `next` of every signal of `spec`; `schema` has the same signals.
    ///
    /// # Errors
    /// Every fault of every expression, each with the span of its text in `twin.toml`; the spans inside the faults are
    /// relative to that text.
    pub fn compile(spec: &TwinSpec, schema: &Schema, scope: &Scope) -> Result<Self, Vec<Placed>> {
        let mut equations = Self::default();
        let mut derived = Vec::new();
        let mut faults = Vec::new();
        for signal in spec.signals.iter().map(|s| &s.value) {
            let Some(column) = schema.find(&signal.name) else { continue };
            if let Some(value) = &signal.value {
                equations.constants.push((column, value.value));
            }
            if let Some(text) = &signal.expr {
                // A derived signal without a unit of its own takes the expression's.
                let unit = signal.unit.as_ref().map(|_| column);
                match compile(text, scope, schema, unit) {
                    Ok(program) => derived.push(Derived { column, program, span: text.span.clone(), late: false }),
                    Err(fault) => faults.push((text.span.clone(), fault)),
                }
            }
            if let Some(text) = &signal.next {
                match compile(text, scope, schema, Some(column)) {
                    Ok(program) => equations.next.push((column, program, learns_residual(signal))),
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
        let is_constant = |s: usize| equations.constants.iter().any(|c| c.0 == s);
        for &i in &order {
            let late = derived[i].program.reads.iter().any(|&(s, lag)| {
                let moved = matches!(schema.signals[s].role, Role::Control | Role::Output) && !is_constant(s);
                lag == 0 && (moved || derived.iter().any(|d| d.column == s && d.late))
            });
            derived[i].late = late;
        }
        let mut derived: Vec<Option<Derived>> = derived.into_iter().map(Some).collect();
        for i in order {
            if let Some(d) = derived[i].take() {
                let list = if d.late { &mut equations.late } else { &mut equations.early };
                list.push((d.column, d.program));
            }
        }
        Ok(equations)
    }

    /// Frames that the equations read, the present one included.
    pub fn depth(&self) -> usize {
        let derived = self.early.iter().chain(&self.late).map(|d| d.1.depth());
        1 + derived.chain(self.next.iter().map(|n| n.1.depth())).max().unwrap_or(0)
    }

    /// Writes the constants, and the derived signals at every row of every segment, over a measured or simulated
    /// trajectory. Lags do not reach into another segment.
    pub fn fill(&self, log: &mut Trajectory) {
        for &(signal, value) in &self.constants {
            log.columns[signal].fill(value);
        }
        if self.early.is_empty() && self.late.is_empty() {
            return;
        }
        let mut registers = Registers::default();
        let mut values = vec![0.0; log.particles];
        for segment in log.segments.clone() {
            for t in segment.clone() {
                for (signal, program) in self.early.iter().chain(&self.late) {
                    program.eval(&log.frame(t, segment.start), &mut registers, &mut values);
                    log.at_mut(*signal, t).copy_from_slice(&values);
                }
            }
        }
    }
}

struct Derived {
    column: usize,
    program: Program,
    span: Range<usize>,
    late: bool,
}

fn learns_residual(signal: &SignalSpec) -> bool {
    signal.residual.as_ref().is_some_and(|r| r.value)
}

/// Compiles `text`; the result is converted to the unit of `target`, if there is one.
fn compile(text: &At<String>, scope: &Scope, schema: &Schema, target: Option<usize>) -> Result<Program, ExprFault> {
    let program = Program::compile(text, scope)?;
    let Some(target) = target else { return Ok(program) };
    let signal = &schema.signals[target];
    program.in_unit(&signal.unit).map_err(|message| ExprFault {
        code: "unit-mismatch",
        span: 0..text.len(),
        message,
        cure: format!(
            "make the expression give the unit of `{}`, `{}`, or change that unit",
            signal.name, signal.unit.text
        ),
    })
}

/// The derived signals so that each comes after those that it reads; a cycle is a fault, also one through the past,
/// because nothing says where it starts.
fn in_order(derived: &[Derived], schema: &Schema) -> Result<Vec<usize>, Vec<Placed>> {
    struct Search<'a> {
        derived: &'a [Derived],
        schema: &'a Schema,
        /// 0 unseen, 1 on the path, 2 done.
        mark: Vec<u8>,
        path: Vec<usize>,
        order: Vec<usize>,
        faults: Vec<Placed>,
    }
    impl Search<'_> {
        fn visit(&mut self, i: usize) {
            self.mark[i] = 1;
            self.path.push(i);
            for k in 0..self.derived[i].program.reads.len() {
                let read = self.derived[i].program.reads[k].0;
                let Some(j) = self.derived.iter().position(|d| d.column == read) else { continue };
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
            let name = |i: usize| self.schema.signals[self.derived[i].column].name.as_str();
            let mut chain: Vec<&str> = self.path[at..].iter().map(|&i| name(i)).collect();
            chain.push(name(first));
            let span = self.derived[first].span.clone();
            let fault = ExprFault {
                code: "cycle",
                span: 0..span.len(),
                message: format!("`{}` depends on itself: {}", name(first), chain.join(" → ")),
                cure: "break the circle; a value that builds on its own past is a state with `next = \"…\"`".into(),
            };
            // One signal in several circles is named once.
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
