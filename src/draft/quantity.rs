//! What the name and the values of a column say about its quantity: whether it is stored, added up, metered or a price.

use super::consumption;
use crate::log::{self, ColumnSummary};
use crate::schema::Role;
use crate::units::Unit;

/// The `kind` of a column, with the reason for it in the words of the draft.
pub(super) type KindGuess = Option<(&'static str, &'static str)>;

/// Guesses the kind of a column in a unit of amounts; `None` if the samples are momentary values. `lower` is the name
/// of the column in lower case.
pub(super) fn kind(column: &ColumnSummary, lower: &str, unit: &Unit) -> KindGuess {
    if !log::is_counted(&column.name, unit) && (!log::is_amount(unit, Role::Output) || is_unit_price(lower)) {
        return None;
    }
    let is_energy = unit.same_dimension(&Unit::parse("kWh").ok()?);
    let is_meter = is_meter(lower)
        || lower.contains("total")
        || consumption::is_named(lower)
        || consumption::word(lower, &unit.text).is_some();
    let stored = stored(lower);
    Some(match column {
        // a stored quantity does not rise all the time
        c if c.counts && !c.restarts => ("counter", "kind from its rise"),
        c if stored == Stored::Certainly || stored == Stored::Possibly && c.is_integral => {
            ("level", "kind from the name of a stored quantity")
        }
        c if c.counts && (is_energy || is_meter || stored == Stored::Possibly) => ("counter", "kind from its rise"),
        c if c.counts => (
            "level",
            "kind from values that rise and fall like those of a tank that is filled and emptied; `counter` for a meter that is reset",
        ),
        c if c.accumulates && self::is_meter(lower) => (
            "counter",
            "kind from the name and from values that drift slowly, like those of a meter that also runs backwards",
        ),
        c if c.accumulates => (
            "level",
            "kind from values that drift slowly, like a stored quantity; `counter` for a meter that also runs backwards",
        ),
        _ => ("amount", "kind from the unit or name"),
    })
}

/// Whether a quantity is stored, judged by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    No,
    /// The energy of a tank can be its content or its consumption.
    Possibly,
    Certainly,
}

/// Words for stored quantities and for places where quantities are stored.
const STORED: [&str; 26] = [
    "on_hand",
    "on_order",
    "backlog",
    "stock",
    "inventory",
    "level",
    "volume",
    "storage",
    "stored",
    "content",
    "work_in_pro",
    "silo",
    "tank",
    "hopper",
    "reservoir",
    "queue",
    "balance",
    "bestand",
    "fuellstand",
    "vorrat",
    "speicher",
    "holdup",
    "weight",
    "gewicht",
    "sump",
    "vessel",
];
/// Words for what flows, or for machines that consume energy. If such a word follows the last of [`STORED`], the
/// quantity is not stored, as in `tank_heater_kwh`.
const FLOWS: [&str; 36] = [
    "power",
    "consum",
    "usage",
    "used",
    "heater",
    "heating",
    "chiller",
    "cooling",
    "pump",
    "motor",
    "compressor",
    "agitator",
    "stirrer",
    "mixer",
    "blower",
    "lighting",
    "flow",
    "feed",
    "filling",
    "intake",
    "import",
    "export",
    "purchase",
    "deliver",
    "withdraw",
    "charg",
    "leistung",
    "verbrauch",
    "bezug",
    "zulauf",
    "ablauf",
    "entnahme",
    "heizung",
    "puissance",
    "consommation",
    "poten",
];
/// Words for energy, which can be stored or consumed.
const ENERGY: [&str; 6] = ["energy", "energie", "energia", "heat", "waerme", "chaleur"];

fn stored(lower: &str) -> Stored {
    let name = lower.replace("state_of_charge", "soc");
    let has = |word: &str| name.split('_').any(|w| w == word);
    if ["soc", "wip", "inv"].iter().any(|word| has(word)) {
        return Stored::Certainly;
    }
    // the energy in a battery, and not the energy with which it is charged
    if ["battery", "batterie", "akku"].iter().any(|word| name.contains(word)) {
        let flows = ["charg", "import", "export", "_in", "_out", "lade", "entlade", "consum"];
        return if flows.iter().any(|w| name.contains(w)) { Stored::No } else { Stored::Certainly };
    }
    let last = |words: &[&str]| words.iter().filter_map(|w| name.rfind(w)).max();
    // the volume of a gas or liquid that is consumed
    let words: Vec<&str> =
        STORED.into_iter().filter(|w| *w != "volume" || consumption::word(&name, "m^3").is_none()).collect();
    let Some(place) = last(&words) else { return Stored::No };
    if last(&FLOWS).is_some_and(|flow| flow > place) {
        Stored::No
    } else if last(&ENERGY).is_some_and(|energy| energy > place) && !name.contains("stored") {
        Stored::Possibly
    } else {
        Stored::Certainly
    }
}

/// Whether a column name suggests the reading of a meter.
fn is_meter(lower: &str) -> bool {
    [
        "meter",
        "reading",
        "register",
        "zaehler",
        "stand",
        "counter",
        "cumul",
        "totali",
        "compteur",
        "contador",
        "contatore",
        "index",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Whether a column name suggests the price of one unit, which is not an amount of money.
pub(super) fn is_unit_price(lower: &str) -> bool {
    ["price", "tariff", "rate", "preis", "preco", "precio", "prezzo", "prijs"].iter().any(|word| lower.contains(word))
        || lower.split('_').any(|word| word == "prix")
}

/// Words for the duration of something, in columns whose unit is minutes.
const DURATIONS: [&str; 22] = [
    "time",
    "duration",
    "delay",
    "interval",
    "age",
    "wait",
    "cycle",
    "period",
    "stop",
    "start",
    "lead",
    "idle",
    "dwell",
    "zeit",
    "dauer",
    "duree",
    "temps",
    "tiempo",
    "tempo",
    "tijd",
    "minutes",
    "maintenance",
];
/// Words for quantities whose minimum may be logged.
const MEASURED: [&str; 34] = [
    "temp",
    "press",
    "druck",
    "power",
    "leistung",
    "puissance",
    "potenc",
    "potenz",
    "flow",
    "durchfluss",
    "debit",
    "caudal",
    "level",
    "fuellstand",
    "speed",
    "drehzahl",
    "humid",
    "feucht",
    "volt",
    "spannung",
    "current",
    "strom",
    "freq",
    "conduct",
    "conc",
    "konz",
    "weight",
    "density",
    "torque",
    "price",
    "load",
    "demand",
    "level",
    "value",
];

/// Whether `min` at the end of a column name stands for a minimum and not for minutes. `others` are the names of all
/// columns in lower case.
pub(super) fn is_minimum(lower: &str, others: &[String]) -> bool {
    let Some(stem) = lower.strip_suffix("min").map(|s| s.trim_end_matches('_')).filter(|s| !s.is_empty()) else {
        return false;
    };
    let sibling = |end: &str| others.contains(&format!("{stem}_{end}"));
    if ["max", "maximum", "avg", "mean", "mittel"].iter().any(|end| sibling(end)) {
        return true;
    }
    let has = |words: &[&str]| words.iter().any(|w| stem.contains(w));
    let last = |words: &[&str]| words.iter().filter_map(|w| stem.rfind(w)).max();
    has(&MEASURED) && last(&DURATIONS) < last(&MEASURED)
}

/// Whether the last letter of a column name labels one of several columns, such as those of `feed_a`, `feed_b` and
/// `feed_c`, and is not a unit. `pump_v` and `pump_a` are a voltage and a current.
pub(super) fn is_label(lower: &str, others: &[String]) -> bool {
    const UNITS: &str = "wcfkmglvash";
    let letter = |name: &str| match name.rsplit_once('_') {
        Some((stem, last)) if last.len() == 1 => Some((stem.to_owned(), last.to_owned())),
        _ => None,
    };
    let Some((stem, last)) = letter(lower) else { return false };
    let siblings = others.iter().filter_map(|o| letter(o)).filter(|(s, l)| *s == stem && *l != last);
    let is_letter = |l: &String| l.chars().all(|c| c.is_ascii_alphabetic());
    siblings.map(|(_, l)| l).filter(is_letter).any(|l| !UNITS.contains(l.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_noun_of_a_name_decides_whether_a_quantity_is_stored() {
        for (name, expected) in [
            ("tank_power_kwh", Stored::No),
            ("storage_heater_energy_kwh", Stored::No),
            ("silo_filling_kg", Stored::No),
            ("tank_energy_kwh", Stored::Possibly),
            ("speicher_waerme_kwh", Stored::Possibly),
            ("energy_stored_kwh", Stored::Certainly),
            ("heat_pump_tank_level", Stored::Certainly),
            ("tank_state_of_charge", Stored::Certainly),
            ("gas_volume_m3", Stored::No),
            ("tank_volume_m3", Stored::Certainly),
            ("battery_energy_kwh", Stored::Certainly),
            ("battery_charge_kwh", Stored::No),
            ("power_kwh", Stored::No),
        ] {
            assert_eq!(stored(name), expected, "{name}");
        }
    }

    #[test]
    fn letters_that_label_columns_are_no_units() {
        let others = ["feed_a", "feed_b", "feed_c", "pump_v", "pump_a"].map(str::to_owned);
        let found = |name: &str| is_label(name, &others);
        assert!(found("feed_a") && found("feed_c") && !found("pump_v") && !found("pump_a") && !found("room_c"));
    }

    #[test]
    fn minutes_and_minima_are_distinguished() {
        let others = ["zone_max".to_owned()];
        for (name, expected) in [
            ("pressure_min", true),
            ("room_temp_min", true),
            ("zone_min", true),
            ("runtime_min", false),
            ("verweilzeit_min", false),
            ("power_on_time_min", false),
            ("cycle_min", false),
        ] {
            assert_eq!(is_minimum(name, &others), expected, "{name}");
        }
    }
}
