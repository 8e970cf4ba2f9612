//! CPU time of ensembles and forests, compared with the reference libraries PyTorch and scikit-learn.
//!
//!     cargo bench --bench ensemble -- DATA [part..] [--threads N] [--peers FOLDER]
//!
//! The parts are `net`, `fit` and `forest`. By default, all parts run. DATA is the folder written by `gen_data.py`. The
//! folder can also be given in the environment variable `TWINOPT_PEERS_DATA`. Without DATA, the parts `fit` and
//! `forest` are skipped. FOLDER contains the scripts of the reference libraries and their Python environment `v1`. With
//! `--peers`, rounds of twinopt and of each reference library alternate on the same number of threads, and the fastest
//! round of each library is reported. The layer widths and data sizes are the same as in `ensemble_fit.py` and
//! `forest.py`.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use twinopt::bench::{EnsembleSpec, Fit, Layout, MeanSpec, Particle, Target, fit as fit_model};
use twinopt::compute::{Net, Tape, cpu};
use twinopt::rng::Key;
use twinopt::{Dataset, ModelSpec, Regressor};

mod measure;
#[allow(dead_code, reason = "this benchmark uses only some functions of the module")]
#[path = "../tests/internal/table/mod.rs"]
mod table;

use measure::{Peer, best, cpu_s, peak, peers};

const WIDTHS: [usize; 6] = [6, 200, 200, 200, 200, 8];
const MEMBERS: usize = 5;

/// Number of floating-point operations per row, counting two operations per weight.
fn flops(widths: &[usize]) -> f64 {
    2.0 * widths.windows(2).map(|w| w[0] * w[1]).sum::<usize>() as f64
}

/// Number of rounds run by twinopt and by each reference library.
const ROUNDS: usize = 3;

/// Number of threads, folder of the reference libraries, and peak performance of the processor.
struct Setting {
    threads: usize,
    /// Folder with the scripts that run the reference libraries.
    peers: Option<PathBuf>,
    /// Peak performance of one core in GFLOP/s.
    peak: f64,
}

impl Setting {
    /// Runs the script of a reference library and returns the values of `fields` from the JSON line printed by the
    /// script. `None` if `--peers` is not given.
    fn peer<const N: usize>(&self, peer: &Peer, fields: [&str; N]) -> Option<[f64; N]> {
        peer.run(self.peers.as_ref()?, self.threads, fields)
    }
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let peers = peers(&mut args);
    let at = args.iter().position(|a| a == "--threads");
    let threads = at.and_then(|at| args.drain(at..args.len().min(at + 2)).nth(1)?.parse().ok()).unwrap_or(1);
    let names = ["net", "fit", "forest"];
    let chosen: Vec<&str> = args.iter().map(String::as_str).filter(|a| names.contains(a)).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.contains(&name);
    let data = args.iter().find(|a| !names.contains(&a.as_str())).map(PathBuf::from);
    let data = data.or_else(|| std::env::var_os("TWINOPT_PEERS_DATA").map(PathBuf::from));
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
    pool.install(|| {
        let setting = Setting { threads, peers, peak: peak() };
        println!("{threads} threads; the single-precision peak of one core is {:.1} GFLOP/s", setting.peak);
        if wants("net") {
            passes(&setting);
        }
        for (name, file, run) in
            [("fit", "transitions.parquet", ensemble as fn(&Setting, &Path)), ("forest", "forest.parquet", forest)]
        {
            match data.as_ref().map(|d| d.join(file)).filter(|f| f.exists()) {
                _ if !wants(name) => {}
                Some(file) => run(&setting, &file),
                None => {
                    println!("{name}: {file} is missing; run `python gen_data.py --out data` and pass `data`")
                }
            }
        }
    });
}

fn weights(widths: &[usize]) -> Vec<f32> {
    let mut weights = Vec::new();
    for _ in 0..MEMBERS {
        for w in widths.windows(2) {
            let sd = 0.5 / (w[0] as f64).sqrt();
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
    let weights = weights(&WIDTHS);
    let net = Net { members: MEMBERS, widths: &WIDTHS, weights: &weights };
    let (x, mut out) = (vec![0.3; MEMBERS * 6 * rows], vec![0.0; MEMBERS * 8 * rows]);
    let (out_grad, mut weight_grad) = (vec![0.1; out.len()], vec![0.0; weights.len()]);
    let mut tape = Tape::default();
    let mut forward = || {
        let ran = compute.forward(&net, &x, rows, &mut tape, &mut out);
        assert!(ran.is_ok(), "{ran:?}");
    };
    let forward_s = best(5, cpu_s, &mut forward);
    let backward_s = best(5, cpu_s, || {
        let ran = compute.backward(&net, &x, rows, &mut tape, &out_grad, &mut weight_grad, None);
        assert!(ran.is_ok(), "{ran:?}");
    });
    let flops = flops(&WIDTHS) * (MEMBERS * rows) as f64 / 1e9;
    println!(
        "forward,  5 x (4x200), 256 rows            {:9.1} GFLOP/s {:5.0} % of peak",
        flops / forward_s,
        100.0 * flops / forward_s / peak
    );
    println!(
        "backward, weights                          {:9.1} GFLOP/s {:5.0} % of peak",
        2.0 * flops / backward_s,
        200.0 * flops / backward_s / peak
    );
}

/// A dataset with inputs `x` and targets `y`, stored by column.
fn dataset(x: Vec<Vec<f64>>, y: Vec<Vec<f64>>) -> Dataset {
    let layout = Layout {
        inputs: (0..x.len()).map(|k| (k, 0)).collect(),
        targets: (0..y.len()).map(|j| Target::Level(x.len() + j)).collect(),
    };
    // only even row numbers are used, so that no two rows are consecutive
    Dataset { layout, row: (0..y[0].len()).map(|t| 2 * t).collect(), x, y, step_ms: 600_000, control_moves: Vec::new() }
}

fn fit(name: &str, data: &Dataset, options: &ModelSpec) -> std::sync::Arc<dyn Regressor> {
    let rows: Vec<usize> = (0..data.len()).collect();
    let folds: Vec<Vec<usize>> = rows.chunks(data.len().div_ceil(5)).map(<[usize]>::to_vec).collect();
    let compute = cpu();
    let fit = Fit { data, rows: &rows, folds: &folds, options, seed: 1, compute: &compute, draft: false, hyper: &[] };
    match fit_model(name, &fit) {
        Ok(model) => model,
        Err(e) => panic!("{e}"),
    }
}

fn slices(x: &[Vec<f64>]) -> Vec<&[f64]> {
    x.iter().map(Vec::as_slice).collect()
}

/// Trains an ensemble in the same way as `ensemble_fit.py`, and computes the negative log-likelihood of the test rows
/// in standardised units.
fn ensemble(setting: &Setting, file: &Path) {
    const EPOCHS: usize = 20;
    let whole = table::read(file);
    let column = |name: String| table::numbers(&whole, &name);
    // the training rows precede the test rows
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
    let run_torch = || setting.peer(&torch, ["epoch_cpu_s", "nll_mixture", "rmse"]);
    let (model, mut seconds) = timed();
    let mut theirs = run_torch();
    // if the reference library was run, both twinopt and the reference library run a second round
    if let Some(theirs) = &mut theirs {
        seconds = seconds.min(timed().1);
        theirs[0] = theirs[0].min(run_torch().map_or(f64::INFINITY, |[s, ..]| s));
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
    println!(
        "training, 5 x (4x200), {train} rows, batch 256, {EPOCHS} epochs; twinopt uses a cosine learning rate schedule"
    );
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

/// Times the predictions of a forest in the same way as `forest.py`.
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
