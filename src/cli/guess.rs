//! Guesses the role, unit and name of a signal from the name of its column, and the limits from its values.

use crate::log::{self, ColumnKind, ColumnSummary};
use crate::schema::Role;
use crate::units::Unit;

/// A signal guessed from a column of the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub name: String,
    pub column: String,
    pub role: Role,
    pub unit: String,
    /// `amount` or `counter` if the samples are not levels.
    pub kind: Option<&'static str>,
    /// E.g. `role from "outdoor", unit from "_c"`.
    pub reason: String,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

/// Endings of column names and the units that they suggest. The first match is used, so longer endings come first.
const ENDINGS: [(&str, &str); 60] = [
    ("_eur_per_mwh", "EUR/MWh"),
    ("_g_per_kwh", "g/kWh"),
    ("_kmol_min", "kmol/min"),
    ("_kmol_h", "kmol/h"),
    ("_mol_l", "mol/l"),
    ("_mol_s", "mol/s"),
    ("_mg_m3", "mg/m^3"),
    ("_kg_s", "kg/s"),
    ("_kg_h", "kg/h"),
    ("_t_h", "t/h"),
    ("_m3_h", "m^3/h"),
    ("_m3_s", "m^3/s"),
    ("_l_min", "l/min"),
    ("_l_h", "l/h"),
    ("_l_s", "l/s"),
    ("_ml_s", "ml/s"),
    ("_m_s", "m/s"),
    ("_kwh", "kWh"),
    ("_mwh", "MWh"),
    ("_wh", "Wh"),
    ("_kw", "kW"),
    ("_mw", "MW"),
    ("_w", "W"),
    ("_mbar", "mbar"),
    ("_bar", "bar"),
    ("_kpa", "kPa"),
    ("_mpa", "MPa"),
    ("_hpa", "hPa"),
    ("_pa", "Pa"),
    ("_degc", "degC"),
    ("_degf", "degF"),
    ("_celsius", "degC"),
    ("_c", "degC"),
    ("_f", "degF"),
    ("_k", "K"),
    ("_pct", "%"),
    ("_percent", "%"),
    ("_ppm", "ppm"),
    ("_rpm", "rpm"),
    ("_hz", "Hz"),
    ("_mm", "mm"),
    ("_cm", "cm"),
    ("_km", "km"),
    ("_m3", "m^3"),
    ("_m", "m"),
    ("_kg", "kg"),
    ("_g", "g"),
    ("_l", "l"),
    ("_v", "V"),
    ("_a", "A"),
    ("_s", "s"),
    ("_min", "min"),
    ("_mph", "mph"),
    ("_rt", "RT"),
    ("_inhg", "inHg"),
    ("_eur", "EUR"),
    ("_usd", "USD"),
    ("_gbp", "GBP"),
    ("_units", "item"),
    ("_pcs", "item"),
];

/// Words in column names and the roles that they suggest. The first match is used.
const WORDS: [(&str, Role); 68] = [
    ("außen", Role::Disturbance),
    ("aussen", Role::Disturbance),
    ("ventil", Role::Control),
    ("drehzahl", Role::Control),
    ("leistung", Role::Output),
    ("verbrauch", Role::Output),
    ("outdoor", Role::Disturbance),
    ("ambient", Role::Disturbance),
    ("weather", Role::Disturbance),
    ("wetbulb", Role::Disturbance),
    ("dew_point", Role::Disturbance),
    ("humidity", Role::Disturbance),
    ("wind", Role::Disturbance),
    ("solar", Role::Disturbance),
    ("demand", Role::Disturbance),
    ("price", Role::Disturbance),
    ("tariff", Role::Disturbance),
    ("carbon", Role::Disturbance),
    ("occupancy", Role::Disturbance),
    ("load", Role::Disturbance),
    ("feed_", Role::Disturbance),
    ("sales_order", Role::Disturbance),
    ("units_sold", Role::Disturbance),
    ("air_filter", Role::Disturbance),
    ("buffer", Role::Disturbance),
    ("setpoint", Role::Control),
    ("set_point", Role::Control),
    ("valve", Role::Control),
    ("pump", Role::Control),
    ("damper", Role::Control),
    ("fan_speed", Role::Control),
    ("speed", Role::Control),
    ("opening", Role::Control),
    ("command", Role::Control),
    ("_cmd", Role::Control),
    ("reflux", Role::Control),
    ("boilup", Role::Control),
    ("coolant", Role::Control),
    ("heater", Role::Control),
    ("base_flow", Role::Control),
    ("chilled_water", Role::Control),
    ("cooling_water", Role::Control),
    ("turbine_inlet_temp", Role::Control),
    ("production", Role::Control),
    ("factory_issue", Role::Control),
    ("on_order", Role::State),
    ("on_hand", Role::State),
    ("stock", Role::State),
    ("backlog", Role::State),
    ("order_lines", Role::Output),
    ("order", Role::Control),
    ("power", Role::Output),
    ("energy", Role::Output),
    ("yield", Role::Output),
    ("emission", Role::Output),
    ("nox", Role::Output),
    ("co_mg", Role::Output),
    ("cost", Role::Output),
    ("revenue", Role::Output),
    ("sales", Role::Output),
    ("profit", Role::Output),
    ("deliver", Role::Output),
    ("shipped", Role::Output),
    ("pue", Role::Output),
    ("total", Role::Output),
    ("accelerometer", Role::Output),
    ("current", Role::Output),
    ("voltage", Role::Disturbance),
];

/// Names of columns that describe the log or an experiment, not the plant.
const NOT_SIGNALS: [&str; 7] = ["reward", "tracking_error", "anomaly", "changepoint", "label", "index", "row"];

/// Guesses a signal from a column and its unit in the export, if that is known. If the column is not a signal, the error
/// gives the reason.
pub(super) fn signal(column: &ColumnSummary, exported: Option<&str>) -> Result<Guess, &'static str> {
    let lower = column.name.to_lowercase();
    if NOT_SIGNALS.contains(&lower.as_str()) {
        return Err("describes the log, not the plant");
    }
    if !matches!(column.kind, ColumnKind::Float | ColumnKind::Integer) {
        return Err("contains no numbers");
    }
    if column.distinct == 0 || !column.min.is_finite() || !column.max.is_finite() {
        return Err("is empty");
    }
    if column.distinct == 1 {
        return Err("never changes");
    }
    let ending = ENDINGS
        .iter()
        .find(|(ending, unit)| lower.ends_with(ending) && lower.len() > ending.len() && Unit::parse(unit).is_ok());
    let (unit, stem, mut unit_reason) = match ending {
        Some((ending, unit)) => {
            (*unit, &column.name[..column.name.len() - ending.len()], format!("unit from \"{ending}\""))
        }
        None => ("1", column.name.as_str(), "unit unknown".to_owned()),
    };
    if exported.is_some() {
        unit_reason = "unit from the export".to_owned();
    }
    let unit = exported.unwrap_or(unit);
    let (unit, stem) =
        if exported.is_none() && ending.is_none() && is_goods(&lower) { ("item", stem) } else { (unit, stem) };
    if unit == "item" && ending.is_none() && exported.is_none() {
        unit_reason = "unit from the name".to_owned();
    }
    let kind = match Unit::parse(unit) {
        Ok(u) if log::is_amount(&u, Role::Output) && !is_stock(&lower) => {
            Some(if column.counts { "counter" } else { "amount" })
        }
        Ok(u) if log::is_counted(&lower, &u) => Some("amount"),
        _ => None,
    };
    let setpoint =
        lower.starts_with("sp_") || lower.ends_with("_sp") || lower.contains("_sp_") || lower.contains("target");
    let word = WORDS.iter().find(|(word, _)| lower.contains(word));
    let (role, role_reason) = match (setpoint, word) {
        (true, _) => (Role::Setpoint, "role from \"sp\"".to_owned()),
        // the reading of a meter is not set by anyone
        (false, Some((_, Role::Control))) if kind == Some("counter") => (Role::Output, "role from its rise".to_owned()),
        (false, Some((word, role))) => (*role, format!("role from \"{word}\"")),
        (false, None) if kind.is_some() => (Role::Output, "role from the kind".to_owned()),
        (false, None) => (Role::State, "role by default".to_owned()),
    };
    // States (such as stocks) and set-points are neither amounts nor counters.
    let kind = kind.filter(|_| !matches!(role, Role::State | Role::Setpoint));
    let kind_reason = match kind {
        Some("counter") => ", kind from its rise",
        Some(_) => ", kind from the unit or name",
        None => "",
    };
    Ok(Guess {
        name: name(stem),
        column: column.name.clone(),
        role,
        unit: unit.to_owned(),
        kind,
        reason: format!("{role_reason}, {unit_reason}{kind_reason}"),
        min: column.min,
        mean: column.mean,
        max: column.max,
    })
}

/// Whether a column name suggests a quantity that is stored.
fn is_stock(lower: &str) -> bool {
    ["on_hand", "on_order", "backlog", "stock", "level", "volume", "storage", "stored", "content"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Whether a column name suggests a quantity of goods, such as stock or orders.
fn is_goods(lower: &str) -> bool {
    ["on_hand", "on_order", "backlog", "order_", "demand", "sales", "units_", "stock", "shipped", "ordered"]
        .iter()
        .any(|word| lower.starts_with(word))
        && !lower.contains("lines")
}

/// Converts `text` to a valid signal name.
pub(super) fn name(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            'à' | 'á' | 'â' | 'ã' | 'å' => out.push('a'),
            'è' | 'é' | 'ê' | 'ë' => out.push('e'),
            'ì' | 'í' | 'î' => out.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ø' => out.push('o'),
            'ù' | 'ú' | 'û' => out.push('u'),
            'ç' => out.push('c'),
            'ñ' => out.push('n'),
            c => out.push(if c.is_ascii_alphanumeric() { c } else { '_' }),
        }
    }
    while out.contains("__") {
        out = out.replace("__", "_");
    }
    let out = out.trim_matches('_');
    let out = if out.chars().next().is_none_or(|c| c.is_ascii_digit()) { format!("s_{out}") } else { out.to_owned() };
    if crate::expr::is_name(&out) { out } else { format!("{out}_value") }
}

/// The column with the time stamps, if there is one.
pub(super) fn time(columns: &[ColumnSummary]) -> Option<&ColumnSummary> {
    let named = |c: &&ColumnSummary| {
        let lower = c.name.to_lowercase();
        ["time", "date", "stamp"].iter().any(|w| lower.contains(w))
            || ["ts", "t", "hour", "epoch"].contains(&lower.as_str())
    };
    let has_times = |c: &&ColumnSummary| c.kind == ColumnKind::Time;
    columns
        .iter()
        .find(|c| has_times(c) && named(c))
        .or_else(|| columns.iter().find(has_times))
        .or_else(|| columns.iter().filter(|c| matches!(c.kind, ColumnKind::Float | ColumnKind::Integer)).find(named))
}

/// A column whose value changes at the start of an episode.
pub(super) fn episode(columns: &[ColumnSummary]) -> Option<&ColumnSummary> {
    let mostly_constant = |c: &&ColumnSummary| c.distinct >= 1 && c.zero_moves > 0.9 && c.distinct < 1_000;
    let named = |c: &&ColumnSummary| {
        let lower = c.name.to_lowercase();
        ["episode", "experiment", "batch", "run", "run_id", "split", "trace", "campaign", "sku", "zone"]
            .contains(&lower.as_str())
    };
    columns
        .iter()
        .filter(|c| c.is_text || c.kind == ColumnKind::Integer)
        .find(|c| named(c) && mostly_constant(c))
        .or_else(|| columns.iter().filter(|c| c.is_text).find(mostly_constant))
}

/// The column that distinguishes the rows with equal times, if several things are logged at the same times.
pub(super) fn entity(columns: &[ColumnSummary]) -> Option<&ColumnSummary> {
    columns.iter().find(|c| c.is_text && c.distinct > 1 && c.commonest.is_some())
}

/// Flags of the quality column that mark good samples, if the default is not right.
pub(super) fn good(quality: &ColumnSummary) -> Option<&'static str> {
    let has = |flag: &str| quality.examples.iter().any(|e| e.trim().eq_ignore_ascii_case(flag));
    match quality.kind {
        ColumnKind::Text if has("good") || has("192") => None,
        ColumnKind::Text => ["ok", "valid", "0"].into_iter().find(|flag| has(flag)),
        ColumnKind::Integer | ColumnKind::Float if quality.max >= 192.0 && quality.max <= 255.0 => None,
        ColumnKind::Integer | ColumnKind::Float if quality.min == 0.0 => Some("0"),
        _ => None,
    }
}

/// The tag, value and quality columns of a log in long format, which has one row per sample.
pub(super) fn long(columns: &[ColumnSummary]) -> Option<(&ColumnSummary, &ColumnSummary, Option<&ColumnSummary>)> {
    let named = |words: &[&str]| columns.iter().find(|c| words.contains(&c.name.to_lowercase().as_str()));
    let tag = named(&["tag", "tagname", "tag_name", "point", "sensor", "variable", "signal"])?;
    let value = named(&["value", "val"])?;
    (tag.is_text && matches!(value.kind, ColumnKind::Float | ColumnKind::Integer))
        .then(|| (tag, value, named(&["quality", "status", "flag"])))
}

/// `v` rounded to two significant digits: down for a lower limit, up for an upper one.
pub(super) fn round_outwards(v: f64, up: bool) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return 0.0;
    }
    let unit = 10f64.powi(v.abs().log10().floor() as i32 - 1);
    let n = v / unit;
    // a limit with at most two digits stays unchanged
    let n = if (n - n.round()).abs() < 1e-9 {
        n.round()
    } else if up {
        n.ceil()
    } else {
        n.floor()
    };
    // dividing by a power of ten that is an integer gives the floating-point number with the shortest decimal text
    if unit < 1.0 { n / (1.0 / unit).round() } else { n * unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> ColumnSummary {
        ColumnSummary {
            name: name.into(),
            kind: ColumnKind::Float,
            is_text: false,
            rows: 10,
            min: 1.0,
            mean: 2.0,
            max: 3.0,
            distinct: 5,
            null_share: 0.0,
            zero_moves: 0.0,
            step: None,
            span: None,
            stretch: None,
            examples: Vec::new(),
            commonest: None,
            counts: false,
            notation: Default::default(),
        }
    }

    #[test]
    fn roles_and_units_are_guessed_from_names() {
        for (name, role, unit, short) in [
            ("outdoor_temp_c", Role::Disturbance, "degC", "outdoor_temp"),
            ("supply_setpoint_c", Role::Control, "degC", "supply_setpoint"),
            ("hvac_power_w", Role::Output, "W", "hvac_power"),
            ("sp_conc_a_mol_l", Role::Setpoint, "mol/l", "sp_conc_a"),
            ("level_1_m", Role::State, "m", "level_1"),
            ("on_hand_1", Role::State, "item", "on_hand_1"),
        ] {
            let guess = signal(&column(name), None).unwrap();
            assert_eq!((guess.role, guess.unit.as_str(), guess.name.as_str()), (role, unit, short), "{name}");
        }
        assert!(signal(&column("reward"), None).is_err());
    }

    #[test]
    fn limits_round_outwards() {
        assert_eq!(round_outwards(10.03, false), 10.0);
        assert_eq!(round_outwards(24.96, true), 25.0);
        assert_eq!(round_outwards(0.1234, true), 0.13);
        assert_eq!(round_outwards(-5.55, false), -5.6);
        assert_eq!(round_outwards(12_345.0, true), 13_000.0);
    }
}
