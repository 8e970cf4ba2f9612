//! Ensembles, rollouts, planning and forests in CPU seconds, beside what their peers are measured on.
//!
//!     cargo bench --bench ensemble -- DATA [part..] [--threads N] [--peers FOLDER]
//!
//! Parts: `net`, `rollout`, `whatif`, `plan`, `fit`, `forest`; all when none is named. DATA is the folder that `gen_data.py` of the
//! peers fills (also `TWINOPT_PEERS_DATA`); without it, `fit` and `forest` are left out. With `--peers` (the folder of
//! `plan.py`, with its environments in `v1` and, of mbrl-lib, `v2`) each peer runs between our own rounds, on as many threads, and the best of
//! each counts. Widths, sizes and start values are those in the headers of `ensemble_fit.py`, `rollouts.py`, `plan.py`
//! and `forest.py`.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use twinopt::compute::{Net, NetRollout, Tape, cpu};
use twinopt::config::{EnsembleSpec, MeanSpec, ModelSpec};
use twinopt::learn::model;
use twinopt::learn::{Dataset, Fit, Layout, Particle, Regressor, Target};
use twinopt::rng::Key;

mod measure;
#[path = "../tests/table/mod.rs"]
mod table;

use measure::{Peer, best, cpu_s, peak, peers, wall_s};

const WIDTHS: [usize; 6] = [6, 200, 200, 200, 200, 8];
/// The default layers of an ensemble.
const SMALL: [usize; 4] = [6, 64, 64, 8];
const MEMBERS: usize = 5;

/// Multiply-adds of a row times two.
fn flops(widths: &[usize]) -> f64 {
    2.0 * widths.windows(2).map(|w| w[0] * w[1]).sum::<usize>() as f64
}

/// Rounds of ours and of each peer, by turns.
const ROUNDS: usize = 3;

/// On how many threads, and beside whom.
struct Setting {
    threads: usize,
    peers: Option<PathBuf>,
    /// GFLOP/s of one core.
    peak: f64,
}

impl Setting {
    /// Numbers `fields` of the line that a peer prints, if there is one.
    fn peer<const N: usize>(&self, peer: &Peer, fields: [&str; N]) -> Option<[f64; N]> {
        peer.run(self.peers.as_ref()?, self.threads, fields)
    }

    /// Prints the best rate of some rounds of `ours` beside that of each peer, its number `field`, by turns.
    fn beside(&self, what: &str, peers: &[Peer], field: &str, mut ours: impl FnMut() -> f64) -> f64 {
        let (mut best, mut theirs) = (0.0_f64, vec![0.0_f64; peers.len()]);
        for _ in 0..if self.peers.is_some() { ROUNDS } else { 1 } {
            best = best.max(ours());
            for (best, peer) in theirs.iter_mut().zip(peers) {
                *best = best.max(self.peer(peer, [field]).map_or(0.0, |[rate]| rate));
            }
        }
        println!("  {what:<40} {best:9.0}");
        for (peer, rate) in peers.iter().zip(&theirs).filter(|(_, rate)| **rate > 0.0) {
            println!("    {:<38} {rate:9.0} ({:.2}x)", peer.name, best / rate);
        }
        best
    }

    /// Share of the peak that transitions at this rate take, in percent.
    fn share(&self, widths: &[usize], rate: f64) -> f64 {
        100.0 * rate * flops(widths) / 1e9 / self.peak
    }
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let peers = peers(&mut args);
    let at = args.iter().position(|a| a == "--threads");
    let threads = at.and_then(|at| args.drain(at..args.len().min(at + 2)).nth(1)?.parse().ok()).unwrap_or(1);
    let names = ["net", "rollout", "whatif", "plan", "fit", "forest"];
    let chosen: Vec<&str> = args.iter().map(String::as_str).filter(|a| names.contains(a)).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.contains(&name);
    let data = args.iter().find(|a| !names.contains(&a.as_str())).map(PathBuf::from);
    let data = data.or_else(|| std::env::var_os("TWINOPT_PEERS_DATA").map(PathBuf::from));
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
    pool.install(|| {
        let setting = Setting { threads, peers, peak: peak() };
        println!("{threads} threads; single-precision peak of one core {:.1} GFLOP/s", setting.peak);
        if wants("net") {
            passes(&setting);
        }
        if wants("rollout") {
            rollouts(&setting);
        }
        if wants("whatif") {
            whatif(&setting);
        }
        if wants("plan") {
            plan(&setting);
        }
        for (name, file, run) in
            [("fit", "transitions.parquet", ensemble as fn(&Setting, &Path)), ("forest", "forest.parquet", forest)]
        {
            match data.as_ref().map(|d| d.join(file)).filter(|f| f.exists()) {
                _ if !wants(name) => {}
                Some(file) => run(&setting, &file),
                None => {
                    println!("{name}: no {file}; make it with `python gen_data.py --out data`, and name its folder")
                }
            }
        }
    });
    if wants("rollout") {
        println!("rollouts 5,000 x 24 steps");
        scaling(&Case::new(&WIDTHS, 5000, 24), &mut vec![0.0; 24 * 4 * 5000]);
    }
    if wants("whatif") {
        println!("5 x (2x64), 10,000 scenarios x 288 steps");
        scaling(&Case::new(&SMALL, 10_000, 288), &mut vec![0.0; 288 * 4 * 10_000]);
    }
}

fn weights(widths: &[usize], scale: f64) -> Vec<f32> {
    let mut weights = Vec::new();
    for _ in 0..MEMBERS {
        for w in widths.windows(2) {
            let sd = scale * 0.5 / (w[0] as f64).sqrt();
            for _ in 0..w[0] * w[1] {
                weights.push((sd * Key::new(1).normal(weights.len() as u64)) as f32);
            }
            weights.resize(weights.len() + w[1], 0.0);
        }
    }
    weights
}

fn passes(setting: &Setting) {
    let peak = setting.peak;
    let (compute, rows) = (cpu(), 256);
    let weights = weights(&WIDTHS, 1.0);
    let net = Net { members: MEMBERS, widths: &WIDTHS, weights: &weights };
    let (x, mut out) = (vec![0.3; MEMBERS * 6 * rows], vec![0.0; MEMBERS * 8 * rows]);
    let (out_grad, mut weight_grad) = (vec![0.1; out.len()], vec![0.0; weights.len()]);
    let mut tape = Tape::default();
    let mut forward = || {
        let ran = compute.forward(&net, &x, rows, &mut tape, &mut out);
        assert!(ran.is_ok(), "{ran:?}");
    };
    let there = best(5, cpu_s, &mut forward);
    let back = best(5, cpu_s, || {
        let ran = compute.backward(&net, &x, rows, &mut tape, &out_grad, &mut weight_grad, None);
        assert!(ran.is_ok(), "{ran:?}");
    });
    let flops = flops(&WIDTHS) * (MEMBERS * rows) as f64 / 1e9;
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
    widths: &'static [usize],
    weights: Vec<f32>,
    history: Vec<f32>,
    future: Vec<f32>,
    rows: usize,
    steps: usize,
}

impl Case {
    fn new(widths: &'static [usize], rows: usize, steps: usize) -> Self {
        let numbers = |n: usize| (0..n).map(|i| Key::new(2).normal(i as u64) as f32).collect();
        // Random networks that let the states stay where they are, roughly.
        Self {
            widths,
            weights: weights(widths, 0.7),
            history: numbers(6 * rows),
            future: numbers(2 * steps * rows),
            rows,
            steps,
        }
    }

    /// TS∞, the members in blocks of rows; with noise.
    fn rollout(&self, block: usize) -> NetRollout<'_> {
        NetRollout {
            net: Net { members: MEMBERS, widths: self.widths, weights: &self.weights },
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

fn rollouts(setting: &Setting) {
    let compute = cpu();
    let case = Case::new(&WIDTHS, 5000, 48);
    let mut states = vec![0.0; 48 * 4 * 5000];
    let mut rate = |r: &NetRollout| {
        let seconds = best(1, cpu_s, || {
            let ran = compute.rollout(r, &mut states);
            assert!(ran.is_ok(), "{ran:?}");
        });
        (r.rows * r.steps) as f64 / seconds
    };
    let r = case.rollout(1000);
    println!("rollouts 5,000 x 48 steps, sampled");
    let of = |name, arguments| Peer { name, environment: "v1", script: "rollouts.py", arguments };
    let peers = [
        of("numpy", "--scenarios 5000 --steps 48 --peer numpy"),
        of("torch", "--scenarios 5000 --steps 48 --peer torch"),
    ];
    let sampled = setting.beside("transitions per CPU s", &peers, "scenario_steps_per_cpu_s", || rate(&r));
    println!("  share of the peak                        {:9.0} %", setting.share(&WIDTHS, sampled));
    let quiet = rate(&NetRollout { key: None, ..r });
    println!("  without noise, transitions per CPU s     {quiet:9.0}");
}

/// The default network alone, over as many scenarios and steps as the loop of `--bench twins` has.
fn whatif(setting: &Setting) {
    const ROWS: usize = 10_000;
    const STEPS: usize = 288;
    let (compute, case) = (cpu(), Case::new(&SMALL, ROWS, STEPS));
    let mut states = vec![0.0; STEPS * 4 * ROWS];
    let seconds = best(3, cpu_s, || {
        let ran = compute.rollout(&case.rollout(ROWS / MEMBERS), &mut states);
        assert!(ran.is_ok(), "{ran:?}");
    });
    let rate = (ROWS * STEPS) as f64 / seconds;
    println!("network alone, 5 x (2x64), 10,000 scenarios x 288 steps");
    println!("  scenario-steps per CPU s                 {rate:9.0}, {:.0} % of peak", setting.share(&SMALL, rate));
}

/// One thread and two by turns, because a wall clock also shows who else runs.
fn scaling(case: &Case, states: &mut [f32]) {
    let compute = cpu();
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    let [Ok(one), Ok(two)] = pools else { return };
    let (mut wall, mut cpu) = ([f64::INFINITY; 2], [f64::INFINITY; 2]);
    for _ in 0..10 {
        for (i, pool) in [&one, &two].into_iter().enumerate() {
            let (wall_start, cpu_start) = (wall_s(), cpu_s());
            pool.install(|| {
                let ran = compute.rollout(&case.rollout(case.rows / MEMBERS), states);
                assert!(ran.is_ok(), "{ran:?}");
            });
            (wall[i], cpu[i]) = (wall[i].min(wall_s() - wall_start), cpu[i].min(cpu_s() - cpu_start));
        }
    }
    println!("  on two threads {:.2} times as fast as on one by the wall,", wall[0] / wall[1]);
    println!("  in {:.2} times the CPU seconds", cpu[1] / cpu[0]);
}

/// CEM: 5 iterations of 500 plans of 25 moves with 20 particles each, the cost of `plan.py`.
fn plan(setting: &Setting) {
    const PLANS: usize = 500;
    const HORIZON: usize = 25;
    const PARTICLES: usize = 20;
    let compute = cpu();
    let rows = PLANS * PARTICLES;
    let mut case = Case::new(&WIDTHS, rows, HORIZON);
    for (c, start) in [0.0, 0.0, 0.1, -0.1].into_iter().enumerate() {
        case.history[c * rows..(c + 1) * rows].fill(start);
    }
    let mut states = vec![0.0; HORIZON * 4 * rows];
    let mut iterate = || {
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
    };
    println!("planning, CEM TS∞, 5 x 500 plans x 25 moves x 20 particles");
    let of = |name, environment, arguments| Peer { name, environment, script: "plan.py", arguments };
    let peers = [
        of("torch", "v1", "--peer torch --opt cem --prop tsinf --steps 1"),
        of("mbrl-lib", "v2", "--peer mbrl --opt cem --prop tsinf --steps 1"),
    ];
    let rate = setting.beside("transitions per CPU s", &peers, "transitions_per_cpu_s", || {
        (5 * rows * HORIZON) as f64 / best(1, cpu_s, &mut iterate)
    });
    println!("  share of the peak                        {:9.0} %", setting.share(&WIDTHS, rate));
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
fn ensemble(setting: &Setting, file: &Path) {
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
        mean: MeanSpec::Constant.into(),
        ..EnsembleSpec::default()
    };
    let spec = ModelSpec { ensemble: spec, ..ModelSpec::default() };
    let timed = || {
        let start = cpu_s();
        let model = fit("ensemble", &data, &spec);
        (model, (cpu_s() - start) / EPOCHS as f64)
    };
    let arguments = &format!("--peer torch --epochs {EPOCHS}");
    let torch = Peer { name: "torch", environment: "v1", script: "ensemble_fit.py", arguments };
    let beside = || setting.peer(&torch, ["epoch_cpu_s", "nll_mixture", "rmse"]);
    let (model, mut seconds) = timed();
    let mut theirs = beside();
    // once more, if there is somebody to compare with
    if let Some(theirs) = &mut theirs {
        seconds = seconds.min(timed().1);
        theirs[0] = theirs[0].min(beside().map_or(f64::INFINITY, |[s, ..]| s));
    }

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
    println!("training, 5 x (4x200), {train} rows, batch 256, {EPOCHS} epochs; our step size falls along a cosine");
    println!(
        "  CPU s per epoch; mixture NLL, RMSE       {seconds:9.3} {:9.3} {rmse:9.4}",
        mixture.sum::<f64>() / n as f64
    );
    if let Some([theirs, nll, rmse]) = theirs {
        println!(
            "    torch                                  {theirs:9.3} {nll:9.3} {rmse:9.4} ({:.2}x)",
            seconds / theirs
        );
    }
}

/// Prediction as in `forest.py`, beside the rate of a tree and a row.
fn forest(setting: &Setting, file: &Path) {
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
    let arguments = &format!("--peer rf --n 20000 --trees {TREES}");
    let peer = Peer { name: "scikit-learn", environment: "v1", script: "forest.py", arguments };
    let (mut seconds, mut theirs) = (f64::INFINITY, None::<[f64; 2]>);
    for _ in 0..ROUNDS {
        let mut predict = || model.predict(&test, &[Particle { member: None, rows: 0..n }], &mut out);
        seconds = seconds.min(best(1, cpu_s, &mut predict));
        if let Some([s, rmse]) = setting.peer(&peer, ["predict_cpu_s", "rmse"]) {
            theirs = Some([theirs.map_or(s, |[best, _]| best.min(s)), rmse]);
        }
    }
    let rmse = (out[0][..n].iter().zip(&y[half..]).map(|(p, y)| (p - y).powi(2)).sum::<f64>() / n as f64).sqrt();
    println!("forest, {TREES} trees on 20,000 x 20, {n} rows predicted");
    println!("  CPU s; RMSE                              {seconds:9.3} {rmse:9.4}");
    if let Some([theirs, rmse]) = theirs {
        println!("    scikit-learn                           {theirs:9.3} {rmse:9.4} ({:.2}x)", seconds / theirs);
    }
}
