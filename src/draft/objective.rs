//! Chooses the first KPI of a draft, and decides whether this KPI has a price.

use super::consumption;
use super::roles::{Guess, is_concentration, name};
use super::words::MACHINES;
use crate::schema::Role;
use crate::units::Unit;

/// Words in a signal name which suggest that more of the quantity is better.
const MORE_IS_BETTER: [&str; 11] = [
    "yield",
    "generat",
    "produc",
    "export",
    "revenue",
    "profit",
    "sales",
    "turnover",
    "throughput",
    "photovolt",
    "solar",
];

/// Words in column names that indicate an amount of emissions.
const EMISSIONS: [&str; 8] = ["carbon", "co2", "co2e", "emission", "emissions", "nox", "so2", "ghg"];

/// The first KPI in the drafted `twin.toml`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KpiLine {
    pub name: String,
    pub definition: String,
    /// Why the KPI was chosen.
    pub reason: String,
    /// Price per unit in the objective; `None` if the log does not show whether more or less is better.
    pub price: Option<f64>,
    /// For a quantity that is bought or sold, how to state its price in money.
    pub in_money: Option<InMoney>,
}

/// A KPI in money that can replace a KPI in another unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InMoney {
    /// Name of the consumed or produced signal.
    name: String,
    /// Whether the quantity is produced, so that its price is income.
    is_income: bool,
    /// A signal with a constant value: the price of one unit.
    pub signal: String,
    pub kpi: String,
}

impl InMoney {
    pub fn kpi_name(&self) -> String {
        format!("{}_{}", self.name, if self.is_income { "revenue" } else { "cost" })
    }

    /// The price of the KPI in the objective.
    pub fn price(&self) -> &'static str {
        if self.is_income { "-1.0" } else { "1.0" }
    }

    pub fn price_name(&self) -> String {
        format!("{}_price", self.name)
    }
}

/// The index of the signal on which the objective depends, if the log contains such a signal.
pub(super) fn main_signal(signals: &[Guess]) -> Option<usize> {
    energy(signals)
        .or_else(|| supplies(signals).first().copied())
        .or_else(|| pairs(signals).map(|(signal, _)| signal))
        .or_else(|| money(signals))
        .or_else(|| emissions(signals))
        .or_else(|| signals.iter().position(|s| s.role == Role::Output))
}

/// The outputs that measure the consumption of fuels and other supplies. Outputs with a known unit come first.
fn supplies(signals: &[Guess]) -> Vec<usize> {
    let named = |s: &Guess| {
        let lower = name(&s.column);
        let unknown = s.unit == "1" && consumption::is_named(&lower);
        s.role == Role::Output && (unknown || consumption::word(&lower, &s.unit).is_some())
    };
    let mut found: Vec<usize> = (0..signals.len()).filter(|i| named(&signals[*i])).collect();
    found.sort_by_key(|i| signals[*i].unit == "1");
    found
}

/// Parts of names that distinguish the registers or parts of one quantity: tariffs, phases, and times of the day.
const PARTS: [&str; 22] = [
    "hp", "hc", "ht", "nt", "peak", "offpeak", "day", "night", "tag", "nacht", "jour", "nuit", "dia", "noche",
    "giorno", "notte", "l1", "l2", "l3", "f1", "f2", "f3",
];

/// The names of all outputs that measure the same quantity as `signals[i]`, such as two meters or the registers of two
/// tariffs: their names differ only in a number, a letter, or one of [`PARTS`].
fn siblings(signals: &[Guess], i: usize) -> Vec<&str> {
    let is_part = |part: &str| part.len() == 1 || part.bytes().all(|b| b.is_ascii_digit()) || PARTS.contains(&part);
    let stem = |s: &Guess| s.name.split('_').filter(|p| !is_part(p)).map(str::to_owned).collect::<Vec<_>>();
    let same = |s: &&Guess| s.role == Role::Output && s.unit == signals[i].unit && s.kind == signals[i].kind;
    let stem_of = stem(&signals[i]);
    // A name without such a part may be the total.
    let is_sibling = |s: &&Guess| stem(s) == stem_of && s.name.split('_').any(is_part);
    let found: Vec<&str> = signals.iter().filter(same).filter(is_sibling).map(|s| s.name.as_str()).collect();
    if found.contains(&signals[i].name.as_str()) { found } else { vec![&signals[i].name] }
}

/// The names of outputs in the same unit that are not among `counted`, as a clause; they may be parts of the same total.
fn not_counted(signals: &[Guess], i: usize, counted: &[&str]) -> String {
    let same = |s: &&Guess| s.role == Role::Output && s.unit == signals[i].unit && s.kind == signals[i].kind;
    let others = signals.iter().filter(same).map(|s| s.name.as_str()).filter(|name| !counted.contains(name));
    let others: Vec<&str> = others.collect();
    match others.is_empty() {
        true => String::new(),
        false => format!("; add {} if it is not contained in this", others.join(", ")),
    }
}

/// The signal that measures the energy or power to be saved. The energy of an auxiliary machine, such as a pump, counts
/// only if the log contains no consumption of a supply, such as gas.
fn energy(signals: &[Guess]) -> Option<usize> {
    let auxiliary = |i: &usize| MACHINES.iter().any(|m| signals[*i].name.contains(m));
    let has_supply = supplies(signals).iter().any(|i| signals[*i].unit != "1" && !auxiliary(i));
    electricity(signals).filter(|i| !has_supply || !auxiliary(i))
}

fn electricity(signals: &[Guess]) -> Option<usize> {
    let is = |s: &Guess| {
        let column = s.column.to_lowercase();
        let named = ["power", "electr", "elektr", "elettr"].iter().any(|w| column.contains(w));
        let power = ["W", "kW", "MW"].contains(&s.unit.as_str()) && named;
        let energy = ["Wh", "kWh", "MWh"].contains(&s.unit.as_str()) && s.kind.is_some();
        s.role == Role::Output && (power || energy)
    };
    let with_word = |words: &[&str]| signals.iter().position(|s| is(s) && words.iter().any(|w| s.name.contains(w)));
    with_word(&["total"])
        .or_else(|| with_word(&["hvac", "cool", "chiller", "fan"]))
        .or_else(|| signals.iter().position(is))
}

/// The first output that is an amount of money.
fn money(signals: &[Guess]) -> Option<usize> {
    let money = |s: &Guess| ["EUR", "USD", "GBP"].contains(&s.unit.as_str()) && s.kind.is_some();
    signals.iter().position(|s| s.role == Role::Output && (money(s) || s.name.contains("profit")))
}

/// Indices of the first signal whose set-point is logged, and of this set-point.
fn pairs(signals: &[Guess]) -> Option<(usize, usize)> {
    signals.iter().enumerate().filter(|(_, s)| s.role == Role::Setpoint).find_map(|(k, sp)| {
        let follows = |s: &Guess| {
            matches!(s.role, Role::State | Role::Output)
                && s.unit == sp.unit
                && [
                    format!("sp_{}", s.name),
                    format!("{}_sp", s.name),
                    format!("target_{}", s.name),
                    format!("{}_target", s.name),
                    s.name.replace("_pv", "_sp"),
                ]
                .contains(&sp.name)
        };
        Some((signals.iter().position(follows)?, k))
    })
}

/// The first state or output that measures emissions.
fn emissions(signals: &[Guess]) -> Option<usize> {
    let is = |s: &Guess| {
        let column = s.column.to_lowercase();
        let named = column.split(|c: char| !c.is_alphanumeric()).any(|w| EMISSIONS.contains(&w))
            && !is_concentration(&name(&s.column), &s.unit);
        matches!(s.role, Role::State | Role::Output) && (named || s.unit == "g/kWh" || s.unit == "kg/kWh")
    };
    signals.iter().position(is)
}

/// The first state or output that has alarm limits.
fn limited(signals: &[Guess]) -> Option<usize> {
    signals.iter().position(|s| matches!(s.role, Role::State | Role::Output) && s.soft.is_some())
}

/// Chooses the KPI: the first of energy, control error, money, emissions and time beyond alarm limits that the log
/// contains. If the log contains none of these, the KPI is the mean of an output or state, and has no price.
pub(super) fn kpi(signals: &[Guess]) -> Option<KpiLine> {
    let price = |name: &str| {
        let is_more = MORE_IS_BETTER.iter().any(|w| name.contains(w)) || name == "pv" || name.starts_with("pv_");
        if is_more { -1.0 } else { 1.0 }
    };
    let sense = |what: &str, price: f64| format!("{what}, so {} is better", if price < 0.0 { "more" } else { "less" });
    if let Some(i) = energy(signals) {
        let (name, summed) = (&signals[i].name, signals[i].kind.is_some());
        let price = price(name);
        let verb = if summed { "sum" } else { "integral" };
        let what = if price < 0.0 { "energy that the plant produces" } else { "the consumption of energy" };
        let counted = siblings(signals, i);
        return Some(KpiLine {
            name: if name == "energy" { "energy_total" } else { "energy" }.into(),
            definition: format!("{{ {verb} = \"{}\" }}", counted.join(" + ")),
            reason: sense(what, price) + &not_counted(signals, i, &counted),
            price: Some(price),
            in_money: in_money(&signals[i], &counted, price < 0.0),
        });
    }
    if let Some(&i) = supplies(signals).first() {
        let (name, summed) = (&signals[i].name, signals[i].kind.is_some());
        let verb = match summed {
            true => "sum",
            false if signals[i].unit == "1" => "mean",
            false => "integral",
        };
        let counted = siblings(signals, i);
        return Some(KpiLine {
            name: format!("{}_{name}", if verb == "mean" { "mean" } else { "total" }),
            definition: format!("{{ {verb} = \"{}\" }}", counted.join(" + ")),
            reason: sense("a consumption", 1.0) + &not_counted(signals, i, &counted),
            price: Some(1.0),
            in_money: in_money(&signals[i], &counted, false),
        });
    }
    if let Some((signal, sp)) = pairs(signals) {
        let (signal, sp) = (&signals[signal].name, &signals[sp].name);
        return Some(KpiLine {
            name: format!("tracking_error_{signal}"),
            definition: format!("{{ mean = \"abs({signal} - {sp})\" }}"),
            reason: sense(&format!("the control error against the set-point {sp}"), 1.0),
            price: Some(1.0),
            in_money: None,
        });
    }
    if let Some(i) = money(signals) {
        let name = &signals[i].name;
        let price = price(name);
        return Some(KpiLine {
            name: format!("total_{name}"),
            definition: format!("{{ sum = \"{name}\" }}"),
            reason: sense("an amount of money", price),
            price: Some(price),
            in_money: None,
        });
    }
    if let Some(i) = emissions(signals) {
        let (name, summed) = (&signals[i].name, signals[i].kind.is_some());
        let verb = if summed { "sum" } else { "mean" };
        return Some(KpiLine {
            name: format!("{}_{name}", if summed { "total" } else { "mean" }),
            definition: format!("{{ {verb} = \"{name}\" }}"),
            reason: sense("emissions", 1.0),
            price: Some(1.0),
            in_money: None,
        });
    }
    if let Some(i) = limited(signals) {
        let name = &signals[i].name;
        return Some(KpiLine {
            name: format!("violation_{name}"),
            definition: format!("{{ exceedance = \"{name}\" }}"),
            reason: sense("the time and distance beyond the alarm limits", 1.0),
            price: Some(1.0),
            in_money: None,
        });
    }
    let targets = signals.iter().filter(|s| matches!(s.role, Role::State | Role::Output));
    let shown = targets.min_by_key(|s| (s.unit == "1", s.by_default, s.role != Role::Output))?;
    let known = if shown.unit == "1" { "the first predicted signal" } else { "a predicted signal with a known unit" };
    Some(KpiLine {
        name: format!("mean_{}", shown.name),
        definition: format!("{{ mean = \"{}\" }}", shown.name),
        reason: format!(
            "{known}, because no predicted signal measures consumption, cost or emissions; it has no price yet"
        ),
        price: None,
        in_money: None,
    })
}

/// The price of a quantity and the KPI of its cost; `None` if the unit of the quantity is unknown or already money. The
/// quantity is the sum of `counted`.
fn in_money(signal: &Guess, counted: &[&str], is_income: bool) -> Option<InMoney> {
    let unit = Unit::parse(&signal.unit).ok()?;
    let summed = signal.kind.is_some();
    let bought = if summed { unit } else { unit.integral().ok()? }.preferred();
    if bought.is_dimensionless() || bought.currency().is_some() || signal.unit == "1" {
        return None;
    }
    let (name, verb) = (&signal.name, if summed { "sum" } else { "integral" });
    let mut money = InMoney {
        name: name.clone(),
        is_income,
        signal: format!(
            "{{ name = \"{name}_price\", role = \"disturbance\", unit = \"EUR/{}\", value = 0.0 }}",
            bought.text
        ),
        kpi: String::new(),
    };
    let quantity = match counted {
        [one] => (*one).to_owned(),
        several => format!("({})", several.join(" + ")),
    };
    money.kpi = format!("{} = {{ {verb} = \"{quantity} * {name}_price\" }}", money.kpi_name());
    Some(money)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(name: &str, role: Role, unit: &str, kind: Option<&'static str>) -> Guess {
        Guess {
            name: name.into(),
            column: name.into(),
            role,
            unit: unit.into(),
            kind,
            reason: String::new(),
            by_default: false,
            soft: None,
            only: None,
            is_switch: false,
            min: 0.0,
            mean: 1.0,
            max: 2.0,
        }
    }

    #[test]
    fn the_objective_follows_from_units_and_names() {
        let temp = guess("zone_temp", Role::State, "degC", None);
        let definition = |signals: &[Guess]| {
            let kpi = kpi(signals).unwrap();
            (kpi.definition, kpi.price)
        };
        let power = guess("total_power", Role::Output, "W", None);
        assert_eq!(definition(&[temp.clone(), power]), ("{ integral = \"total_power\" }".into(), Some(1.0)));
        let energy = guess("chiller_energy", Role::Output, "kWh", Some("amount"));
        assert_eq!(definition(&[temp.clone(), energy]), ("{ sum = \"chiller_energy\" }".into(), Some(1.0)));
        let made = guess("energy_yield", Role::Output, "MWh", Some("amount"));
        assert_eq!(definition(&[made]), ("{ sum = \"energy_yield\" }".into(), Some(-1.0)));
        let sp = guess("sp_zone_temp", Role::Setpoint, "degC", None);
        let error = ("{ mean = \"abs(zone_temp - sp_zone_temp)\" }".into(), Some(1.0));
        assert_eq!(definition(&[temp.clone(), sp]), error);
        assert_eq!(definition(std::slice::from_ref(&temp)), ("{ mean = \"zone_temp\" }".into(), None));
        let wind = Guess { by_default: true, ..guess("wnd", Role::State, "1", None) };
        let carbon = guess("carbon", Role::State, "g/kWh", None);
        assert_eq!(definition(&[wind.clone(), carbon]), ("{ mean = \"carbon\" }".into(), Some(1.0)));
        let gas = guess("gasverbrauch", Role::Output, "m^3/h", None);
        assert_eq!(definition(&[temp.clone(), gas.clone()]), ("{ integral = \"gasverbrauch\" }".into(), Some(1.0)));
        let pump = guess("pump_power", Role::Output, "kW", None);
        let objective = kpi(&[pump.clone(), gas]).unwrap();
        assert_eq!(objective.definition, "{ integral = \"gasverbrauch\" }");
        let money = objective.in_money.unwrap();
        assert!(money.signal.contains("unit = \"EUR/m^3\""), "{money:?}");
        assert_eq!(money.kpi, "gasverbrauch_cost = { integral = \"gasverbrauch * gasverbrauch_price\" }");
        assert_eq!(definition(&[pump]), ("{ integral = \"pump_power\" }".into(), Some(1.0)));
        let water = guess("consumo_agua", Role::Output, "m^3", Some("amount"));
        assert_eq!(definition(&[temp.clone(), water]), ("{ sum = \"consumo_agua\" }".into(), Some(1.0)));
        let register = |name: &str| guess(name, Role::Output, "kWh", Some("counter"));
        let registers = [register("compteur_hp"), register("compteur_hc"), register("ventilation")];
        let objective = kpi(&registers).unwrap();
        assert_eq!(objective.definition, "{ sum = \"compteur_hp + compteur_hc\" }");
        assert!(objective.reason.ends_with("; add ventilation if it is not contained in this"), "{}", objective.reason);
        assert!(objective.in_money.unwrap().kpi.contains("\"(compteur_hp + compteur_hc) * compteur_hp_price\""));
        let boilers = ["gas_kessel_1", "gas_kessel_2"].map(|n| guess(n, Role::Output, "m^3", Some("amount")));
        assert_eq!(definition(&boilers), ("{ sum = \"gas_kessel_1 + gas_kessel_2\" }".into(), Some(1.0)));
        let total = [guess("power", Role::Output, "kW", None), guess("power_1", Role::Output, "kW", None)];
        assert_eq!(definition(&total), ("{ integral = \"power\" }".into(), Some(1.0)));
        let unknown = guess("verbrauch", Role::Output, "1", None);
        assert_eq!(definition(&[temp.clone(), unknown]), ("{ mean = \"verbrauch\" }".into(), Some(1.0)));
        // if no signal is a quantity that should be small or large, a signal with a known unit is preferred
        assert_eq!(definition(&[wind.clone(), temp.clone()]), ("{ mean = \"zone_temp\" }".into(), None));
        let limited = Guess { soft: Some((18.0, 27.0)), ..temp };
        assert_eq!(definition(&[wind, limited]), ("{ exceedance = \"zone_temp\" }".into(), Some(1.0)));
    }
}
