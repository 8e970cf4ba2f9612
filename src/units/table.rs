//! The known unit symbols, with their conversions to SI.

use crate::error;

/// Exponents of the base dimensions: kg, m, s, K, A, mol, money and item (a countable unit of goods).
pub type Dimension = [i8; 8];

/// The definition of a symbol. A value is converted to SI by `si = value * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Symbol {
    pub dimension: Dimension,
    pub scale: f64,
    pub offset: f64,
}

/// The SI prefixes that a symbol accepts. Few symbols accept all prefixes, because a unit such as `mt` (milli-tonne) or
/// `ks` is probably a typing error.
#[derive(Clone, Copy, PartialEq)]
enum Prefixes {
    None,
    /// k, M, G, T.
    Big,
    /// m, µ, n.
    Small,
    All,
}
use Prefixes::{All, Big, None as Bare, Small};

const BIG: [(&str, f64); 4] = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
const MID: [(&str, f64); 3] = [("h", 1e2), ("d", 1e-1), ("c", 1e-2)];
const SMALL: [(&str, f64); 5] = [("m", 1e-3), ("u", 1e-6), ("µ", 1e-6), ("μ", 1e-6), ("n", 1e-9)];

const ONE: Dimension = [0; 8];
const MASS: Dimension = [1, 0, 0, 0, 0, 0, 0, 0];
const LENGTH: Dimension = [0, 1, 0, 0, 0, 0, 0, 0];
const AREA: Dimension = [0, 2, 0, 0, 0, 0, 0, 0];
const VOLUME: Dimension = [0, 3, 0, 0, 0, 0, 0, 0];
const TIME: Dimension = [0, 0, 1, 0, 0, 0, 0, 0];
const RATE: Dimension = [0, 0, -1, 0, 0, 0, 0, 0];
const SPEED: Dimension = [0, 1, -1, 0, 0, 0, 0, 0];
const VOLUME_FLOW: Dimension = [0, 3, -1, 0, 0, 0, 0, 0];
const TEMPERATURE: Dimension = [0, 0, 0, 1, 0, 0, 0, 0];
const FORCE: Dimension = [1, 1, -2, 0, 0, 0, 0, 0];
const PRESSURE: Dimension = [1, -1, -2, 0, 0, 0, 0, 0];
const ENERGY: Dimension = [1, 2, -2, 0, 0, 0, 0, 0];
const POWER: Dimension = [1, 2, -3, 0, 0, 0, 0, 0];
const CURRENT: Dimension = [0, 0, 0, 0, 1, 0, 0, 0];
const CHARGE: Dimension = [0, 0, 1, 0, 1, 0, 0, 0];
const VOLTAGE: Dimension = [1, 2, -3, 0, -1, 0, 0, 0];
const RESISTANCE: Dimension = [1, 2, -3, 0, -2, 0, 0, 0];
const AMOUNT: Dimension = [0, 0, 0, 0, 0, 1, 0, 0];
pub(super) const MONEY: Dimension = [0, 0, 0, 0, 0, 0, 1, 0];
const ITEM: Dimension = [0, 0, 0, 0, 0, 0, 0, 1];

/// Zero of the Celsius scale, and zero of the Fahrenheit scale (459.67 · 5/9), in K.
const ZERO_C: f64 = 273.15;
const ZERO_F: f64 = 459.67 / 1.8;

/// Symbol, dimension, scale, offset and accepted prefixes.
#[rustfmt::skip]
const SYMBOLS: &[(&str, Dimension, f64, f64, Prefixes)] = &[
    ("%", ONE, 0.01, 0.0, Bare), ("‰", ONE, 1e-3, 0.0, Bare), ("ppm", ONE, 1e-6, 0.0, Bare), ("ppb", ONE, 1e-9, 0.0, Bare),
    ("rad", ONE, 1.0, 0.0, Bare), ("deg", ONE, std::f64::consts::PI / 180.0, 0.0, Bare), ("pH", ONE, 1.0, 0.0, Bare),
    ("K", TEMPERATURE, 1.0, 0.0, Small),
    ("degC", TEMPERATURE, 1.0, ZERO_C, Bare), ("°C", TEMPERATURE, 1.0, ZERO_C, Bare),
    ("degF", TEMPERATURE, 1.0 / 1.8, ZERO_F, Bare), ("°F", TEMPERATURE, 1.0 / 1.8, ZERO_F, Bare),
    ("delta_degF", TEMPERATURE, 1.0 / 1.8, 0.0, Bare), ("delta_degC", TEMPERATURE, 1.0, 0.0, Bare),
    ("W", POWER, 1.0, 0.0, All), ("VA", POWER, 1.0, 0.0, Big), ("var", POWER, 1.0, 0.0, Big),
    ("RT", POWER, 3516.8525, 0.0, Bare), ("hp", POWER, 745.699_871_582_270_2, 0.0, Bare),
    ("Wh", ENERGY, 3600.0, 0.0, Big), ("J", ENERGY, 1.0, 0.0, All), ("BTU", ENERGY, 1_055.055_852_62, 0.0, Bare),
    ("therm", ENERGY, 105_505_585.262, 0.0, Bare),
    ("cal", ENERGY, 4.184, 0.0, Big),
    ("s", TIME, 1.0, 0.0, Small), ("min", TIME, 60.0, 0.0, Bare), ("h", TIME, 3600.0, 0.0, Bare),
    ("d", TIME, 86_400.0, 0.0, Bare), ("week", TIME, 604_800.0, 0.0, Bare), ("y", TIME, 31_536_000.0, 0.0, Bare),
    ("Hz", RATE, 1.0, 0.0, Big), ("rpm", RATE, 1.0 / 60.0, 0.0, Bare),
    ("kg", MASS, 1.0, 0.0, Bare), ("g", MASS, 1e-3, 0.0, Small), ("t", MASS, 1e3, 0.0, Big), ("lb", MASS, 0.453_592_37, 0.0, Bare),
    ("m", LENGTH, 1.0, 0.0, All), ("ft", LENGTH, 0.3048, 0.0, Bare), ("in", LENGTH, 0.0254, 0.0, Bare), ("mi", LENGTH, 1609.344, 0.0, Bare),
    ("ha", AREA, 1e4, 0.0, Bare),
    ("l", VOLUME, 1e-3, 0.0, All), ("L", VOLUME, 1e-3, 0.0, All), ("gal", VOLUME, 3.785_411_784e-3, 0.0, Bare),
    ("gpm", VOLUME_FLOW, 3.785_411_784e-3 / 60.0, 0.0, Bare), ("cfm", VOLUME_FLOW, 0.028_316_846_592 / 60.0, 0.0, Bare),
    ("mph", SPEED, 0.44704, 0.0, Bare), ("knot", SPEED, 1852.0 / 3600.0, 0.0, Bare),
    ("N", FORCE, 1.0, 0.0, All),
    ("Pa", PRESSURE, 1.0, 0.0, All), ("bar", PRESSURE, 1e5, 0.0, Small), ("atm", PRESSURE, 101_325.0, 0.0, Bare),
    ("psi", PRESSURE, 6_894.757_293_168_361, 0.0, Bare), ("inHg", PRESSURE, 3_386.388_640_341, 0.0, Bare),
    ("mmHg", PRESSURE, 133.322_387_415, 0.0, Bare), ("inH2O", PRESSURE, 249.088_91, 0.0, Bare), ("mmH2O", PRESSURE, 9.806_65, 0.0, Bare),
    ("mol", AMOUNT, 1.0, 0.0, All),
    ("A", CURRENT, 1.0, 0.0, All), ("Ah", CHARGE, 3600.0, 0.0, All), ("V", VOLTAGE, 1.0, 0.0, All), ("ohm", RESISTANCE, 1.0, 0.0, All),
    ("item", ITEM, 1.0, 0.0, Bare), ("items", ITEM, 1.0, 0.0, Bare), ("unit", ITEM, 1.0, 0.0, Bare), ("units", ITEM, 1.0, 0.0, Bare),
    ("pcs", ITEM, 1.0, 0.0, Bare), ("pc", ITEM, 1.0, 0.0, Bare),
];

/// Currencies that are suggested for misspelt units.
const CURRENCIES: [&str; 5] = ["EUR", "USD", "GBP", "CHF", "JPY"];

/// The currency codes of ISO 4217, without codes for funds, precious metals and tests.
#[rustfmt::skip]
const CURRENCY_CODES: [&str; 158] = [
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CUP",
    "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP",
    "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD",
    "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
    "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD",
    "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD",
    "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SLL", "SOS", "SRD", "SSP", "STN", "SVC",
    "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS",
    "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG", "ZWL",
];

/// Common misspellings, each with the correct spelling.
const CORRECTIONS: &[(&str, &str)] = &[
    ("c", "degC"),
    ("celsius", "degC"),
    ("f", "degF"),
    ("fahrenheit", "degF"),
    ("kelvin", "K"),
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("minute", "min"),
    ("minutes", "min"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("year", "y"),
    ("years", "y"),
    ("ton", "t"),
    ("tonne", "t"),
    ("tr", "RT"),
    ("therms", "therm"),
    ("thm", "therm"),
    ("℃", "degC"),
    ("℉", "degF"),
    ("watt", "W"),
    ("watts", "W"),
    ("liter", "l"),
    ("litre", "l"),
    ("lbs", "lb"),
    ("percent", "%"),
    ("pct", "%"),
    ("€", "EUR"),
    ("euro", "EUR"),
    ("$", "USD"),
    ("£", "GBP"),
    ("none", "1"),
    ("count", "1"),
    ("gph", "gal/h"),
    ("kph", "km/h"),
    ("kmh", "km/h"),
    ("lpm", "l/min"),
];

/// Groups of symbols that have the same dimension and accept the same prefixes, each with this dimension and these
/// prefixes.
pub(super) fn groups() -> Vec<(Vec<&'static str>, Dimension, String)> {
    let list = |prefixes: &[(&'static str, f64)]| prefixes.iter().map(|p| p.0).collect::<Vec<_>>().join(" ");
    let mut groups: Vec<(Vec<&'static str>, Dimension, Prefixes)> = Vec::new();
    for &(symbol, dimension, _, _, prefixes) in SYMBOLS {
        match groups.iter_mut().find(|g| g.1 == dimension && g.2 == prefixes) {
            Some(group) => group.0.push(symbol),
            None => groups.push((vec![symbol], dimension, prefixes)),
        }
    }
    let named = |prefixes: Prefixes| match prefixes {
        Bare => String::new(),
        Big => list(&BIG),
        Small => list(&SMALL),
        All => format!("{} {} {}", list(&BIG), list(&MID), list(&SMALL)),
    };
    groups.into_iter().map(|(symbols, dimension, prefixes)| (symbols, dimension, named(prefixes))).collect()
}

/// Returns the definition of a symbol, which may include a prefix.
pub(super) fn find(symbol: &str) -> Option<Symbol> {
    plain(symbol).or_else(|| currency(symbol).map(|(_, scale)| Symbol { dimension: MONEY, scale, offset: 0.0 }))
}

fn plain(symbol: &str) -> Option<Symbol> {
    let exact = |s: &str| SYMBOLS.iter().find(|k| k.0 == s);
    if let Some(&(_, dimension, scale, offset, _)) = exact(symbol) {
        return Some(Symbol { dimension, scale, offset });
    }
    let with = |prefixes: &[(&str, f64)], allowed: &[Prefixes]| {
        prefixes.iter().find_map(|(p, factor)| {
            let k = exact(symbol.strip_prefix(p)?)?;
            let scale = if *factor < 1.0 { k.2 / (1.0 / factor).round() } else { k.2 * factor };
            allowed.contains(&k.4).then_some(Symbol { dimension: k.1, scale, offset: 0.0 })
        })
    };
    with(&BIG, &[Big, All]).or_else(|| with(&SMALL, &[Small, All])).or_else(|| with(&MID, &[All]))
}

/// Returns the code and scale of a currency, whose code may have a prefix for thousands (`kEUR`) or millions (`MEUR`).
pub(super) fn currency(symbol: &str) -> Option<(&str, f64)> {
    let is_code = |s: &str| CURRENCY_CODES.contains(&s);
    let (code, scale) = match symbol.strip_prefix('k') {
        Some(code) if is_code(code) => (code, 1e3),
        _ => match symbol.strip_prefix('M') {
            Some(code) if is_code(code) => (code, 1e6),
            _ => (symbol, 1.0),
        },
    };
    is_code(code).then_some((code, scale))
}

/// Returns all symbols except currencies, starting with the most common.
fn suggestions() -> impl Iterator<Item = String> {
    let prefixed = |prefixes: &'static [(&'static str, f64)], allowed: &'static [Prefixes]| {
        SYMBOLS
            .iter()
            .filter(|k| allowed.contains(&k.4))
            .flat_map(move |k| prefixes.iter().map(move |(p, _)| format!("{p}{}", k.0)))
    };
    SYMBOLS.iter().map(|k| k.0.to_owned()).chain(prefixed(&BIG, &[Big, All])).chain(prefixed(&SMALL, &[Small, All]))
}

/// Returns the known symbol that the user most likely meant.
pub(super) fn nearest(symbol: &str) -> Option<String> {
    let lower = symbol.to_lowercase();
    if let Some((_, meant)) = CORRECTIONS.iter().find(|m| m.0 == lower) {
        return Some((*meant).to_owned());
    }
    // a symbol of one or two letters is similar to too many other symbols, so only its case is corrected
    let by_case = suggestions().chain(CURRENCIES.map(str::to_owned)).find(|k| k.eq_ignore_ascii_case(symbol));
    if by_case.is_some() || symbol.chars().count() < 3 {
        return by_case;
    }
    let known: Vec<String> =
        suggestions().filter(|k| k.chars().count() > 1).chain(CURRENCIES.map(str::to_owned)).collect();
    error::nearest(symbol, known.iter().map(String::as_str)).map(str::to_owned)
}
