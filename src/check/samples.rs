//! Checks the settings that determine which samples are used and how they are combined.

use super::plant::Plant;
use crate::config::{Kind, Resample, SignalSpec};
use crate::resolve::{Faults, Wanted};
use crate::schema::Role;
use crate::units::Unit;

/// Reports contradictions between the keys that determine how samples are combined.
pub(super) fn kind(faults: &mut Faults<'_>, signal: &SignalSpec) {
    let name = &signal.name.value;
    let summed = matches!(
        (signal.kind.as_ref().map(|k| k.value), signal.resample.as_ref().map(|r| r.value)),
        (Some(Kind::Amount | Kind::Counter), _) | (None, Some(Resample::Sum))
    );
    if let (Some(kind), Some(resample)) = (&signal.kind, &signal.resample) {
        let fits = match kind.value {
            Kind::Amount | Kind::Counter => resample.value == Resample::Sum,
            Kind::Level => resample.value != Resample::Sum,
            Kind::State => matches!(resample.value, Resample::Hold | Resample::Mean),
        };
        if !fits {
            let message = format!("`resample` of `{name}` contradicts its `kind`");
            let help = "remove `resample`: amounts and counters are added, levels are averaged, and states are held";
            faults.add("contradiction", &resample.span, message, help);
        }
    }
    if let (Some(Kind::Counter), Some(empty)) = (signal.kind.as_ref().map(|k| k.value), &signal.empty) {
        let message = format!("`empty` of `{name}` contradicts its `kind`: a meter can run while it is not read");
        faults.add("contradiction", &empty.span, message, "remove `empty`");
    }
    let empty = signal.empty.as_ref().map(|e| ("empty", &e.span));
    for (key, place) in
        empty.into_iter().chain(signal.partial.as_ref().map(|p| ("partial", &p.span))).filter(|_| !summed)
    {
        let message = format!("`{key}` of `{name}` is valid only for amounts and counters");
        faults.add("contradiction", place, message, format!("write `kind = \"amount\"`, or remove `{key}`"));
    }
}

/// Checks the condition under which a value is only a lower bound. The condition is evaluated while the log is read, so
/// it may use only signals whose values are logged or constant.
pub(super) fn censored(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    let Some(condition) = &signal.censored else { return };
    let wanted = Wanted { what: format!("`censored` of `{}`", signal.name.value), unit: Some(&Unit::one()) };
    let Some(program) = plant.expression(faults, condition, &wanted) else { return };
    let computed = |s: &&SignalSpec| *s.role == Role::Derived || s.start.is_some();
    let read = program.reads.iter().filter_map(|(i, _)| plant.spec().signals.get(*i).map(|s| &s.value));
    if let Some(other) = read.clone().find(computed) {
        let message =
            format!("`censored` of `{}` reads `{}`, which is not logged", signal.name.value, other.name.value);
        let help = "use logged signals, like `censored = \"stock <= 0\"`";
        faults.add("not-logged", &condition.span, message, help);
    }
}
