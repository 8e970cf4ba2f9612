//! A twin that is asked inside a gap of its log says so (SUP-1).

use std::fs;
use std::path::{Path, PathBuf};

use twinopt::check;
use twinopt::compute::cpu;
use twinopt::config::TimeSpan;
use twinopt::ops::plant::{self, Source};
use twinopt::trajectory::{Trajectory, Window};
use twinopt::twin::{Dynamics, Support, Twin};

/// Rows of the log that are asked, at most.
const ASKED: usize = 1500;

fn source(dir: &Path) -> Source {
    let (mut spec, _) = check::load_twin(dir).unwrap();
    // What is asked is where the twin may be trusted, not how good it is.
    spec.value.model.choose = vec!["linear".to_owned().into()];
    plant::read(spec, cpu(), &|_| ()).unwrap()
}

/// Shares of the rows that are inside, at the edge and outside.
fn shares(twin: &Twin, log: &Trajectory, rows: &[usize]) -> [f64; 3] {
    let rows: Vec<usize> = rows.iter().copied().step_by(rows.len().div_ceil(ASKED).max(1)).collect();
    assert!(rows.len() >= 200, "{} rows", rows.len());
    let mut window = Window::new(log.schema.len(), twin.depth(), rows.len(), log.start, log.step_ms);
    for signal in 0..log.schema.len() {
        for lag in 0..twin.depth() {
            let values: Vec<f64> = rows.iter().map(|t| log.at(signal, t - lag)[0]).collect();
            window.column_mut(signal, lag).copy_from_slice(&values);
        }
    }
    let labels = twin.support(&window);
    [Support::Inside, Support::Edge, Support::Outside]
        .map(|s| labels.iter().filter(|l| **l == s).count() as f64 / labels.len() as f64)
}

/// Fits the plant of `dir` to a log without the rows at which `signal` lies in `region`, and asks for those rows and for the
/// hold-out.
fn cut(dir: &Path, signal: &str, region: std::ops::Range<f64>) {
    let mut source = source(dir);
    let step = source.spec.value.step.value;
    // What is left is in pieces.
    source.spec.value.model.horizon = TimeSpan::from_ms(6 * step.ms()).into();
    let s = source.schema.find(signal).unwrap();
    let whole = source.log.clone();
    let lost = |t: &usize| region.contains(&whole.columns[s][*t]);
    for t in (0..whole.steps).filter(lost) {
        source.log.columns.iter_mut().for_each(|c| c[t] = f64::NAN);
    }
    source.log.segments = whole
        .segments
        .iter()
        .flat_map(|segment| {
            let kept: Vec<usize> = segment.clone().filter(|t| !lost(t)).collect();
            let pieces = kept.chunk_by(|a, b| a + 1 == *b).map(|p| p[0]..p[0] + p.len());
            pieces.collect::<Vec<_>>()
        })
        .collect();
    let fitted = source.fit(&source.log, &source.spec.value.model, None, None, &|_| ()).unwrap();
    let first = whole.segments[0].start + fitted.twin.depth();
    let gone: Vec<usize> = (first..whole.steps).filter(lost).collect();
    let untouched: Vec<usize> = fitted.holdout.iter().cloned().flatten().filter(|t| !lost(t) && *t >= first).collect();
    let share = gone.len() as f64 / whole.steps as f64;
    let (inside_gap, elsewhere) = (shares(&fitted.twin, &whole, &gone), shares(&fitted.twin, &whole, &untouched));
    println!(
        "{signal} without {region:?} ({:.0} % of the log): removed {inside_gap:.3?}, hold-out {elsewhere:.3?}",
        100.0 * share
    );
    assert!(inside_gap[2] >= 0.95, "{signal} in {region:?}: {inside_gap:?}");
    assert!(elsewhere[2] <= 0.10, "hold-out without {signal} in {region:?}: {elsewhere:?}");
}

fn datacenter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/datacenter")
}

#[test]
fn a_band_of_a_state_that_the_log_never_saw_is_outside() {
    cut(&datacenter(), "server_inlet_temp", 16.0..17.4);
    cut(&datacenter(), "zone_temp", 27.0..f64::INFINITY);
}

#[test]
fn a_band_of_a_control_that_the_log_never_saw_is_outside() {
    cut(&datacenter(), "supply_setpoint", 16.2..17.6);
    cut(&datacenter(), "zone_setpoint", 27.0..f64::INFINITY);
}

#[test]
fn a_reactor_with_a_gap_in_its_log_says_so() {
    let root = std::env::var_os("TWINOPT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = crate_dir.join(root).join("data/rollouts/cstr.parquet");
    if !log.exists() {
        println!("skipped: there is no {}", log.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    fs::copy(&log, dir.path().join("log/cstr.parquet")).unwrap();
    fs::copy(crate_dir.join("examples/cstr/twin.toml"), dir.path().join("twin.toml")).unwrap();
    cut(dir.path(), "reactor_temp", 322.0..326.0);
}
