//! CPU time of Gaussian processes on one thread, for the same workload as in `shared/peers/gp_fit.py`.
//!
//!     cargo bench --bench gp -- data/gp.parquet [part..] [--peers FOLDER]
//!
//! The parts are `evidence`, `fit`, `inducing` and `predict`. By default, all parts run. FOLDER contains `gp_fit.py`
//! and its Python environment `v1`. With `--peers`, rounds of twinopt and of each reference library (NumPy, GPyTorch)
//! alternate, and the fastest round of each library is reported.

use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use arrow_array::{Array, Float64Array};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use twinopt::bench::{Effort, Hyper, Observed, select_inducing_points, tune, tune_inducing};
use twinopt::compute::{Compute, Family, GpFunctions, Kernel, Points, Solve, cpu};
use twinopt::rng::Key;

const TEST_ROWS: usize = 10_000;
const ROUNDS: usize = 3;

/// The data of the workload, stored column by column. The last column is the target.
struct Workload {
    columns: Vec<Vec<f64>>,
    rows: usize,
}

/// The first rows of the workload as training data with a standardised target, and the last rows as test data in
/// original units.
struct Sample {
    d: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    mean: f64,
    sd: f64,
    test_x: Vec<f64>,
    test_y: Vec<f64>,
}

impl Workload {
    fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
            let batch = batch?;
            columns.resize_with(batch.num_columns(), Vec::new);
            for (to, from) in columns.iter_mut().zip(batch.columns()) {
                let numbers = from.as_any().downcast_ref::<Float64Array>().ok_or("a column is not of type double")?;
                to.extend_from_slice(numbers.values());
            }
        }
        let rows = columns.first().map_or(0, Vec::len);
        Ok(Self { columns, rows })
    }

    fn sample(&self, n: usize) -> Sample {
        let (inputs, target) = self.columns.split_at(self.columns.len() - 1);
        let flat = |rows: std::ops::Range<usize>| inputs.iter().flat_map(|c| c[rows.clone()].to_vec()).collect();
        let (test, y) = (self.rows - TEST_ROWS..self.rows, &target[0][..n]);
        let mean = y.iter().sum::<f64>() / n as f64;
        let sd = (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        let y = y.iter().map(|v| (v - mean) / sd).collect();
        let (d, x) = (inputs.len(), flat(0..n));
        Sample { d, x, y, mean, sd, test_x: flat(test.clone()), test_y: target[0][test].to_vec() }
    }
}

impl Sample {
    fn observed(&self) -> Observed<'_> {
        Observed { x: Points { values: &self.x, n: self.y.len() }, y: &self.y }
    }

    fn start(&self, family: Family) -> Hyper {
        Hyper { kernel: Kernel { family, variance: 1.0, lengths: vec![0.5; self.d] }, noise: 0.1 }
    }

    /// RMSE and negative log predictive density on the test rows, in original units.
    fn score(&self, compute: &Compute, hyper: &Hyper, z: &[f64], weights: &[f64], precision: &[f64]) -> (f64, f64) {
        let n = z.len() / self.d;
        let points = Points { values: z, n };
        let gp = GpFunctions { kernel: &hyper.kernel, points, weights, precision: Some(precision) };
        let (mut mean, mut variance) = (vec![0.0; TEST_ROWS], vec![0.0; TEST_ROWS]);
        let x = Points { values: &self.test_x, n: TEST_ROWS };
        compute.gp_predict(&gp, x, &mut mean, Some(&mut variance)).expect("a prediction");
        let (mut squares, mut density) = (0.0, 0.0);
        for ((m, v), y) in mean.iter().zip(&variance).zip(&self.test_y) {
            let error = m * self.sd + self.mean - y;
            let v = (v + hyper.noise) * self.sd * self.sd;
            squares += error * error;
            density += 0.5 * (std::f64::consts::TAU * v).ln() + 0.5 * error * error / v;
        }
        ((squares / TEST_ROWS as f64).sqrt(), density / TEST_ROWS as f64)
    }
}

/// CPU time of this thread in seconds, or wall-clock time if the system does not report CPU time.
fn clock(start: Instant) -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = schedstat.and_then(|t| t.split(' ').next().and_then(|n| n.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// Mean time per call in seconds. The calls are repeated for at least half a second, because the clock has a coarse
/// resolution.
fn seconds(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let (from, mut calls) = (clock(start), 0.0);
    loop {
        call();
        calls += 1.0;
        let spent = clock(start) - from;
        if spent > 0.5 {
            return spent / calls;
        }
    }
}

/// Peak performance of one core in GFLOP/s, measured with a matrix product that fits in the cache.
fn peak() -> f64 {
    let n = 256;
    let a = Mat::<f64>::from_fn(n, n, |i, j| ((i * 7 + j) as f64).sin());
    let mut c = Mat::<f64>::zeros(n, n);
    let best = (0..ROUNDS)
        .map(|_| seconds(|| matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.as_ref(), 1.0, Par::Seq)))
        .fold(f64::INFINITY, f64::min);
    2.0 * (n as f64).powi(3) / best / 1e9
}

/// Runs `gp_fit.py` and returns the value of `field` from the JSON line printed by the script.
fn peer(folder: Option<&Path>, arguments: &str, field: &str) -> Option<f64> {
    let folder = folder?;
    let data = ["--threads", "1", "--data", "data/gp.parquet"];
    let output = Command::new(folder.join("v1/bin/python"))
        .current_dir(folder)
        .env_remove("OPENBLAS_CORETYPE")
        .env_remove("OPENBLAS_L2_SIZE")
        .arg("gp_fit.py")
        .args(arguments.split(' '))
        .args(data)
        .output()
        .ok()?;
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    line["result"][field].as_f64()
}

fn comparison(ours: f64, theirs: f64) -> String {
    if theirs.is_finite() { format!("{theirs:8.4} ({:.2}x)", ours / theirs) } else { "-".into() }
}

fn evidence(compute: &Compute, workload: &Workload, peers: Option<&Path>) {
    println!("\nLML and gradient, d = 6, squared exponential; CPU seconds (ours / theirs)");
    println!("     n      ours   GFLOP/s of n^3   share of peak   numpy              gpytorch");
    for n in [500, 2000, 5000] {
        let sample = workload.sample(n);
        let Hyper { kernel, noise } = sample.start(Family::SquaredExponential);
        let (mut ours, mut numpy, mut gpytorch) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            ours = ours.min(seconds(|| {
                black_box(compute.evidence(&kernel, noise, sample.observed().x, &sample.y)).expect("an evidence");
            }));
            let run = |name: &str| {
                let arguments = format!("--peer {name} --n {n} --grad-only --grad-repeat 3");
                peer(peers, &arguments, "grad_cpu_s").unwrap_or(f64::INFINITY)
            };
            numpy = numpy.min(run("numpy"));
            gpytorch = gpytorch.min(run("gpytorch"));
        }
        let rate = (n as f64).powi(3) / ours / 1e9;
        let share = 100.0 * rate / peak();
        let (numpy, gpytorch) = (comparison(ours, numpy), comparison(ours, gpytorch));
        println!("{n:6}  {ours:8.4}   {rate:14.1}   {share:11.0} %   {numpy:18} {gpytorch}");
    }
}

fn fit(compute: &Compute, workload: &Workload, peers: Option<&Path>) {
    println!("\nwhole fit, n = 500; CPU seconds");
    println!("family                 LML      RMSE      NLPD   evaluations     ours   numpy");
    let sample = workload.sample(500);
    let n = sample.y.len();
    let effort = Effort { iterations: 50, evaluations: 100, gain: 1e-9 };
    for (family, name) in [(Family::SquaredExponential, "rbf"), (Family::Matern52, "matern52")] {
        let mut found = None;
        let (mut ours, mut numpy) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            ours = ours.min(seconds(|| {
                found = tune(compute, sample.observed(), &sample.start(family), effort).ok();
            }));
            let arguments = format!("--peer numpy --n 500 --kernel {name}");
            numpy = numpy.min(peer(peers, &arguments, "fit_cpu_s").unwrap_or(f64::INFINITY));
        }
        let Some(found) = found else { continue };
        let Hyper { kernel, noise } = &found.hyper;
        let mut factor = vec![0.0; n * n];
        compute.kernel(kernel, sample.observed().x, sample.observed().x, &mut factor).expect("a kernel matrix");
        (0..n).for_each(|i| factor[i * (n + 1)] += noise);
        assert!(compute.cholesky(&mut factor, n).expect("a factor"));
        let mut weights = sample.y.clone();
        compute.solve(&factor, n, &mut weights, Solve::Both).expect("weights");
        let mut precision: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at % n == at / n))).collect();
        compute.solve(&factor, n, &mut precision, Solve::Both).expect("a precision");
        let (rmse, nlpd) = sample.score(compute, &found.hyper, &sample.x, &weights, &precision);
        let (lml, evaluations, numpy) = (found.value, found.evaluations, comparison(ours, numpy));
        println!("{name:10} {lml:15.3}   {rmse:.5}   {nlpd:.4}   {evaluations:11} {ours:8.4}   {numpy}");
    }
}

fn inducing(compute: &Compute, workload: &Workload, peers: Option<&Path>) {
    let (n, m) = (50_000, 512);
    println!("\ninducing points, N = {n}, M = {m}, squared exponential; CPU seconds");
    let sample = workload.sample(n);
    let mut hyper = sample.start(Family::SquaredExponential);
    // as in the GP model, the hyper-parameters are first tuned on a few rows
    let few = workload.sample(1000);
    let effort = Effort { iterations: 40, evaluations: 60, gain: 1e-7 };
    let started = Instant::now();
    let from = clock(started);
    hyper = tune(compute, few.observed(), &hyper, effort).map_or(hyper, |t| t.hyper);
    let mut z = select_inducing_points(compute, &hyper.kernel, workload.sample(6000).observed().x, m).expect("points");
    let chosen = clock(started) - from;
    let points = workload.sample(m);
    let points = points.observed().x;
    let Observed { x, y } = sample.observed();
    let bound = (0..ROUNDS)
        .map(|_| {
            seconds(|| {
                black_box(compute.gp_inducing(&hyper.kernel, hyper.noise, 1e-6, x, y, points, true)).expect("a bound");
            })
        })
        .fold(f64::INFINITY, f64::min);
    let rate = 4.0 * n as f64 * (m * m) as f64 / bound / 1e9;
    println!("bound and gradient {bound:.3} s: {rate:.1} GFLOP/s for 4 N M^2, {:.0} % of peak", 100.0 * rate / peak());
    let report = |hyper: &Hyper, z: &[f64], spent: f64, what: &str| {
        let m = z.len() / sample.d;
        let posterior = compute
            .gp_inducing(&hyper.kernel, hyper.noise, 1e-6, x, y, Points { values: z, n: m }, false)
            .expect("a bound");
        let Some(posterior) = posterior else { return println!("{what}: a matrix is not positive definite") };
        // L^-T (I - (M M^T)^-1) L^-1
        let mut p: Vec<f64> = (0..m * m).map(|at| f64::from(u8::from(at % m == at / m))).collect();
        compute.solve(&posterior.data, m, &mut p, Solve::Both).expect("a solution");
        p.iter_mut().enumerate().for_each(|(at, v)| *v = f64::from(u8::from(at % m == at / m)) - *v);
        compute.solve(&posterior.prior, m, &mut p, Solve::Backward).expect("a solution");
        let mut p: Vec<f64> = (0..m * m).map(|at| p[at / m + at % m * m]).collect();
        compute.solve(&posterior.prior, m, &mut p, Solve::Backward).expect("a solution");
        let (rmse, nlpd) = sample.score(compute, hyper, z, &posterior.weights, &p);
        println!("{what}, M = {m}: bound {:.1}, RMSE {rmse:.5}, NLPD {nlpd:.4}, {spent:.1} s", posterior.value);
    };
    report(&hyper, &z, chosen, "greedily selected inducing points, hyper-parameters tuned on 1,000 rows");
    for evaluations in [10, 20] {
        let effort = Effort { iterations: 100, evaluations, gain: 0.0 };
        if let Ok(found) = tune_inducing(compute, sample.observed(), &hyper, &mut z, effort) {
            hyper = found.hyper;
        }
        report(&hyper, &z, clock(started) - from, &format!("after {evaluations} more evaluations of the bound"));
    }
    let svgp = "--peer svgp --n 50000 --inducing 512 --epochs 5";
    if let Some(nlpd) = peer(peers, svgp, "nlpd") {
        let (rmse, fit) = (peer(peers, svgp, "rmse"), peer(peers, svgp, "fit_cpu_s"));
        println!("gpytorch SVGP, 5 epochs: RMSE {rmse:.5?}, NLPD {nlpd:.4}, {fit:.1?} s");
    }
}

fn predict(compute: &Compute) {
    let (m, d, rows) = (512, 33, 4096);
    println!("\npredictions, {m} points, d = {d}, one target");
    let normal = |key: u64, n: usize| {
        let mut v = vec![0.0; n];
        Key::new(key).fill_normal(&mut v);
        v
    };
    let (z, x, w, p) = (normal(1, m * d), normal(2, rows * d), normal(3, m), normal(4, m * m));
    let peak = peak();
    for family in [Family::SquaredExponential, Family::Matern52] {
        let kernel = Kernel { family, variance: 1.0, lengths: vec![4.0; d] };
        let points = Points { values: &z, n: m };
        let gp = GpFunctions { kernel: &kernel, points, weights: &w, precision: Some(&p) };
        let x = Points { values: &x, n: rows };
        let (mut out, mut variance) = (vec![0.0; rows], vec![0.0; rows]);
        let mean = seconds(|| compute.gp_predict(&gp, x, &mut out, None).expect("a prediction"));
        let both = seconds(|| compute.gp_predict(&gp, x, &mut out, Some(&mut variance)).expect("a prediction"));
        let rate = |seconds: f64| rows as f64 / seconds;
        // computing a distance takes three operations per coordinate; the exponential function is not counted
        let share = 100.0 * rate(mean) * (3 * m * d) as f64 / 1e9 / peak;
        println!(
            "{family:?}: mean {:.0} rows/s ({share:.0} % of peak in distances alone), with variance {:.0}",
            rate(mean),
            rate(both)
        );
    }
}

fn main() {
    let mut parts: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let peers = parts.iter().position(|a| a == "--peers").and_then(|at| {
        let folder = parts.drain(at..parts.len().min(at + 2)).nth(1);
        folder.map(PathBuf::from)
    });
    let given = parts.iter().position(|a| a.ends_with(".parquet")).map(|at| PathBuf::from(parts.remove(at)));
    let data = given.or_else(|| std::env::var_os("TWINOPT_GP_DATA").map(PathBuf::from));
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    // all computations run on this thread, because `clock` measures the time of only one thread
    if let Err(e) = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global() {
        return println!("cannot start a pool of one thread: {e}");
    }
    let compute = cpu();
    println!("the peak of one core is {:.1} GFLOP/s (product of 256 x 256 matrices)", peak());
    match data.map(|path| Workload::read(&path)) {
        Some(Ok(workload)) => {
            if wanted("evidence") {
                evidence(&compute, &workload, peers.as_deref());
            }
            if wanted("fit") {
                fit(&compute, &workload, peers.as_deref());
            }
            if wanted("inducing") {
                inducing(&compute, &workload, peers.as_deref());
            }
        }
        Some(Err(e)) => println!("cannot read the data: {e}"),
        None => println!(
            "no data: run `python gen_data.py --out data` in shared/peers and pass the path of data/gp.parquet as an \
             argument or in TWINOPT_GP_DATA"
        ),
    }
    if wanted("predict") {
        predict(&compute);
    }
}
