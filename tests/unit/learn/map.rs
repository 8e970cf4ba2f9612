//! Tests of `src/learn/map.rs`.

use jiff::Timestamp;

use super::*;
use crate::config::ModelSpec;
use crate::schema::{Role, Signal};
use crate::units::Unit;

/// A known model: Δx = −x(t−1) + u and y = 2 x + m for ensemble member m.
#[derive(Debug)]
struct Known;

impl Regressor for Known {
    fn name(&self) -> &'static str {
        "known"
    }
    fn shape(&self) -> (usize, usize) {
        (4, 2)
    }
    fn members(&self) -> usize {
        3
    }
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for p in particles {
            for r in p.rows.clone() {
                out[0][r] = x[2][r] - x[1][r];
                out[1][r] = 2.0 * x[0][r] + p.member.map_or(0.0, |m| m as f64);
            }
        }
    }
    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }
}

fn map() -> StepMap {
    let roles = [("x", Role::State), ("y", Role::Output), ("u", Role::Control), ("c", Role::Disturbance)];
    let signal = |(name, role): (&str, Role)| Signal::open(name, role, Unit::one());
    let schema = Arc::new(Schema::new(roles.map(signal).to_vec()));
    let equations = Equations { constants: vec![Constant { signal: 3, value: 90.0 }], ..Equations::default() };
    let spec = ModelSpec { lags: 2.into(), ..ModelSpec::default() };
    let layout = Layout::new(&schema, &spec, &equations);
    StepMap { schema, equations, layout, regressor: Arc::new(Known) }
}

#[test]
fn a_layout_contains_the_inputs_and_targets() {
    let map = map();
    assert_eq!(map.layout.inputs, vec![(0, 0), (0, 1), (2, 0), (2, 1)]);
    assert_eq!(map.layout.targets, vec![Target::Delta(0), Target::Level(1)]);
    assert_eq!((map.layout.depth(), map.depth()), (2, 2));
    let persistence = Layout::persistence(&map.schema, &map.equations);
    assert_eq!((persistence.inputs, persistence.targets), (vec![(1, 1)], map.layout.targets));
    let spec = ModelSpec { ignore: vec!["u".to_owned().into()], lags: 1.into(), ..ModelSpec::default() };
    assert_eq!(Layout::new(&map.schema, &spec, &map.equations).inputs, vec![(0, 0)]);
}

#[test]
fn a_step_completes_the_frame_and_writes_the_next_states() {
    let map = map();
    let mut window = Window::new(4, map.depth(), 3, Timestamp::UNIX_EPOCH, 1000);
    window.column_mut(0, 1).copy_from_slice(&[1.0, 2.0, 3.0]);
    window.column_mut(0, 0).copy_from_slice(&[10.0, 20.0, 30.0]);
    window.column_mut(2, 0).fill(5.0);
    let particles = [Particle { member: None, rows: 0..1 }, Particle { member: Some(2), rows: 1..3 }];
    let noise = [vec![0.0, 100.0], vec![0.25, 0.0]];
    let mut scratch = StepScratch::default();
    map.observe(&mut window, &mut scratch);
    assert_eq!(window.column(3, 0), [90.0; 3]);
    map.step(&mut window, &particles, Some(&noise), &mut scratch);
    assert_eq!(window.steps(), 1);
    assert_eq!(window.column(1, 1), [20.25, 42.0, 62.0]);
    assert_eq!(window.column(0, 0), [10.0 - 1.0 + 5.0, 20.0 - 2.0 + 5.0 + 100.0, 30.0 - 3.0 + 5.0 + 100.0]);
    assert_eq!(window.column(0, 1), [10.0, 20.0, 30.0]);
}

#[test]
fn values_that_are_not_finite_propagate() {
    let map = map();
    let mut window = Window::new(4, 2, 1, Timestamp::UNIX_EPOCH, 1000);
    let mut scratch = StepScratch::default();
    map.observe(&mut window, &mut scratch);
    map.step(&mut window, &[Particle { member: None, rows: 0..1 }], None, &mut scratch);
    assert!(window.column(0, 0)[0].is_nan() && window.column(1, 1)[0].is_nan());
}

#[test]
fn a_second_step_reuses_its_buffers() {
    let map = map();
    let mut window = Window::new(4, 2, 64, Timestamp::UNIX_EPOCH, 1000);
    let particles = [Particle { member: None, rows: 0..64 }];
    let mut scratch = StepScratch::default();
    let buffers = |s: &StepScratch| {
        let out: Vec<_> = s.out.iter().map(|c| c.as_ptr()).collect();
        (s.inputs.as_ptr(), s.inputs.capacity(), s.column.as_ptr(), out)
    };
    map.observe(&mut window, &mut scratch);
    map.step(&mut window, &particles, None, &mut scratch);
    let warm = buffers(&scratch);
    assert!(warm.1 >= 4);
    for _ in 0..5 {
        map.observe(&mut window, &mut scratch);
        map.step(&mut window, &particles, None, &mut scratch);
    }
    assert_eq!(buffers(&scratch), warm);
}
