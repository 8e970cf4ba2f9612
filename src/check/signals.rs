//! The tag list.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::column_unit::column_unit;
use super::plant::Plant;
use super::samples::{censored, kind};
use super::start::start;
use crate::config::{At, Effect, ForecastSpec, SignalSpec, key_place};
use crate::expr::{Program, is_name};
use crate::resolve::{Faults, Wanted, listed, role_name, suggest};
use crate::schema::Role;
use crate::units::Unit;

pub(super) fn signals(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, signal) in spec.signals.iter().enumerate() {
        name(faults, plant, signal, seen.insert(&signal.name, i).is_some());
        keys_of_role(faults, signal);
        start(faults, signal);
        units(faults, signal);
        column_unit(faults, plant, signal);
        limits(faults, signal);
        times(faults, plant, signal);
        forecast(faults, plant, signal);
        kind(faults, signal);
        effects(faults, plant, signal);
        equations(faults, plant, signal);
        censored(faults, plant, signal);
        if let Some(m) = signal.multiple.as_ref().filter(|m| !(***m > 0.0 && m.is_finite())) {
            let message = "`multiple` must be above 0";
            let help = "write the lot size, like `multiple = 10`";
            faults.add("out-of-range", &m.span, message, help);
        }
    }
    roles(faults, plant);
    dependency_cycles(faults, plant);
}

/// Returns a name that is similar to `name` and can be used in expressions.
fn as_name(name: &str) -> String {
    let mut out: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if out.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        out.insert_str(0, "s_");
    }
    if !is_name(&out) {
        out.push_str("_value");
    }
    out
}

fn name(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec, again: bool) {
    let name = &signal.name;
    if !is_name(name) {
        let help =
            format!("use letters, digits and `_`, like `{}`; set `column` to the name in the log", as_name(name));
        faults.add("bad-name", &name.span, format!("`{}` cannot be used as a name in expressions", name.value), help);
    }
    if again {
        let help = "rename or remove one of the two signals";
        faults.add("duplicate-name", &name.span, format!("there are two signals called `{}`", name.value), help);
    } else if plant.spec().parameters.contains_key(name.as_str()) {
        let message = format!("`{}` is the name of both a signal and a parameter", name.value);
        faults.add("duplicate-name", &name.span, message, "rename the signal or the parameter");
    }
}

/// A key, its byte range if it is present, and the roles for which it is valid.
type Rule = (&'static str, Option<Range<usize>>, &'static [Role]);

/// Reports keys that are not valid for the role of the signal.
fn keys_of_role(faults: &mut Faults<'_>, signal: &SignalSpec) {
    use Role::{Control, Derived, Disturbance, Output, Setpoint, State};
    fn span<T>(at: &Option<At<T>>) -> Option<Range<usize>> {
        at.as_ref().map(|a| a.span.clone())
    }
    let role = *signal.role;
    let effects = signal.effects.values().next().map(|e| e.span.clone());
    let only = signal.only.values().next().map(|o| o.span.clone());
    let rules: [Rule; 18] = [
        ("max_move", span(&signal.max_move), &[Control]),
        ("multiple", span(&signal.multiple), &[Control]),
        ("min_on", span(&signal.min_on), &[Control]),
        ("min_run", span(&signal.min_run), &[Control]),
        ("min_stop", span(&signal.min_stop), &[Control]),
        ("expr", span(&signal.expr), &[Derived]),
        ("next", span(&signal.next), &[State]),
        ("residual", span(&signal.residual), &[State]),
        ("start", span(&signal.start), &[State]),
        ("forecast", span(&signal.forecast), &[Disturbance]),
        ("effects", effects, &[State, Output]),
        ("value", span(&signal.value), &[Disturbance, Setpoint]),
        ("column", span(&signal.column), &[State, Output, Control, Disturbance, Setpoint]),
        ("column_unit", span(&signal.column_unit), &[State, Output, Control, Disturbance, Setpoint]),
        ("where", only, &[State, Output, Control, Disturbance, Setpoint]),
        ("censored", span(&signal.censored), &[State, Output, Disturbance]),
        ("valid", span(&signal.valid), &[State, Output, Control, Disturbance, Setpoint]),
        ("hard", span(&signal.hard), &[State, Output, Control, Derived]),
    ];
    for (key, place, roles) in rules {
        let Some(place) = place.filter(|_| !roles.contains(&role)) else { continue };
        let place = key_place(faults.text(), key, &place);
        let of = roles.iter().map(|r| role_name(*r)).collect::<Vec<_>>().join(", ");
        let message = format!("`{key}` is not valid for `{}`, which is {}", signal.name.value, role_name(role));
        faults.add("wrong-role", &place, message, format!("remove it, or correct the role; `{key}` is valid for {of}"));
    }
    if role == Derived && signal.expr.is_none() && !faults.is_damaged(&signal.role.span) {
        let message = format!("the derived signal `{}` has no expression", signal.name.value);
        faults.add("missing-key", &signal.name.span, message, "add `expr = \"…\"`, an expression of other signals");
    }
    if let (Some(true), None) = (signal.residual.as_ref().map(|r| r.value), &signal.next) {
        let place = signal.residual.as_ref().map_or(0..0, |r| r.span.clone());
        let message = format!("`residual` of `{}` needs the key `next`", signal.name.value);
        let help = "add `next = \"…\"`, or remove `residual`, because without `next` the whole signal is learned";
        faults.add("missing-key", &place, message, help);
    }
    if let (Some(value), Some(column)) = (&signal.value, &signal.column) {
        let message = format!("`{}` has both a constant value ({}) and a column", signal.name.value, value.value);
        faults.add("contradiction", &column.span, message, "keep `value` or `column`");
    }
}

fn units(faults: &mut Faults<'_>, signal: &SignalSpec) {
    let mut parse = |text: &Option<At<String>>| -> Option<Unit> {
        let text = text.as_ref()?;
        match Unit::parse(text) {
            Ok(unit) => Some(unit),
            Err(why) => {
                faults.add("unknown-unit", &text.span, why, unit_help(text));
                None
            }
        }
    };
    let (unit, column_unit) = (parse(&signal.unit), parse(&signal.column_unit));
    let (Some(from), Some(place)) = (column_unit, &signal.column_unit) else { return };
    let Some(to) = unit.or_else(|| signal.unit.is_none().then(Unit::one)) else { return };
    if !from.same_dimension(&to) {
        let message =
            format!("the column's unit `{}` cannot be converted to the signal's unit `{}`", from.text, to.text);
        let help = format!("use units of the same quantity, e.g. `unit = \"{}\"`", from.text);
        faults.add("unit-mismatch", &place.span, message, help);
    }
}

/// Returns the unit that remains without stray punctuation, such as the comma in `A,`.
fn without_stray(text: &str) -> Option<String> {
    let plain = text.replace([',', ';', ':', '!', '?', '\'', '"', '`', '|', '&', '#', '=', '~', '_'], "");
    let shorter = |(i, c): (usize, char)| format!("{}{}", &plain[..i], &plain[i + c.len_utf8()..]);
    let one_less = plain.char_indices().filter(|(_, c)| !c.is_alphanumeric()).map(shorter);
    let mut candidates = std::iter::once(plain.clone()).chain(one_less).map(|t| t.trim().to_owned());
    candidates.find(|t| Unit::parse(t).is_ok())
}

/// Help text for an invalid unit; the text suggests the unit that the user probably intended.
pub(super) fn unit_help(text: &str) -> String {
    const COMMON: [(&[&str], &str); 16] = [
        (&["c", "°c", "celsius", "deg c", "degree c", "grad", "degree celsius", "degrees celsius"], "degC"),
        (&["f", "°f", "fahrenheit", "deg f"], "degF"),
        (&["kelvin", "degk"], "K"),
        (&["percent", "pct", "per cent"], "%"),
        (&["euro", "€"], "EUR"),
        (&["dollar", "$"], "USD"),
        (&["kilowatt"], "kW"),
        (&["watt", "watts"], "W"),
        (&["kwhr", "kw-h", "kwh/h"], "kWh"),
        (&["cbm/h", "m3h", "m3/hr", "m³/hr"], "m^3/h"),
        (&["€/mwh", "euro/mwh"], "EUR/MWh"),
        (&["litre", "liter"], "l"),
        (&["hour", "hours", "hr"], "h"),
        (&["seconds", "sec"], "s"),
        (&["minutes", "minute"], "min"),
        (&["none", "-", "", "unitless", "dimensionless", "number"], "1"),
    ];
    let lower = text.trim().to_lowercase();
    match COMMON.iter().find(|(words, _)| words.contains(&lower.as_str())) {
        Some((_, unit)) => format!("write `unit = \"{unit}\"`"),
        None => {
            if let Some(unit) = without_stray(text) {
                return format!("write `unit = \"{unit}\"`");
            }
            let known = [
                "degC", "degF", "kW", "MW", "kWh", "MWh", "bar", "mbar", "kPa", "kg/s", "m^3/h", "l/s", "rpm", "EUR",
                "item", "mol/l",
            ];
            match crate::error::nearest(text, known) {
                Some(unit) => format!("did you mean `{unit}`?"),
                None => "write a unit like `degC`, `kW`, `kg/s`, `m^3/h`, `EUR/MWh`, `item`, `%` or `1`".to_owned(),
            }
        }
    }
}

fn limits(faults: &mut Faults<'_>, signal: &SignalSpec) {
    let name = &signal.name.value;
    for (key, limits) in [("soft", &signal.soft), ("hard", &signal.hard), ("valid", &signal.valid)] {
        let Some(limits) = limits else { continue };
        let [low, high] = limits.value;
        if low > high {
            let help = format!("write the lower limit first: `{key} = [{high}, {low}]`");
            let message = format!("`{key}` of `{name}`: the lower limit {low} is above the upper limit {high}");
            faults.add("limits-crossed", &limits.span, message, help);
        } else if low == high {
            let message = format!("`{key}` of `{name}` allows only a single value");
            faults.warn("limits-crossed", &limits.span, message, "widen the limits");
        } else if low == f64::INFINITY || high == f64::NEG_INFINITY {
            let message = format!("`{key}` of `{name}` allows no value");
            let help = "use `-inf` for no lower limit and `inf` for no upper limit";
            faults.add("limits-crossed", &limits.span, message, help);
        }
    }
    if let (Some(soft), Some(hard)) = (&signal.soft, &signal.hard)
        && soft[0] <= soft[1]
        && hard[0] <= hard[1]
        && (soft[0] > hard[1] || soft[1] < hard[0])
    {
        let message = format!("the soft limits of `{name}` are entirely outside its hard limits");
        faults.add("limits-crossed", &soft.span, message, "choose soft limits within the hard limits");
    }
    if let Some(max_move) = signal.max_move.as_ref().filter(|_| *signal.role == Role::Control) {
        let (down, up) = max_move.value.limits();
        let least = down.min(up);
        if least.is_nan() || least <= 0.0 {
            let message = format!("`max_move` of `{name}` must be above 0, but it is {least}");
            let help = "specify the largest change per step, or remove `max_move` to allow any move";
            faults.add("out-of-range", &max_move.span, message, help);
        } else if let Some(multiple) = signal.multiple.as_ref().filter(|m| ***m > least) {
            let message = format!(
                "`max_move` of `{name}` is less than its `multiple` of {}, so the control can never move",
                **multiple
            );
            let help = "increase `max_move` to at least the value of `multiple`, or remove one of the two keys";
            faults.add("out-of-range", &max_move.span, message, help);
        } else if let Some(hard) = &signal.hard
            && hard[1] > hard[0]
            && (hard[1] - hard[0]).is_finite()
            && least > hard[1] - hard[0]
        {
            let message =
                format!("`max_move` of `{name}` is larger than the range of its hard limits and has no effect");
            let help = "specify the largest change per step, or remove `max_move`";
            faults.warn("out-of-range", &max_move.span, message, help);
        }
    }
    switching(faults, signal);
    if let (Some(multiple), Some(hard)) = (&signal.multiple, &signal.hard)
        && **multiple > 0.0
        && hard[1] > hard[0]
        && (hard[1] / **multiple).floor() < (hard[0] / **multiple).ceil()
    {
        let message = format!("no multiple of {} is within the hard limits of `{name}`", multiple.value);
        faults.add("out-of-range", &multiple.span, message, "correct `multiple` or `hard`");
    }
}

/// Checks that a control with `min_on` can be both off and on, and can switch between off and on in one step.
fn switching(faults: &mut Faults<'_>, signal: &SignalSpec) {
    let name = &signal.name.value;
    let Some(least) = &signal.min_on else {
        for (key, at) in [("min_run", &signal.min_run), ("min_stop", &signal.min_stop)] {
            if let Some(at) = at {
                let message = format!("`{key}` of `{name}` needs `min_on`");
                let help = "add `min_on`, the smallest value of the control while it is on";
                faults.add("out-of-range", &at.span, message, help);
            }
        }
        return;
    };
    let value = least.value;
    if !(value > 0.0 && value.is_finite()) {
        let message = format!("`min_on` of `{name}` must be above 0, but it is {value}");
        faults.add(
            "out-of-range",
            &least.span,
            message,
            "give the smallest value that the control can take when it is on",
        );
        return;
    }
    if let Some(hard) = signal.hard.as_ref().filter(|h| h[0] > 0.0 || h[1] < value) {
        let message =
            format!("`{name}` must be 0 or at least {value}, but its hard limits are [{}, {}]", hard[0], hard[1]);
        faults.add("limits-crossed", &least.span, message, "include both 0 and `min_on` in `hard`");
    }
    if let Some(max_move) = &signal.max_move {
        let (down, up) = max_move.value.limits();
        if down.min(up) < value {
            let message = format!("`{name}` can never switch on or off: `max_move` is smaller than `min_on`, {value}");
            let help = "set `max_move` to at least `min_on` in both directions";
            faults.add("out-of-range", &max_move.span, message, help);
        }
    }
}

fn times(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    let step = plant.spec().step.value;
    if let Some(flat) = signal.flat.as_ref().filter(|flat| ***flat <= step) {
        let message = format!(
            "`flat` of `{}` is {}, but it must be longer than one step ({step})",
            signal.name.value, flat.value
        );
        let help = "write how long a working sensor can show the same value, like `flat = \"6h\"`";
        faults.add("too-short", &flat.span, message, help);
    }
    for (key, at) in [("min_run", &signal.min_run), ("min_stop", &signal.min_stop)] {
        if let Some(at) = at {
            plant.whole_steps_up(faults, at, key);
        }
    }
}

fn forecast(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    if let Some(at) = &signal.forecast {
        season(faults, plant, at, &format!("the forecast of `{}`", signal.name.value));
    }
}

/// Checks the season of a forecast against the sample time and the log.
pub(super) fn season(faults: &mut Faults<'_>, plant: &Plant<'_>, at: &At<ForecastSpec>, owner: &str) {
    let ForecastSpec::Seasonal(season) = at.value else { return };
    let step = &plant.spec().step;
    if step.span.is_empty() || step.ms() <= 0 {
        return;
    }
    if season < step.value {
        let message = format!("{owner}: the season {season} is shorter than the step {}", step.value);
        faults.add("too-short", &at.span, message, "use a day or a week, like `{ seasonal = \"1d\" }`");
    } else if season.ms() % step.ms() != 0 {
        let message = format!("{owner}: the season {season} is not a whole number of steps ({})", step.value);
        faults.add("odd-span", &at.span, message, format!("use a multiple of {}, like `\"1d\"`", step.value));
    } else if let Some(log) = plant.log.length().filter(|log| season > *log) {
        let message = format!("{owner}: the season {season} is longer than the log ({log})");
        let help = "write a shorter season, like `{ seasonal = \"1d\" }`, or `\"persistence\"`";
        faults.add("too-long", &at.span, message, help);
    }
}

fn effects(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    for (control, effect) in &signal.effects {
        let place = key_place(faults.text(), control, &effect.span);
        plant.expect(faults, control, &place, &[Role::Control], "a control");
    }
    if let Some(residual) = &signal.next
        && signal.effects.values().any(|e| **e != Effect::None)
        && signal.residual.as_ref().is_none_or(|r| !r.value)
    {
        let message = format!("`effects` of `{}` is not used, because the signal is not learned", signal.name.value);
        faults.warn("contradiction", &residual.span, message, "remove `effects`, or add `residual = true`");
    }
}

fn equations(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    let own = plant.unit(&signal.name).cloned();
    for (key, expr, role) in [("expr", &signal.expr, Role::Derived), ("next", &signal.next, Role::State)] {
        let Some(expr) = expr.as_ref().filter(|_| *signal.role == role) else { continue };
        let declared = own.as_ref().filter(|_| signal.unit.is_some() || role == Role::State);
        let wanted = Wanted { what: format!("`{key}` of `{}`", signal.name.value), unit: declared };
        plant.expression(faults, expr, &wanted);
    }
}

/// Checks that the twin has at least one signal to predict and one control.
fn roles(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let place = &(0..0);
    if plant.spec().signals.is_empty() {
        let help = "add the tag list: `signals = [{ name = \"…\", role = \"state\", unit = \"degC\" }, …]`";
        faults.add("no-signals", place, "the twin has no signals", help);
        return;
    }
    if plant.with_role(&[Role::State, Role::Output]).is_empty() {
        let message = "no signal is a state or an output, so there is nothing to predict";
        faults.add(
            "no-state",
            place,
            message,
            "set `role = \"state\"` for quantities with dynamics, and `role = \"output\"` for quantities that follow \
             the inputs immediately, like a power",
        );
    }
    if plant.with_role(&[Role::Control]).is_empty() {
        let message = "no signal is a control, so scenarios can change only disturbances";
        faults.warn("no-control", place, message, "set `role = \"control\"` for signals that operators can change");
    }
}

/// Reports derived signals that depend on each other in a cycle within the same step.
fn dependency_cycles(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let derived: Vec<&SignalSpec> =
        spec.signals.iter().map(|s| &s.value).filter(|s| *s.role == Role::Derived && s.expr.is_some()).collect();
    // The scope also contains signals without valid units, so that all dependencies are found.
    let reads: HashMap<&str, Vec<&str>> = derived
        .iter()
        .filter_map(|s| {
            let expr = s.expr.as_ref()?;
            let mut now: Vec<&str> = match Program::compile(expr, &plant.scope) {
                Ok(program) => {
                    let present = program.reads.iter().filter(|(_, lag)| *lag == 0);
                    present.filter_map(|(i, _)| spec.signals.get(*i).map(|s| s.name.as_str())).collect()
                }
                Err(_) => words_outside_lag(expr),
            };
            now.retain(|n| derived.iter().any(|d| d.name.value == *n));
            Some((s.name.as_str(), now))
        })
        .collect();
    let mut reported: HashSet<&str> = HashSet::new();
    for signal in &derived {
        let Some(cycle) = cycle_from(&signal.name, &reads) else { continue };
        if cycle.iter().any(|n| !reported.insert(n)) {
            continue;
        }
        let place = signal.expr.as_ref().map_or(0..0, |e| e.span.clone());
        let message = if cycle.len() == 1 {
            format!("the derived signal `{}` depends on itself", cycle[0])
        } else {
            format!("derived signals depend on each other in a cycle: {}", listed(&cycle))
        };
        let help = "break the cycle, e.g. with `lag(x, 1)`, which is the value of `x` at the previous step";
        faults.add("circular", &place, message, help);
    }
}

/// Returns the names in an expression that does not compile, except for the names inside `lag(…)`.
fn words_outside_lag(expr: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        let tail = &rest[start..];
        let end = tail.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(tail.len());
        let (word, after) = (&tail[..end], &tail[end..]);
        rest = after;
        if word == "lag" {
            rest = after.find(')').map_or("", |i| &after[i..]);
        } else {
            words.push(word);
        }
    }
    words
}

/// Returns the names on a dependency cycle through `start`, if there is one.
fn cycle_from<'n>(start: &'n str, reads: &HashMap<&'n str, Vec<&'n str>>) -> Option<Vec<&'n str>> {
    fn walk<'n>(at: &'n str, start: &str, reads: &HashMap<&'n str, Vec<&'n str>>, path: &mut Vec<&'n str>) -> bool {
        path.push(at);
        for next in reads.get(at).into_iter().flatten() {
            if *next == start || (!path.contains(next) && walk(next, start, reads, path)) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut path = Vec::new();
    walk(start, start, reads, &mut path).then_some(path)
}

/// Checks the names and units of the parameters.
pub(super) fn parameters(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    for (name, parameter) in &plant.spec().parameters {
        if !is_name(name) {
            let place = key_place(faults.text(), name, &parameter.span);
            let help = format!("use letters, digits and `_`, like `{}`", as_name(name));
            faults.add("bad-name", &place, format!("`{name}` cannot be used as a name in expressions"), help);
        }
        if let Some(text) = &parameter.unit
            && let Err(why) = Unit::parse(text)
        {
            faults.add("unknown-unit", &text.span, why, unit_help(text));
        }
    }
}

/// Reports every element of `names` that is not the name of a signal.
pub(super) fn known_signals(faults: &mut Faults<'_>, plant: &Plant<'_>, names: &[At<String>]) {
    for name in names {
        if !plant.signals.contains_key(name.as_str()) && !faults.is_lost(name) {
            let help = suggest(name, plant.signals.keys().copied());
            faults.add("unknown-signal", &name.span, format!("there is no signal `{}`", name.value), help);
        }
    }
}
