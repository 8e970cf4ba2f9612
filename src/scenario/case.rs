//! Runs a scenario: simulates every case in closed loop and compares its KPIs with those of the baseline.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::closed_loop::ClosedLoop;
use super::conditions::Conditions;
use super::delay::Sight;
use super::evaluated::Case;
use super::near::LogErrors;
use super::noise::ScenarioNoise;
use super::plant::{Compiled, Plant};
use super::progress::{Progress, Steps, Work};
use super::results::{CaseResult, MissedTotal, NoiseSource, ScenarioResult};
use super::search::{self, Chosen};
use super::{conditions, describe, effect, experience, imitation, measured, setting, summary};
use crate::config::{BASELINE, CaseSpec, ControllerSpec, Loaded, ScenarioSpec};
use crate::control::target::CaseTarget;
use crate::control::{Clock, ControllerSettings};
use crate::error::{Error, Result};
use crate::resolve::Faults;
use crate::rng::Key;
use crate::schema::Bounds;
use crate::trajectory::Trajectory;
use crate::twin::Dynamics;
use crate::value::{Difference, Estimate};

/// The trajectories of a scenario, one for each case.
pub type Trajectories = Vec<(String, Trajectory)>;

/// Runs all cases of a scenario with common random numbers. If given, `seed` overrides the seed of the scenario.
pub fn run_scenario(
    plant: &Plant,
    scenario: &Loaded<ScenarioSpec>,
    seed: Option<u64>,
    clock: Option<&Clock>,
    progress: &Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(ScenarioResult, Trajectories)> {
    let s = &scenario.value;
    let mut compiled = Compiled::new(&plant.spec, &plant.schema, &s.parameter)?;
    let conditions = conditions::realise(plant, &mut compiled, scenario, plant.steps(s.length.value))?;
    let Conditions { past, steps, .. } = conditions;
    let measured = measured::measure(plant, &conditions.logged, past, describe::changes(plant, s).is_empty());
    let mut settings = ControllerSettings::from_scenario(scenario, &plant.names().with(&s.parameter))?;
    settings.iter_mut().try_for_each(|settings| imitation::learn(plant, settings))?;
    let mut chosen = Vec::new();
    for ((name, case), settings) in s.case.iter().zip(&mut settings) {
        let (target, case) = (target(plant, scenario, name, &case.value)?, &case.value);
        let found = match target.search.is_empty() {
            true => None,
            false => Some(search::choose(plant, scenario, name, case, &target, stop)?),
        };
        let note = found.map(|Chosen { settings: found, note }| {
            *settings = found;
            note
        });
        chosen.push((target, note));
    }
    let zone = Some(plant.spec.value.zone()?).filter(|_| !plant.quality.has_relative_times());
    let controllers = baseline_first(scenario, &settings, &chosen)?;
    let noise = ScenarioNoise::new(plant, scenario, &conditions)?;
    let drawn = ClosedLoop {
        plant,
        twin: &plant.twin.with_equations(compiled.equations.clone()),
        compiled: &compiled,
        realised: &conditions.realised,
        past,
        steps,
        particles: noise.particles,
        seed: seed.unwrap_or(s.seed.value),
        clock,
        own: controllers[0].settings,
        recorded: None,
        gaps: conditions.gaps.as_ref(),
    };
    let logged = Arc::new(conditions.logged.clone());
    let recorded = match (noise.source, &conditions.gaps) {
        (NoiseSource::Recorded, _) => Some(drawn.record(stop)?),
        (NoiseSource::Drawn, None) => None,
        // what the plant does during a gap is known only from the log
        (NoiseSource::Drawn, Some(gaps)) => {
            let logged = ClosedLoop { twin: &plant.twin, realised: &logged, ..drawn };
            Some(logged.record(stop)?.at_gaps(drawn.twin, &gaps.before()))
        }
    };
    let closed_loop = ClosedLoop { recorded: recorded.as_ref(), ..drawn };
    let mut runs = controllers
        .par_iter()
        .map(|controller| {
            let step = Steps::new(1, matches!(controller.spec, ControllerSpec::Mpc(_)));
            closed_loop.run(controller.settings, &|| {
                progress.add(Work::Done(step));
                stop()
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some((baseline, cases)) = runs.split_first_mut() {
        let key = Key::new(closed_loop.seed);
        for case in cases {
            let (case, baseline) = (&mut case.simulated.trajectory, &baseline.simulated.trajectory);
            effect::correct(case, baseline, &plant.card.effects, &compiled.equations, key);
        }
    }
    let cases: Vec<Case> = runs.into_par_iter().map(|run| Case::evaluate(&closed_loop, run)).collect();
    let values: Vec<(usize, f64)> = cases.iter().flat_map(|c| c.run.end_values.iter().copied()).collect();
    let errors = LogErrors::new(plant, past, noise.source);
    let result = ScenarioResult {
        name: scenario.stem().to_owned(),
        file: scenario.stem().to_owned() + ".toml",
        question: s.question.value.clone(),
        start: s.start.value.to_string(),
        hours: steps as f64 * plant.log.step_seconds() / 3600.0,
        days_per_year: s.days_per_year.as_ref().map(|d| d.value),
        particles: noise.particles,
        seed: closed_loop.seed,
        inputs: String::new(),
        changes: [
            describe::changes(plant, s),
            describe::held(plant, &cases[0].run.simulated.held),
            describe::carried(plant, &cases[0].run.simulated.carried),
        ]
        .concat(),
        noise: noise.source,
        noise_note: noise.note,
        baseline_caveat: noise.caveat.or_else(|| imitation::caveat(controllers[0].settings)),
        skipped: conditions.gaps.as_ref().map_or_else(Vec::new, |gaps| gaps.periods(past)),
        measured,
        exit_code: 0,
        error: None,
        cases: controllers
            .iter()
            .zip(&cases)
            .map(|(controller, case)| {
                let mut result = case.result(&closed_loop, controller, &cases[0], &values, zone.as_ref());
                let [run, baseline] = [case, &cases[0]].map(|c| &c.run.simulated.trajectory);
                errors.add(&mut result.limits, run, baseline);
                result
            })
            .collect(),
    };
    let names = controllers.iter().map(|c| c.case.to_owned());
    Ok((result, names.zip(cases.into_iter().map(|c| c.run.simulated.trajectory)).collect()))
}

/// The controller of a case: its settings as written in the file, and the resolved settings.
struct CaseController<'a> {
    case: &'a str,
    spec: &'a ControllerSpec,
    settings: &'a ControllerSettings,
    target: &'a CaseTarget,
    /// How the parameters in `search` were chosen.
    chosen: Option<&'a str>,
}

fn target(plant: &Plant, scenario: &Loaded<ScenarioSpec>, name: &str, case: &CaseSpec) -> Result<CaseTarget> {
    let mut faults = Faults::new(scenario);
    let target = CaseTarget::resolve(&mut faults, &plant.names(), &format!("case `{name}`"), case);
    faults.into_result()?;
    Ok(target)
}

/// The controllers of all cases, starting with the controller of the baseline.
fn baseline_first<'a>(
    scenario: &'a Loaded<ScenarioSpec>,
    settings: &'a [ControllerSettings],
    chosen: &'a [(CaseTarget, Option<String>)],
) -> Result<Vec<CaseController<'a>>> {
    let cases = scenario.value.case.iter().zip(settings).zip(chosen);
    let mut controllers: Vec<CaseController> = cases
        .map(|(((name, c), settings), (target, note))| {
            let spec = &c.value.controller.value;
            CaseController { case: name, spec, settings, target, chosen: note.as_deref() }
        })
        .collect();
    controllers.sort_by_key(|c| c.case != BASELINE);
    if controllers.first().is_none_or(|c| c.case != BASELINE) {
        let path = scenario.path.display();
        return Err(Error::Usage(format!("{path}: the scenario has no [case.baseline], so no comparison is possible")));
    }
    Ok(controllers)
}

impl Case {
    /// The requirements on KPIs that the case misses.
    fn missed_requirements(&self, target: &CaseTarget, compiled: &Compiled) -> Vec<MissedTotal> {
        let missed = |(name, range): &(String, Bounds)| {
            let mean = self.mean(compiled, name);
            let (text, limit) = if mean > range.high { ("at most", range.high) } else { ("at least", range.low) };
            (range.excess(mean) != 0.0).then(|| MissedTotal {
                limit: format!("{name}, {text} {limit}"),
                share: 1.0,
                text: format!("`{name}` is {mean:.4} on average, but should be {text} {limit}"),
            })
        };
        target.require.iter().filter_map(missed).collect()
    }

    /// One clause for each requirement on a KPI that the case satisfies.
    fn reached_requirements(&self, target: &CaseTarget, compiled: &Compiled) -> Vec<String> {
        let reached = |(name, range): &(String, Bounds)| {
            let mean = self.mean(compiled, name);
            let limits = [(range.low, "at least"), (range.high, "at most")].into_iter().filter(|(v, _)| v.is_finite());
            let limits: Vec<String> = limits.map(|(v, text)| format!("{text} {v}")).collect();
            range
                .contains(mean)
                .then(|| format!("`{name}` is {mean:.4} on average (required: {})", limits.join(" and ")))
        };
        target.require.iter().filter_map(reached).collect()
    }

    fn result(
        &self,
        closed_loop: &ClosedLoop,
        controller: &CaseController,
        baseline: &Self,
        end_values: &[(usize, f64)],
        zone: Option<&TimeZone>,
    ) -> CaseResult {
        let ClosedLoop { plant, compiled, .. } = closed_loop;
        let members = closed_loop.twin.members();
        let compared = (controller.case != BASELINE).then_some(baseline);
        let kpis = compiled.kpis.iter().enumerate().map(|(k, kpi)| {
            let mut row =
                summary::kpi(plant, kpi, &self.kpis[k].values, compared.map(|b| b.kpis[k].values.as_slice()), members);
            let ratio = self.kpis[k].ratio.as_ref();
            row.ratio = ratio.map(|(numerator, denominator)| {
                [summary::finite_values(numerator), summary::finite_values(denominator)]
            });
            row
        });
        let simulated = &self.run.simulated;
        let spent_before = compared.and_then(|b| b.cash.as_ref());
        let missed = [self.run.missed_totals.clone(), self.missed_requirements(controller.target, compiled)].concat();
        CaseResult {
            name: controller.case.to_owned(),
            controller: describe::controller(controller.spec, controller.settings, plant, compiled),
            perfect_forecast: describe::perfect_forecast(
                plant,
                compiled,
                controller.settings,
                closed_loop.realised,
                closed_loop.past,
            ),
            kpis: kpis.collect(),
            objective: Estimate::over(&self.objective),
            objective_change: compared.map(|b| Difference::paired_among(&self.objective, &b.objective, members)),
            cash: self.cash.as_deref().map(Estimate::over),
            cash_change: self
                .cash
                .as_ref()
                .zip(spent_before)
                .map(|(cash, before)| Difference::paired_among(cash, before, members)),
            controls: summary::controls(
                &simulated.trajectory,
                &baseline.run.simulated.trajectory,
                &|signal| {
                    setting::setting(controller.spec, controller.settings, &plant.schema, &simulated.trajectory, signal)
                },
                zone,
            ),
            limits: summary::limits_of_case(&simulated.trajectory),
            support: summary::support(&simulated.support),
            saving_support: compared
                .and_then(|b| {
                    summary::saving_support(&simulated.support, self.cash_by_step.as_ref(), b.cash_by_step.as_ref())
                })
                .map(|s| s.scaled(1.0 / simulated.trajectory.particles as f64)),
            inputs: experience::inputs(&plant.twin, &simulated.trajectory),
            imitations: imitation::uses(controller.settings),
            trends: summary::trends(&simulated.trajectory, closed_loop.start()),
            notes: missed
                .iter()
                .map(|missed| missed.text.clone())
                .chain(controller.chosen.map(str::to_owned))
                .chain(self.run.skill_horizon.as_ref().map(|h| h.text(&plant.schema, plant.spec.value.step.value)))
                .chain(self.run.sight.iter().map(|(_, text)| text.clone()))
                .chain(self.run.gate_use.and_then(describe::gate))
                .chain(self.run.plan_gap.and_then(|gap| gap.text()))
                .collect(),
            end_contents: compared.map_or_else(Vec::new, |b| {
                let (case, before) = (&simulated.trajectory, &b.run.simulated.trajectory);
                summary::end_contents(&plant.stores(compiled), end_values, case, before)
            }),
            missed_totals: missed,
            reached: self.reached_requirements(controller.target, compiled),
            unseen_effect: compared.and_then(|b| {
                let (case, before) = (&simulated.trajectory, &b.run.simulated.trajectory);
                compiled.unseen_effect(&plant.spec.value.model, &plant.card.responses, case, before)
            }),
            unseen: self.run.sight.iter().find(|(sight, _)| *sight == Sight::None).map(|(_, text)| text.clone()),
        }
    }
}
