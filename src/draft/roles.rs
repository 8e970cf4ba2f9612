//! Guesses the role, unit and name of a signal from the name of its column.

use super::quantity::{self, is_unit_price};
use super::tags::{Attribute, Tag};
use super::words::{COMMANDS, MACHINES, MEASURED, OTHER_LANGUAGES, SEPARATE, SETPOINTS, STATUS, WORDS};
use super::{calendar, consumption};
use crate::log::{self, ColumnKind, ColumnSummary};
use crate::schema::Role;
use crate::units::Unit;
use crate::units::ending::{self as units, UnitGuess};

/// A signal guessed from a column of the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub name: String,
    pub column: String,
    pub role: Role,
    pub unit: String,
    /// `amount` or `counter`; `None` if the samples are momentary values.
    pub kind: Option<&'static str>,
    /// E.g. `role from "outdoor", unit from "_c"`.
    pub reason: String,
    /// Whether the role is only the default.
    pub by_default: bool,
    /// Soft limits that are derived from alarm limits in the log.
    pub soft: Option<(f64, f64)>,
    /// The setting that selects the samples of good quality.
    pub only: Option<String>,
    /// Whether all values are 0 or 1.
    pub is_switch: bool,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

/// Units which suggest that a column is a measurement on a machine, not a control.
const MEASURED_UNITS: [&str; 10] = ["W", "kW", "MW", "Wh", "kWh", "MWh", "A", "bar", "mbar", "kPa"];

/// Names of columns that describe the log or an experiment instead of the plant.
const NOT_SIGNALS: [&str; 14] = [
    "reward",
    "tracking_error",
    "changepoint",
    "index",
    "row",
    "rownum",
    "row_number",
    "id",
    "idx",
    "seq",
    "sequence",
    "record",
    "unnamed_0",
    "level_0",
];
/// Words in the names of label columns, which contain values that were assigned to the rows after the measurement.
const LABELS: [&str; 11] = [
    "anomaly",
    "changepoint",
    "label",
    "fault",
    "faulty",
    "outlier",
    "failure",
    "alarm",
    "is_train",
    "is_test",
    "ground_truth",
];
/// Guesses a signal from a column and, if known, from the unit of the column in the export. If the column is not a
/// signal, the error gives the reason.
///
/// `others` are the names of all columns, in the notation of [`name`].
pub(super) fn signal(column: &ColumnSummary, exported: Option<&str>, others: &[String]) -> Result<Guess, String> {
    let lower = name(&column.name);
    let tag = Tag::parse(&column.name);
    let words = || lower.split('_');
    if NOT_SIGNALS.contains(&lower.as_str()) {
        return Err("describes the log, not the plant".into());
    }
    if LABELS.iter().any(|l| lower == *l || words().any(|w| w == *l)) && column.distinct <= 20 {
        return Err("is a label of the rows, not a measurement".into());
    }
    if calendar::is_name(&lower) && column.kind != ColumnKind::Float {
        return Err("repeats the time".into());
    }
    if !matches!(column.kind, ColumnKind::Float | ColumnKind::Integer | ColumnKind::Boolean) {
        return Err("contains no numbers".into());
    }
    if column.distinct == 0 || !column.min.is_finite() || !column.max.is_finite() {
        return Err("is empty".into());
    }
    if let Some(Attribute::Alarm(_)) = tag.attribute {
        return Err("is an alarm limit".into());
    }
    if let Some(Attribute::Mode) = tag.attribute {
        return Err("is the mode of a controller".into());
    }
    if column.distinct == 1 {
        return Err("never changes".into());
    }
    let mut found = units::guess(&column.name);
    if quantity::is_label(&lower, others) {
        found = UnitGuess { unit: "1", stem: &column.name, ending: None };
    }
    let (mut unit, mut unit_reason) = match found.ending {
        Some(ending) => (found.unit, format!("unit from \"{ending}\"")),
        None if is_goods(&lower) => ("item", "unit from the name".to_owned()),
        None => ("1", "unit unknown".to_owned()),
    };
    let mut stem = found.stem;
    if found.ending == Some("_min") && quantity::is_minimum(&lower, others) {
        (unit, unit_reason, stem) =
            ("1", "unit unknown, because \"min\" stands for the minimum".to_owned(), &column.name);
    }
    let air = units::atmospheric(&lower, column.min, column.max).filter(|_| found.ending.is_none_or(|e| e == "_mbar"));
    let written = units::written(&column.name).filter(|_| found.ending.is_none());
    let written = written.filter(|u| u.text != "min" || !quantity::is_minimum(&lower, others));
    if let Some(exported) = exported {
        (unit, unit_reason) = (exported, "unit from the export".into());
    } else if let Some(written) = &written {
        (unit, unit_reason) = (&written.text, "unit from the name".into());
    } else if let Some(air) = air {
        unit = air;
        unit_reason = "unit from the range of atmospheric pressure".into();
        stem = column.name.strip_suffix("_in").unwrap_or(stem);
    }
    let parsed = Unit::parse(unit);
    let kind = parsed.as_ref().ok().and_then(|u| quantity::kind(column, &lower, u));
    let flows = kind.is_some_and(|(kind, _)| kind != "level");
    let (mut role, mut why) = role(&lower, &tag, unit, air.is_some(), flows);
    // nobody sets the reading of a meter or a measured energy, so it is not a control
    let is_energy = parsed.as_ref().is_ok_and(|u| Unit::parse("kWh").is_ok_and(|kwh| kwh.same_dimension(u)));
    let is_command = lower.split('_').any(|word| COMMANDS.contains(&word)) || lower.contains("setpoint");
    match kind {
        Some(("counter", _)) if role == Role::Control => {
            (role, why) = (Role::Output, Some("role from its rise".to_owned()));
        }
        Some(("amount", _)) if role == Role::Control && is_energy && !is_command => {
            (role, why) = (Role::Output, Some("role from the unit".to_owned()));
        }
        _ => {}
    }
    // States (such as stocks) and set-points are neither amounts nor counters.
    let is_counted = |u: &Unit, role: Role| role != Role::State && log::is_counted(&column.name, u);
    let is_flow = |role: Role| parsed.as_ref().is_ok_and(|u| log::is_amount(u, role) || is_counted(u, role));
    let kind = kind.filter(|(kind, _)| match role {
        Role::State | Role::Setpoint => *kind == "level" && is_flow(role),
        role => *kind != "level" || is_flow(role),
    });
    let kind_reason = kind.map_or_else(String::new, |(_, reason)| format!(", {reason}"));
    let kind = kind.map(|(kind, _)| kind);
    let level = is_unit_price(&lower) && kind.is_none() && unit != "1";
    Ok(Guess {
        name: name(stem),
        column: column.name.clone(),
        role,
        unit: unit.to_owned(),
        kind: if level { Some("level") } else { kind },
        reason: format!("{}, {unit_reason}{kind_reason}", why.as_deref().unwrap_or("role by default")),
        by_default: why.is_none(),
        soft: None,
        only: None,
        is_switch: false,
        min: column.min,
        mean: column.mean,
        max: column.max,
    })
}

/// Returns the guessed role of a column and the reason for the guess; the reason is `None` if the role is only the
/// default.
fn role(lower: &str, tag: &Tag<'_>, unit: &str, is_air: bool, is_amount: bool) -> (Role, Option<String>) {
    let because = |role: Role, text: &str| (role, Some(format!("role from \"{text}\"")));
    match tag.attribute {
        Some(Attribute::Setpoint(text)) if tag.is_loop => return because(Role::Control, text),
        Some(Attribute::Output(text)) => return because(Role::Control, text),
        Some(Attribute::Measurement(text)) => return because(Role::State, text),
        _ => {}
    }
    if lower.starts_with("sp_") || lower.ends_with("_sp") || lower.contains("_sp_") || lower.contains("target") {
        return because(Role::Setpoint, "sp");
    }
    if is_air {
        return because(Role::Disturbance, "atmospheric pressure");
    }
    let is_actual = lower.split('_').any(|word| word == "istwert" || word == "ist");
    if let Some(text) = SETPOINTS.iter().find(|word| lower.contains(*word)).filter(|_| !is_actual) {
        return because(Role::Control, text);
    }
    // what a device reports is not what staff or a controller sets
    let word_of = |words: &[&'static str]| words.iter().find(|w| lower.split('_').any(|part| part == **w)).copied();
    if let Some(text) = word_of(&STATUS).filter(|_| word_of(&COMMANDS).is_none()) {
        return because(Role::State, text);
    }
    if MACHINES.iter().any(|m| lower.contains(m)) {
        if let Some((word, role)) = MEASURED.iter().find(|(word, _)| lower.contains(word)) {
            return because(*role, word);
        }
        if MEASURED_UNITS.contains(&unit) {
            return (Role::Output, Some("role from the unit".into()));
        }
    }
    if let Some((word, role)) = SEPARATE.iter().find(|(word, _)| lower.split('_').any(|part| part == *word)) {
        return because(*role, word);
    }
    // the concentration in a room, not the emission of a plant
    if is_concentration(lower, unit) {
        return because(Role::State, "co2");
    }
    if let Some((word, role)) = OTHER_LANGUAGES.iter().chain(&WORDS).find(|(word, _)| lower.contains(word)) {
        return because(*role, word);
    }
    if let Some(text) = consumption::word(lower, unit) {
        return because(Role::Output, text);
    }
    if let Some(role) = tag.isa_role() {
        return because(role, tag.letters);
    }
    if is_amount {
        return (Role::Output, Some("role from the kind".into()));
    }
    (Role::State, None)
}

/// Whether a column contains the concentration of carbon dioxide, judged by its name and unit.
pub(super) fn is_concentration(lower: &str, unit: &str) -> bool {
    lower.contains("co2")
        && ["ppm", "ppb", "%", "1"].contains(&unit)
        && !["emission", "intensity"].iter().any(|w| lower.contains(w))
}

/// Whether a column name suggests a quantity of goods, such as stock or orders.
fn is_goods(lower: &str) -> bool {
    ["on_hand", "on_order", "backlog", "order_", "demand", "sales", "units_", "stock", "shipped", "ordered"]
        .iter()
        .any(|word| lower.starts_with(word))
        && !lower.contains("lines")
}

/// Converts `text` to a valid signal name. Letters of other scripts are transliterated, because keys in TOML files
/// without quotes consist of ASCII letters.
pub(super) fn name(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'å' => out.push('a'),
            'µ' | 'μ' => out.push('u'),
            c if c.is_ascii_alphanumeric() => out.push(c),
            c if c.is_alphanumeric() => {
                let latin = deunicode::deunicode_char(c).unwrap_or("_");
                out.extend(latin.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }));
            }
            _ => out.push('_'),
        }
    }
    while out.contains("__") {
        out = out.replace("__", "_");
    }
    let out = out.trim_matches('_');
    let out = if out.chars().next().is_none_or(|c| c.is_ascii_digit()) { format!("s_{out}") } else { out.to_owned() };
    if crate::expr::is_name(&out) { out } else { format!("{out}_value") }
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
            accumulates: false,
            restarts: false,
            is_integral: false,
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
            ("pump_power_kw", Role::Output, "kW", "pump_power"),
            ("pump_1_v", Role::Control, "V", "pump_1"),
            ("Fan_Current", Role::Output, "1", "fan_current"),
            ("motor_temp_c", Role::State, "degC", "motor_temp"),
            ("TIC-101.PV", Role::State, "1", "tic_101_pv"),
            ("TIC-101.SP", Role::Control, "1", "tic_101_sp"),
            ("TIC-101.OP", Role::Control, "1", "tic_101_op"),
            ("FCV_12", Role::Control, "1", "fcv_12"),
            ("FI_12", Role::State, "1", "fi_12"),
            ("accelerometer_1_g", Role::State, "1", "accelerometer_1_g"),
            ("median_price_gbp", Role::Disturbance, "GBP", "median_price"),
            ("Sollwert Vorlauf", Role::Control, "1", "sollwert_vorlauf"),
            ("Außentemperatur", Role::Disturbance, "1", "aussentemperatur"),
            ("T_Vorlauf_Soll", Role::Control, "1", "t_vorlauf_soll"),
            ("Vorlauf Istwert", Role::State, "1", "vorlauf_istwert"),
            ("Pumpe Druck Sollwert", Role::Control, "1", "pumpe_druck_sollwert"),
            ("Aussentemperatur Istwert", Role::Disturbance, "1", "aussentemperatur_istwert"),
            ("Börvärde framledning", Role::Control, "1", "boervaerde_framledning"),
            ("precooler_outlet_temp", Role::State, "1", "precooler_outlet_temp"),
            ("exterior_lights_power_kw", Role::Output, "kW", "exterior_lights_power"),
            ("consigned_stock", Role::State, "1", "consigned_stock"),
            ("Pumpe 1 Leistung", Role::Output, "1", "pumpe_1_leistung"),
            ("Température extérieure", Role::Disturbance, "1", "temperature_exterieure"),
            ("Consigne départ", Role::Control, "1", "consigne_depart"),
            ("Уставка температуры", Role::Control, "1", "ustavka_temperatury"),
            ("Наружная температура, °С", Role::Disturbance, "degC", "naruzhnaia_temperatura_s"),
            ("Потребление энергии, кВт·ч", Role::Output, "kWh", "potreblenie_energii_kvt_ch"),
            ("設定温度(℃)", Role::Control, "degC", "she_ding_wen_du"),
            ("外気温度(℃)", Role::Disturbance, "degC", "wai_qi_wen_du"),
            ("Ciśnienie wejściowe", Role::State, "1", "cisnienie_wejsciowe"),
            ("Potencia eléctrica kW", Role::Output, "kW", "potencia_electrica"),
            ("Apertura válvula", Role::Control, "1", "apertura_valvula"),
            ("Durchfluss m³/h", Role::State, "m^3/h", "durchfluss_m3_h"),
            ("Pumpe 1 Status", Role::State, "1", "pumpe_1_status"),
            ("valve_3_feedback", Role::State, "1", "valve_3_feedback"),
            ("Ventil Rückmeldung", Role::State, "1", "ventil_rueckmeldung"),
            ("État vanne", Role::State, "1", "etat_vanne"),
            ("estado bomba", Role::State, "1", "estado_bomba"),
            ("Stato pompa", Role::State, "1", "stato_pompa"),
            ("pump command status", Role::Control, "1", "pump_command_status"),
            ("Pumpe Status Sollwert", Role::Control, "1", "pumpe_status_sollwert"),
            ("steam_flow_kg_h", Role::Output, "kg/h", "steam_flow"),
            ("Erdgas", Role::State, "1", "erdgas"),
        ] {
            let guess = signal(&column(name), None, &[]).unwrap();
            assert_eq!((guess.role, guess.unit.as_str(), guess.name.as_str()), (role, unit, short), "{name}");
        }
        for name in ["reward", "anomaly", "is_fault", "TIC-101.HI", "LIC_7.LL", "TIC-101.MODE"] {
            assert!(signal(&column(name), None, &[]).is_err(), "{name}");
        }
        let pressure = ColumnSummary { min: 29.6, max: 30.1, ..column("pressure_in") };
        let guess = signal(&pressure, None, &[]).unwrap();
        assert_eq!((guess.role, guess.unit.as_str(), guess.name.as_str()), (Role::Disturbance, "inHg", "pressure"));
        assert_eq!(signal(&column("median_price_gbp"), None, &[]).unwrap().kind, Some("level"));
    }
}
