//! Checks KPIs, the objective and the economics.

use std::collections::HashMap;

use super::plant::Plant;
use crate::config::{At, EconomicsSpec, key_place};
use crate::resolve::{Faults, short, suggest};
use crate::units::Unit;
use crate::value::{Kpi, resolve_prices};

pub(super) fn kpis(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = plant.spec();
    let mut units = HashMap::new();
    for (name, kpi) in &spec.kpi {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let place = key_place(faults.text(), name, &kpi.span);
            let message = format!("`{name}` cannot be the name of a KPI");
            faults.add("bad-name", &place, message, "use letters, digits, `_` and `-`, like `energy_cost`");
        }
        units.extend(Kpi::resolve(faults, plant, name, kpi).map(|kpi| (name.as_str(), kpi.unit)));
    }
    resolve_prices(faults, plant, &spec.objective);
    if !spec.objective.is_empty() && spec.objective.values().all(|p| **p == 0.0) {
        let place = spec.objective.values().next().map_or(0..0, |p| p.span.clone());
        faults.warn("no-objective", &place, "all prices in the objective are 0", "give at least one KPI a price");
    }
    if let Some(economics) = &spec.economics {
        self::economics(faults, plant, economics, &units);
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
            _ => "use a three-letter ISO 4217 code, like `EUR`, `USD` or `GBP`".to_owned(),
        };
        faults.add("currency", &code.span, format!("`{}` is not a currency code", code.value), help);
    }
    if economics.benefit.is_empty() {
        let message = "`benefit` names no KPI";
        let help = "list the KPIs in this currency whose decrease counts as a benefit";
        faults.add("missing-value", &economics.span, message, help);
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
                    let help = "use a KPI whose unit is this currency, e.g. the integral of a power times a price";
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
            format!("write it as a fraction, not in per cent: `{key} = {}`", short(**value / 100.0))
        } else {
            format!("write it as a fraction, like `{key} = {}`", if key == "persistence" { "0.97" } else { "0.08" })
        };
        let range = if low < 0.0 { "between -1 and 1" } else { "above 0 and at most 1" };
        faults.add("out-of-range", &value.span, format!("`{key}` must be {range}, but it is {}", value.value), percent);
    };
    share(&economics.discount_rate, "discount_rate", -1.0, 0.999_999);
    share(&economics.escalation, "escalation", -1.0, 0.999_999);
    share(&economics.persistence, "persistence", 0.0, 1.0);
    if economics.lifetime.ms() <= 0 {
        let message = "`lifetime` must be longer than 0";
        let help = "write e.g. `\"10y\"`";
        faults.add("out-of-range", &economics.lifetime.span, message, help);
    } else if economics.lifetime.seconds() < 30.0 * 86_400.0 {
        let message = format!("a lifetime of {} is too short for yearly cash flows", economics.lifetime.value);
        faults.add("out-of-range", &economics.lifetime.span, message, "write e.g. `lifetime = \"10y\"`");
    }
    if !(1950..=2150).contains(&*economics.price_base) {
        let message = format!("`price_base` must be a year, but it is {}", economics.price_base.value);
        faults.add("out-of-range", &economics.price_base.span, message, "write e.g. `price_base = 2024`");
    }
}
