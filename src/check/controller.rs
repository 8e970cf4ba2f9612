//! Checks controllers against the scenario, the twin and the log.

use super::exploit;
use super::foresight;
use super::plant::Plant;
use super::signals::season;
use crate::config::ForecastSpec::Seasonal;
use crate::config::{At, ControllerSpec, MpcSpec, ScenarioSpec, TimeSpan};
use crate::control::{ControllerSettings, LiveSettings};
use crate::resolve::Faults;

/// Checks the controller of one case in a scenario.
pub(super) fn controller(
    faults: &mut Faults<'_>,
    scenario: &ScenarioSpec,
    plant: &Plant<'_>,
    case: &str,
    at: &At<ControllerSpec>,
) {
    let owner = format!("case `{case}`");
    let settings = ControllerSettings::resolve(faults, plant, &owner, at);
    if let ControllerSpec::Schedule(schedules) = &at.value
        && plant.log.has_relative_times()
        && let Some(days) = schedules.values().flatten().find_map(|entry| entry.days.as_ref())
    {
        let message = format!("{owner}: the schedule depends on the weekday, but the times of the log are not dates");
        faults.add_about_log("relative-times", &days.span, message, "export dates, or remove `days`");
    }
    if let ControllerSpec::Mpc(spec) = &at.value {
        mpc(faults, Some(scenario), plant, &owner, spec);
        seasonal_past(faults, scenario, plant, &owner, spec);
        exploit::unforeseen_prices(faults, plant, &owner, spec, &at.span);
        if let Some(ControllerSettings::Mpc(settings)) = settings {
            inherited_horizon(faults, scenario, &owner, spec, settings.horizon);
            foresight::plan(faults, Some(scenario), plant, &owner, spec, &settings);
        }
    }
}

/// Checks the `[mpc]` settings of the twin.
pub(super) fn live(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let settings = LiveSettings::resolve(faults, plant);
    if let Some(spec) = &plant.spec().mpc {
        mpc(faults, None, plant, "[mpc]", spec);
        if let Some(LiveSettings { mpc: settings, .. }) = &settings {
            foresight::plan(faults, None, plant, "[mpc]", spec, settings);
        }
    }
    if let Some(LiveSettings { mpc: settings, .. }) = settings.filter(|s| s.mpc.horizon.is_none()) {
        foresight::model_horizon(faults, plant, &settings);
    }
}

/// Checks the MPC horizon against the lengths of the scenario and the hold-out, and the season of a seasonal forecast
/// against the length of the log.
fn mpc(faults: &mut Faults<'_>, scenario: Option<&ScenarioSpec>, plant: &Plant<'_>, owner: &str, spec: &MpcSpec) {
    if let Some(horizon) = &spec.horizon {
        reach(faults, scenario, plant, owner, horizon);
    }
    if let Some(forecast) = &spec.forecast {
        season(faults, plant, forecast, owner);
    }
}

/// Checks the horizon that a case inherits from the `[mpc]` table of the twin against the length of the scenario.
fn inherited_horizon(
    faults: &mut Faults<'_>,
    scenario: &ScenarioSpec,
    owner: &str,
    spec: &MpcSpec,
    horizon: Option<TimeSpan>,
) {
    let length = &scenario.length;
    let Some(horizon) = horizon.filter(|_| spec.horizon.is_none() && length.ms() > 0 && !length.span.is_empty()) else {
        return;
    };
    if horizon > **length {
        let message = format!(
            "{owner}: the horizon {horizon}, which is that of `[mpc]` in the twin, is longer than the scenario ({})",
            length.value
        );
        let help = format!("lengthen the scenario, or write a shorter horizon, like `horizon = \"{}\"`", length.value);
        faults.add("too-long", &length.span, message, help);
    }
}

fn reach(
    faults: &mut Faults<'_>,
    scenario: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    owner: &str,
    horizon: &At<TimeSpan>,
) {
    let twin = plant.spec();
    let length = scenario.map(|s| &s.length).filter(|l| l.ms() > 0 && !l.span.is_empty());
    if let Some(length) = length.filter(|l| **horizon > ***l) {
        let message = format!("{owner}: the horizon {} is longer than the scenario ({})", horizon.value, length.value);
        faults.add("too-long", &horizon.span, message, "shorten `horizon` or lengthen the scenario");
    } else if *twin.model.holdout < **horizon && twin.model.holdout.ms() > 0 {
        let message = format!(
            "{owner}: the horizon {} is longer than the twin's hold-out {}",
            horizon.value, twin.model.holdout.value
        );
        let help = "shorten `horizon`, because the twin is not validated for longer horizons";
        faults.add("too-long", &horizon.span, message, help);
    } else if *twin.model.horizon < **horizon && !plant.file.damage.any {
        let message = format!(
            "{owner}: the horizon {} is longer than the control horizon {}, up to which the model is scored",
            horizon.value, twin.model.horizon.value
        );
        let help = format!("write `horizon = \"{}\"` under `[model]` of the twin, or shorten this one", horizon.value);
        faults.warn("too-long", &horizon.span, message, help);
    } else if **horizon >= *twin.step {
        plant.whole_steps(faults, horizon, "horizon");
    }
}

/// Checks that the log covers one season before the start of the scenario, as a seasonal forecast requires.
fn seasonal_past(faults: &mut Faults<'_>, scenario: &ScenarioSpec, plant: &Plant<'_>, owner: &str, spec: &MpcSpec) {
    let Some((first, last)) = plant.log.span() else { return };
    let past = scenario.start.as_millisecond() - first.as_millisecond();
    if past < 0 || *scenario.start >= last {
        return;
    }
    let (season, place, what) = match &spec.forecast {
        Some(At { value: Seasonal(season), span }) => (*season, span, "its forecast".to_owned()),
        Some(_) => return,
        None => {
            let seasons = plant.signals.values().filter_map(|s| match s.forecast.as_ref()?.value {
                Seasonal(season) => Some((season, s.name.as_str())),
                _ => None,
            });
            let Some((season, name)) = seasons.max_by_key(|(season, _)| season.ms()) else { return };
            (season, &scenario.start.span, format!("the forecast of `{name}`"))
        }
    };
    if season.ms() > past && plant.log.length().is_none_or(|log| season <= log) {
        let before = TimeSpan::from_ms(past);
        let message = format!("{owner}: {what} needs {season} of the log before the start, but there is only {before}");
        faults.add_about_log("outside-log", place, message, "start later, or use a shorter season");
    }
}
