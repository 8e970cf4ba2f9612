//! Tests of scores, calibration, model selection and step responses, on simulated plants and on real logs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use twinopt::compute::cpu;
use twinopt::config::{At, Effect, ModelSpec, TimeSpan};
use twinopt::expr::{Program, Scope};
use twinopt::learn::{
    Equations, KnownEffect, Learned, NextState, NoteKind, ScoreRow, Selection, TrainingData, learn, rollouts, starts,
};
use twinopt::rng::Key;
use twinopt::schema::{Role, Schema, Signal};
use twinopt::trajectory::Trajectory;
use twinopt::units::Unit;

use super::table;

const HOUR: i64 = 3_600_000;

fn schema(signals: &[(&str, Role)]) -> Arc<Schema> {
    let signal = |(name, role): &(&str, Role)| Signal::open(name, *role, Unit::one());
    Arc::new(Schema::new(signals.iter().map(signal).collect()))
}

fn log(signals: &[(&str, Role)], columns: Vec<Vec<f64>>) -> Trajectory {
    let mut log = Trajectory::empty(schema(signals), Timestamp::UNIX_EPOCH, HOUR, columns[0].len(), 1);
    log.columns = columns;
    log
}

fn spec(lags: usize, horizon: &str, holdout: &str, choose: &[&str]) -> ModelSpec {
    let span = |text: &str| -> At<TimeSpan> { text.parse::<TimeSpan>().unwrap().into() };
    ModelSpec {
        choose: choose.iter().map(|n| (*n).to_owned().into()).collect(),
        lags: lags.into(),
        holdout: span(holdout),
        horizon: span(horizon),
        ..ModelSpec::default()
    }
}

fn fit(log: &Trajectory, spec: &ModelSpec, effects: &[KnownEffect]) -> Learned {
    let (equations, compute) = (Equations::default(), cpu());
    let data = TrainingData::new(log, &equations, spec, &compute).unwrap();
    learn(&data, &Selection { effects, preselected: None }, &|_| {}).unwrap()
}

fn row<'a>(learned: &'a Learned, model: &str, signal: usize, horizon: usize) -> &'a ScoreRow {
    let mut rows = learned.scores.iter();
    rows.find(|r| r.model == model && r.signal == signal && r.horizon == horizon).unwrap()
}

/// `n` hourly values, between −1 and 1, of a control that changes every six hours.
fn moves(key: Key, n: usize) -> Vec<f64> {
    (0..n).map(|t| 2.0 * key.uniform((t / 6) as u64) - 1.0).collect()
}

/// Declares that the control of [`plant`] has a known `effect` on `signal`.
fn effect(signal: usize, effect: Effect) -> KnownEffect {
    KnownEffect { control: 2, signal, effect }
}

/// A simulated plant: x(t+1) = 0.9 x + 0.2 u + 0.1 d + e and y = 5 − 3 x + 2 u + v, with white noise e and AR(1) noise
/// v.
fn plant(n: usize, noise: f64) -> Trajectory {
    let key = Key::new(11);
    let u = moves(key.fold(0), n);
    let (mut d, mut v) = (0.0, 0.0);
    let mut columns = vec![vec![0.0; n]; 4];
    let mut x = 0.0;
    for t in 0..n {
        d = 0.95 * d + 0.3 * key.fold(1).normal(t as u64);
        v = 0.8 * v + noise * key.fold(2).normal(t as u64);
        columns[0][t] = x;
        columns[1][t] = 5.0 - 3.0 * x + 2.0 * u[t] + v;
        columns[2][t] = u[t];
        columns[3][t] = d;
        x = 0.9 * x + 0.2 * u[t] + 0.1 * d + noise * key.fold(3).normal(t as u64);
    }
    log(&[("x", Role::State), ("y", Role::Output), ("u", Role::Control), ("d", Role::Disturbance)], columns)
}

#[test]
fn a_perfect_model_has_no_error_at_any_horizon() {
    let log = plant(3000, 0.0);
    let learned = fit(&log, &spec(1, "12h", "20d", &[]), &[]);
    for h in 1..=12 {
        assert!(row(&learned, "linear", 0, h).rmse < 1e-4, "{:?}", row(&learned, "linear", 0, h));
        assert!(row(&learned, "linear", 1, h).rmse < 1e-3, "{:?}", row(&learned, "linear", 1, h));
    }
    // For forecasts that start at row s, persistence predicts x(s) for the state and y(s − 1) for the output.
    let map = &learned.map;
    let block = 2600..2900;
    let run = rollouts(map, &log, starts(map, &log, &[block], 12, 7), 12, None);
    assert_eq!(run.starts.len(), 7);
    for (r, start) in run.starts.iter().enumerate() {
        let s = start.row;
        assert_eq!((run.last[0][r], run.last[1][r]), (log.columns[0][s], log.columns[1][s - 1]));
        for h in [1, 5, 12] {
            let at = (h - 1) * 7 + r;
            assert_eq!((run.measured[0][at], run.measured[1][at]), (log.columns[0][s + h], log.columns[1][s + h - 1]));
        }
    }
    let score = row(&learned, "persistence", 1, 3);
    assert_eq!((score.skill, score.n > 300), (0.0, true));
    assert!(learned.refusal.is_none());
}

#[test]
fn gains_and_responses_are_recovered() {
    let log = plant(6000, 0.05);
    let learned = fit(&log, &spec(1, "12h", "30d", &[]), &[effect(0, Effect::Up), effect(1, Effect::Down)]);
    let response = |signal| learned.responses.iter().find(|r| r.signal == signal).unwrap();
    let (x, y) = (response(0), response(1));
    assert!((x.gain / 2.0 - 1.0).abs() < 0.02, "{}", x.gain);
    assert!((y.gain / -4.0 - 1.0).abs() < 0.02, "{}", y.gain);
    assert!(x.settled && y.settled && x.gain_low <= x.gain && x.gain <= x.gain_high);
    // State x responds to the control after one step. Output y has an inverse response: it rises by 2 immediately and
    // then falls.
    assert!(x.mean[0] == 0.0 && (x.mean[1] - 0.2).abs() < 0.01);
    assert!((y.mean[0] - 2.0).abs() < 0.05 && (x.mean[7] - 2.0 * (1.0 - 0.9f64.powi(7))).abs() < 0.03);
    assert!(learned.refusal.is_none(), "{:?}", learned.refusal);
}

#[test]
fn intervals_have_their_nominal_coverage() {
    let log = plant(40_000, 0.3);
    let learned = fit(&log, &spec(2, "12h", "450d", &[]), &[]);
    for signal in [0, 1] {
        for h in [1, 6, 12] {
            let r = row(&learned, "linear", signal, h);
            assert!(r.n >= 400 && (0.87..=0.93).contains(&r.coverage[2]), "{r:?}");
            assert!((r.coverage[0] - 0.5).abs() < 0.07 && (r.coverage[3] - 0.95).abs() < 0.03, "{r:?}");
            let persistence = row(&learned, "persistence", signal, h);
            assert!(r.crps < persistence.crps && r.bias.abs() < 0.2 * r.rmse);
        }
    }
    // The fitted noise process of the output is close to the true process, so simulated noise needs almost no
    // inflation.
    let noise = &learned.noise_model;
    assert!((noise.process.phi[1] - 0.8).abs() < 0.05, "{:?}", noise.process.phi);
    assert!(noise.inflation.iter().all(|i| (0.8..1.25).contains(i)), "{:?}", noise.inflation);
    // The theoretical error variance at horizon h is σ² (1 − 0.9^2h) / (1 − 0.81).
    for h in [1, 6, 12] {
        let theory = (0.09 * (1.0 - 0.81f64.powi(h as i32)) / 0.19).sqrt();
        assert!(
            (noise.calibration.sd_at(0, h) / theory - 1.0).abs() < 0.1,
            "{h}: {} {theory}",
            noise.calibration.sd_at(0, h)
        );
    }
}

#[test]
fn models_of_white_noise_and_of_a_random_walk_are_refused_with_advice() {
    let n = 6000;
    let key = Key::new(3);
    let white: Vec<f64> = (0..n).map(|t| key.normal(t as u64)).collect();
    let walk: Vec<f64> = white
        .iter()
        .scan(0.0, |x, e| {
            *x += e;
            Some(*x)
        })
        .collect();
    for (role, column, baseline) in [(Role::Output, &white, "the training mean"), (Role::State, &walk, "persistence")] {
        let log = log(&[("y", role), ("u", Role::Control)], vec![column.clone(), moves(key.fold(1), n)]);
        let learned = fit(&log, &spec(2, "8h", "30d", &["linear", "forest"]), &[]);
        let refusal = learned.refusal.clone().unwrap_or_default();
        let expected = [baseline, "the training mean"].map(|b| format!("does not beat {b}"));
        assert!(expected.iter().any(|e| refusal.contains(e.as_str())), "{role:?}: {refusal}");
        assert!(refusal.contains("model.lags") && learned.chosen == "linear", "{refusal} {}", learned.reason);
    }
}

/// Independent values are described by their mean and distribution. Autocorrelated values, and values that an input
/// predicts, are not described in this way.
#[test]
fn independent_demand_is_described_by_its_distribution() {
    let n = 3000;
    let key = Key::new(5);
    let uniform = |k: u64, t: usize| key.fold(k).uniform(t as u64);
    // 60 % zeros, otherwise 1 to 5 with equal probabilities: mean 1.2.
    let demand = |t: usize| if uniform(1, t) < 0.6 { 0.0 } else { 1.0 + (5.0 * uniform(2, t)).floor() };
    let sporadic: Vec<f64> = (0..n).map(demand).collect();
    let price = moves(key.fold(3), n);
    let settings = spec(2, "8h", "20d", &["linear", "forest"]);
    let roles = [("demand", Role::Output), ("price", Role::Control)];
    let learned = fit(&log(&roles, vec![sporadic, price.clone()]), &settings, &[]);
    assert_eq!((learned.chosen.as_str(), learned.refusal), ("mean", None), "{}", learned.reason);
    let note = learned.notes.iter().find(|n| n.kind == NoteKind::Independent).unwrap();
    assert!(note.text.contains("`demand`") && note.text.contains("empirical distribution (mean 1."), "{}", note.text);
    let process = &learned.noise_model.process;
    let mut noise = vec![vec![0.0; 4000]];
    let mean = process.distributions[0].as_ref().unwrap().mean;
    let (mut zeros, mut sum) = (0, 0.0);
    for step in 0..5 {
        process.advance(&mut noise, key, step);
        let values = || noise[0].iter().map(|e| mean + e);
        assert!(values().all(|v| (0.0..=5.0).contains(&v) && v.fract() == 0.0));
        zeros += values().filter(|v| *v == 0.0).count();
        sum += values().sum::<f64>();
    }
    assert!((sum / 20_000.0 / 1.2 - 1.0).abs() < 0.05 && (zeros as f64 / 20_000.0 - 0.6).abs() < 0.02, "{sum} {zeros}");

    // A demand that triples if the price is low.
    let elastic: Vec<f64> = (0..n).map(|t| demand(t) * if price[t] < 0.0 { 3.0 } else { 1.0 }).collect();
    let learned = fit(&log(&roles, vec![elastic, price.clone()]), &settings, &[]);
    assert!(learned.chosen != "mean" && learned.noise_model.process.distributions.is_empty(), "{}", learned.chosen);
    // Slowly varying demand: sums over the horizon vary much more than those of independent values.
    let mut level = 0.0;
    let slow = |t: usize| {
        level = 0.97 * level + 0.3 * key.fold(4).normal(t as u64);
        (5.0 + level + uniform(5, t)).max(0.0).round()
    };
    let learned = fit(&log(&roles, vec![(0..n).map(slow).collect(), price]), &settings, &[]);
    let process = &learned.noise_model.process;
    assert!(process.distributions.is_empty() && process.phi[0] > 0.5, "{:?}", process.phi);
}

/// Only the independent output is replaced by its mean, and the refusal names the signals without skill.
#[test]
fn an_independent_output_beside_a_plant_keeps_the_model_of_the_plant() {
    let mut all = plant(4000, 0.05);
    let key = Key::new(6);
    let poisson = |t: usize| (0..8).filter(|i| key.fold(*i).uniform(t as u64) < 0.25).count() as f64;
    let mut schema: Vec<(&str, Role)> =
        vec![("x", Role::State), ("y", Role::Output), ("u", Role::Control), ("d", Role::Disturbance)];
    schema.push(("demand", Role::Output));
    let mut columns = std::mem::take(&mut all.columns);
    columns.push((0..4000).map(poisson).collect());
    let learned = fit(&log(&schema, columns.clone()), &spec(1, "12h", "20d", &[]), &[]);
    assert_eq!((learned.chosen.as_str(), learned.refusal), ("linear", None));
    let process = &learned.noise_model.process;
    let independent: Vec<bool> = (0..3).map(|i| process.is_independent(i)).collect();
    assert_eq!(independent, [false, false, true]);
    let mean = process.distributions[2].as_ref().unwrap().mean;
    assert!((mean - 2.0).abs() < 0.05, "{mean}");
    let x = learned.responses.iter().find(|r| r.signal == 0).unwrap();
    assert!((x.gain / 2.0 - 1.0).abs() < 0.05, "{}", x.gain);

    // Forecasts of random walks have no skill. The refusal lists the random walks and advises the user to leave them
    // out.
    let walk = |k: u64| {
        (0..4000).scan(0.0, move |x, t| {
            *x += key.fold(k).normal(t);
            Some(*x)
        })
    };
    columns.truncate(4);
    let mut roles = schema[..4].to_vec();
    for (k, name) in [(20, "w1"), (21, "w2"), (22, "w3"), (23, "w4"), (24, "w5"), (25, "w6")] {
        columns.push(walk(k).collect());
        roles.push((name, Role::State));
    }
    let learned = fit(&log(&roles, columns), &spec(1, "12h", "20d", &[]), &[]);
    if let Some(refusal) = learned.refusal {
        assert!(refusal.contains("without skill for `w") && !refusal.contains("`x` ("), "{refusal}");
    }
}

#[test]
fn models_that_contradict_known_effects_are_refused() {
    let log = plant(4000, 0.05);
    let spec = spec(1, "12h", "30d", &[]);
    for (signal, sign, claim) in [
        (0, Effect::Down, "`u` lowers `x`"),
        (0, Effect::None, "`u` has no effect on `x`"),
        (1, Effect::Up, "`u` raises `y`"),
    ] {
        let learned = fit(&log, &spec, &[effect(signal, sign)]);
        let refusal = learned.refusal.unwrap_or_default();
        assert!(refusal.contains(claim) && refusal.contains("`effects`"), "{refusal}");
        assert!(learned.notes.iter().any(|n| n.kind == NoteKind::Contradiction), "{:?}", learned.notes);
    }
}

#[test]
fn a_control_that_never_moved_gives_a_note() {
    let mut log = plant(4000, 0.05);
    log.columns[2][..3520].fill(0.5);
    let learned = fit(&log, &spec(1, "12h", "20d", &[]), &[]);
    assert!(
        learned.notes.iter().any(|n| n.kind == NoteKind::ConstantControl && n.text.contains("`u`")),
        "{:?}",
        learned.notes
    );
    assert!(learned.responses.is_empty());
}

#[test]
fn a_plant_with_known_equations_is_scored_without_a_fit() {
    let n = 2000;
    let key = Key::new(8);
    let flow = |k| (0..n).map(|t| (20.0 * key.fold(k).uniform(t as u64)).round()).collect::<Vec<f64>>();
    let (order, demand) = (flow(1), flow(2));
    let mut stock = vec![50.0; n];
    for t in 1..n {
        stock[t] = (stock[t - 1] + order[t - 1] - demand[t - 1]).max(0.0);
    }
    let columns = vec![stock, order, demand];
    let log = log(&[("stock", Role::State), ("order", Role::Control), ("demand", Role::Disturbance)], columns);
    let mut scope = Scope { dt: 3600.0, ..Scope::default() };
    for (i, name) in log.schema.names().enumerate() {
        scope.signals.insert(name.into(), (i, Unit::one()));
    }
    let program = Program::compile("max(stock + order - demand, 0)", &scope).unwrap();
    let next = NextState { signal: 0, program, has_residual: false };
    let equations = Equations { next: vec![next], ..Equations::default() };
    let (spec, compute) = (spec(3, "12h", "20d", &LIST), cpu());
    let data = TrainingData::new(&log, &equations, &spec, &compute).unwrap();
    let learned = learn(&data, &Selection::default(), &|_| {}).unwrap();
    assert_eq!((learned.chosen.as_str(), learned.refusal.clone()), ("equations", None));
    let exact = row(&learned, "equations", 0, 12);
    assert!(exact.rmse < 1e-9 && (exact.skill - 1.0).abs() < 1e-9 && exact.n > 300, "{exact:?}");
    assert!(row(&learned, "persistence", 0, 12).rmse > 10.0 && learned.noise_model.process.phi.is_empty());
}

/// Equations that do not reproduce the log get noise, and equations without skill are refused.
#[test]
fn equations_are_scored_and_their_errors_are_noise() {
    let n = 2000;
    let key = Key::new(8);
    let flow = |k| (0..n).map(|t| 20.0 * key.fold(k).uniform(t as u64)).collect::<Vec<f64>>();
    let (order, demand) = (flow(1), flow(2));
    let mut stock = vec![500.0; n];
    for t in 1..n {
        let level = stock[t - 1] + 0.02 * (500.0 - stock[t - 1]);
        stock[t] = level + order[t - 1] - demand[t - 1] + 0.5 * key.fold(3).normal(t as u64);
    }
    let columns = vec![stock, order, demand];
    let log = log(&[("stock", Role::State), ("order", Role::Control), ("demand", Role::Disturbance)], columns);
    let mut scope = Scope { dt: 3600.0, ..Scope::default() };
    for (i, name) in log.schema.names().enumerate() {
        scope.signals.insert(name.into(), (i, Unit::one()));
    }
    let learned = |equation: &str| {
        let program = Program::compile(equation, &scope).unwrap();
        let next = NextState { signal: 0, program, has_residual: false };
        let equations = Equations { next: vec![next], ..Equations::default() };
        let (spec, compute) = (spec(3, "12h", "20d", &LIST), cpu());
        let data = TrainingData::new(&log, &equations, &spec, &compute).unwrap();
        learn(&data, &Selection::default(), &|_| {}).unwrap()
    };
    let right = learned("stock + 0.02 * (500 - stock) + order - demand");
    assert_eq!((right.chosen.as_str(), right.refusal.clone()), ("equations", None));
    let process = &right.noise_model.process;
    // Before the noise is inflated to match the calibrated interval widths, its fitted standard deviation must be close
    // to the true value of 0.5.
    let sd = process.factor[0][0] / right.noise_model.inflation[0];
    assert!((sd / 0.5 - 1.0).abs() < 0.1 && process.factor[0][0] > 0.3, "{:?}", process.factor);
    assert!(row(&right, "equations", 0, 1).coverage[2] > 0.85);
    let wrong = learned("stock + 3 * (order - demand)").refusal.unwrap_or_default();
    assert!(wrong.contains("the equations do not predict the states better than persistence"), "{wrong}");
    assert!(wrong.contains("`next`") && wrong.contains("residual = true"), "{wrong}");
}

#[test]
fn rollouts_stay_in_their_segment_and_skip_missing_values() {
    let mut log = plant(4000, 0.05);
    log.segments = vec![0..3700, 3700..3712, 3712..4000];
    log.columns[1][3790] = f64::NAN;
    log.columns[3][3900] = f64::NAN;
    let learned = fit(&log, &spec(2, "12h", "15d", &[]), &[]);
    let map = &learned.map;
    let found = starts(map, &log, &[3600..3800, 3800..4000], 12, usize::MAX);
    assert!(found.len() > 100);
    for s in &found {
        let segment = log.segments.iter().find(|g| g.contains(&s.row)).unwrap();
        assert!(s.first == segment.start && s.row >= s.first + map.depth() && s.row + s.reach < segment.end);
        assert!(s.reach <= 12 && !(s.row..s.row + s.reach).contains(&3900), "{s:?}");
    }
    let run = rollouts(map, &log, found, 12, Some(&learned.noise_model.process));
    let missing = run.starts.iter().position(|s| s.row == 3785).unwrap();
    assert!(run.measured[1][5 * run.starts.len() + missing].is_nan());
    assert!(run.predicted[1].iter().zip(&run.measured[0]).all(|(p, m)| p.is_finite() || m.is_nan()));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let log = plant(4000, 0.2);
    let spec = spec(2, "8h", "20d", &["linear", "forest"]);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let learned = pool.install(|| fit(&log, &spec, &[]));
        let noise_model = postcard::to_allocvec(&learned.noise_model).unwrap();
        (learned.scores, learned.responses, noise_model, learned.map.regressor.encode(), learned.reason)
    };
    assert!(with(1) == with(2));
}

#[test]
fn the_forest_is_chosen_for_a_nonlinear_plant() {
    let n = 8000;
    let key = Key::new(2);
    let u = moves(key.fold(0), n);
    let y = u.iter().enumerate().map(|(t, u)| u * u + 0.05 * key.normal(t as u64)).collect();
    let log = log(&[("y", Role::Output), ("u", Role::Control)], vec![y, u]);
    let learned = fit(&log, &spec(1, "6h", "60d", &["linear", "forest"]), &[]);
    assert_eq!(learned.chosen, "forest", "{}", learned.reason);
    assert!(row(&learned, "forest", 0, 6).skill_linear > 0.8 && learned.refusal.is_none());
}

// The remaining tests use real logs.

fn shared(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TWINOPT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(file);
    if !path.exists() {
        println!("skipped: {} does not exist", path.display());
    }
    path.exists().then_some(path)
}

/// Reads a log with one column per signal, without cleaning it. A new segment starts after a missing row or when
/// `episode` changes.
fn read(file: &str, step_ms: i64, episode: Option<&str>, signals: &[(&str, Role)]) -> Option<Trajectory> {
    let table = table::read(&shared(file)?);
    let time = table::millis(&table, "timestamp");
    let episode = episode.map_or_else(|| vec![0.0; time.len()], |name| table::numbers(&table, name));
    let mut log = log(signals, vec![Vec::new(); signals.len()]);
    log.start = Timestamp::from_millisecond(time[0]).unwrap();
    log.step_ms = step_ms;
    log.segments.clear();
    let grid: Vec<usize> = time.iter().map(|t| ((t - time[0]) / step_ms) as usize).collect();
    log.steps = grid.last().unwrap() + 1;
    for (i, (name, _)) in signals.iter().enumerate() {
        let mut values = vec![f64::NAN; log.steps];
        for (at, v) in grid.iter().zip(table::numbers(&table, name)) {
            values[*at] = v;
        }
        log.columns[i] = values;
    }
    let mut first = 0;
    for i in 1..=grid.len() {
        if i == grid.len() || grid[i] != grid[i - 1] + 1 || episode[i] != episode[i - 1] {
            log.segments.push(grid[first]..grid[i - 1] + 1);
            first = i;
        }
    }
    Some(log)
}

/// Learns a model, prints the results, and returns the ratio of the model's RMSE to that of persistence at the longest
/// horizon, averaged over targets.
fn report(title: &str, log: &Trajectory, spec: &ModelSpec) -> (Learned, f64) {
    let clock = Instant::now();
    let progress = |step: &str| println!("  {:5.1} s {step}", clock.elapsed().as_secs_f64());
    let (equations, compute) = (Equations::default(), cpu());
    let data = TrainingData::new(log, &equations, spec, &compute).unwrap();
    let learned = learn(&data, &Selection::default(), &progress).unwrap();
    let h = learned.split.horizon;
    println!("\n{title}: {} rows, {} segments, {:.1} s", log.steps, log.segments.len(), clock.elapsed().as_secs_f64());
    println!("  {} ({}), {h} steps", learned.chosen, learned.reason);
    println!("  phi {:.2?} inflation {:.2?}", learned.noise_model.process.phi, learned.noise_model.inflation);
    for r in learned.scores.iter().filter(|r| r.model != "persistence" && [1, h.div_ceil(2), h].contains(&r.horizon)) {
        let name = &log.schema.signals[r.signal].name;
        println!(
            "  {:8} {name:26} h={:3} n={:3} rmse {:9.4} bias {:9.4} skill {:6.3} vs linear {:6.3} vs mean {:6.3} crps {:8.4} coverage {:.2?}",
            r.model, r.horizon, r.n, r.rmse, r.bias, r.skill, r.skill_linear, r.skill_mean, r.crps, r.coverage
        );
    }
    for r in &learned.responses {
        let (control, signal) = (&log.schema.signals[r.control].name, &log.schema.signals[r.signal].name);
        println!(
            "  gain {control} -> {signal}: {:.4} ({:.4} to {:.4}), settled {}",
            r.gain, r.gain_low, r.gain_high, r.settled
        );
    }
    for note in learned.notes.iter().map(|n| &n.text).chain(&learned.refusal) {
        println!("  ! {note}");
    }
    let at = |r: &&ScoreRow| r.model == learned.chosen && r.horizon == h;
    let ratios: Vec<f64> = learned.scores.iter().filter(at).map(|r| (1.0 - r.skill).sqrt()).collect();
    let ratio = ratios.iter().sum::<f64>() / ratios.len() as f64;
    println!("  error at the horizon relative to persistence: {ratio:.3}");
    (learned, ratio)
}

const LIST: [&str; 2] = ["linear", "forest"];

// This test fits only the linear model, because fitting a forest takes ten seconds.
#[test]
fn a_model_of_the_data_center_beats_persistence() {
    let signals = [
        ("zone_temp_c", Role::State),
        ("supply_temp_c", Role::State),
        ("server_inlet_temp_c", Role::State),
        ("fan_flow_kg_s", Role::State),
        ("hvac_power_w", Role::Output),
        ("it_power_w", Role::Output),
        ("supply_setpoint_c", Role::Control),
        ("zone_setpoint_c", Role::Control),
        ("cpu_load", Role::Disturbance),
        ("outdoor_temp_c", Role::Disturbance),
        ("outdoor_wetbulb_c", Role::Disturbance),
    ];
    let Some(log) = read("rollouts/datacenter_crac.parquet", 600_000, Some("episode"), &signals) else { return };
    let (learned, ratio) = report("datacenter", &log, &spec(3, "4h", "14d", &[]));
    assert!(learned.refusal.is_none() && ratio < 0.8);
}

#[test]
fn a_model_of_the_distillation_column_beats_persistence() {
    let signals = [
        ("distillate_purity", Role::State),
        ("bottoms_impurity", Role::State),
        ("reflux_kmol_min", Role::Control),
        ("boilup_kmol_min", Role::Control),
        ("feed_composition", Role::Disturbance),
    ];
    let Some(log) = read("rollouts/distillation.parquet", 60_000, Some("episode"), &signals) else { return };
    let (learned, ratio) = report("distillation", &log, &spec(8, "15min", "2d", &[]));
    assert!(learned.refusal.is_none() && ratio < 0.9);
}

#[test]
fn a_model_of_the_gas_turbine_beats_persistence() {
    let signals = [
        ("nox_mg_m3", Role::Output),
        ("co_mg_m3", Role::Output),
        ("energy_yield_mwh", Role::Output),
        ("turbine_inlet_temp_c", Role::Control),
        ("ambient_temp_c", Role::Disturbance),
        ("ambient_pressure_mbar", Role::Disturbance),
        ("ambient_humidity_pct", Role::Disturbance),
        ("air_filter_dp_mbar", Role::Disturbance),
    ];
    let Some(log) = read("process/gas_turbine.parquet", HOUR, None, &signals) else { return };
    let (learned, ratio) = report("gas turbine", &log, &spec(2, "24h", "90d", &LIST));
    assert!(learned.refusal.is_none() && ratio < 0.9);
}

#[test]
fn a_model_of_the_chiller_beats_persistence() {
    let signals = [
        ("chiller_energy_kwh", Role::Output),
        ("chilled_water_l_s", Role::Control),
        ("cooling_water_temp_c", Role::Control),
        ("building_load_rt", Role::Disturbance),
        ("outdoor_temp_f", Role::Disturbance),
        ("dew_point_f", Role::Disturbance),
        ("humidity_pct", Role::Disturbance),
    ];
    let Some(log) = read("datacenter/chiller_plant.parquet", HOUR / 2, None, &signals) else { return };
    let (learned, ratio) = report("chiller", &log, &spec(2, "4h", "28d", &LIST));
    assert!(learned.refusal.is_none() && ratio < 0.9);
}
