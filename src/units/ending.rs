//! The unit of a column, guessed from the end of its name.

use super::Unit;

/// Endings of column names and the units that they suggest. The first matching ending is used, so longer endings come
/// first.
const ENDINGS: [(&str, &str); 100] = [
    ("_eur_per_mwh", "EUR/MWh"),
    ("_eur_mwh", "EUR/MWh"),
    ("_eur_per_kwh", "EUR/kWh"),
    ("_eur_kwh", "EUR/kWh"),
    ("_usd_per_mwh", "USD/MWh"),
    ("_usd_mwh", "USD/MWh"),
    ("_usd_per_kwh", "USD/kWh"),
    ("_usd_kwh", "USD/kWh"),
    ("_gbp_per_mwh", "GBP/MWh"),
    ("_gbp_mwh", "GBP/MWh"),
    ("_gbp_per_kwh", "GBP/kWh"),
    ("_gbp_kwh", "GBP/kWh"),
    ("_chf_per_mwh", "CHF/MWh"),
    ("_chf_mwh", "CHF/MWh"),
    ("_chf_per_kwh", "CHF/kWh"),
    ("_chf_kwh", "CHF/kWh"),
    ("_g_kwh", "g/kWh"),
    ("_kg_mwh", "kg/MWh"),
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
    ("_m3_min", "m^3/min"),
    ("_m3_d", "m^3/d"),
    ("_kg_min", "kg/min"),
    ("_t_d", "t/d"),
    ("_g_s", "g/s"),
    ("_g_min", "g/min"),
    ("_g_h", "g/h"),
    ("_l_d", "l/d"),
    ("_w_m2", "W/m^2"),
    ("_kg_m3", "kg/m^3"),
    ("_mg_l", "mg/l"),
    ("_g_l", "g/l"),
    ("_kj_kg", "kJ/kg"),
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
    ("_deg_c", "degC"),
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
    ("_ppb", "ppb"),
    ("_gpm", "gal/min"),
    ("_psi", "psi"),
    ("_gph", "gal/h"),
    ("_kvar", "kvar"),
    ("_kva", "kVA"),
    ("_m3h", "m^3/h"),
    ("_kgh", "kg/h"),
    ("_barg", "bar"),
    ("_gbp", "GBP"),
    ("_units", "item"),
    ("_pcs", "item"),
];

/// Endings that are also words, such as the `_min` of a minimum.
const AMBIGUOUS: [&str; 6] = ["_min", "_rt", "_pa", "_mm", "_units", "_pcs"];

/// Parts of units in exports, and their notation in `twin.toml`.
const EXPORTED: [(&str, &str); 20] = [
    ("℃", "degC"),
    ("℉", "degF"),
    ("°С", "degC"), // with a Cyrillic letter
    ("°", "deg"),
    ("³", "^3"),
    ("²", "^2"),
    ("m3", "m^3"),
    ("m2", "m^2"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("$", "USD"),
    ("кВт·ч", "kWh"),
    ("кВтч", "kWh"),
    ("МВт·ч", "MWh"),
    ("кВт", "kW"),
    ("МВт", "MW"),
    ("м^3/ч", "m^3/h"),
    ("кг/ч", "kg/h"),
    ("т/ч", "t/h"),
    ("бар", "bar"),
];
/// Denominators of ratios in column names.
const DENOMINATORS: [&str; 7] = ["wh", "kwh", "mwh", "gwh", "kg", "m3", "l"];
/// Numerators of ratios in column names. The unit of a ratio is known only if the whole ratio is in [`ENDINGS`].
const NUMERATORS: [&str; 28] = [
    "per", "eur", "usd", "gbp", "chf", "sek", "nok", "dkk", "pln", "czk", "aud", "cad", "nzd", "jpy", "cny", "inr",
    "brl", "ct", "cent", "cents", "g", "kg", "mg", "ug", "t", "kj", "gco2", "kwh",
];

/// Range of atmospheric pressure in the units in which it is usually logged.
const ATMOSPHERIC: [(&str, f64, f64); 4] =
    [("inHg", 27.0, 32.0), ("mbar", 870.0, 1085.0), ("kPa", 87.0, 108.5), ("mmHg", 650.0, 815.0)];

/// A guessed unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitGuess<'a> {
    pub unit: &'static str,
    /// The name of the column without its unit.
    pub stem: &'a str,
    /// The part of the name from which the unit was guessed; `None` if the unit is unknown.
    pub ending: Option<&'static str>,
}

/// Guesses the unit of the column `name`. The unit is the last part of a name such as `power_kw` or `Leistung kW`.
pub fn guess(name: &str) -> UnitGuess<'_> {
    let lower = name.to_lowercase();
    let spaced = lower.replace(' ', "_");
    // a single letter after a space is more likely to be a label, as in `Phase A`
    let ends = |ending: &str| lower.ends_with(ending) || ending.len() > 2 && spaced.ends_with(ending);
    let found =
        ENDINGS.iter().find(|(ending, unit)| ends(ending) && lower.len() > ending.len() && Unit::parse(unit).is_ok());
    match found {
        Some((ending, _)) if DENOMINATORS.contains(&&ending[1..]) && is_ratio(name) => {
            UnitGuess { unit: "1", stem: name, ending: None }
        }
        // Accelerations are logged in multiples of the standard gravity, not in grams.
        Some(("_g", _)) if ["acc", "vibr"].iter().any(|w| lower.contains(w)) => {
            UnitGuess { unit: "1", stem: name, ending: None }
        }
        Some((ending, unit)) => {
            let stem = name.get(..name.len() - ending.len()).unwrap_or(name);
            UnitGuess { unit, stem, ending: Some(ending) }
        }
        None => UnitGuess { unit: "1", stem: name, ending: None },
    }
}

/// Whether the last word of a column name is the denominator of a ratio, such as `kwh` in `price_sek_kwh`,
/// `cost_per_kg` or `Preis [ct/kWh]`.
pub fn is_ratio(name: &str) -> bool {
    let lower = name.trim_end_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let start = lower.rfind(|c: char| !c.is_alphanumeric()).unwrap_or(0);
    let (before, last) = lower.split_at(start);
    let numerator = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    DENOMINATORS.contains(&last.trim_start_matches(|c: char| !c.is_alphanumeric()))
        && (last.starts_with('/') || NUMERATORS.contains(&numerator))
}

/// Parses a unit as exports write it, such as `°C`, `m³/h`, `€` or `Stk`.
pub fn exported(text: &str) -> Option<Unit> {
    let mut unit = text.trim().to_owned();
    for (written, known) in EXPORTED {
        unit = unit.replace(written, known);
    }
    let unit = match unit.as_str() {
        "C" | "F" => format!("deg{unit}"),
        "Stk" | "Stück" | "St" | "pcs" | "units" => "item".to_owned(),
        _ => unit,
    };
    Unit::parse(&unit).ok()
}

/// The unit in brackets at the end of a name, such as `kWh` in `Gas (kWh)`.
fn in_brackets(name: &str) -> Option<Unit> {
    let text = name.trim().strip_suffix([')', ']', '）'])?;
    exported(text.rsplit_once(['(', '[', '（'])?.1)
}

/// The unit that ends a name, in brackets or as a word with a sign that only units contain, as in `Durchfluss m³/h`.
pub fn written(name: &str) -> Option<Unit> {
    let last = || name.trim().rsplit(char::is_whitespace).next().filter(|w| w.len() < name.trim().len());
    in_brackets(name).or_else(|| exported(last().filter(|w| w.contains(['/', '°', '³', '²', '%', '€', '℃', '·']))?))
}

/// Returns the unit in a column name, if the unit is unambiguous.
pub fn stated(name: &str) -> Option<Unit> {
    if let Some(unit) = in_brackets(name) {
        return Some(unit);
    }
    let found = guess(name);
    let stem = found.stem.to_lowercase();
    let is_temperature = stem.ends_with("temp") || stem.ends_with("temperature");
    let is_clear = |e: &&str| e.len() > 2 && !AMBIGUOUS.contains(e) || is_temperature && ["_c", "_f", "_k"].contains(e);
    found.ending.filter(is_clear)?;
    Unit::parse(found.unit).ok()
}

/// Returns the unit of the column if its name and its range are those of an atmospheric pressure.
pub fn atmospheric(lower: &str, min: f64, max: f64) -> Option<&'static str> {
    let named = ["pressure", "barom", "baro_"].iter().any(|w| lower.contains(w));
    let found = ATMOSPHERIC.iter().find(|(_, low, high)| named && min >= *low && max <= *high);
    found.map(|(unit, ..)| if *unit == "mmHg" { "1" } else { unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_the_end_of_a_name() {
        for (name, unit, stem) in [
            ("outdoor_temp_c", "degC", "outdoor_temp"),
            ("sp_conc_a_mol_l", "mol/l", "sp_conc_a"),
            ("Zone_Temp_DegC", "degC", "Zone_Temp"),
            ("accelerometer_1_g", "1", "accelerometer_1_g"),
            ("sugar_g", "g", "sugar"),
            ("ph", "1", "ph"),
            ("price_eur_mwh", "EUR/MWh", "price"),
            ("tariff_gbp_per_kwh", "GBP/kWh", "tariff"),
            ("co2_g_kwh", "g/kWh", "co2"),
            ("price_sek_kwh", "1", "price_sek_kwh"),
            ("humidity_ratio_g_kg", "1", "humidity_ratio_g_kg"),
            ("return_deg_c", "degC", "return"),
            ("Leistung kW", "kW", "Leistung"),
            ("air_flow_m3_min", "m^3/min", "air_flow"),
            ("ammonium_mg_l", "mg/l", "ammonium"),
            ("irradiance_w_m2", "W/m^2", "irradiance"),
            ("Flow m3 h", "m^3/h", "Flow"),
            ("Phase A", "1", "Phase A"),
        ] {
            let found = guess(name);
            assert_eq!((found.unit, found.stem), (unit, stem), "{name}");
        }
        assert_eq!(atmospheric("pressure_in", 29.6, 30.1), Some("inHg"));
        assert_eq!(atmospheric("pressure", 1.0, 6.0), None);
    }

    #[test]
    fn a_name_states_a_unit_only_if_its_end_is_not_also_a_word() {
        let stated = |name: &str| super::stated(name).map(|u| u.text);
        assert_eq!(stated("price_eur_mwh").as_deref(), Some("EUR/MWh"));
        assert_eq!(stated("Consommation gaz (kWh)").as_deref(), Some("kWh"));
        assert_eq!(stated("Außentemperatur [°C]").as_deref(), Some("degC"));
        assert_eq!(stated("Coût (€)").as_deref(), Some("EUR"));
        assert_eq!(stated("Raum (Nord)"), None);
        let written = |name: &str| super::written(name).map(|u| u.text);
        assert_eq!(written("Verbrauch [m³/h]").as_deref(), Some("m^3/h"));
        assert_eq!(written("Durchfluss m³/h").as_deref(), Some("m^3/h"));
        assert_eq!((written("m³/h"), written("U1/FIC"), written("Ventil a/b")), (None, None, None));
        assert_eq!(stated("supply_temp_f").as_deref(), Some("degF"));
        assert_eq!(stated("hvac_power_kw").as_deref(), Some("kW"));
        for name in
            ["phase_a", "temp_min", "wind_v", "cost_per_kwh", "price_per_kg", "level", "temp_zone_c", "co2_t_mwh"]
        {
            assert_eq!(stated(name), None, "{name}");
        }
    }
}
