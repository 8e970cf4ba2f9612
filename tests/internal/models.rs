//! Tests of the requirements that apply to all models, and of the accuracy of learned models on a real log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use twinopt::compute::cpu;
use twinopt::config::{ModelSpec, TimeSpan};
use twinopt::error::Error;
use twinopt::learn::model::{self, NAMES};
use twinopt::learn::{Dataset, Equations, Fit, Layout, Particle, Regressor, Split, StepMap, StepScratch};
use twinopt::rng::Key;
use twinopt::schema::{Role, Schema, Signal};
use twinopt::trajectory::{Frame, Trajectory, Window};
use twinopt::units::Unit;

use super::table;

/// Fits the model `name` on the CPU.
fn fit(
    name: &str,
    data: &Dataset,
    rows: &[usize],
    folds: &[Vec<usize>],
    options: &ModelSpec,
    seed: u64,
) -> Result<Arc<dyn Regressor>, Error> {
    model::fit(name, &Fit { data, rows, folds, options, seed, compute: &cpu(), draft: false, hyper: &[] })
}

fn decode(name: &str, bytes: &[u8]) -> Result<Arc<dyn Regressor>, Error> {
    model::decode(name, bytes, &cpu())
}

fn schema(signals: &[(&str, Role)]) -> Arc<Schema> {
    let signal = |&(name, role): &(&str, Role)| Signal::open(name, role, Unit::one());
    Arc::new(Schema::new(signals.iter().map(signal).collect()))
}

const HOUR: i64 = 3_600_000;

/// A simulated linear plant: x(t+1) = 0.9 x + 0.3 z + 0.5 u + 0.1 d + 2, z(t+1) = z − 0.2 (z − u(t−1)) and y = 3 x − u
/// + 7, with noise of standard deviation `sd`.
fn linear_plant(steps: usize, sd: f64) -> Trajectory {
    let roles =
        [("x", Role::State), ("z", Role::State), ("y", Role::Output), ("u", Role::Control), ("d", Role::Disturbance)];
    let mut log = Trajectory::empty(schema(&roles), Timestamp::UNIX_EPOCH, HOUR, steps, 1);
    let key = Key::new(5);
    let (mut x, mut z, mut last) = (10.0, 0.0, 0.0);
    for t in 0..steps {
        let u = if t % 5 == 0 { key.normal(t as u64) } else { last };
        let d = key.fold(1).normal(t as u64);
        let e = |k: u64| sd * key.fold(2).fold(k).normal(t as u64);
        for (c, v) in [x, z, 3.0 * x - u + 7.0 + e(0), u, d].into_iter().enumerate() {
            log.columns[c][t] = v;
        }
        (x, z) = (0.9 * x + 0.3 * z + 0.5 * u + 0.1 * d + 2.0 + e(1), z - 0.2 * (z - last) + e(2));
        last = u;
    }
    log
}

struct Fitted {
    data: Dataset,
    split: Split,
    model: Arc<dyn Regressor>,
}

fn fitted(name: &str, log: &Trajectory, spec: &ModelSpec) -> Fitted {
    let equations = Equations::default();
    let split = Split::new(log, spec, TimeSpan::from_ms(log.step_ms)).unwrap();
    let data = Dataset::new(log, &Layout::for_model(name, &log.schema, spec, &equations), &equations);
    let folds: Vec<Vec<usize>> = split.folds.iter().map(|f| data.rows_in(f)).collect();
    let model = fit(name, &data, &data.rows_in(&split.train), &folds, spec, 7).unwrap();
    Fitted { data, split, model }
}

fn predict(model: &dyn Regressor, x: &[Vec<f64>], n: usize, particles: &[Particle]) -> Vec<Vec<f64>> {
    let x: Vec<&[f64]> = x.iter().map(|c| &c[..n]).collect();
    let mut out = vec![vec![f64::NAN; n]; model.shape().1];
    model.predict(&x, particles, &mut out);
    out
}

fn mean_of_all(n: usize) -> [Particle; 1] {
    [Particle { member: None, rows: 0..n }]
}

/// The coefficient of determination R² of each target over `rows`.
fn r2(data: &Dataset, rows: &[usize], predicted: &[Vec<f64>]) -> Vec<f64> {
    (data.y.iter().zip(predicted))
        .map(|(y, f)| {
            let mean = rows.iter().map(|&r| y[r]).sum::<f64>() / rows.len() as f64;
            let error: f64 = rows.iter().map(|&r| (y[r] - f[r]).powi(2)).sum();
            1.0 - error / rows.iter().map(|&r| (y[r] - mean).powi(2)).sum::<f64>()
        })
        .collect()
}

fn spec() -> ModelSpec {
    ModelSpec { holdout: TimeSpan::from_ms(500 * HOUR).into(), lags: 2.into(), ..ModelSpec::default() }
}

#[test]
fn learned_models_recover_a_linear_plant() {
    let log = linear_plant(3000, 0.02);
    for name in NAMES.iter().filter(|n| **n != "persistence") {
        let f = fitted(name, &log, &spec());
        let holdout = f.data.rows_in(&f.split.holdout);
        let r2 = r2(&f.data, &holdout, &predict(&*f.model, &f.data.x, f.data.len(), &mean_of_all(f.data.len())));
        // The lower bounds of R² are below 1 because of the noise.
        for (r2, least) in r2.iter().zip([0.99, 0.97, 0.999]) {
            assert!(r2 > &least, "{name}: {r2:?}");
        }
    }
}

#[test]
fn the_linear_model_recovers_the_coefficients_of_a_plant_without_noise() {
    let f = fitted("linear", &linear_plant(3000, 0.0), &spec());
    let c = f.model.coefficients().unwrap();
    let at = |j: usize, signal: usize, lag: usize| {
        c.weights[j][f.data.layout.inputs.iter().position(|i| *i == (signal, lag)).unwrap()]
    };
    // With lagged states, the coefficients are not uniquely determined, unlike the predictions and the gains of current
    // inputs.
    let predicted = predict(&*f.model, &f.data.x, f.data.len(), &mean_of_all(f.data.len()));
    for (y, p) in f.data.y.iter().zip(&predicted) {
        let worst = y.iter().zip(p).map(|(y, p)| (y - p).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-5, "{worst}");
    }
    assert!((at(0, 4, 0) - 0.1).abs() < 1e-5 && (at(2, 3, 0) + 1.0).abs() < 1e-2, "{c:?}");
}

#[test]
fn an_open_loop_simulation_follows_the_plant() {
    let log = linear_plant(3000, 0.0);
    let f = fitted("linear", &log, &spec());
    let map = StepMap {
        schema: log.schema.clone(),
        equations: Equations::default(),
        layout: f.data.layout.clone(),
        regressor: f.model.clone(),
    };
    let start = f.split.holdout[0].start;
    let mut window = Window::from_trajectory(&log, start, 0, map.depth(), 2);
    let mut scratch = StepScratch::default();
    for t in start..start + 100 {
        map.observe(&mut window, &mut scratch);
        map.step(&mut window, &mean_of_all(2), None, &mut scratch);
        assert!((window.column(2, 1)[1] - log.columns[2][t]).abs() < 1e-3, "y at {t}");
        for s in [0, 1] {
            assert!((window.column(s, 0)[0] - log.columns[s][t + 1]).abs() < 1e-3, "state {s} at {t}");
        }
        for s in [3, 4] {
            window.column_mut(s, 0).fill(log.columns[s][t + 1]);
        }
    }
}

#[test]
fn persistence_repeats_the_last_values() {
    let f = fitted("persistence", &linear_plant(1500, 0.1), &spec());
    let p = predict(&*f.model, &f.data.x, f.data.len(), &mean_of_all(f.data.len()));
    assert!(p[0].iter().chain(&p[1]).all(|v| *v == 0.0));
    assert_eq!(p[2], f.data.x[0]);
    assert_eq!(p[2][1..], f.data.y[2][..f.data.len() - 1]);
}

#[test]
fn fits_on_one_and_two_threads_give_the_same_bytes() {
    let log = linear_plant(1500, 0.1);
    for name in NAMES {
        let bytes: Vec<Vec<u8>> = [1, 2]
            .map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap())
            .iter()
            .map(|pool| pool.install(|| fitted(name, &log, &spec()).model.encode()))
            .collect();
        assert!(!bytes[0].is_empty() && bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn a_decoded_model_is_identical_and_damaged_bytes_do_not_panic() {
    let log = linear_plant(1500, 0.1);
    for name in NAMES {
        let f = fitted(name, &log, &spec());
        let bytes = f.model.encode();
        let back = decode(name, &bytes).unwrap();
        assert_eq!((back.encode() == bytes, back.shape(), back.name()), (true, f.model.shape(), *name));
        let n = 200;
        let particles: Vec<Particle> =
            (0..n).map(|r| Particle { member: Some(r % f.model.members()), rows: r..r + 1 }).collect();
        let bits = |m: &dyn Regressor| -> Vec<u64> {
            predict(m, &f.data.x, n, &particles).iter().flatten().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(&*back), bits(&*f.model), "{name}");

        assert_eq!(decode(name, &bytes[..bytes.len() - 1]).unwrap_err().exit_code(), 65);
        assert!(decode(name, &[]).is_err() && decode(name, &[0xff; 64]).is_err());
        assert!(decode(name, &[bytes.as_slice(), &[0]].concat()).is_err());
        // Decoding damaged bytes never panics. The result is either an error or a model whose predictions do not panic.
        let key = Key::new(9);
        for i in 0..300 {
            let mut damaged = bytes.clone();
            let at = if i < 100 { i as usize % bytes.len() } else { key.below(i, bytes.len()) };
            damaged[at] ^= 1 << key.fold(1).below(i, 8);
            if let Ok(m) = decode(name, &damaged) {
                let x = vec![vec![1.0]; m.shape().0.min(10_000)];
                predict(&*m, &x, 1, &mean_of_all(1));
            }
        }
    }
}

#[test]
fn members_differ_and_scatter_around_the_mean() {
    let log = linear_plant(2000, 0.3);
    for name in NAMES.iter().filter(|n| **n != "persistence") {
        let f = fitted(name, &log, &spec());
        let n = 300;
        let members: Vec<Vec<Vec<f64>>> = (0..f.model.members())
            .map(|m| predict(&*f.model, &f.data.x, n, &[Particle { member: Some(m), rows: 0..n }]))
            .collect();
        let mean = predict(&*f.model, &f.data.x, n, &mean_of_all(n));
        for j in 0..mean.len() {
            let (mut scatter, mut bias) = (0.0, 0.0);
            for r in 0..n {
                let average = members.iter().map(|m| m[j][r]).sum::<f64>() / members.len() as f64;
                scatter += members.iter().map(|m| (m[j][r] - average).powi(2)).sum::<f64>() / members.len() as f64;
                bias += (average - mean[j][r]).powi(2);
            }
            assert!(scatter > 0.0 && bias < scatter, "{name}, target {j}: {bias} {scatter}");
        }
    }
}

#[test]
fn all_models_but_the_forest_are_differentiable() {
    let log = linear_plant(1500, 0.1);
    for (name, differentiable) in [("linear", true), ("gp", true), ("ensemble", true), ("forest", false)] {
        assert_eq!(fitted(name, &log, &spec()).model.is_differentiable(), differentiable, "{name}");
    }
}

#[test]
fn predictions_of_a_row_are_the_same_alone_and_in_a_batch() {
    let log = linear_plant(1500, 0.1);
    for name in NAMES {
        let f = fitted(name, &log, &spec());
        let n = 333;
        let members = f.model.members();
        let particles: Vec<Particle> =
            (0..3).map(|p| Particle { member: (p > 0).then_some(p % members), rows: p * 111..(p + 1) * 111 }).collect();
        let batch = predict(&*f.model, &f.data.x, n, &particles);
        for r in [0, 63, 110, 111, 250, 332] {
            let x: Vec<Vec<f64>> = f.data.x.iter().map(|c| vec![c[r]]).collect();
            let alone = predict(&*f.model, &x, 1, &[Particle { member: particles[r / 111].member, rows: 0..1 }]);
            for j in 0..alone.len() {
                assert_eq!(alone[j][0].to_bits(), batch[j][r].to_bits(), "{name} row {r}");
            }
        }
    }
}

#[test]
fn finite_inputs_give_finite_outputs() {
    let log = linear_plant(1500, 0.1);
    for name in NAMES {
        let f = fitted(name, &log, &spec());
        let p = f.model.shape().0;
        for extreme in [0.0, 1e9, -1e9, 1e-300, 1e30] {
            let x: Vec<Vec<f64>> = (0..p).map(|k| vec![if k % 2 == 0 { extreme } else { -extreme }]).collect();
            let out = predict(&*f.model, &x, 1, &mean_of_all(1));
            assert!(out.iter().flatten().all(|v| v.is_finite()), "{name} at {extreme}: {out:?}");
        }
    }
}

#[test]
fn too_few_rows_and_unknown_names_are_errors() {
    let log = linear_plant(1500, 0.1);
    let spec = spec();
    let equations = Equations::default();
    let data = Dataset::new(&log, &Layout::new(&log.schema, &spec, &equations), &equations);
    let rows: Vec<usize> = (0..20).collect();
    let e = fit("linear", &data, &rows, &[], &spec, 1).unwrap_err();
    assert_eq!(e.exit_code(), 65);
    assert!(e.to_string().contains("20 training rows"), "{e}");
    let e = fit("forrest", &data, &rows, &[], &spec, 1).unwrap_err();
    assert!(e.to_string().contains("did you mean `forest`?"), "{e}");
}

/// With `--nocapture`, this test prints the one-step R² on the hold-out and the duration of the fit.
#[test]
fn learned_models_explain_a_real_log() {
    let root = std::env::var_os("TWINOPT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(root).join("data/rollouts/datacenter_crac.parquet");
    if !file.exists() {
        println!("skipped: {} does not exist", file.display());
        return;
    }
    let tags = [
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
    let table = table::read(&file);
    let mut log = Trajectory::empty(schema(&tags), Timestamp::UNIX_EPOCH, 600_000, table.num_rows(), 1);
    for (c, (tag, _)) in tags.iter().enumerate() {
        log.columns[c] = table::numbers(&table, tag);
    }
    let spec = ModelSpec::default();
    for (name, least) in [("linear", 0.5), ("forest", 0.55)] {
        let start = Instant::now();
        let f = fitted(name, &log, &spec);
        let seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let n = f.data.len();
        let predicted = predict(&*f.model, &f.data.x, n, &mean_of_all(n));
        let rate = n as f64 / start.elapsed().as_secs_f64();
        let r2 = r2(&f.data, &f.data.rows_in(&f.split.holdout), &predicted);
        let targets: Vec<String> =
            f.data.layout.targets.iter().zip(&r2).map(|(t, r)| format!("{} {r:.4}", tags[t.signal()].0)).collect();
        println!(
            "{name}: fitted {n} rows in {seconds:.2} s, {} bytes, {rate:.0} rows/s; one-step R²: {}",
            f.model.encode().len(),
            targets.join(", ")
        );
        assert!(r2.iter().all(|r| r > &least), "{name}: {r2:?}");
    }
}

/// A wrapper around a model that uses the default epistemic uncertainty, which is the standard deviation over members.
#[derive(Debug)]
struct Members(Arc<dyn Regressor>);

impl Regressor for Members {
    fn name(&self) -> &'static str {
        "members"
    }
    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }
    fn members(&self) -> usize {
        self.0.members()
    }
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        self.0.predict(x, particles, out);
    }
    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn a_custom_epistemic_uncertainty_equals_the_sd_over_members() {
    let log = linear_plant(1500, 0.3);
    // The tolerance is larger for networks, because they use single precision.
    for (name, error) in [("forest", 1e-9), ("ensemble", 1e-5)] {
        let f = fitted(name, &log, &spec());
        let columns: Vec<&[f64]> = f.data.x.iter().map(Vec::as_slice).collect();
        let n = 333;
        let epistemic = |model: &dyn Regressor| {
            let mut out = vec![vec![f64::NAN; n]; model.shape().1];
            model.epistemic(&columns, n, &mut out);
            out
        };
        let (own, members) = (epistemic(&*f.model), epistemic(&Members(f.model.clone())));
        assert!(own.iter().flatten().any(|v| *v > 0.0));
        for (a, b) in own.iter().flatten().zip(members.iter().flatten()) {
            assert!((a - b).abs() <= error * (1.0 + b), "{name}: {a} {b}");
        }
    }
}

#[test]
fn predictions_of_a_large_batch_are_the_same_on_one_and_two_threads() {
    let log = linear_plant(2500, 0.3);
    for name in NAMES {
        let f = fitted(name, &log, &spec());
        let n = f.data.len();
        let particles: Vec<Particle> = (0..n).map(|r| Particle { member: Some(r % 7), rows: r..r + 1 }).collect();
        let runs = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| predict(&*f.model, &f.data.x, n, &particles))
        });
        assert!(runs[0].iter().flatten().all(|v| v.is_finite()) && runs[0] == runs[1], "{name}");
    }
}
