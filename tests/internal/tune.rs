//! Tests that MPC settings tuned on a log also reduce the cost in closed loop with the plant that generated the log.

use super::plant;

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use twinopt::compute::cpu;
use twinopt::config::{Damage, Loaded, ModelSpec, TimeSpan, TwinSpec};
use twinopt::control::mpc::{ResolvedMpc, TunedMpc, TuningTrial};
use twinopt::control::{Context, Controller, Forecast, LiveSettings, Mpc};
use twinopt::expr;
use twinopt::learn::{Preselected, Selection, Split, TrainingData, learn};
use twinopt::rng::Key;
use twinopt::scenario::{Compiled, run_figures};
use twinopt::simulate::{Run, simulate};
use twinopt::trajectory::Trajectory;
use twinopt::tune::{TuningInputs, tune};
use twinopt::twin::{Provenance, Twin};

/// The twin of a tank that is filled by a pump and drained by gravity. `law` is the equation for the tank level, or
/// empty if the twin must learn this equation.
fn text(law: &str, more: &str) -> String {
    format!(
        r#"
        name = "tank"
        step = "10s"
        log = {{ files = "log/*.parquet", time = "t" }}
        signals = [
          {{ name = "level", role = "state"{law} }},
          {{ name = "wanted", role = "setpoint" }},
          {{ name = "pump", role = "control", hard = [0, 4] }},
        ]
        [model]
        choose = ["linear", "gp"]
        holdout = "50min"
        horizon = "80s"
        gp = {{ inducing = 48 }}
        [kpi]
        miss = {{ mean = "abs(level - wanted)" }}
        [objective]
        miss = 1.0
        [mpc]
        within_log = false
        {more}
        "#
    )
}

const LAW: &str = r#", next = "level + 0.1 * pump - 0.15 * sqrt(level)""#;

/// A log of the tank under a slow PI controller with a dither signal and a random set-point. The level has process
/// noise.
fn log(plant: &plant::Plant, steps: usize) -> Trajectory {
    let mut log = plant.log(steps);
    let (level, wanted, pump) = (plant.column("level"), plant.column("wanted"), plant.column("pump"));
    let key = Key::new(5);
    let (mut h, mut sum, mut sp) = (1.0_f64, 1.5, 1.0);
    for t in 0..steps {
        let draw = |stream: u64| key.fold(stream).fold(t as u64).normal(0);
        if t % 40 == 0 {
            sp = 1.0 + 0.6 * draw(1).clamp(-1.0, 1.5);
        }
        let e = sp - h;
        sum = (sum + 0.05 * e).clamp(0.0, 4.0);
        let u = (sum + 0.8 * e + 0.1 * draw(2)).clamp(0.0, 4.0);
        log.at_mut(level, t)[0] = h;
        log.at_mut(wanted, t)[0] = sp;
        log.at_mut(pump, t)[0] = u;
        h = (h + 0.1 * u - 0.15 * h.sqrt() + 0.002 * draw(3)).max(0.01);
    }
    log
}

struct Tank {
    spec: Loaded<TwinSpec>,
    compiled: Compiled,
    plant: plant::Plant,
    log: Trajectory,
}

impl Tank {
    fn new(more: &str) -> Self {
        let text = text("", more);
        let plant = plant::Plant::new(&text);
        let value: TwinSpec = toml::from_str(&text).unwrap();
        let spec = Loaded { path: PathBuf::from("twin.toml"), text, value, damage: Damage::default() };
        let schema = expr::schema(&spec.value).unwrap();
        let compiled = Compiled::new(&spec, &schema, &IndexMap::new()).unwrap();
        let log = log(&plant, 1_800);
        Self { spec, compiled, plant, log }
    }

    fn mpc(&self) -> ResolvedMpc {
        LiveSettings::from_twin(&self.spec).unwrap().mpc
    }

    fn tuned(&self) -> TunedMpc {
        let zone = self.spec.value.zone().unwrap();
        let inputs = TuningInputs {
            schema: &self.plant.schema,
            spec: &self.spec.value,
            model: &self.spec.value.model,
            mpc: &self.mpc(),
            log: &self.log,
            compiled: &self.compiled,
            compute: &cpu(),
            timezone: &zone,
        };
        tune(&inputs, &|_| ()).unwrap().unwrap()
    }

    /// Mean tracking error of the tuned MPC on the true tank, over the hold-out period.
    fn truth(&self, tuned: &TunedMpc) -> f64 {
        let s = &tuned.setting;
        let model =
            ModelSpec { choose: vec![s.model.clone().into()], lags: s.lags.into(), ..self.spec.value.model.clone() };
        let compute = cpu();
        let data = TrainingData::new(&self.log, &self.compiled.equations, &model, &compute).unwrap();
        let selection = Selection { preselected: Some(Preselected { model: &s.model, reason: "tuned" }), effects: &[] };
        let learned = learn(&data, &selection, &|_| ()).unwrap();
        assert_eq!((learned.chosen.as_str(), learned.reason.as_str()), (s.model.as_str(), "tuned"));
        let split = Split::new(&self.log, &model, self.spec.value.step.value).unwrap();
        let twin = Twin::new(learned.map, learned.noise_model, &self.log, &split.train, Provenance::default())
            .with_envelope(&self.log, &split.train);
        let mpc = ResolvedMpc {
            horizon: Some(TimeSpan::from_steps(s.horizon, self.log.step_ms)),
            moves: Some(s.moves),
            correction: Some(s.correction),
            replan: Some(TimeSpan::from_steps(s.replan, self.log.step_ms)),
            cost_to_go: Some(s.cost_to_go),
            ..self.mpc()
        };
        let context = Context {
            schema: &self.plant.schema,
            dynamics: &twin,
            objective: &self.compiled.objective,
            kpis: &self.compiled.kpis,
            terminal_cost: tuned.terminal_cost.as_ref(),
            timezone: self.spec.value.zone().unwrap(),
            seed: 1,
            clock: None,
            cross_fitted: false,
        };
        let mut controller = Mpc::build(&mpc, &context).unwrap();
        assert_eq!(controller.signals(), [self.plant.column("pump")]);
        let tank = plant::Plant::new(&text(LAW, "")).known();
        let start = split.holdout[0].start;
        let realised = Arc::new(self.log.clone());
        let steps = self.log.steps - start;
        let forecast = Forecast::new(&self.spec.value, realised.clone(), start, None);
        let run =
            Run { dynamics: &tank, realised: &realised, past: start, steps, particles: 1, key: Key::new(1), forecast };
        let done = simulate(&run, &mut controller, &|| false).unwrap();
        run_figures(&self.compiled.kpis, &done.trajectory, &realised, start)[0].values[0]
    }
}

#[test]
fn the_saving_predicted_from_the_log_is_achieved_on_the_plant() {
    let tank = Tank::new("");
    let tuned = tank.tuned();
    println!("{tuned:#?}");
    let (setting, trials) = (&tuned.setting, &tuned.trials);
    // A tank without dead time requires only one lag, and a second lag hardly improves the model.
    assert!(setting.model == "gp" && setting.lags <= 2, "{trials:#?}");
    assert!(trials.iter().all(|t| t.objective.is_finite()));
    let chosen = trials.iter().find(|t| t.setting == *setting).unwrap();
    let complete = || trials.iter().filter(|t| t.runs == tuned.runs);
    assert!(
        complete().all(|t| chosen.objective <= t.objective + t.error),
        "a rejected candidate is clearly better: {trials:#?}"
    );
    assert!(complete().any(|t| chosen.objective < 0.9 * t.objective), "all candidates are nearly equal: {trials:#?}");
    let expected = &tuned.expected[0];
    assert!(expected.planned < 0.9 * expected.logged, "{expected:?}");
    let truth = tank.truth(&tuned);
    let saving = (expected.logged - truth) / (expected.logged - expected.planned);
    println!("expected {} instead of {}, realised {truth}: {saving:.2}", expected.planned, expected.logged);
    assert!((0.8..=1.2).contains(&saving), "{saving}");
}

#[test]
fn settings_that_the_twin_file_contains_are_not_tuned() {
    let tank = Tank::new("horizon = \"40s\"\nreplan = \"20s\"\nmoves = 2\ncorrection = 0.05\ncost_to_go = false");
    let tuned = tank.tuned();
    let given = |t: &TuningTrial| {
        let s = &t.setting;
        (s.horizon, s.replan, s.moves, s.correction, s.cost_to_go) == (4, 2, 2, 0.05, false)
    };
    assert!(tuned.trials.iter().all(given) && tuned.trials.len() == 8, "{tuned:#?}");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| tank.tuned()), tuned, "the choice must not depend on the number of threads");
}
