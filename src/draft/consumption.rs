//! Consumption of fuels, steam, water, compressed air and other supplies, recognised by the names and units of columns.

use crate::units::Unit;

/// Words for consumption, in English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian languages,
/// Finnish, Polish, Czech, Hungarian and Turkish.
const CONSUMPTION: [&str; 23] = [
    "consum",
    "usage",
    "used",
    "burnt",
    "burned",
    "verbrauch",
    "bezug",
    "consommation",
    "soutirage",
    "gasto",
    "prelievo",
    "verbruik",
    "afname",
    "forbruk",
    "forbrug",
    "foerbrukning",
    "demanda_de",
    "kulutus",
    "zuzycie",
    "pobor",
    "spotreba",
    "fogyasztas",
    "tuketim",
];

/// Words for meters and amounts, which follow the name of a supply in compound words such as `gaszaehler`.
const METERS: [&str; 8] = ["zaehler", "zahler", "menge", "meter", "maler", "teller", "mittari", "maengde"];

/// Words for supplies that a plant burns or uses up. Their flow is a consumption even if the name does not say so.
const SUPPLIES: [&str; 45] = [
    "gas",
    "erdgas",
    "naturalgas",
    "gaz",
    "metano",
    "methane",
    "biogas",
    "propane",
    "propan",
    "lpg",
    "lng",
    "steam",
    "dampf",
    "frischdampf",
    "vapeur",
    "vapor",
    "vapore",
    "stoom",
    "damp",
    "aanga",
    "fuel",
    "brennstoff",
    "heizoel",
    "diesel",
    "coal",
    "kohle",
    "charbon",
    "carbon_mineral",
    "pellets",
    "biomass",
    "combustible",
    "combustibile",
    "combustivel",
    "brandstof",
    "braensle",
    "braendsel",
    "druckluft",
    "perslucht",
    "trykluft",
    "trykkluft",
    "tryckluft",
    "stadtwasser",
    "trinkwasser",
    "frischwasser",
    "drinkwater",
];

/// Pairs of words with the same meaning as one of [`SUPPLIES`].
const PAIRS: [(&str, &str); 10] = [
    ("compressed", "air"),
    ("air", "comprime"),
    ("aire", "comprimido"),
    ("aria", "compressa"),
    ("ar", "comprimido"),
    ("city", "water"),
    ("fresh", "water"),
    ("makeup", "water"),
    ("potable", "water"),
    ("eau", "potable"),
];

/// Words for gases, liquids and signals that are not consumed.
const NOT_CONSUMED: [&str; 17] = [
    "flue", "exhaust", "stack", "waste", "abgas", "rauchgas", "fumees", "escape", "fumi", "rookgas", "recycle",
    "produc", "export", "generat", "erzeug", "setpoint", "turbine",
];

/// Whether the samples in this unit are amounts, or flows whose integral is an amount: volumes, masses, numbers of
/// items and energies.
fn is_flow_or_amount(unit: &Unit) -> bool {
    let is = |text: &str| Unit::parse(text).is_ok_and(|u| u.same_dimension(unit));
    ["m^3", "m^3/h", "kg", "kg/h", "kWh", "kW", "item", "item/h"].iter().any(|text| is(text))
}

/// The word in a column name that shows that a column in this unit measures a consumption.
pub(super) fn word(lower: &str, unit: &str) -> Option<&'static str> {
    let unit = Unit::parse(unit).ok().filter(is_flow_or_amount)?;
    if NOT_CONSUMED.iter().any(|w| lower.contains(w)) {
        return None;
    }
    if let Some(word) = CONSUMPTION.iter().find(|w| lower.contains(**w)) {
        return Some(word);
    }
    // the power of a gas boiler is not a gas consumption
    if Unit::parse("kW").is_ok_and(|kw| kw.same_dimension(&unit)) {
        return None;
    }
    let has = |word: &str| {
        lower
            .split('_')
            .any(|part| part.strip_prefix(word).is_some_and(|rest| rest.is_empty() || METERS.contains(&rest)))
    };
    let compound =
        |w: &&&str| w.len() >= 5 && lower.split('_').any(|part| part.starts_with(**w) || part.ends_with(**w));
    let supply = SUPPLIES.iter().find(|w| has(w)).or_else(|| SUPPLIES.iter().find(compound)).copied();
    supply.or_else(|| PAIRS.iter().find(|(a, b)| has(a) && has(b)).map(|(a, _)| *a))
}

/// Whether a column name says that the column measures a consumption, in any unit.
pub(super) fn is_named(lower: &str) -> bool {
    CONSUMPTION.iter().any(|w| lower.contains(w))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn consumption_is_recognised_by_name_and_unit_in_several_languages() {
        for (name, unit) in [
            ("verbrauch_m3_h", "m^3/h"),
            ("gasbezug", "m^3"),
            ("consommation_gaz", "kWh"),
            ("consumo_de_agua", "l/min"),
            ("waterverbruik", "m^3"),
            ("dampf_kessel_1", "t/h"),
            ("erdgasmenge", "m^3/h"),
            ("compressed_air_flow", "m^3/min"),
            ("fuel_oil", "kg/h"),
            ("gas_consumption", "kW"),
            ("forbruk_vann", "m^3"),
            ("gaszaehler_stand", "m^3"),
            ("zuzycie_gazu", "m^3"),
        ] {
            assert!(word(name, unit).is_some(), "{name}");
        }
        for (name, unit) in [
            ("gas_temperature", "degC"),
            ("steam_pressure", "bar"),
            ("flue_gas_flow", "m^3/h"),
            ("abgas_volumenstrom", "m^3/h"),
            ("gas_boiler_power", "kW"),
            ("steam_production", "t/h"),
            ("coolant_flow", "l/min"),
            ("flow", "l/min"),
            ("gasoline_blend_ron", "1"),
            ("level", "m"),
        ] {
            assert_eq!(word(name, unit), None, "{name}");
        }
    }
}
