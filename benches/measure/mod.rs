//! Code shared by the benchmarks: clocks, the peak performance of the processor, and runs of reference libraries.
#![allow(dead_code, reason = "no benchmark uses all functions of this module")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// Removes `--peers FOLDER` from `args` and returns the absolute path of the folder.
pub fn peers(args: &mut Vec<String>) -> Option<PathBuf> {
    let at = args.iter().position(|a| a == "--peers")?;
    let folder = PathBuf::from(args.drain(at..args.len().min(at + 2)).nth(1)?);
    match folder.canonicalize() {
        Ok(absolute) => Some(absolute),
        Err(e) => {
            println!("{}: {e}; the benchmarks of the reference libraries are skipped", folder.display());
            None
        }
    }
}

/// A benchmark of a reference library: a Python script and its arguments.
pub struct Peer<'a> {
    pub name: &'a str,
    /// Folder of the Python environment in which the script runs: `v2` for mbrl-lib, otherwise `v1`.
    pub environment: &'a str,
    pub script: &'a str,
    pub arguments: &'a str,
}

impl Peer<'_> {
    /// Runs the script on `threads` threads and returns the values of `fields` from the JSON line printed by the
    /// script. If the script fails, prints the reason and returns `None`.
    pub fn run<const N: usize>(&self, folder: &Path, threads: usize, fields: [&str; N]) -> Option<[f64; N]> {
        let output = Command::new(folder.join(self.environment).join("bin/python"))
            .current_dir(folder)
            .env_remove("OPENBLAS_CORETYPE")
            .env_remove("OPENBLAS_L2_SIZE")
            .arg(self.script)
            .args(self.arguments.split(' '))
            .args(["--threads", &threads.to_string()])
            .output();
        let output = match output {
            Ok(output) => output,
            Err(e) => {
                println!("    {}: {}/{}: {e}", self.name, folder.display(), self.environment);
                return None;
            }
        };
        let Ok(line) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            let errors = String::from_utf8_lossy(&output.stderr);
            println!("    {}: no result: {}", self.name, errors.lines().last().unwrap_or("it printed no error"));
            return None;
        };
        Some(fields.map(|f| line["result"][f].as_f64().unwrap_or(f64::NAN)))
    }
}

/// CPU time of all running threads in seconds, or wall-clock time if the system does not report CPU time.
pub fn cpu_s() -> f64 {
    let nanos = |task: std::fs::DirEntry| {
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<f64>().ok()
    };
    match std::fs::read_dir("/proc/self/task") {
        Ok(tasks) => tasks.flatten().filter_map(nanos).sum::<f64>() / 1e9,
        Err(_) => wall_s(),
    }
}

/// Wall-clock seconds since the first call.
pub fn wall_s() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// Time per call in seconds, in the fastest of `rounds` rounds. A round takes at least half a second, because the clock
/// has a coarse resolution.
pub fn best(rounds: usize, clock: fn() -> f64, mut call: impl FnMut()) -> f64 {
    let round = |_| {
        let (start, mut calls) = (clock(), 0.0);
        loop {
            call();
            calls += 1.0;
            let spent = clock() - start;
            if spent > 0.5 {
                return spent / calls;
            }
        }
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

/// Peak performance of one core in GFLOP/s, measured with independent multiply-add operations in registers.
pub fn peak() -> f64 {
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
    let seconds = best(5, cpu_s, || {
        black_box(Arch::new().dispatch(Busy));
    });
    (2 * 12 * ROUNDS * lanes) as f64 / seconds / 1e9
}
