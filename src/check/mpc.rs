//! Settings of model-predictive control.

use std::ops::Range;

use super::controller::{File, once};
use super::kpi::priced;
use super::plant::{Plant, Wanted};
use super::signals::{season, whole_steps};
use crate::config::ForecastSpec::Seasonal;
use crate::config::{At, MpcSpec, ScenarioSpec, SettingFault, TimeSpan, TotalSpec, key_place};
use crate::schema::{self, Role};

/// Of a case, or of `[mpc]` in the twin; the settings stand at `whole`.
pub(super) fn mpc<T>(
    faults: File<'_, '_, T>,
    run: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    case: &str,
    mpc: &MpcSpec,
    whole: &Range<usize>,
) {
    let twin = plant.spec();
    let step = &twin.step;
    let known_step = !step.span.is_empty() && step.ms() > 0;
    // what is not given is chosen later, up to this
    let horizon = mpc.horizon.as_ref().unwrap_or(&twin.model.horizon);
    let unknown = names(faults, plant, mpc);
    for SettingFault { code, span, message, help } in mpc.faults(known_step.then_some(step.value)) {
        // A name that is not there is told once.
        if !unknown.contains(&span) {
            faults.add(code, &span, format!("case `{case}`: {message}"), help);
        }
    }
    if mpc.horizon.is_some() {
        reach(faults, run, plant, case, horizon);
    }
    if let Some(replan) = mpc.replan.as_ref().filter(|r| ***r <= **horizon && ***r >= **step) {
        whole_steps(faults, replan, step, "replan");
    }
    match &mpc.controls {
        Some(names) => {
            if names.is_empty() {
                let message = format!("case `{case}`: `controls` is empty: nothing to move");
                faults.add("missing-value", whole, message, "name the controls, or remove `controls` for all");
            }
            once(faults, names.iter(), "entries of `controls`");
            for name in names {
                plant.expect(faults, name, &name.span, &[Role::Control], "a control");
            }
        }
        None if plant.names_of(&[Role::Control]).is_empty() && !plant.file.damage.any => {
            let message = format!("case `{case}`: the twin has no control to move");
            faults.add("no-control", whole, message, "give what may be moved `role = \"control\"` in the twin");
        }
        None => {}
    }
    for limit in &mpc.totals {
        total(faults, plant, case, limit, horizon);
    }
    once(faults, mpc.base_stock.iter().map(|s| &s.order), "entries of `base_stock`");
    for stock in &mpc.base_stock {
        let unit = plant.unit(&stock.order).filter(|_| !unknown.contains(&stock.order.span));
        plant.expression(faults, &stock.position, &Wanted { what: format!("case `{case}`, `position`"), unit });
    }
    ranks(faults, plant, case, mpc);
    for (name, price) in &mpc.terminal {
        priced(faults, plant, name, price);
    }
    if twin.objective.is_empty() && !plant.file.damage.any {
        let message = format!("case `{case}`: MPC minimises the twin's `[objective]`, and it has none");
        let help = format!("add `[objective]` with the price of each KPI to {}", plant.file.path.display());
        faults.add("no-objective", whole, message, help);
    }
    if let Some(forecast) = &mpc.forecast {
        season(faults, plant, forecast, &format!("case `{case}`"));
    }
    if let Some(run) = run {
        past(faults, run, plant, case, mpc);
    }
}

/// What a horizon must fit into.
fn reach<T>(
    faults: File<'_, '_, T>,
    run: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    case: &str,
    horizon: &At<TimeSpan>,
) {
    let twin = plant.spec();
    let step = &twin.step;
    if let Some(length) = run.map(|r| &r.length).filter(|l| **horizon > ***l && l.ms() > 0 && !l.span.is_empty()) {
        let message =
            format!("case `{case}`: the horizon {} is longer than the scenario ({})", horizon.value, length.value);
        faults.add("too-long", &horizon.span, message, "shorten `horizon` or lengthen the scenario");
    } else if *twin.model.holdout < **horizon && twin.model.holdout.ms() > 0 {
        let message = format!(
            "case `{case}`: the horizon {} is longer than the twin's hold-out {}",
            horizon.value, twin.model.holdout.value
        );
        faults.add("too-long", &horizon.span, message, "shorten `horizon`: the twin is not validated that far");
    } else if *twin.model.horizon < **horizon && !plant.file.damage.any {
        let message = format!(
            "case `{case}`: the horizon {} is longer than the twin was scored for ({})",
            horizon.value, twin.model.horizon.value
        );
        let help = format!("write `horizon = \"{}\"` under `[model]` of the twin, or shorten it here", horizon.value);
        faults.warn("too-long", &horizon.span, message, help);
    } else if **horizon >= **step {
        whole_steps(faults, horizon, step, "horizon");
    }
}

/// Places of the named controls that there are not.
fn names<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, mpc: &MpcSpec) -> Vec<Range<usize>> {
    let orders = mpc.base_stock.iter().map(|s| (&s.order, "a control that orders"));
    let named: Vec<_> = orders.chain(mpc.totals.iter().map(|t| (&t.control, "a control"))).collect();
    let mut missing = |(name, wanted): &(&At<String>, &str)| {
        plant.expect(faults, name, &name.span, &[Role::Control], wanted).is_none()
    };
    named.into_iter().filter(|n| missing(n)).map(|(name, _)| name.span.clone()).collect()
}

/// A total that no plan within the hard limits of its control can keep.
fn total<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, limit: &At<TotalSpec>, horizon: &At<TimeSpan>) {
    let step = &plant.spec().step;
    let hard = plant.signals.get(limit.control.as_str()).and_then(|s| s.hard.as_ref()).filter(|h| h[0] <= h[1]);
    let ordered = match (&limit.at_least, &limit.at_most) {
        (Some(least), Some(most)) => **least <= **most,
        _ => true,
    };
    let known = step.ms() > 0 && !step.span.is_empty() && limit.per.as_ref().is_none_or(|p| p.ms() > 0);
    let Some(hard) = hard.filter(|_| known && ordered) else { return };
    let bounds = schema::Bounds { low: hard[0], high: hard[1] };
    if let Some((message, help)) = limit.impossible(bounds, horizon.steps(step.value, 1), step.value) {
        faults.add("out-of-range", &limit.span, format!("case `{case}`: {message}"), help);
    }
}

/// A rank is of a soft limit, and only what the plant does can have one.
fn ranks<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, mpc: &MpcSpec) {
    for (name, rank) in &mpc.ranks {
        let place = key_place(faults.text(), name, &rank.span);
        let wanted = "a state, an output or a derived signal";
        let signal = plant.expect(faults, name, &place, &[Role::State, Role::Output, Role::Derived], wanted);
        if signal.is_some_and(|s| s.soft.is_none()) {
            let message = format!("case `{case}`: `{name}` has a rank, and no soft limit to keep");
            let help = format!("give `{name}` `soft = [low, high]` in the twin, or remove its rank");
            faults.add("missing-value", &place, message, help);
        }
    }
}

/// A seasonal forecast needs one season of log before the start.
fn past<T>(faults: File<'_, '_, T>, spec: &ScenarioSpec, plant: &Plant<'_>, case: &str, mpc: &MpcSpec) {
    let Some((first, last)) = plant.log.span() else { return };
    let past = spec.start.as_millisecond() - first.as_millisecond();
    if past < 0 || *spec.start >= last {
        return;
    }
    let (season, place, whose) = match &mpc.forecast {
        Some(at) => match at.value {
            Seasonal(s) => (s, at.span.clone(), "its forecast".to_owned()),
            _ => return,
        },
        None => {
            let longest = plant.signals.values().filter_map(|s| match s.forecast.as_ref()?.value {
                Seasonal(season) => Some((season, s.name.as_str())),
                _ => None,
            });
            match longest.max_by_key(|(season, _)| season.ms()) {
                Some((s, name)) => (s, spec.start.span.clone(), format!("the forecast of `{name}`")),
                None => return,
            }
        }
    };
    let fits = plant.log.length().is_none_or(|log| season <= log);
    if season.ms() > past && fits {
        let before = TimeSpan::from_ms(past);
        let message = format!("case `{case}`: {whose} looks {season} back, the log begins {before} before the start");
        let help = "start later, or use a shorter season";
        faults.add("outside-log", &place, message, help);
    }
}
