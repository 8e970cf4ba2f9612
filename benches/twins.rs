//! Measures the time of MPC plans and of what-if runs, with twins learned from the logs in `shared/`.
//!
//!     cargo bench --bench twins -- SHARED [step] [whatif] [--peers FOLDER]
//!
//! SHARED is the folder that contains `data/rollouts`. By default, both parts run. The twins are taken from
//! `examples/`, each with a single candidate model.
//!
//! The part `step` runs MPC in closed loop on the twin itself, with the settings in the example and a given planner.
//! Each plan is warm-started from the previous one. The part `step` reports the median wall-clock time of `Mpc::act` on
//! one thread. FOLDER contains `nmpc_cstr.py` and its Python environment `v1`. With `--peers`, rounds of twinopt and
//! do-mpc alternate. The library do-mpc runs its own NMPC example, a stirred reactor with four states, two inputs and a
//! horizon of 20 steps. The example is run once with its scenario tree of nine futures and once without the tree.
//!
//! The part `whatif` simulates 10,000 particles of the ensemble twin of the four-tank example over 288 steps with
//! constant controls. The reported run time of `simulate` includes noise, ensemble members and support, and is given
//! for one thread and for two threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use twinopt::bench::{ControllerSettings, HoldSettings, LiveSettings, build};
use twinopt::compute::cpu;
use twinopt::registry_plant::{self as plant, Source};
use twinopt::rng::Key;
use twinopt::{
    Context, Control, Controller, Dynamics, Forecast, Mpc, Observation, Result, Role, Run, Simulated, Trajectory, Twin,
    load_twin, simulate,
};

mod measure;

use measure::{Peer, cpu_s, peers, wall_s};

const ROUNDS: usize = 3;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let peers = peers(&mut args);
    let parts: [(&str, Part); 2] = [("step", step), ("whatif", what_if)];
    let named = |a: &String| parts.iter().any(|(name, _)| name == a);
    let all = !args.iter().any(named);
    let Some(shared) = args.iter().find(|a| !named(a)).map(PathBuf::from) else {
        println!("the argument SHARED is missing: cargo bench --bench twins -- SHARED");
        return;
    };
    for (name, part) in parts {
        if (all || args.iter().any(|a| a == name))
            && let Err(e) = part(&shared, peers.as_deref())
        {
            println!("{name}: {e}");
            std::process::exit(1);
        }
    }
}

type Part = fn(&Path, Option<&Path>) -> Result<()>;

/// The files of a plant and the twin learned from them.
struct Learned {
    source: Source,
    twin: Twin,
}

impl Learned {
    /// Learns the twin of the example `name`, with `model` as the only candidate model and the lines `more` appended to
    /// the `[mpc]` table.
    fn new(shared: &Path, name: &str, model: &str, more: &str) -> Result<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("twin.toml");
        let text = std::fs::read_to_string(&example).expect("an example");
        let models = text.lines().find(|l| l.starts_with("choose")).expect("models to choose from");
        let text = text.replace(models, &format!("choose = [\"{model}\"]\nlags = 1")) + "tune = false\n" + more + "\n";
        std::fs::write(folder.path().join("twin.toml"), text).expect("a written twin");
        std::fs::create_dir(folder.path().join("log")).expect("a folder");
        let log = shared.join("data/rollouts").join(name).with_extension("parquet");
        if let Err(e) = std::fs::copy(&log, folder.path().join("log/log.parquet")) {
            println!("{}: {e}", log.display());
        }
        let source = plant::read(load_twin(folder.path())?, cpu(), &|_| ())?;
        let twin = source.fit(&source.log, &source.spec.value.model, None, None, &|_| ())?.twin;
        let chosen = twin.map.regressor.name();
        assert_eq!(chosen, model, "another model was chosen for {name}");
        Ok(Self { source, twin })
    }

    fn context(&self) -> Context<'_> {
        let Source { schema, compiled, .. } = &self.source;
        Context {
            schema,
            dynamics: &self.twin,
            objective: &compiled.objective,
            kpis: &compiled.kpis,
            terminal_cost: None,
            timezone: TimeZone::UTC,
            seed: 1,
            clock: None,
            cross_fitted: false,
        }
    }

    /// Simulates `steps` steps from the start of the longest segment of the log, with the logged set-points and
    /// disturbances.
    fn run(&self, controller: &mut dyn Controller, steps: usize, particles: usize) -> Result<Simulated> {
        let realised: Arc<Trajectory> = Arc::new(self.source.log.clone());
        let longest = realised.segments.iter().max_by_key(|s| s.len()).map_or(0, |s| s.start);
        let past = longest + self.twin.depth().max(controller.depth());
        let forecast = Forecast::new(&self.source.spec.value, realised.clone(), past, None);
        let run = Run { dynamics: &self.twin, realised: &realised, past, steps, particles, key: Key::new(2), forecast };
        simulate(&run, controller, &|| false)
    }
}

/// An MPC controller that records the computing time of each plan.
struct Timed<'a> {
    mpc: Mpc<'a>,
    ms: Vec<f64>,
}

impl Controller for Timed<'_> {
    fn signals(&self) -> &[usize] {
        self.mpc.signals()
    }

    fn depth(&self) -> usize {
        self.mpc.depth()
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let start = Instant::now();
        let done = self.mpc.act(observation, control);
        self.ms.push(1e3 * start.elapsed().as_secs_f64());
        done
    }
}

fn step(shared: &Path, peers: Option<&Path>) -> Result<()> {
    const STEPS: usize = 300;
    println!("one MPC plan, wall-clock ms, median of {STEPS}, one thread");
    let cases = [("cstr", "ensemble", "gauss_newton", "2min"), ("four_tank", "linear", "qp", "200s")];
    let learned = cases.map(|(name, model, planner, horizon)| {
        Learned::new(shared, name, model, &format!("planner.{planner} = {{}}\nhorizon = \"{horizon}\""))
    });
    let mut ours = [f64::INFINITY; 2];
    let do_mpc = |name, arguments| Peer { name, environment: "v1", script: "nmpc_cstr.py", arguments };
    let theirs = [
        do_mpc("do-mpc, nine futures", "--robust 1 --steps 20"),
        do_mpc("do-mpc, one future", "--robust 0 --steps 20"),
    ];
    let mut best = [f64::INFINITY; 2];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for _ in 0..ROUNDS {
        for ((learned, (_, _, planner, _)), ours) in learned.iter().zip(cases).zip(&mut ours) {
            let Ok(learned) = learned else { continue };
            let mpc = Mpc::build(&LiveSettings::from_twin(&learned.source.spec)?.mpc, &learned.context())?;
            assert_eq!(mpc.planner(), planner);
            let mut timed = Timed { mpc, ms: Vec::with_capacity(STEPS) };
            pool.install(|| learned.run(&mut timed, STEPS, 1))?;
            assert_eq!(timed.mpc.failures(), 0, "some plans failed");
            // the first plan is left out, because it cannot be warm-started from a previous plan
            let ms = &mut timed.ms[1..];
            ms.sort_by(f64::total_cmp);
            *ours = ours.min(ms[ms.len() / 2]);
        }
        for (peer, best) in theirs.iter().zip(&mut best) {
            if let Some([ms]) = peers.and_then(|folder| peer.run(folder, 1, ["ms_median"])) {
                *best = best.min(ms);
            }
        }
    }
    for ((learned, (name, model, planner, _)), ms) in learned.into_iter().zip(cases).zip(ours) {
        learned?;
        println!("  {:<40} {ms:9.3}", format!("{planner}, {model} twin of {name}"));
        for (peer, theirs) in theirs.iter().zip(best).filter(|(_, ms)| ms.is_finite()) {
            println!("    {:<38} {theirs:9.3} ({:.3}x)", peer.name, ms / theirs);
        }
    }
    Ok(())
}

fn what_if(shared: &Path, _: Option<&Path>) -> Result<()> {
    const SCENARIOS: usize = 10_000;
    const STEPS: usize = 288;
    println!("what-if, ensemble of four tanks, {SCENARIOS} scenarios x {STEPS} steps, complete simulation");
    let learned = Learned::new(shared, "four_tank", "ensemble", "")?;
    let schema = &learned.source.schema;
    let middle = |&c: &usize| {
        let logged = learned.twin.logged_range(c);
        0.5 * (logged.low + logged.high)
    };
    let signals = schema.with_role(Role::Control);
    let hold = ControllerSettings::Hold(HoldSettings { values: signals.iter().map(middle).collect(), signals });
    let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    let (mut wall, mut cpu) = ([f64::INFINITY; 2], [f64::INFINITY; 2]);
    let mut first: Option<Simulated> = None;
    for _ in 0..ROUNDS {
        for (i, pool) in pools.iter().enumerate() {
            let mut controller = build(&hold, &learned.context())?;
            let (wall_start, cpu_start) = (wall_s(), cpu_s());
            let run = pool.install(|| learned.run(controller.as_mut(), STEPS, SCENARIOS))?;
            (wall[i], cpu[i]) = (wall[i].min(wall_s() - wall_start), cpu[i].min(cpu_s() - cpu_start));
            // the result does not depend on the number of threads
            assert!(*first.get_or_insert_with(|| run.clone()) == run);
        }
    }
    let all = (SCENARIOS * STEPS) as f64;
    println!("  scenario-steps per CPU s, one thread     {:9.0}", all / cpu[0]);
    println!(
        "  scenario-steps per s, 1 and 2 threads    {:9.0} {:9.0} ({:.2}x)",
        all / wall[0],
        all / wall[1],
        wall[0] / wall[1]
    );
    println!("  CPU s on two threads / on one            {:9.2}", cpu[1] / cpu[0]);
    Ok(())
}
