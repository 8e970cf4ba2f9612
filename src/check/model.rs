//! Checks the name, the sample time, `[model]` and `[retrain]` of a twin.

use super::plant::Plant;
use super::signals::known_signals;
use crate::config::{
    At, EnsembleSpec, GpSpec, MIN_BLOCKS, ModelSpec, TimeSpan, block_steps, is_plant_name, least_blocks,
    suggested_blocks,
};
use crate::expr::Program;
use crate::resolve::{Faults, suggest};
use crate::schema::Role;
use crate::zone::{self, ZoneFault};

/// Names of the models that `choose` may contain.
fn models() -> impl Iterator<Item = &'static str> {
    crate::learn::model::NAMES.iter().copied().chain([crate::learn::model::STACK])
}

/// Checks that features are derived signals that can be computed before the controls are known.
fn features(faults: &mut Faults<'_>, plant: &Plant<'_>, names: &[At<String>]) {
    known_signals(faults, plant, names);
    for name in names {
        let Some(signal) = plant.spec().signals.iter().find(|s| s.name.value == name.value) else { continue };
        if *signal.role != Role::Derived {
            let message = format!("`{}` is not a derived signal", name.value);
            let help =
                "use only derived signals; models always read states, controls and disturbances, and never outputs";
            faults.add("bad-feature", &name.span, message, help);
        } else if let Some(needed) = late_input(plant, &name.value, 0) {
            let message = format!(
                "`{}` depends on `{needed}`, which is known only after the model has been evaluated",
                name.value
            );
            let help = "use signals that are neither controls nor outputs, or use past values: `lag(x, 1)`";
            faults.add("bad-feature", &name.span, message, help);
        }
    }
}

/// Returns a control or output (if any) that the derived signal `name` reads at the same step, directly or indirectly.
fn late_input<'a>(plant: &'a Plant<'_>, name: &str, depth: usize) -> Option<&'a str> {
    let signals = &plant.spec().signals;
    let expr = signals.iter().find(|s| s.name.value == name)?.expr.as_ref()?;
    let program = Program::compile(expr, &plant.scope).ok()?;
    let now = program.reads.iter().filter(|(_, lag)| *lag == 0).filter_map(|(i, _)| signals.get(*i));
    now.filter(|s| s.value.value.is_none()).find_map(|s| match *s.role {
        Role::Control | Role::Output => Some(s.name.as_str()),
        // circular dependencies are reported by `signals::dependency_cycles`
        Role::Derived if depth < signals.len() => late_input(plant, &s.name.value, depth + 1),
        _ => None,
    })
}

pub(super) fn file(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let name = &spec.name;
    // an invalid name was already reported when the file was parsed
    if is_plant_name(name) {
        let folder = plant.file.path.parent().and_then(|p| p.canonicalize().ok());
        let folder = folder.as_ref().and_then(|p| p.file_name()).and_then(|n| n.to_str());
        if let Some(folder) = folder.filter(|f| *f != name.value) {
            let message = format!("the plant is called `{}`, but its folder is called `{folder}`", name.value);
            let help = format!("write `name = \"{folder}\"`, or rename the folder");
            faults.warn("bad-name", &name.span, message, help);
        }
    }
    let step = &spec.step;
    if step.ms() <= 0 {
        let message = "the step must be longer than 0";
        let help = "write the sample time, like `step = \"10min\"`";
        faults.add("out-of-range", &step.span, message, help);
    } else if step.ms() < 86_400_000 && 86_400_000 % step.ms() != 0 {
        let message = format!("a day does not contain a whole number of steps of {}", step.value);
        faults.warn("odd-span", &step.span, message, "use a step that divides a day evenly, like 5min, 10min or 1h");
    } else if let Some(sampling) = plant.log.sampling.filter(|s| step.ms() * 2 < s.ms()) {
        let message = format!("the step {} is much shorter than the log's sample time (about {sampling})", step.value);
        let help = format!("write `step = \"{sampling}\"`, because the log has no samples in between");
        faults.warn("odd-span", &step.span, message, help);
    }
    if let Some(zone) = &spec.timezone {
        timezone(faults, zone);
    }
}

pub(super) fn timezone(faults: &mut Faults<'_>, name: &At<String>) {
    let Err(fault) = zone::zone(name) else { return };
    let (message, advice) = fault.explain(name);
    let mut help = advice.to_owned();
    if fault == ZoneFault::Unknown {
        let names = zone::names();
        let wanted = name.replace(' ', "_");
        let city = |n: &&String| n.rsplit('/').next().is_some_and(|c| c.eq_ignore_ascii_case(&wanted));
        let found = names.iter().find(city).map(String::as_str);
        if let Some(near) = found.or_else(|| crate::error::nearest(name, names.iter().map(String::as_str))) {
            help = format!("did you mean `{near}`?");
        }
    }
    faults.add("time-zone", &name.span, message, help);
}

pub(super) fn model(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let (model, step) = (&spec.model, &spec.step);
    for name in &model.choose {
        if !models().any(|m| m == name.as_str()) {
            let help = suggest(name, models());
            faults.add("unknown-model", &name.span, format!("there is no model `{}`", name.value), help);
        }
    }
    if *model.lags == 0 {
        let message = "`lags` must be at least 1, where 1 means that only the current value is used";
        faults.add("out-of-range", &model.lags.span, message, "write e.g. `lags = 3`");
    } else if *model.lags > 100 {
        let message = format!("`lags` must be at most 100, but it is {}", model.lags.value);
        faults.add("out-of-range", &model.lags.span, message, "typical values are 1 to 10");
    }
    known_signals(faults, plant, &model.ignore);
    features(faults, plant, &model.features);
    gp(faults, &model.gp);
    ensemble(faults, &model.ensemble);
    rollout_loss(faults, model);
    let log = plant.log.length();
    if model.holdout.ms() <= 0 {
        let message = "`holdout` must be longer than 0, because models are scored on the hold-out";
        faults.add("out-of-range", &model.holdout.span, message, "write e.g. `holdout = \"14d\"`");
    } else if let Some(log) = log.filter(|log| *model.holdout >= *log) {
        let place = some_place(&model.holdout.span, plant);
        let message = format!(
            "the hold-out {} is at least as long as the log ({log}), so no data are left for the fit",
            model.holdout.value
        );
        let fifth = TimeSpan::from_ms(round_span(log.ms() / 5, step.ms()));
        let help = format!("write about a fifth of the log: `holdout = \"{fifth}\"` under `[model]`");
        faults.add("too-long", &place, message, help);
    } else if let Some(log) = log.filter(|log| model.holdout.ms() * 2 > log.ms()) {
        let place = some_place(&model.holdout.span, plant);
        let message = format!("the hold-out {} is more than half of the log ({log})", model.holdout.value);
        faults.warn("too-long", &place, message, "leave at least half of the log for the fit");
    }
    if !step.span.is_empty() && *model.horizon < **step {
        let place = some_place(&model.horizon.span, plant);
        let message = format!("the horizon {} is shorter than the step {}", model.horizon.value, step.value);
        let help = format!("write at least `horizon = \"{}\"` under `[model]`", step.value);
        faults.add("too-short", &place, message, help);
    } else if *model.horizon > *model.holdout && model.holdout.ms() > 0 {
        let place = some_place(&model.horizon.span, plant);
        let message = format!(
            "the horizon {} is longer than the hold-out {}, on which models are scored",
            model.horizon.value, model.holdout.value
        );
        faults.add("too-long", &place, message, "shorten `horizon` or lengthen `holdout`");
    } else if !model.horizon.span.is_empty() {
        plant.whole_steps(faults, &model.horizon, "horizon");
    }
    if let Some(share) = spec.log.completeness.as_ref().filter(|s| !(***s > 0.0 && ***s <= 1.0)) {
        let help = if **share > 1.0 && **share <= 100.0 {
            format!("write it as a fraction, not in per cent: `completeness = {}`", **share / 100.0)
        } else {
            "write it as a fraction, like `completeness = 0.8`".to_owned()
        };
        let message = format!("`completeness` must be above 0 and at most 1, but it is {}", share.value);
        faults.add("out-of-range", &share.span, message, help);
    }
    retrain(faults, plant);
}

fn gp(faults: &mut Faults<'_>, gp: &GpSpec) {
    let points = *gp.max_points;
    if points < 30 {
        let message = format!("`max_points` must be at least 30, the number of rows that a fit needs, but is {points}");
        faults.add("out-of-range", &gp.max_points.span, message, "write e.g. `max_points = 3000`");
    } else if points > 20_000 {
        let gigabytes = (points as f64).powi(2) * 8.0 / 1e9;
        let message = format!(
            "an exact Gaussian process with {points} points needs {gigabytes:.0} GB per target, and its fitting time \
             grows with the cube of the number of points"
        );
        let help = "set `max_points` to at most 20000; with more rows, the Gaussian process uses inducing points";
        faults.add("out-of-range", &gp.max_points.span, message, help);
    }
    let inducing = *gp.inducing;
    if !(8..=4000).contains(&inducing) {
        let message = format!("`inducing` must be between 8 and 4000, but it is {inducing}");
        faults.add("out-of-range", &gp.inducing.span, message, "write e.g. `inducing = 256`");
    }
    let samples = *gp.samples;
    if !(2..=1000).contains(&samples) {
        let message = format!("`samples` must be between 2 and 1000, but it is {samples}");
        faults.add("out-of-range", &gp.samples.span, message, "write e.g. `samples = 16`");
    }
}

fn ensemble(faults: &mut Faults<'_>, ensemble: &EnsembleSpec) {
    let counts = [
        ("members", &ensemble.members, 2, 100, "members = 5"),
        ("epochs", &ensemble.epochs, 1, 10_000, "epochs = 40"),
        ("batch", &ensemble.batch, 1, 65_536, "batch = 256"),
    ];
    for (name, count, least, most, example) in counts {
        if !(least..=most).contains(&**count) {
            let message = format!("`{name}` must be between {least} and {most}, but it is {}", count.value);
            faults.add("out-of-range", &count.span, message, format!("write e.g. `{example}`"));
        }
    }
    for width in ensemble.layers.iter().filter(|w| !(1..=4096).contains(&w.value)) {
        let message = format!("the width of a layer must be between 1 and 4096, but it is {}", width.value);
        faults.add("out-of-range", &width.span, message, "write e.g. `layers = [64, 64]`");
    }
    if let Some(beyond) = ensemble.layers.get(16) {
        let message = format!("there can be at most 16 hidden layers, but there are {}", ensemble.layers.len());
        faults.add("out-of-range", &beyond.span, message, "2 to 4 are typical");
    }
    let rate = &ensemble.learning_rate;
    if !(**rate > 0.0 && **rate <= 1.0) {
        let message = format!("`learning_rate` must be above 0 and at most 1, but it is {}", rate.value);
        faults.add("out-of-range", &rate.span, message, "write e.g. `learning_rate = 0.005`");
    }
    let decay = &ensemble.weight_decay;
    if !(0.0..=10.0).contains(&**decay) {
        let message = format!("`weight_decay` must be between 0 and 10, but it is {}", decay.value);
        faults.add("out-of-range", &decay.span, message, "write e.g. `weight_decay = 0.01`");
    }
}

fn rollout_loss(faults: &mut Faults<'_>, model: &ModelSpec) {
    let Some(steps) = &model.rollout_loss else { return };
    if !(1..=1000).contains(&**steps) {
        let message = format!("`rollout_loss` must be between 1 and 1000 steps, but it is {}", steps.value);
        let help = "use 1 for one-step predictions, or a number close to the control horizon for open-loop predictions";
        faults.add("out-of-range", &steps.span, message, help);
    }
}

fn retrain(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let Some(retrain) = &plant.spec().retrain else { return };
    let (model, step) = (&plant.spec().model, plant.spec().step.value);
    let (blocks, window) = (&retrain.blocks, &retrain.window);
    let least = least_blocks(model, step);
    if **blocks >= **window {
        let message = format!("`blocks` {} must be shorter than `window` {}", blocks.value, window.value);
        faults.add(
            "too-long",
            &blocks.span,
            message,
            "the window has to contain the training data and the newest blocks; write e.g. `window = \"90d\"` and \
             `blocks = \"14d\"`",
        );
    } else if **blocks < least && step.ms() > 0 {
        // the other commands ignore this fault, because it affects only `retrain`
        let block = TimeSpan::from_steps(block_steps(model.horizon.steps(step, 1), step.ms()), step.ms());
        let message = format!(
            "the gate of `retrain` can never open: it compares two models on {MIN_BLOCKS} blocks of {block}, which \
             need {least}, but `blocks` is {}",
            blocks.value
        );
        let needed = suggested_blocks(model, step);
        let help = match plant.log.length().filter(|log| log.ms() < 2 * needed.ms()) {
            Some(log) => format!(
                "write `blocks = \"{needed}\"`; the gate can then open once the log, which covers {}, covers at least \
                 twice that span",
                TimeSpan::from_ms(round_span(log.ms(), step.ms()))
            ),
            None => format!("write at least `blocks = \"{needed}\"`"),
        };
        faults.add_about_log("too-short", &blocks.span, message, help);
    } else if let Some(log) = plant.log.length().filter(|log| blocks.ms() >= log.ms()) {
        let message = format!(
            "the gate of `retrain` cannot open on this log: `blocks` {} is at least as long as the log ({}), so no data \
             are left to train a challenger",
            blocks.value,
            TimeSpan::from_ms(round_span(log.ms(), step.ms()))
        );
        let help = if log > least {
            format!("write `blocks = \"{}\"`, or wait for a longer log", suggested_blocks(model, step))
        } else {
            "wait for a longer log, or remove `[retrain]`".to_owned()
        };
        faults.add_about_log("too-long", &blocks.span, message, help);
    }
    if let Some(log) = plant.log.length().filter(|log| **window > *log) {
        let message = format!("the window {} is longer than the log ({log})", window.value);
        faults.warn("too-long", &window.span, message, "shorten `window`; the extra length has no effect");
    }
    if let Some(age) = retrain.max_age.as_ref().filter(|a| a.ms() <= 0) {
        faults.add("out-of-range", &age.span, "`max_age` must be longer than 0", "write e.g. `max_age = \"90d\"`");
    }
}

/// Returns `span`, or the byte range of the key `step` if the checked value is a default without a location.
pub(super) fn some_place(span: &std::ops::Range<usize>, plant: &Plant<'_>) -> std::ops::Range<usize> {
    if span.is_empty() { plant.spec().step.span.clone() } else { span.clone() }
}

/// Rounds `ms` down to whole days, hours or steps.
fn round_span(ms: i64, step: i64) -> i64 {
    for unit in [86_400_000, 3_600_000] {
        if ms >= 2 * unit {
            return ms / unit * unit;
        }
    }
    (ms / step.max(1)).max(1) * step.max(1)
}
