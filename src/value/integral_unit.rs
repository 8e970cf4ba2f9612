//! Units of KPIs: of an integral over time, of a difference, of a ratio, each in the form that people of the trade use.

use crate::units::Unit;

/// Index of time in a [`crate::units::Dimension`].
const TIME: usize = 2;
/// kg m² s⁻².
const ENERGY: [i8; 8] = [1, 2, -2, 0, 0, 0, 0, 0];
/// K s.
const TEMPERATURE_TIME: [i8; 8] = [0, 0, 1, 1, 0, 0, 0, 0];
/// s.
const DURATION: [i8; 8] = [0, 0, 1, 0, 0, 0, 0, 0];
const MONEY: [i8; 8] = [0, 0, 0, 0, 0, 0, 1, 0];

/// Unit of the integral over time of a quantity in `unit`, and the factor that takes Σ value · seconds to it.
/// `days`: the sample time is a day or more, so that odd units count days and not hours.
pub fn integral(unit: &Unit, days: bool) -> (Unit, f64) {
    let mut dimension = unit.dimension;
    dimension[TIME] += 1;
    let into = |text: &str| Unit::parse(text).ok().filter(|u| u.dimension == dimension && u.scale > 0.0);
    let preferred = match dimension {
        ENERGY => into(if unit.text == "MW" || unit.text == "GW" { "MWh" } else { "kWh" }),
        TEMPERATURE_TIME => into("K*h"),
        DURATION => into("h"),
        MONEY => currency(&unit.text).and_then(|c| into(&c)),
        _ => None,
    };
    // A rate per time loses its time: `m^3/h` becomes `m^3`.
    let rate = || unit.text.rsplit_once('/').and_then(|(amount, _)| into(amount.trim()));
    let result = preferred.or_else(rate).unwrap_or_else(|| {
        let (name, seconds) = if days { ("d", 86_400.0) } else { ("h", 3_600.0) };
        let text = format!("{}*{name}", factor_text(&difference(unit).0.text));
        Unit { text, dimension, scale: unit.scale * seconds, offset: 0.0 }
    });
    let factor = unit.scale / result.scale;
    (result, factor)
}

/// Unit of a difference of two values in `unit`, and the factor to it: a scale with its own zero becomes kelvin.
pub fn difference(unit: &Unit) -> (Unit, f64) {
    if unit.offset == 0.0 {
        (unit.clone(), 1.0)
    } else {
        (Unit { text: "K".into(), dimension: unit.dimension, scale: 1.0, offset: 0.0 }, unit.scale)
    }
}

/// Unit of a quotient of two different dimensions.
pub fn quotient(a: &Unit, b: &Unit) -> Unit {
    let mut dimension = a.dimension;
    for (d, e) in dimension.iter_mut().zip(b.dimension) {
        *d -= e;
    }
    let text = format!("{}/{}", a.text, factor_text(&b.text));
    Unit { text, dimension, scale: a.scale / b.scale, offset: 0.0 }
}

/// `text`, in parentheses where it is a product or quotient itself.
fn factor_text(text: &str) -> String {
    if text.contains(['/', '*', ' ']) { format!("({text})") } else { text.to_owned() }
}

/// The currency that a composed unit's text names, such as `EUR` in `W*EUR/MWh`.
fn currency(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_alphabetic() && c != '€' && c != '$')
        .find(|word| !word.is_empty() && Unit::parse(word).is_ok_and(|u| u.dimension == MONEY))
        .map(str::to_owned)
}
