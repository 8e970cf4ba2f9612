//! KPIs, the objective and the money.

use std::collections::HashMap;

use super::plant::Plant;
use crate::config::{At, EconomicsSpec, KpiSpec, key_place};
use crate::control::mpc::priced_kpi;
use crate::expr::Program;
use crate::resolve::{Faults, Wanted, short, suggest};
use crate::schema::Role;
use crate::units::Unit;

const ALL: [Role; 6] = [Role::State, Role::Output, Role::Control, Role::Disturbance, Role::Setpoint, Role::Derived];

/// Unit of a KPI, if everything that it follows from is in order.
fn unit(kpi: &KpiSpec, plant: &Plant<'_>) -> Option<Unit> {
    let of = |expr: &At<String>| {
        if plant.is_unsure(expr) { None } else { Program::compile(expr, &plant.scope).ok().map(|p| p.unit) }
    };
    let signal = |name: &At<String>| plant.unit(name);
    match kpi {
        KpiSpec::Integral(e) => of(e)?.integral().ok(),
        KpiSpec::Sum(e) | KpiSpec::Mean(e) | KpiSpec::Final(e) | KpiSpec::Peak { of: e, .. } => of(e),
        KpiSpec::Exceedance(name) => signal(name)?.difference().integral().ok(),
        KpiSpec::DegreeHours { of: e, .. } => of(e)?.difference().integral().ok(),
        KpiSpec::Ratio([a, b]) => of(a)?.per(&of(b)?).ok(),
        KpiSpec::Travel(name) => signal(name).map(Unit::difference),
        KpiSpec::ExceedanceShare(_) | KpiSpec::Moves(_) | KpiSpec::FillRate(_) | KpiSpec::ServiceLevel(_) => {
            Some(Unit::one())
        }
    }
}

pub(super) fn kpis(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let mut units = HashMap::new();
    for (name, kpi) in &spec.kpi {
        units.extend(unit(kpi, plant).map(|unit| (name.as_str(), unit)));
        let place = key_place(faults.text(), name, &kpi.span);
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let message = format!("`{name}` cannot name a KPI");
            faults.add("bad-name", &place, message, "use letters, digits, `_` and `-`, like `energy_cost`");
        }
        let wanted = |part: &str| Wanted { what: format!("KPI `{name}`{part}"), unit: None };
        match &kpi.value {
            KpiSpec::Integral(e)
            | KpiSpec::Sum(e)
            | KpiSpec::Mean(e)
            | KpiSpec::Final(e)
            | KpiSpec::ServiceLevel(e) => {
                if let Some(program) = plant.expression(faults, e, &wanted(""))
                    && let (KpiSpec::Integral(_), Err(why)) = (&kpi.value, program.unit.integral())
                {
                    faults.add("unit-mismatch", &e.span, format!("KPI `{name}`: {why}"), "correct the expression");
                }
            }
            KpiSpec::DegreeHours { of, above } => {
                plant.expression(faults, of, &wanted(""));
                if !above.is_finite() {
                    faults.add("out-of-range", &above.span, "`above` must be a number", "write e.g. `above = 18.0`");
                }
            }
            KpiSpec::Peak { of, window } => {
                plant.expression(faults, of, &wanted(""));
                if **window < *spec.step {
                    let message = format!(
                        "KPI `{name}`: the window {} is shorter than the step {}",
                        window.value, spec.step.value
                    );
                    let help = format!("write a window of at least `\"{}\"`", spec.step.value);
                    faults.add("too-short", &window.span, message, help);
                }
            }
            KpiSpec::Ratio([a, b]) => {
                plant.expression(faults, a, &wanted(" (numerator)"));
                plant.expression(faults, b, &wanted(" (denominator)"));
            }
            KpiSpec::FillRate([served, demanded]) => {
                let served_program = plant.expression(faults, served, &wanted(" (served)"));
                let demand = plant.expression(faults, demanded, &wanted(" (demanded)"));
                if let (Some(s), Some(d)) = (served_program, demand)
                    && !s.unit.same_dimension(&d.unit)
                {
                    let message =
                        format!("KPI `{name}`: served is in `{}`, demanded in `{}`", s.unit.text, d.unit.text);
                    faults.add("unit-mismatch", &served.span, message, "give both in the same unit");
                }
            }
            KpiSpec::Exceedance(signal) | KpiSpec::ExceedanceShare(signal) => {
                if let Some(found) = named(faults, plant, name, signal, &ALL)
                    && found.soft.is_none()
                {
                    let message = format!("KPI `{name}`: `{}` has no soft limits to exceed", signal.value);
                    let help = format!("add `soft = [low, high]` to the signal `{}`", signal.value);
                    faults.add("missing-key", &signal.span, message, help);
                }
            }
            KpiSpec::Moves(signal) | KpiSpec::Travel(signal) => {
                named(faults, plant, name, signal, &[Role::Control]);
            }
        }
    }
    objective(faults, plant);
    if let Some(economics) = &spec.economics {
        self::economics(faults, plant, economics, &units);
    }
}

/// The signal that a KPI names; an expression in its place is told.
fn named<'p>(
    faults: &mut Faults<'_>,
    plant: &Plant<'p>,
    kpi: &str,
    name: &At<String>,
    roles: &[Role],
) -> Option<&'p crate::config::SignalSpec> {
    if name.chars().any(|c| "+-*/^()<> ".contains(c)) && !plant.signals.contains_key(name.as_str()) {
        let message = format!("KPI `{kpi}` takes the name of a signal here, not an expression");
        let help = "define a derived signal with this expression and name it here";
        faults.add("wrong-value", &name.span, message, help);
        return None;
    }
    let wanted = if roles.len() == 1 { "a control" } else { "a signal" };
    plant.expect(faults, name, &name.span, roles, wanted)
}

fn objective(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    for (name, price) in &spec.objective {
        priced_kpi(faults, plant, name, price);
    }
    if !spec.objective.is_empty() && spec.objective.values().all(|p| **p == 0.0) {
        let place = spec.objective.values().next().map_or(0..0, |p| p.span.clone());
        faults.warn("no-objective", &place, "every price of the objective is 0", "give at least one KPI a price");
    }
}

fn economics(faults: &mut Faults<'_>, plant: &Plant<'_>, economics: &At<EconomicsSpec>, units: &HashMap<&str, Unit>) {
    let code = &economics.currency;
    let currency = Unit::parse(code).ok().and_then(|u| u.currency()).filter(|c| *c == code.value);
    if code.len() != 3 || !code.chars().all(|c| c.is_ascii_uppercase()) || currency.is_none() {
        let upper = code.to_uppercase();
        let known = upper.len() == 3 && Unit::parse(&upper).is_ok_and(|u| u.currency().is_some());
        let sign = match code.trim() {
            "€" | "Euro" | "euro" | "Euros" | "euros" => Some("EUR"),
            "$" | "dollar" | "Dollar" => Some("USD"),
            "£" | "pound" => Some("GBP"),
            _ => None,
        };
        let help = match (sign, known) {
            (Some(sign), _) => format!("write `currency = \"{sign}\"`"),
            (None, true) => format!("write `currency = \"{upper}\"`"),
            _ => "write the three letters of ISO 4217, like `EUR`, `USD` or `GBP`".to_owned(),
        };
        faults.add("currency", &code.span, format!("`{}` is no currency code", code.value), help);
    }
    if economics.benefit.is_empty() {
        let message = "`benefit` names no KPI";
        faults.add("missing-value", &economics.span, message, "name the KPIs in money whose fall is the benefit");
    }
    let kpis = &plant.spec().kpi;
    for name in &economics.benefit {
        match (kpis.contains_key(name.as_str()), units.get(name.as_str())) {
            (false, _) if faults.is_lost(name) => {}
            (false, _) => {
                let help = suggest(name, kpis.keys().map(String::as_str));
                faults.add("unknown-kpi", &name.span, format!("there is no KPI `{}`", name.value), help);
            }
            (true, Some(unit)) if currency.is_some() => {
                let own = Unit::parse(code).is_ok_and(|money| money.same_dimension(unit));
                if !own {
                    let message = format!("the benefit `{}` is in `{}`, not in {}", name.value, unit.text, code.value);
                    let help = "name a KPI in that currency, e.g. the integral of a power times a price";
                    faults.add("unit-mismatch", &name.span, message, help);
                }
            }
            _ => {}
        }
    }
    let mut share = |value: &At<f64>, key: &str, low: f64, high: f64| {
        if **value > low && **value <= high {
            return;
        }
        let percent = if value.abs() > 1.0 && value.abs() <= 100.0 {
            format!("write a share, not per cent: `{key} = {}`", short(**value / 100.0))
        } else {
            format!("write a share, like `{key} = {}`", if key == "persistence" { "0.97" } else { "0.08" })
        };
        let range = if low < 0.0 { "between -1 and 1" } else { "above 0 and at most 1" };
        faults.add(
            "out-of-range",
            &value.span,
            format!("`{key}` must lie {range}, here it is {}", value.value),
            percent,
        );
    };
    share(&economics.discount_rate, "discount_rate", -1.0, 0.999_999);
    share(&economics.escalation, "escalation", -1.0, 0.999_999);
    share(&economics.persistence, "persistence", 0.0, 1.0);
    if economics.lifetime.ms() <= 0 {
        faults.add(
            "out-of-range",
            &economics.lifetime.span,
            "`lifetime` must be longer than 0",
            "write e.g. `\"10y\"`",
        );
    } else if economics.lifetime.seconds() < 30.0 * 86_400.0 {
        let message = format!("a lifetime of {} is too short for a cash flow in years", economics.lifetime.value);
        faults.add("out-of-range", &economics.lifetime.span, message, "write it in years, like `lifetime = \"10y\"`");
    }
    if !(1950..=2150).contains(&*economics.price_base) {
        let message = format!("`price_base` must be a year, here it is {}", economics.price_base.value);
        faults.add("out-of-range", &economics.price_base.span, message, "write e.g. `price_base = 2024`");
    }
}
