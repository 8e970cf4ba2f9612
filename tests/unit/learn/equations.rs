//! Tests of `src/learn/equations.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::config::{ModelSpec, SignalSpec};
use crate::learn::{Dataset, Layout, Particle, Regressor, StepMap, StepScratch, Target};
use crate::schema::{Bounds, MoveLimit, Signal, Switching};
use crate::trajectory::{Frame, Window};
use crate::units::Unit;

/// The twin of a tank with a level, an inflow, a pump, and a heater whose power is an output.
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
fn cycles_and_wrong_units_are_faults_with_positions() {
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
    // A power of 2 MW at 90 EUR/MWh costs 180 EUR/h.
    assert!((log.columns[column(&schema, "spend")][0] - 180.0).abs() < 1e-9);
    assert_eq!(log.columns[column(&schema, "price")], vec![90.0; 6]);

    let layout = Layout::new(&schema, &ModelSpec { lags: 1.into(), ..ModelSpec::default() }, &e);
    assert_eq!(layout.targets, vec![Target::Residual(0), Target::Level(2)]);
    let data = Dataset::new(&log, &layout, &e);
    // The equation reads the previous step, which is unknown in the first row of a segment.
    assert_eq!(data.row, vec![1]);
    // The level is constant, so the residual is the negative of the known increment, 60 s · (0.5 − pump(t − 1)) / 2.
    assert!((data.y[0][0] - 15.0).abs() < 1e-9, "{:?}", data.y[0]);
}

/// A model that always predicts a residual of 0.25 and a power of 7.
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
    // The equation uses the pump value of the previous step, and the learned residual is added to the result.
    assert!((window.column(0, 0)[0] - 1.25).abs() < 1e-12);
    assert!((window.column(1, 0)[0] - 3.0).abs() < 1e-12);
}
