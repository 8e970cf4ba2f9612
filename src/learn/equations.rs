//! The known equations of a plant: constants, derived signals and next values of states, compiled and ordered.

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
    /// Derived signals of states, disturbances, set-points and past values, which are known before the controls are. In
    /// order of evaluation.
    pub early: Vec<Derived>,
    /// Derived signals that also read current controls or outputs. In order of evaluation.
    pub late: Vec<Derived>,
    /// States with a known equation.
    pub next: Vec<NextState>,
}

/// A signal with a constant value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// Column of the schema.
    pub signal: usize,
    /// Value in the unit of the signal.
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
    /// Whether a model learns the difference between x(t + 1) and the equation.
    pub has_residual: bool,
}

/// A fault, and the byte range of the faulty expression in `twin.toml`.
type PlacedFault = (Range<usize>, ExprFault);

impl Equations {
    /// Compiles the `value`, `expr` and `next` of every signal of `spec`; `schema` has the same signals.
    ///
    /// # Errors
    /// All faults of all expressions, each with the span of its expression in `twin.toml`. The spans within the faults
    /// are relative to the expression.
    pub fn compile(spec: &TwinSpec, schema: &Schema, scope: &Scope) -> Result<Self, Vec<PlacedFault>> {
        let mut equations = Self::default();
        let mut derived = Vec::new();
        let mut faults = Vec::new();
        for signal in spec.signals.iter().map(|s| &s.value) {
            let Some(column) = schema.find(&signal.name) else { continue };
            if let Some(value) = &signal.value {
                equations.constants.push(Constant { signal: column, value: value.value });
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

    /// Number of frames that the equations read, including the current one.
    pub fn depth(&self) -> usize {
        let derived = self.early.iter().chain(&self.late).map(|d| d.program.depth());
        1 + derived.chain(self.next.iter().map(|n| n.program.depth())).max().unwrap_or(0)
    }

    /// Writes the constants and the derived signals into every row of a measured or simulated trajectory. Lags do not
    /// reach into another segment.
    pub fn fill(&self, log: &mut Trajectory) {
        for &Constant { signal, value } in &self.constants {
            log.columns[signal].fill(value);
        }
        if self.early.is_empty() && self.late.is_empty() {
            return;
        }
        let mut registers = Registers::default();
        let mut values = vec![0.0; log.particles];
        for segment in log.segments.clone() {
            for t in segment.clone() {
                for Derived { signal, program } in self.early.iter().chain(&self.late) {
                    program.eval(&log.frame(t, segment.start), &mut registers, &mut values);
                    log.at_mut(*signal, t).copy_from_slice(&values);
                }
            }
        }
    }
}

/// A derived signal that is not yet in the order of evaluation.
struct Unordered {
    signal: usize,
    program: Program,
    span: Range<usize>,
    late: bool,
}

/// Compiles `text` and converts the result to the unit of `target`. If that unit is `declared` and the conversion is
/// not possible, this is a fault.
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
                "give the expression the unit of `{}`, `{}`, or change the unit of the signal",
                signal.name, signal.unit.text
            ),
        }),
    }
}

/// Orders the derived signals so that each comes after those that it reads. A cycle is a fault even if it contains
/// lags, because its first value is undefined.
fn in_order(derived: &[Unordered], schema: &Schema) -> Result<Vec<usize>, Vec<PlacedFault>> {
    struct Search<'a> {
        derived: &'a [Unordered],
        schema: &'a Schema,
        /// State of the search for each signal. 0: not visited, 1: on the current path, 2: done.
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
            // A signal in several cycles is reported once.
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
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::config::{ModelSpec, SignalSpec};
    use crate::learn::{Dataset, Layout, Particle, Regressor, StepMap, StepScratch, Target};
    use crate::schema::{Bounds, MoveLimit, Signal, Switching};
    use crate::trajectory::{Frame, Window};
    use crate::units::Unit;

    /// A tank with a level, an inflow, a pump, and a heater whose power is an output.
    fn twin(signals: &str) -> (TwinSpec, Arc<Schema>, Scope) {
        let text = format!(
            "name = 'tank'\nstep = '1min'\nlog = {{ files = 'log/*.parquet', time = 'timestamp' }}\nsignals = [\n\
             {{ name = 'level', role = 'state', unit = 'm', next = 'level + inflow * dt / area - lag(pump, 1) * dt / area', residual = true }},\n\
             {{ name = 'stock', role = 'state', next = 'stock - round_trip' }},\n\
             {{ name = 'power', role = 'output', unit = 'W' }},\n\
             {{ name = 'pump', role = 'control', unit = 'm^3/s' }},\n\
             {{ name = 'inflow', role = 'disturbance', unit = 'm^3/s' }},\n\
             {{ name = 'price', role = 'disturbance', unit = 'EUR/MWh', value = 90 }},\n\
             {signals}\n]\n[parameters]\narea = {{ value = 2.0, unit = 'm^2' }}\n"
        );
        let spec: TwinSpec = toml::from_str(&text).unwrap();
        let signal = |s: &SignalSpec| Signal {
            name: s.name.value.clone(),
            role: s.role.value,
            unit: s.unit.as_ref().map_or_else(Unit::one, |u| Unit::parse(u).unwrap()),
            hard: Bounds::OPEN,
            soft: Bounds::OPEN,
            max_move: MoveLimit::NONE,
            multiple: 0.0,
            switching: Switching::NONE,
        };
        let schema = Arc::new(Schema::new(spec.signals.iter().map(|s| signal(&s.value)).collect()));
        let signals = schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone()))).collect();
        let area = (2.0, Unit::parse("m^2").unwrap());
        let scope = Scope { signals, parameters: HashMap::from([("area".to_owned(), area)]), dt: 60.0 };
        (spec, schema, scope)
    }

    const DERIVED: &str = "{ name = 'cost', role = 'derived', expr = 'spend * 2' },\n\
         { name = 'spend', role = 'derived', unit = 'EUR/h', expr = 'power * price' },\n\
         { name = 'round_trip', role = 'derived', expr = 'before + 1' },\n\
         { name = 'before', role = 'derived', expr = 'lag(pump, 2) / (1 * pump + inflow) * 0 + lag(level, 1) / level' },\n\
         { name = 'trend', role = 'derived', expr = 'lag(pump, 1) + inflow' }";

    fn column(schema: &Schema, name: &str) -> usize {
        schema.find(name).unwrap()
    }

    #[test]
    fn derived_signals_are_ordered_and_divided_into_early_and_late() {
        let (spec, schema, scope) = twin(DERIVED);
        let e = Equations::compile(&spec, &schema, &scope).unwrap();
        let names = |list: &[Derived]| list.iter().map(|d| schema.signals[d.signal].name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&e.early), ["trend"]);
        assert_eq!(names(&e.late), ["spend", "cost", "before", "round_trip"]);
        assert_eq!(e.constants, vec![Constant { signal: 5, value: 90.0 }]);
        assert_eq!(e.next.iter().map(|n| (n.signal, n.has_residual)).collect::<Vec<_>>(), vec![(0, true), (1, false)]);
        assert_eq!(e.depth(), 3);
    }

    #[test]
    fn cycles_and_wrong_units_are_faults_with_spans() {
        let (spec, schema, scope) = twin(
            "{ name = 'round_trip', role = 'derived', expr = 'lag(b, 1)' },\n\
             { name = 'b', role = 'derived', expr = 'round_trip + 1' },\n\
             { name = 'c', role = 'derived', unit = 'EUR', expr = 'power * price' }",
        );
        let faults = Equations::compile(&spec, &schema, &scope).unwrap_err();
        let mut codes: Vec<_> = faults.iter().map(|f| f.1.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["cycle", "unit-mismatch"]);
        let cycle = faults.iter().find(|f| f.1.code == "cycle").unwrap();
        assert!(cycle.1.message.contains("round_trip → b → round_trip"), "{}", cycle.1.message);
        assert_eq!(cycle.0, spec.signals[6].expr.as_ref().unwrap().span);
    }

    #[test]
    fn derived_signals_do_not_read_other_segments() {
        let (spec, schema, scope) = twin(DERIVED);
        let e = Equations::compile(&spec, &schema, &scope).unwrap();
        let mut log = Trajectory::empty(schema.clone(), Timestamp::UNIX_EPOCH, 60_000, 6, 1);
        log.segments = vec![0..3, 4..6];
        for (name, v) in [("level", 1.0), ("stock", 5.0), ("power", 2e6), ("inflow", 0.5)] {
            log.columns[column(&schema, name)].fill(v);
        }
        log.columns[column(&schema, "pump")] = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        e.fill(&mut log);
        let trend = &log.columns[column(&schema, "trend")];
        assert_eq!((&trend[..3], &trend[4..]), ([1.5, 1.5, 2.5].as_slice(), [5.5, 5.5].as_slice()));
        assert!(trend[3].is_nan());
        // 2 MW at 90 EUR/MWh.
        assert!((log.columns[column(&schema, "spend")][0] - 180.0).abs() < 1e-9);
        assert_eq!(log.columns[column(&schema, "price")], vec![90.0; 6]);

        let layout = Layout::new(&schema, &ModelSpec { lags: 1.into(), ..ModelSpec::default() }, &e);
        assert_eq!(layout.targets, vec![Target::Residual(0), Target::Level(2)]);
        let data = Dataset::new(&log, &layout, &e);
        assert_eq!(data.row, vec![0, 1, 4]);
        // The level is constant, so the residual is minus its known increment, 60 s · (0.5 − pump(t − 1)) / 2.
        let expected = [15.0, 15.0, 135.0];
        assert!(data.y[0].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", data.y[0]);
    }

    /// Always predicts a residual of 0.25 and a power of 7.
    #[derive(Debug)]
    struct ConstantModel;

    impl Regressor for ConstantModel {
        fn name(&self) -> &'static str {
            "constant"
        }
        fn shape(&self) -> (usize, usize) {
            (4, 2)
        }
        fn members(&self) -> usize {
            1
        }
        fn predict(&self, _: &[&[f64]], _: &[Particle], out: &mut [Vec<f64>]) {
            out[0].fill(0.25);
            out[1].fill(7.0);
        }
        fn encode(&self) -> Vec<u8> {
            Vec::new()
        }
    }

    #[test]
    fn a_step_evaluates_equations_on_the_completed_frame() {
        let (spec, schema, scope) = twin(DERIVED);
        let equations = Equations::compile(&spec, &schema, &scope).unwrap();
        let layout = Layout::new(&schema, &ModelSpec { lags: 1.into(), ..ModelSpec::default() }, &equations);
        let map = StepMap { schema: schema.clone(), equations, layout, regressor: Arc::new(ConstantModel) };
        let mut window = Window::new(schema.len(), map.depth(), 1, Timestamp::UNIX_EPOCH, 60_000);
        let mut scratch = StepScratch::default();
        for lag in 0..map.depth() {
            for (name, v) in [("level", 1.0), ("stock", 5.0), ("pump", 0.5), ("inflow", 0.5)] {
                window.column_mut(column(&schema, name), lag).fill(v);
            }
        }
        window.column_mut(column(&schema, "pump"), 0).fill(4.0);
        map.observe(&mut window, &mut scratch);
        assert_eq!(window.column(column(&schema, "trend"), 0), [1.0]);
        map.step(&mut window, &[Particle { member: None, rows: 0..1 }], None, &mut scratch);
        let spend = window.column(column(&schema, "spend"), 1)[0];
        assert!((spend - 7.0 * 90.0 / 1e6).abs() < 1e-12, "{spend}");
        // The equation reads the pump at the previous step, and the residual is added.
        assert!((window.column(0, 0)[0] - 1.25).abs() < 1e-12);
        assert!((window.column(1, 0)[0] - 3.0).abs() < 1e-12);
    }
}
