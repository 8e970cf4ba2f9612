//! The cascaded-tanks benchmark (Schoukens et al. 2016), in which a model is fitted to one record
//! and then simulates another record.

use super::table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use twinopt::compute::cpu;
use twinopt::config::ModelSpec;
use twinopt::learn::model;
use twinopt::learn::{Dataset, Equations, Fit, Layout, Particle, StepMap, StepScratch};
use twinopt::schema::{Role, Schema, Signal};
use twinopt::trajectory::{Trajectory, Window};
use twinopt::units::Unit;

/// Model settings in the syntax of the `[model]` table in `twin.toml`. The settings were tuned on parts of the
/// record to which the models are fitted.
const SETTINGS: &str = r"
lags         = 8
rollout_loss = 60
ensemble     = { epochs = 300, patience = 150, learning_rate = 0.002 }
";

fn record(level: &[f64], pump: &[f64]) -> Trajectory {
    let signal = |name: &str, role| Signal::open(name, role, Unit::one());
    let schema = Schema::new(vec![signal("level", Role::State), signal("pump", Role::Control)]);
    let mut log = Trajectory::empty(Arc::new(schema), Timestamp::UNIX_EPOCH, 4000, level.len(), 1);
    log.columns = vec![level.to_vec(), pump.to_vec()];
    log
}

/// Root-mean-square error of an open-loop simulation of the whole record, starting at the first measured values.
fn free_run(map: &StepMap, log: &Trajectory) -> f64 {
    let start = map.depth() - 1;
    let mut window = Window::from_trajectory(log, start, 0, map.depth(), 1);
    let mut scratch = StepScratch::default();
    let mut squares = 0.0;
    for t in start + 1..log.steps {
        map.observe(&mut window, &mut scratch);
        map.step(&mut window, &[Particle { member: None, rows: 0..1 }], None, &mut scratch);
        squares += (window.column_mut(0, 0)[0] - log.columns[0][t]).powi(2);
        window.column_mut(1, 0).fill(log.columns[1][t]);
    }
    (squares / (log.steps - start - 1) as f64).sqrt()
}

/// With `--nocapture`, this test prints the errors and the durations of the fits.
#[test]
fn a_model_fitted_by_simulation_error_predicts_the_other_record() {
    let root = std::env::var_os("TWINOPT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(root).join("data/process/cascaded_tanks.parquet");
    if !file.exists() {
        println!("skipped: {} does not exist", file.display());
        return;
    }
    let table = table::read(&file);
    let (pump, level) = (table::numbers(&table, "pump_v"), table::numbers(&table, "lower_level_sensor_v"));
    let half = level.len() / 2;
    let (fitted, other) = (record(&level[..half], &pump[..half]), record(&level[half..], &pump[half..]));
    let spec: ModelSpec = toml::from_str(SETTINGS).unwrap();
    let equations = Equations::default();
    let mut errors = Vec::new();
    for (name, rollout_loss) in [("linear", 1), ("linear", 60), ("ensemble", 60)] {
        let clock = Instant::now();
        let spec = ModelSpec { rollout_loss: Some(rollout_loss.into()), ..spec.clone() };
        let layout = Layout::for_model(name, &fitted.schema, &spec, &equations);
        let data = Dataset::new(&fitted, &layout, &equations);
        let rows: Vec<usize> = (0..data.len()).collect();
        let folds: Vec<Vec<usize>> = rows.chunks(rows.len().div_ceil(5)).map(<[usize]>::to_vec).collect();
        let compute = cpu();
        let fit = Fit {
            data: &data,
            rows: &rows,
            folds: &folds,
            options: &spec,
            seed: 1,
            compute: &compute,
            draft: false,
            hyper: &[],
        };
        let regressor = model::fit(name, &fit).unwrap();
        let map = StepMap { schema: fitted.schema.clone(), equations: equations.clone(), layout, regressor };
        errors.push(free_run(&map, &other));
        println!(
            "{name}, rollout_loss {rollout_loss}: {:.3} V on the fitted record, {:.3} V on the other record, {:.1} s",
            free_run(&map, &fitted),
            errors[errors.len() - 1],
            clock.elapsed().as_secs_f64()
        );
    }
    assert!(errors[1] < errors[0] && errors[2] < 0.45, "{errors:?}");
}
