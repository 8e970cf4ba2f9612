//! Settings of model-predictive control.

use std::ops::Range;

use super::controller::{File, once};
use super::plant::{Plant, Wanted};
use super::signals::{season, whole_steps};
use crate::schema::Role;
use crate::spec::ForecastSpec::Seasonal;
use crate::spec::{At, MpcSpec, PlannedStock, PlannerSpec, ScenarioSpec, TimeSpan, TotalSpec};

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
    let horizon = &mpc.horizon;
    if known_step && **horizon < **step {
        let message = format!("case `{case}`: the horizon {} is shorter than the step {}", horizon.value, step.value);
        faults.add("too-short", &horizon.span, message, "write some steps, like `horizon = \"4h\"`");
    } else if let Some(length) = run.map(|r| &r.length).filter(|l| **horizon > ***l && l.ms() > 0 && !l.span.is_empty())
    {
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
        let cure = format!("write `horizon = \"{}\"` under `[model]` of the twin, or shorten it here", horizon.value);
        faults.warn("too-long", &horizon.span, message, cure);
    } else {
        whole_steps(faults, horizon, step, "horizon");
    }
    if let Some(replan) = &mpc.replan {
        if **replan > **horizon {
            let message =
                format!("case `{case}`: plans are {} apart, but reach only {} ahead", replan.value, horizon.value);
            faults.add("too-long", &replan.span, message, "`replan` must not be longer than `horizon`");
        } else if known_step && **replan < **step {
            let message = format!("case `{case}`: `replan` {} is shorter than the step {}", replan.value, step.value);
            faults.add("too-short", &replan.span, message, format!("write at least `replan = \"{}\"`", step.value));
        } else {
            whole_steps(faults, replan, step, "replan");
        }
    }
    if let Some(risk) = mpc.risk.as_ref().filter(|r| !(***r > 0.0 && ***r < 1.0)) {
        let cure = if **risk > 1.0 && **risk < 100.0 {
            format!("write a share, not per cent: `risk = {}`", **risk / 100.0)
        } else {
            "0.5 is the median, 0.95 is cautious".to_owned()
        };
        let message = format!("case `{case}`: `risk` is a quantile between 0 and 1, here it is {}", risk.value);
        faults.add("out-of-range", &risk.span, message, cure);
    }
    if let Some(weight) = mpc.pessimism.as_ref().filter(|p| !(0.0..=100.0).contains(&***p)) {
        let message = format!("case `{case}`: `pessimism` must lie between 0 and 100, here it is {}", weight.value);
        faults.add("out-of-range", &weight.span, message, "1 is usual, 0 trusts the model everywhere");
    }
    if let Some(share) = mpc.correction.as_ref().filter(|c| !(0.0..=1.0).contains(&***c)) {
        let cure = if **share > 1.0 && **share <= 100.0 {
            format!("write a share, not per cent: `correction = {}`", **share / 100.0)
        } else {
            "0 trusts the model, 0.1 is usual, 1 takes all of its last error to last".to_owned()
        };
        let message = format!("case `{case}`: `correction` is a share from 0 to 1, here it is {}", share.value);
        faults.add("out-of-range", &share.span, message, cure);
    }
    if let Some(budget) = mpc.budget.as_ref().filter(|b| b.ms() <= 0) {
        let message = format!("case `{case}`: a plan cannot be made within {}", budget.value);
        faults.add("out-of-range", &budget.span, message, "write e.g. `budget = \"200ms\"`, or remove it");
    }
    if let Some(n) = mpc.particles.as_ref().filter(|n| !(1..=1000).contains(&***n)) {
        let message =
            format!("case `{case}`: `particles` of a plan must lie between 1 and 1000, here it is {}", n.value);
        faults.add("out-of-range", &n.span, message, "write e.g. `particles = 4`");
    }
    if let Some(n) = &mpc.moves {
        let steps = if known_step { horizon.steps(step.value, 1) } else { usize::MAX };
        if **n == 0 {
            let message = format!("case `{case}`: `moves` must be 1 or more");
            faults.add("out-of-range", &n.span, message, "write e.g. `moves = 6`");
        } else if **n > steps {
            let message = format!("case `{case}`: {} moves do not fit into a horizon of {steps} steps", n.value);
            faults.add("out-of-range", &n.span, message, format!("write at most `moves = {steps}`"));
        }
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
    once(faults, mpc.base_stock.iter().map(|s| &s.order), "entries of `base_stock`");
    for stock in &mpc.base_stock {
        planned_stock(faults, plant, case, mpc, stock);
    }
    for limit in &mpc.totals {
        total(faults, plant, case, mpc, limit);
    }
    if twin.objective.is_empty() && !plant.file.damage.any {
        let message = format!("case `{case}`: MPC minimises the twin's `[objective]`, and it has none");
        let cure = format!("add `[objective]` with the price of each KPI to {}", plant.file.path.display());
        faults.add("no-objective", whole, message, cure);
    }
    if let Some(forecast) = &mpc.forecast {
        season(faults, plant, forecast, &format!("case `{case}`"));
    }
    if let Some(run) = run {
        past(faults, run, plant, case, mpc);
    }
    if let Some(spec) = &mpc.planner {
        planner(faults, case, spec);
    }
}

/// An order that the plan moves through a level.
fn planned_stock<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, mpc: &MpcSpec, stock: &PlannedStock) {
    let order = plant.expect(faults, &stock.order, &stock.order.span, &[Role::Control], "a control that orders");
    let moved = |names: &Vec<At<String>>| names.iter().any(|n| n.value == stock.order.value);
    if order.is_some() && !mpc.controls.as_ref().is_none_or(moved) {
        let message = format!("case `{case}`: the plan does not move `{}`", stock.order.value);
        faults.add("unknown-signal", &stock.order.span, message, "name it in `controls`, too");
    }
    let unit = plant.unit(&stock.order).filter(|_| order.is_some());
    plant.expression(faults, &stock.position, &Wanted { what: format!("case `{case}`, `position`"), unit });
    let [low, high] = stock.level.value;
    if !(low.is_finite() && high.is_finite() && low < high) {
        let cure = if high < low {
            format!("write the lower level first: `level = [{high}, {low}]`")
        } else {
            "write `level = [lowest, highest]`, like `level = [20, 200]`".to_owned()
        };
        let message = format!("case `{case}`: levels from {low} to {high} are no range");
        faults.add("out-of-range", &stock.level.span, message, cure);
    }
}

/// A limit of what a control takes in total.
fn total<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, mpc: &MpcSpec, limit: &At<TotalSpec>) {
    let control = &limit.control;
    let signal = plant.expect(faults, control, &control.span, &[Role::Control], "a control");
    let moved = |names: &Vec<At<String>>| names.iter().any(|n| n.value == control.value);
    if signal.is_some() && !mpc.controls.as_ref().is_none_or(moved) {
        let message = format!("case `{case}`: the plan does not move `{}`, whose total it is to limit", control.value);
        faults.add("unknown-signal", &control.span, message, "name it in `controls`, too");
    } else if mpc.base_stock.iter().any(|s| s.order.value == control.value) {
        let message =
            format!("case `{case}`: the plan moves the level of `{}`, whose total it cannot know", control.value);
        let cure = "remove the total, or the entry of `base_stock`";
        faults.add("out-of-range", &control.span, message, cure);
    }
    if let Some(per) = limit.per.as_ref().filter(|p| p.ms() <= 0) {
        let message = format!("case `{case}`: a total per {} is none", per.value);
        faults.add(
            "out-of-range",
            &per.span,
            message,
            "write e.g. `per = \"1d\"`, or remove it: for the whole horizon",
        );
    }
    for (key, end) in [("at_least", &limit.at_least), ("at_most", &limit.at_most)] {
        if let Some(end) = end.as_ref().filter(|e| e.is_nan()) {
            let message = format!("case `{case}`: `{key}` is no number");
            faults.add("out-of-range", &end.span, message, format!("write e.g. `{key} = 400`"));
        }
    }
    match (&limit.at_least, &limit.at_most) {
        (None, None) => {
            let message = format!("case `{case}`: the total of `{}` has no limit", control.value);
            faults.add("missing-value", &limit.span, message, "write `at_most`, `at_least`, or both");
        }
        (Some(least), Some(most)) if **least > **most => {
            let message =
                format!("case `{case}`: the total is to be at least {} and at most {}", least.value, most.value);
            let cure = format!("write the lower one first: `at_least = {}, at_most = {}`", most.value, least.value);
            faults.add("out-of-range", &least.span, message, cure);
        }
        _ => {
            let step = &plant.spec().step;
            let hard = signal.and_then(|s| s.hard.as_ref()).filter(|h| h[0] <= h[1]);
            let known = step.ms() > 0 && !step.span.is_empty() && limit.per.as_ref().is_none_or(|p| p.ms() > 0);
            let Some(hard) = hard.filter(|_| known) else { return };
            let bounds = crate::schema::Range { low: hard[0], high: hard[1] };
            if let Some((message, cure)) = limit.impossible(bounds, mpc.horizon.steps(step.value, 1), step.value) {
                faults.add("out-of-range", &limit.span, format!("case `{case}`: {message}"), cure);
            }
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
        let cure = "start later, or use a shorter season";
        faults.add("outside-log", &place, message, cure);
    }
}

fn planner<T>(faults: File<'_, '_, T>, case: &str, planner: &PlannerSpec) {
    let mut within = |key: &str, at: &At<f64>, least: f64, most: f64, usual: &str| {
        if !(least..=most).contains(&at.value) {
            let range = if least == f64::MIN_POSITIVE {
                format!("be above 0 and at most {most}")
            } else {
                format!("lie between {least} and {most}")
            };
            let message = format!("case `{case}`: `{key}` must {range}, here it is {}", at.value);
            faults.add("out-of-range", &at.span, message, format!("{usual} is usual"));
        }
    };
    let count = |at: &At<usize>| At { value: at.value as f64, span: at.span.clone() };
    match planner {
        PlannerSpec::GaussNewton { iterations, starts } => {
            within("iterations", &count(iterations), 0.0, 100.0, "3");
            within("starts", &count(starts), 1.0, 100.0, "1 or 2");
        }
        PlannerSpec::Gradient { iterations, memory } => {
            within("iterations", &count(iterations), 1.0, 1000.0, "8");
            within("memory", &count(memory), 1.0, 100.0, "6");
        }
        PlannerSpec::Qp { iterations } => within("iterations", &count(iterations), 1.0, 100.0, "3"),
        PlannerSpec::RandomShooting { population, .. } => {
            within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
        }
        PlannerSpec::Mcts { population, levels, .. } => {
            within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
            within("levels", &count(levels), 2.0, 1000.0, "3 to 9");
        }
        PlannerSpec::Mppi { population, iterations, temperature, smoothing, decay, .. } => {
            within("population", &count(population), 4.0, 100_000.0, "64 to 500");
            within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
            within("temperature", temperature, 1e-6, 1e6, "0.1");
            within("smoothing", smoothing, 0.01, 1.0, "0.6");
            within("decay", decay, 0.01, 1.0, "0.8");
        }
        PlannerSpec::Cem { population, elites, iterations, smoothing, .. }
        | PlannerSpec::Icem { population, elites, iterations, smoothing, .. } => {
            within("population", &count(population), 4.0, 100_000.0, "64 to 500");
            within("elites", elites, f64::MIN_POSITIVE, 0.5, "0.1");
            within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
            within("smoothing", smoothing, 0.0, 0.99, "0.1");
        }
    }
    if let PlannerSpec::Icem { beta, decay, keep, .. } = planner {
        within("beta", beta, 0.0, 8.0, "2 to 4 for slow plants");
        within("decay", decay, 1.0, 4.0, "1.25");
        within("keep", keep, 0.0, 1.0, "0.3");
    }
}
