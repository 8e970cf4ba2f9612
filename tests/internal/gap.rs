//! Tests that states in a gap of the training data are outside the support of the twin (requirement SUP-1).

use std::fs;
use std::path::{Path, PathBuf};

use twinopt::check;
use twinopt::compute::cpu;
use twinopt::config::TimeSpan;
use twinopt::ops::plant::{self, Source};
use twinopt::trajectory::{Trajectory, Window};
use twinopt::twin::{Dynamics, Support, Twin};

/// Maximum number of rows for which the support is evaluated.
const ROWS: usize = 1500;

fn source(dir: &Path) -> Source {
    let (mut spec, _) = check::load_twin(dir).unwrap();
    // The support does not depend on the kind of model, so the test uses the kind that is fastest to fit.
    spec.value.model.choose = vec!["linear".to_owned().into()];
    spec.value.model.rollout_loss = Some(1.into());
    plant::read(spec, cpu(), &|_| ()).unwrap()
}

/// Fractions of the rows inside, at the edge of, and outside the support.
fn shares(twin: &Twin, log: &Trajectory, rows: &[usize]) -> [f64; 3] {
    let rows: Vec<usize> = rows.iter().copied().step_by(rows.len().div_ceil(ROWS).max(1)).collect();
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

/// Fits the twin in `dir` to its log, omitting the rows in which `signal` is in `region`. Nearly
/// all omitted rows must be outside the support, but only a few hold-out rows may be outside.
fn check_gap(dir: &Path, signal: &str, region: std::ops::Range<f64>) {
    let mut source = source(dir);
    let step = source.spec.value.step.value;
    // Removing rows leaves only short segments, which require a short horizon.
    source.spec.value.model.horizon = TimeSpan::from_ms(6 * step.ms()).into();
    let s = source.schema.find(signal).unwrap();
    let log = source.log.clone();
    let removed = |t: &usize| region.contains(&log.columns[s][*t]);
    for t in (0..log.steps).filter(removed) {
        source.log.columns.iter_mut().for_each(|c| c[t] = f64::NAN);
    }
    source.log.segments = log
        .segments
        .iter()
        .flat_map(|segment| {
            let rest: Vec<usize> = segment.clone().filter(|t| !removed(t)).collect();
            let pieces = rest.chunk_by(|a, b| a + 1 == *b).map(|p| p[0]..p[0] + p.len());
            pieces.collect::<Vec<_>>()
        })
        .collect();
    let fitted = source.fit(&source.log, &source.spec.value.model, None, None, &|_| ()).unwrap();
    let first = log.segments[0].start + fitted.twin.depth();
    let gap: Vec<usize> = (first..log.steps).filter(removed).collect();
    let holdout: Vec<usize> = fitted.holdout.iter().cloned().flatten().filter(|t| !removed(t) && *t >= first).collect();
    let share = gap.len() as f64 / log.steps as f64;
    let (in_gap, in_holdout) = (shares(&fitted.twin, &log, &gap), shares(&fitted.twin, &log, &holdout));
    println!(
        "{signal} without {region:?} ({:.0} % of the log): removed rows {in_gap:.3?}, hold-out rows {in_holdout:.3?}",
        100.0 * share
    );
    assert!(in_gap[2] >= 0.95, "{signal} in {region:?}: {in_gap:?}");
    assert!(in_holdout[2] <= 0.10, "hold-out without {signal} in {region:?}: {in_holdout:?}");
}

fn datacenter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/datacenter")
}

#[test]
fn states_in_a_gap_of_the_log_are_outside_the_support() {
    check_gap(&datacenter(), "server_inlet_temp", 16.0..17.4);
    check_gap(&datacenter(), "zone_temp", 27.0..f64::INFINITY);
}

#[test]
fn controls_in_a_gap_of_the_log_are_outside_the_support() {
    check_gap(&datacenter(), "supply_setpoint", 16.2..17.6);
    check_gap(&datacenter(), "zone_setpoint", 27.0..f64::INFINITY);
}

#[test]
fn reactor_temperatures_in_a_gap_of_the_log_are_outside_the_support() {
    let root = std::env::var_os("TWINOPT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = crate_dir.join(root).join("data/rollouts/cstr.parquet");
    if !log.exists() {
        println!("skipped: {} does not exist", log.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    fs::copy(&log, dir.path().join("log/cstr.parquet")).unwrap();
    fs::copy(crate_dir.join("examples/cstr/twin.toml"), dir.path().join("twin.toml")).unwrap();
    check_gap(dir.path(), "reactor_temp", 322.0..326.0);
}
