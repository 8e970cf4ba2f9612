//! The source of the noise of a scenario.
//!
//! If the scenario changes nothing on which the plant depends, and the log has the required values over the run, the
//! noise is recorded ([`crate::twin::RecordedTwin`]): it consists of the errors of each ensemble member in predicting
//! the next step of the log. With recorded noise, all cases have the actual disturbances of the plant, including
//! unknown ones, and a replay of the logged controls reproduces the measured run. In scenarios without recorded noise,
//! the noise is drawn at random.
//!
//! With recorded noise, the particles of an ensemble member would be identical. Therefore,
//! scenarios with recorded noise have at most one particle per member, and the interval of a
//! difference contains only the uncertainty of the model. If all effects of the controls follow
//! from known equations, or if the model has a single member, there is one particle and no
//! interval. If all effects of the controls follow from known equations, noise is recorded in only
//! two cases: the baseline is a replay, which would not react to drawn noise, or none of the twin's
//! predictions has noise.

use super::conditions::{Conditions, changed_inputs};
use super::plant::Plant;
use super::results::NoiseSource;
use crate::config::{BASELINE, ControllerSpec, Loaded, ScenarioSpec, TimeSpan};
use crate::error::{Result, plural};
use crate::schema::Role;
use crate::trajectory::Trajectory;
use crate::twin::Dynamics;

/// The noise is drawn if a required signal is missing in more than this fraction of the steps, or if a gap is longer
/// than the control horizon (not tuned).
const MAX_MISSING: f64 = 0.1;

/// The source of the noise of a scenario.
pub struct ScenarioNoise {
    pub source: NoiseSource,
    /// Number of simulated particles.
    pub particles: usize,
    pub note: String,
    /// The reason why the baseline may differ from the plant's actual operation.
    pub caveat: Option<String>,
}

impl ScenarioNoise {
    /// Chooses the source of the noise for a run under the given conditions.
    ///
    /// # Errors
    /// The errors of [`changed_inputs`].
    pub fn new(plant: &Plant, scenario: &Loaded<ScenarioSpec>, conditions: &Conditions) -> Result<Self> {
        let Conditions { past, steps, realised, logged, .. } = conditions;
        let (past, steps) = (*past, *steps);
        let spec = &scenario.value;
        let mut changed = changed_inputs(&plant.spec, &plant.schema, spec)?;
        changed.retain(|name| plant.schema.find(name).is_none_or(|s| differs(logged, realised, past, s)));
        let changed = (!changed.is_empty()).then(|| few(&changed));
        let gaps = Gaps::new(plant, realised, past, steps);
        let reason = changed.as_ref().map(|names| format!("the scenario changes {names}"));
        let reason = reason.or_else(|| new_episode(plant, realised, past, steps)).or_else(|| gaps.long());
        let baseline = spec.case.get(BASELINE).map(|c| &c.value.controller.value);
        let replays = matches!(baseline, Some(ControllerSpec::Replay {}));
        let map = &plant.twin.map;
        let (deterministic, exact) = (map.layout.targets.is_empty(), !map.learns_effects());
        let by_equations = || {
            let why =
                "the ensemble members do not differ in the effects of the controls, which follow from known equations";
            (exact && !deterministic && !replays).then(|| why.to_owned())
        };
        let Some(reason) = reason.or_else(by_equations) else {
            let members = if exact { 1 } else { plant.twin.members() };
            let note = format!(
                "The noise consists of the model's recorded errors in predicting the log{}{}",
                gaps.short(),
                if members == 1 {
                    ". The uncertainty of the effects is unknown, because there are no ensemble members"
                } else {
                    ""
                }
            );
            let particles = spec.particles.value.min(members);
            return Ok(Self { source: NoiseSource::Recorded, particles, note, caveat: None });
        };
        let caveat = replays.then(|| {
            let cause = changed.map_or_else(|| "the drawn noise".to_owned(), |names| format!("the change of {names}"));
            format!("the baseline replays logged controls, which do not react to {cause}")
        });
        let advice = caveat
            .as_ref()
            .map(|caveat| format!(". Savings may be too high or too low, because {caveat}; {REPLAY_HELP}"));
        let note = format!(
            "The noise is drawn from the distribution of the model errors, because {reason}{}",
            advice.unwrap_or_default()
        );
        // Without noise, all particles would be identical.
        let particles = if deterministic { 1 } else { spec.particles.value };
        Ok(Self { source: NoiseSource::Drawn, particles, note, caveat })
    }
}

/// Advice on a baseline that replays the logged controls although the conditions differ from the log.
pub const REPLAY_HELP: &str = "use `controller.as_logged = {}`, which imitates the plant's own controller, or describe \
                               this controller with `rule`, `pid`, `base_stock` or `hold`";

/// Formats names as `` `a` ``, `` `a` and `b` ``, or `` `a`, `b` and 2 more ``.
pub fn few(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [a] => format!("`{a}`"),
        [a, b] => format!("`{a}` and `{b}`"),
        [a, b, more @ ..] => format!("`{a}`, `{b}` and {} more", more.len()),
    }
}

/// Whether the values of `signal` during the run differ from the logged values.
fn differs(logged: &Trajectory, realised: &Trajectory, past: usize, signal: usize) -> bool {
    let pairs = realised.columns[signal][past..].iter().zip(&logged.columns[signal][past..]);
    pairs.into_iter().any(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
}

/// Returns the reason why recorded noise cannot be used if a new episode begins during the run.
fn new_episode(plant: &Plant, realised: &Trajectory, past: usize, steps: usize) -> Option<String> {
    plant.spec.value.log.episode.as_ref()?;
    let start = realised.segments.iter().map(|s| s.start).find(|s| (past + 1..past + steps).contains(s))?;
    Some(format!("a new episode of the log begins at {}", realised.time(start)))
}

/// Steps of the run at which a required signal is missing from the log.
struct Gaps {
    /// Name of each signal with missing values, number of missing values, and length of the longest gap in steps.
    signals: Vec<(String, usize, usize)>,
    steps: usize,
    /// Control horizon in steps.
    horizon: usize,
    step_ms: i64,
}

impl Gaps {
    fn new(plant: &Plant, realised: &Trajectory, past: usize, steps: usize) -> Self {
        let map = &plant.twin.map;
        let read = map.equations.influences(&map.layout.inputs);
        let target = |s: usize| map.layout.targets.iter().any(|t| t.signal() == s);
        let mut signals = Vec::new();
        for (s, signal) in plant.schema.signals.iter().enumerate() {
            let column = &realised.columns[s][past..past + steps];
            let required = match signal.role {
                Role::Control | Role::Disturbance | Role::Setpoint => read.contains(&s),
                // The noise of a state that is never measured is zero.
                Role::State => target(s) || column.iter().skip(1).any(|v| v.is_finite()),
                Role::Output => target(s),
                Role::Derived => false,
            };
            let constant = map.equations.constants.iter().any(|c| c.signal == s);
            if !required || constant {
                continue;
            }
            let missing = column.iter().filter(|v| !v.is_finite()).count();
            let longest = column.split(|v| v.is_finite()).map(<[f64]>::len).max().unwrap_or(0);
            if missing > 0 {
                signals.push((signal.name.clone(), missing, longest));
            }
        }
        Self { signals, steps, horizon: plant.card.horizon, step_ms: plant.log.step_ms }
    }

    /// Returns the reason why recorded noise cannot be used if a signal is missing for too long.
    fn long(&self) -> Option<String> {
        let too_long =
            |missing: usize, longest: usize| longest > self.horizon || missing as f64 > MAX_MISSING * self.steps as f64;
        let (name, missing, _) = self.signals.iter().find(|(_, missing, longest)| too_long(*missing, *longest))?;
        let span = TimeSpan::from_ms(*missing as i64 * self.step_ms);
        Some(format!("`{name}` is missing from the log for {span} of the run"))
    }

    /// A clause about short gaps in the log; empty if the log has no gaps during the run.
    fn short(&self) -> String {
        let names: Vec<String> = self.signals.iter().map(|(name, ..)| name.clone()).collect();
        let most = self.signals.iter().map(|(_, missing, _)| *missing).max().unwrap_or(0);
        if names.is_empty() {
            return String::new();
        }
        let count = plural(most, "step", "steps");
        format!(", which are taken as zero at up to {count} without values of {}", few(&names))
    }
}
