//! Checks that plans are long enough to include the effects of their moves.

use indexmap::IndexMap;

use super::model::some_place;
use super::plant::Plant;
use crate::config::{MpcSpec, ScenarioSpec, TimeSpan};
use crate::control::mpc::{ResolvedMpc, longest_block};
use crate::expr;
use crate::resolve::Faults;
use crate::scenario::{Compiled, Delay, Sight};
use crate::schema::Signal;

/// Checks the horizon and the number of moves in the MPC table `spec`, which resolves to `settings`.
pub(super) fn plan(
    faults: &mut Faults<'_>,
    scenario: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    owner: &str,
    spec: &MpcSpec,
    settings: &ResolvedMpc,
) {
    let (Some(step), Some(horizon)) = (plant.step(), &spec.horizon) else { return };
    let steps = horizon.steps(step, 1);
    if let Some(delay) = delay(scenario, plant, settings)
        && let Some(text) = delay.text(steps, &plant.schema, step)
    {
        faults.warn("too-short", &horizon.span, format!("{owner}: {text}"), delay.help(step));
    }
    if let Some(chain) = compiled(scenario, plant).map(|c| c.chain(settings)).filter(|c| c.exceeds(steps)) {
        let span = |steps: usize| TimeSpan::from_steps(steps, step.ms());
        let message = format!(
            "{owner}: a plan of {} is no longer than the total lead time of the supply chain, which is {}, so orders \
             at the far end of the chain have no benefit within the plan",
            horizon.value,
            span(chain.total)
        );
        let help = format!("use a longer horizon, like `horizon = \"{}\"`", span(chain.horizon()));
        faults.warn("too-short", &horizon.span, message, help);
    }
    for signal in settings.controls.iter().map(|&c| &plant.schema.signals[c]).filter(|s| is_switched(s)) {
        let (name, shortest) = (&signal.name, signal.switching.run.max(signal.switching.stop).max(1));
        let span = |steps: usize| TimeSpan::from_steps(steps, step.ms());
        if shortest > steps {
            let message = format!(
                "{owner}: a plan of {} ends before `{name}` may switch again, because its minimum on-time or off-time \
                 is {}",
                horizon.value,
                span(shortest)
            );
            let help = format!("use a longer horizon, like `horizon = \"{}\"`", span(2 * shortest));
            faults.warn("too-short", &horizon.span, message, help);
        } else if let Some(moves) = &spec.moves {
            let replan = settings.replan.map_or(1, |r| r.steps(step, 1));
            let longest = longest_block(steps, replan, moves.value);
            let enough = (moves.value..=steps).find(|n| longest_block(steps, replan, *n) <= shortest.max(replan));
            if let Some(enough) = enough.filter(|_| longest > shortest.max(replan)) {
                let message = format!(
                    "{owner}: with {} moves, a plan can switch `{name}` only every {} at its end, but `{name}` may \
                     switch every {}",
                    moves.value,
                    span(longest),
                    span(shortest)
                );
                faults.warn("too-few", &moves.span, message, format!("use at least `moves = {enough}`"));
            }
        }
    }
}

/// Checks the horizon in `[model]`, which applies to plans without a specified horizon.
pub(super) fn model_horizon(faults: &mut Faults<'_>, plant: &Plant<'_>, settings: &ResolvedMpc) {
    let horizon = &plant.spec().model.horizon;
    let (Some(step), false) = (plant.step(), plant.file.damage.any) else { return };
    let steps = horizon.steps(step, 1);
    let delay = delay(None, plant, settings).filter(|d| d.sight(steps) == Sight::None);
    if let Some(delay) = delay
        && let Some(text) = delay.text(steps, &plant.schema, step)
    {
        let used = TimeSpan::from_steps(delay.horizon(), step.ms());
        let message = format!("the control horizon is too short for plans: {text}");
        let help = format!(
            "write `horizon = \"{used}\"` under `[model]`; plans without a horizon of their own already look {used} ahead"
        );
        faults.warn("too-short", &some_place(&horizon.span, plant), message, help);
    }
}

/// The longest delay of the planned controls, given the parameters of the scenario.
fn delay(scenario: Option<&ScenarioSpec>, plant: &Plant<'_>, settings: &ResolvedMpc) -> Option<Delay> {
    let schema = expr::schema(plant.spec()).ok()?;
    compiled(scenario, plant)?.delays(&schema, &plant.spec().model, &[], settings).first().copied()
}

/// The equations, given the parameters of the scenario.
fn compiled(scenario: Option<&ScenarioSpec>, plant: &Plant<'_>) -> Option<Compiled> {
    let schema = expr::schema(plant.spec()).ok()?;
    let unchanged = IndexMap::new();
    Compiled::new(plant.file, &schema, scenario.map_or(&unchanged, |s| &s.parameter)).ok()
}

/// Whether a control is switched on and off, or has at most two possible values.
fn is_switched(signal: &Signal) -> bool {
    let width = signal.hard.high - signal.hard.low;
    signal.switching.least > 0.0 || signal.multiple > 0.0 && width < 2.0 * signal.multiple
}
