//! Ensembles and forests, in CPU seconds on one thread, beside what their peers are measured on.
//!
//! `cargo bench --bench ensemble [-- DATA] [peak|net|rollout|plan|fit|forest …]`. DATA is the folder that `gen_data.py` of
//! the peers fills (also `TWINOPT_PEERS_DATA`); without it, what needs data is left out. Widths, sizes and start values are
//! those in the headers of `ensemble_fit.py`, `rollouts.py`, `plan.py` and `forest.py`.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use pulp::{Arch, Simd, WithSimd};
use rustix::time::{ClockId, clock_gettime};
use twinopt::compute::{Net, NetRollout, Tape, cpu};
use twinopt::learn::model::{self, Fit};
use twinopt::learn::{Dataset, Layout, Particle, Regressor, Target};
use twinopt::rng::Key;
use twinopt::spec::{EnsembleSpec, MeanSpec, ModelSpec};

#[path = "../tests/table/mod.rs"]
mod table;

const WIDTHS: [usize; 6] = [6, 200, 200, 200, 200, 8];
const MEMBERS: usize = 5;
/// Multiply-adds of a row times two.
const FLOPS: f64 = 2.0 * (6 * 200 + 3 * 200 * 200 + 200 * 8) as f64;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let names = ["peak", "net", "rollout", "plan", "fit", "forest"];
    let chosen: Vec<&str> = args.iter().map(String::as_str).filter(|a| names.contains(a)).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.contains(&name);
    let data = args.iter().find(|a| !names.contains(&a.as_str())).map(PathBuf::from);
    let data = data.or_else(|| std::env::var_os("TWINOPT_PEERS_DATA").map(PathBuf::from));
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else { return };
    pool.install(|| {
        let peak = peak();
        println!("single-precision peak of one core          {peak:9.1} GFLOP/s");
        if wants("net") {
            passes(peak);
        }
        if wants("rollout") {
            rollouts(peak);
        }
        if wants("plan") {
            plan(peak);
        }
        for (name, file, run) in
            [("fit", "transitions.parquet", ensemble as fn(&Path)), ("forest", "forest.parquet", forest)]
        {
            match data.as_ref().map(|d| d.join(file)).filter(|f| f.exists()) {
                _ if !wants(name) => {}
                Some(file) => run(&file),
                None => {
                    println!("{name}: no {file}; make it with `python gen_data.py --out data`, and name its folder")
                }
            }
        }
    });
    if wants("rollout") {
        scaling();
    }
}

/// CPU seconds of this process, all threads.
fn cpu_s() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

fn wall_s() -> f64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// Least seconds on `clock` of some runs.
fn best(runs: usize, clock: fn() -> f64, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = clock();
        run();
        clock() - start
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}

/// GFLOP/s of multiply-adds that wait for nothing.
fn peak() -> f64 {
    const ROUNDS: usize = 200_000;
    struct Busy;
    impl WithSimd for Busy {
        type Output = (f32, usize);
        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) -> (f32, usize) {
            let mut sums = [s.splat_f32s(black_box(1.0)); 12];
            let (a, b) = (s.splat_f32s(black_box(0.999)), s.splat_f32s(black_box(0.001)));
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = s.mul_add_f32s(*sum, a, b);
                }
            }
            let mut total = 0.0;
            for sum in sums {
                total += s.reduce_sum_f32s(sum);
            }
            (total, S::F32_LANES)
        }
    }
    let lanes = Arch::new().dispatch(Busy).1;
    let seconds = best(100, cpu_s, || {
        black_box(Arch::new().dispatch(Busy));
    });
    (2 * 12 * ROUNDS * lanes) as f64 / seconds / 1e9
}

fn weights(scale: f64) -> Vec<f32> {
    let mut weights = Vec::new();
    for _ in 0..MEMBERS {
        for w in WIDTHS.windows(2) {
            let sd = scale * 0.5 / (w[0] as f64).sqrt();
            for _ in 0..w[0] * w[1] {
                weights.push((sd * Key::new(1).normal(weights.len() as u64)) as f32);
            }
            weights.resize(weights.len() + w[1], 0.0);
        }
    }
    weights
}

fn passes(peak: f64) {
    let (compute, rows) = (cpu(), 256);
    let weights = weights(1.0);
    let net = Net { members: MEMBERS, widths: &WIDTHS, weights: &weights };
    let (x, mut out) = (vec![0.3; MEMBERS * 6 * rows], vec![0.0; MEMBERS * 8 * rows]);
    let (out_grad, mut weight_grad) = (vec![0.1; out.len()], vec![0.0; weights.len()]);
    let mut tape = Tape::default();
    let mut forward = || {
        let ran = compute.forward(&net, &x, rows, &mut tape, &mut out);
        assert!(ran.is_ok(), "{ran:?}");
    };
    let there = best(200, cpu_s, &mut forward);
    let back = best(200, cpu_s, || {
        let ran = compute.backward(&net, &x, rows, &mut tape, &out_grad, &mut weight_grad, None);
        assert!(ran.is_ok(), "{ran:?}");
    });
    let flops = FLOPS * (MEMBERS * rows) as f64 / 1e9;
    println!(
        "forward,  5 x (4x200), 256 rows            {:9.1} GFLOP/s {:5.0} % of peak",
        flops / there,
        100.0 * flops / there / peak
    );
    println!(
        "backward, weights                          {:9.1} GFLOP/s {:5.0} % of peak",
        2.0 * flops / back,
        200.0 * flops / back / peak
    );
}

/// What a rollout reads, with all its slices.
struct Case {
    weights: Vec<f32>,
    history: Vec<f32>,
    future: Vec<f32>,
    rows: usize,
    steps: usize,
}

impl Case {
    fn new(rows: usize, steps: usize) -> Self {
        let numbers = |n: usize| (0..n).map(|i| Key::new(2).normal(i as u64) as f32).collect();
        // Random networks that let the states stay where they are, roughly.
        Self { weights: weights(0.7), history: numbers(6 * rows), future: numbers(2 * steps * rows), rows, steps }
    }

    /// TS∞, the members in blocks of rows; with noise.
    fn rollout(&self, block: usize) -> NetRollout<'_> {
        NetRollout {
            net: Net { members: MEMBERS, widths: &WIDTHS, weights: &self.weights },
            inputs: &[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)],
            input_mean: &[0.0; 6],
            input_scale: &[1.0; 6],
            targets: &[(0, true), (1, true), (2, true), (3, true)],
            target_mean: &[0.0; 4],
            target_sd: &[0.1; 4],
            least: &[-10.0; 4],
            most: &[0.5; 4],
            columns: 6,
            history: &self.history,
            past: 1,
            future: &self.future,
            exogenous: &[4, 5],
            steps: self.steps,
            rows: self.rows,
            block,
            switch: false,
            key: Some(Key::new(3)),
        }
    }
}

fn rollouts(peak: f64) {
    let compute = cpu();
    let case = Case::new(5000, 48);
    let mut states = vec![0.0; 48 * 4 * 5000];
    let mut run = |r: &NetRollout| {
        best(3, cpu_s, || {
            let ran = compute.rollout(r, &mut states);
            assert!(ran.is_ok(), "{ran:?}");
        })
    };
    let r = case.rollout(1000);
    let (seconds, quiet) = (run(&r), run(&NetRollout { key: None, ..r }));
    let rate = |s: f64| (5000 * 48) as f64 / s;
    let share = 100.0 * rate(seconds) * FLOPS / 1e9 / peak;
    println!("rollouts 5,000 x 48 steps, sampled (rollouts.py --scenarios 5000 --steps 48)");
    println!("  transitions per CPU s                    {:9.0}     {share:5.0} % of peak", rate(seconds));
    println!("  share of noise and its spread            {:9.1} %", 100.0 * (1.0 - quiet / seconds));
}

/// Wall seconds on one thread and two.
fn scaling() {
    let compute = cpu();
    let case = Case::new(5000, 24);
    let mut states = vec![0.0; 24 * 4 * 5000];
    let seconds = [1, 2].map(|threads| {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return f64::NAN };
        best(5, wall_s, || {
            pool.install(|| {
                let ran = compute.rollout(&case.rollout(1000), &mut states);
                assert!(ran.is_ok(), "{ran:?}");
            })
        })
    });
    println!("rollouts on two threads, wall              {:9.2} times as fast as on one", seconds[0] / seconds[1]);
}

/// CEM: 5 iterations of 500 plans of 25 moves with 20 particles each, the cost of `plan.py`.
fn plan(peak: f64) {
    const PLANS: usize = 500;
    const HORIZON: usize = 25;
    const PARTICLES: usize = 20;
    let compute = cpu();
    let rows = PLANS * PARTICLES;
    let mut case = Case::new(rows, HORIZON);
    for (c, start) in [0.0, 0.0, 0.1, -0.1].into_iter().enumerate() {
        case.history[c * rows..(c + 1) * rows].fill(start);
    }
    let mut states = vec![0.0; HORIZON * 4 * rows];
    let seconds = best(2, cpu_s, || {
        let (mut mean, mut sd) = (vec![0.0; 2 * HORIZON], vec![0.5; 2 * HORIZON]);
        for iteration in 0..5 {
            // Rows are `[particles][plans]`, so that a particle keeps its member.
            let key = Key::new(4).fold(iteration);
            let draw = |i: usize, p: usize| (mean[i] + sd[i] * key.fold(i as u64).normal(p as u64)).clamp(-1.0, 1.0);
            let plans: Vec<Vec<f64>> = (0..2 * HORIZON).map(|i| (0..PLANS).map(|p| draw(i, p)).collect()).collect();
            for (column, plans) in case.future.chunks_exact_mut(rows).zip(&plans) {
                for (to, plan) in column.iter_mut().zip(plans.iter().cycle()) {
                    *to = *plan as f32;
                }
            }
            let ran = compute.rollout(&NetRollout { key: Some(key), ..case.rollout(rows / MEMBERS) }, &mut states);
            assert!(ran.is_ok(), "{ran:?}");
            let mut costs: Vec<f64> = (0..PLANS).map(|p| plans.iter().map(|u| 0.01 * u[p] * u[p]).sum()).collect();
            for frame in states.chunks_exact(4 * rows) {
                for (column, wanted) in frame.chunks_exact(rows).zip([0.5, -0.5, 0.0, 0.0]) {
                    for (x, p) in column.iter().zip((0..PLANS).cycle()) {
                        costs[p] += f64::from(x - wanted).powi(2) / PARTICLES as f64;
                    }
                }
            }
            let mut order: Vec<usize> = (0..PLANS).collect();
            order.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]));
            for i in 0..2 * HORIZON {
                let elites = || order[..PLANS / 10].iter().map(|&p| plans[i][p]);
                let n = (PLANS / 10) as f64;
                let m = elites().sum::<f64>() / n;
                let s = (elites().map(|u| (u - m).powi(2)).sum::<f64>() / n).sqrt();
                (mean[i], sd[i]) = (0.1 * mean[i] + 0.9 * m, 0.1 * sd[i] + 0.9 * s);
            }
        }
        black_box(&mean);
    });
    let rate = (5 * rows * HORIZON) as f64 / seconds;
    println!("planning, CEM TS∞ 500 x 25 x 20 x 5 (plan.py --peer torch --prop tsinf)");
    println!(
        "  transitions per CPU s                    {rate:9.0}     {:5.0} % of peak",
        100.0 * rate * FLOPS / 1e9 / peak
    );
}

/// Columns `inputs` of rows `rows` of a table, and a dataset of one-step transitions to `y`.
fn dataset(x: Vec<Vec<f64>>, y: Vec<Vec<f64>>) -> Dataset {
    let layout = Layout {
        inputs: (0..x.len()).map(|k| (k, 0)).collect(),
        targets: (0..y.len()).map(|j| Target::Level(x.len() + j)).collect(),
    };
    // Rows that do not follow one another.
    Dataset { layout, row: (0..y[0].len()).map(|t| 2 * t).collect(), x, y, step_ms: 600_000 }
}

fn fit(name: &str, data: &Dataset, options: &ModelSpec) -> std::sync::Arc<dyn Regressor> {
    let rows: Vec<usize> = (0..data.len()).collect();
    let folds: Vec<Vec<usize>> = rows.chunks(data.len().div_ceil(5)).map(<[usize]>::to_vec).collect();
    let compute = cpu();
    let fit = Fit { data, rows: &rows, folds: &folds, options, seed: 1, compute: &compute, draft: false, hyper: &[] };
    match model::fit(name, &fit) {
        Ok(model) => model,
        Err(e) => panic!("{e}"),
    }
}

fn slices(x: &[Vec<f64>]) -> Vec<&[f64]> {
    x.iter().map(Vec::as_slice).collect()
}

/// Training as in `ensemble_fit.py`, and the likelihood of its test rows in standardised units.
fn ensemble(file: &Path) {
    const EPOCHS: usize = 20;
    let whole = table::read(file);
    let column = |name: String| table::numbers(&whole, &name);
    // Training rows come first.
    let Some(split) = whole.column_by_name("split") else { panic!("{}: no column `split`", file.display()) };
    let train = split.as_string::<i32>().iter().filter(|s| *s == Some("train")).count();
    let states: Vec<Vec<f64>> = (0..4).map(|i| column(format!("s{i}"))).collect();
    let next: Vec<Vec<f64>> = (0..4).map(|i| column(format!("n{i}"))).collect();
    let actions = (0..2).map(|i| column(format!("a{i}")));
    let x: Vec<Vec<f64>> = states.iter().cloned().chain(actions).collect();
    let y: Vec<Vec<f64>> =
        next.iter().zip(&states).map(|(n, s)| n.iter().zip(s).map(|(n, s)| n - s).collect()).collect();
    let part = |columns: &[Vec<f64>], from: usize, to: usize| -> Vec<Vec<f64>> {
        columns.iter().map(|c| c[from..to].to_vec()).collect()
    };
    let data = dataset(part(&x, 0, train), part(&y, 0, train));
    let spec = EnsembleSpec {
        members: MEMBERS.into(),
        layers: vec![200.into(); 4],
        epochs: EPOCHS.into(),
        patience: 0.into(),
        learning_rate: 1e-3.into(),
        weight_decay: 1e-5.into(),
        mean: MeanSpec::Zero.into(),
        ..EnsembleSpec::default()
    };
    let start = cpu_s();
    let model = fit("ensemble", &data, &ModelSpec { ensemble: spec, ..ModelSpec::default() });
    let seconds = (cpu_s() - start) / EPOCHS as f64;

    let (u, v) = (part(&x, train, x[0].len()), part(&y, train, x[0].len()));
    let n = v[0].len();
    let sd = data.target_scaling(&(0..train).collect::<Vec<_>>()).sd;
    let mut log_p = vec![vec![0.0; n]; MEMBERS];
    let mut mean = vec![vec![0.0; n]; 4];
    for (m, log_p) in log_p.iter_mut().enumerate() {
        let particles = [Particle { member: Some(m), rows: 0..n }];
        let (mut mu, mut sigma) = (vec![vec![0.0; n]; 4], vec![vec![0.0; n]; 4]);
        model.predict(&slices(&u), &particles, &mut mu);
        model.aleatoric(&slices(&u), &particles, &mut sigma);
        for j in 0..4 {
            for r in 0..n {
                let (e, s) = ((mu[j][r] - v[j][r]) / sd[j], sigma[j][r] / sd[j]);
                log_p[r] -= 0.5 * (e / s).powi(2) + s.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln();
                mean[j][r] += mu[j][r] / MEMBERS as f64;
            }
        }
    }
    let mixture = (0..n).map(|r| {
        let most = log_p.iter().map(|l| l[r]).fold(f64::NEG_INFINITY, f64::max);
        -(most + (log_p.iter().map(|l| (l[r] - most).exp()).sum::<f64>() / MEMBERS as f64).ln())
    });
    let square = |j: usize| (0..n).map(move |r| (r, j));
    let rmse = ((0..4).flat_map(square).map(|(r, j)| ((mean[j][r] - v[j][r]) / sd[j]).powi(2)).sum::<f64>()
        / (4 * n) as f64)
        .sqrt();
    println!(
        "training, 5 x (4x200), {train} rows, batch 256, 20 epochs (ensemble_fit.py --peer torch --epochs 20 --threads 1)"
    );
    println!("  CPU s per epoch                          {seconds:9.3}");
    println!("  mixture NLL, RMSE of the test rows       {:9.3} {rmse:9.4}", mixture.sum::<f64>() / n as f64);
}

/// Prediction as in `forest.py`, beside the rate of a tree and a row.
fn forest(file: &Path) {
    const TREES: usize = 36;
    let whole = table::read(file);
    let half = whole.num_rows() / 2;
    let x: Vec<Vec<f64>> = (0..20).map(|k| table::numbers(&whole, &format!("x{k}"))).collect();
    let y = table::numbers(&whole, "y");
    let data = dataset(x.iter().map(|c| c[..20_000].to_vec()).collect(), vec![y[..20_000].to_vec()]);
    let model = fit("forest", &data, &ModelSpec::default());
    let test: Vec<&[f64]> = x.iter().map(|c| &c[half..]).collect();
    let n = half.min(100_000);
    let mut out = vec![vec![0.0; test[0].len()]];
    let seconds = best(5, cpu_s, || model.predict(&test, &[Particle { member: None, rows: 0..n }], &mut out));
    let rmse = (out[0][..n].iter().zip(&y[half..]).map(|(p, y)| (p - y).powi(2)).sum::<f64>() / n as f64).sqrt();
    println!(
        "forest, {TREES} trees on 20,000 x 20, {n} rows predicted (forest.py --peer rf --n 20000 --trees {TREES} --threads 1)"
    );
    println!("  CPU s, million trees x rows per CPU s    {seconds:9.3} {:9.1}", (TREES * n) as f64 / seconds / 1e6);
    println!("  RMSE of the test rows                    {rmse:9.4}");
}
