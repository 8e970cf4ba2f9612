//! Compares the scale of a signal's unit with that of the unit in its column name.

use super::plant::Plant;
use crate::config::SignalSpec;
use crate::resolve::Faults;
use crate::schema::Role;
use crate::units::{Unit, ending};

/// If a column name ends with one of these units, the unit is complete, and not the last part of a longer unit.
const ENERGY: [&str; 5] = ["Wh", "kWh", "MWh", "kW", "MW"];

/// Warns if the column name implies a different unit, such as `price_eur_mwh` for a signal in `EUR/kWh`.
pub(super) fn column_unit(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec) {
    if *signal.role == Role::Derived || signal.value.is_some() || plant.spec().log.long.is_some() {
        return;
    }
    let column = signal.column.as_ref().unwrap_or(&signal.name);
    let Some(stated) = ending::stated(column) else { return };
    let Some(given) = signal.column_unit.as_ref().or(signal.unit.as_ref()) else { return };
    let Ok(unit) = Unit::parse(given) else { return };
    // The end of a name may be part of a longer unit, as in `density_kg_m3`. Signals without a dimension, such as
    // fractions, are not checked.
    let is_same = unit.same_dimension(&stated) && (unit.scale / stated.scale - 1.0).abs() < 1e-9;
    let is_certain = column.trim().ends_with([')', ']']) || ENERGY.contains(&stated.text.as_str());
    if is_same || !(is_certain || unit.same_dimension(&stated)) || unit.is_dimensionless() {
        return;
    }
    let message = format!(
        "the column `{}` of `{}` seems to contain {}, but its unit is `{}`",
        column.value, signal.name.value, stated.text, unit.text
    );
    let help = format!("if the values are in {}, add `column_unit = \"{}\"`", stated.text, stated.text);
    faults.warn("unit-mismatch", &given.span, message, help);
}
