//! Compares the meaning of a signal's values with its unit and with the behaviour of its samples.

use super::clean::Rule;
use super::counter::Rises;
use super::store::Kept;
use super::text::duration;
use crate::config::{Kind, Resample};
use crate::error::{LogFault, LogKey};
use crate::schema::Role;
use crate::units::{Unit, ending::is_ratio};

/// Returns true if a signal with this role and this unit usually consists of amounts per sample or of meter readings. A
/// state that is measured as a volume, a mass or a number of items, such as a stock, is a level and not an amount.
pub fn is_amount(unit: &Unit, role: Role) -> bool {
    let is = |text: &str| Unit::parse(text).is_ok_and(|u| u.dimension == unit.dimension);
    let money = unit.dimension[6] == 1 && unit.dimension.iter().filter(|d| **d != 0).count() == 1;
    match role {
        Role::Setpoint | Role::Derived => false,
        Role::State => is("kWh") || money,
        Role::Control => is("kWh") || money || is("item"),
        Role::Output | Role::Disturbance => is("kWh") || money || is("item") || is("m^3") || is("kg"),
    }
}

/// Whether the name of a signal or column suggests an amount per sample, although its unit does not.
pub fn is_counted(name: &str, unit: &Unit) -> bool {
    let is_power = Unit::parse("kW").is_ok_and(|kw| kw.dimension == unit.dimension);
    let length = unit.dimension == [0, 1, 0, 0, 0, 0, 0, 0];
    let lower = name.to_lowercase();
    let word = |w: &str| {
        let fallen = ["rain", "precip", "snow"].iter().any(|p| w.starts_with(p));
        let counted = ["quantity", "qty", "sold", "visits", "arrivals", "count"].contains(&w);
        fallen && (length || unit.is_dimensionless()) || counted && unit.is_dimensionless()
    };
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let is_energy = words.clone().next_back().is_some_and(|w| ["wh", "kwh", "mwh", "gwh"].contains(&w));
    !is_ratio(name) && (is_energy && (is_power || unit.is_dimensionless()) || words.any(word))
}

/// Returns the fault if the samples of a signal would be combined in a way that contradicts their meaning.
pub(super) fn contradiction(samples: &Kept, rule: &Rule) -> Option<LogFault> {
    let (mapping, name, step) = (&rule.mapping, &rule.signal, rule.step);
    let fault = |what: String, help: String| Some(LogFault::new(LogKey::Signal(name.clone()), what, help));
    let is_amount = mapping.kind == Kind::Amount && mapping.empty.is_none();
    if (is_amount || step >= SHORTEST_MONTH)
        && let Some(period) = calendar_period(&samples.store.time())
    {
        let what = format!(
            "there is one sample of `{name}` per {period}, but all steps have the same length, {}",
            duration(step)
        );
        return fault(what, format!("export one value per day or per week, because the length of a {period} varies"));
    }
    if !rule.amount || mapping.kind == Kind::Counter || (mapping.kind_given && mapping.kind == Kind::Level) {
        return None;
    }
    let s = samples.store.samples();
    if Rises::of(&s).is_counter() {
        let what = format!(
            "the samples of `{name}` only rise, except when they restart, like the readings of a meter, but they are treated as {}",
            if mapping.kind == Kind::Amount { "amounts per sample" } else { "levels" }
        );
        return fault(
            what,
            "write `kind = \"counter\"` for a meter, or `kind = \"level\"` for a quantity that is stored".into(),
        );
    }
    let interval = s.interval().unwrap_or(0);
    let combines = 2 * step > 3 * interval || 2 * interval > 3 * step;
    if mapping.kind == Kind::Amount || mapping.kind_given || !combines || s.value.len() < 2 {
        return None;
    }
    let used = match mapping.resample {
        Resample::Mean => "averaged",
        Resample::Hold => "replaced by the last sample",
        Resample::Linear => "interpolated",
        Resample::Sum => return None,
    };
    let every = if interval > 0 { format!(", one every {},", duration(interval)) } else { String::new() };
    let what = format!(
        "`{name}` (unit `{}`) seems to be an amount per sample, but its samples{every} would be {used} to obtain steps of {}",
        rule.unit,
        duration(rule.step)
    );
    let help = "write `kind = \"amount\"` to add the samples of a step, `kind = \"counter\"` for the readings of a meter, or `kind = \"level\"` for a quantity that is stored";
    fault(what, help.into())
}

const DAY_US: i64 = 86_400_000_000;
/// A month can be one hour shorter because of daylight-saving time.
const SHORTEST_MONTH: i64 = 28 * DAY_US - 3_600_000_000;

/// Returns the period between sorted times (µs) if it is a calendar month, a quarter or a year. At least 80 % of the
/// intervals must have the length of this period (not tuned), and the intervals must not all be equal.
fn calendar_period(time: &[i64]) -> Option<&'static str> {
    // Several samples within a day, such as those of a batch, have an interval of 0 days.
    let intervals = time.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0);
    let days: Vec<i64> = intervals.map(|d| (d + DAY_US / 2) / DAY_US).collect();
    let periods = [("calendar month", 28..=31), ("quarter", 90..=92), ("year", 365..=366)];
    let found = periods.into_iter().find(|(_, range)| {
        let inside = || days.iter().filter(|d| range.contains(*d));
        5 * inside().count() >= 4 * days.len() && inside().min() != inside().max()
    });
    found.filter(|_| days.len() > 2).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_and_sales_are_amounts_and_stocks_are_levels() {
        let amount = |unit: &str, role| is_amount(&Unit::parse(unit).unwrap(), role);
        for unit in ["kWh", "MWh", "MJ", "EUR", "item", "m^3", "t"] {
            assert!(amount(unit, Role::Output), "{unit}");
        }
        for unit in ["kW", "degC", "%", "EUR/MWh", "item/h", "m^3/h", "1", "m"] {
            assert!(!amount(unit, Role::Output), "{unit}");
        }
        assert!(amount("kWh", Role::State) && amount("item", Role::Control));
        assert!(is_counted("rain_mm", &Unit::parse("mm").unwrap()) && is_counted("Quantity", &Unit::one()));
        assert!(!is_counted("discount", &Unit::one()) && !is_counted("rain_mm", &Unit::parse("mm/h").unwrap()));
        let kw = Unit::parse("kW").unwrap();
        assert!(is_counted("consumption_kwh", &kw) && is_counted("Energy kWh", &kw));
        assert!(!is_counted("power_kwh_per_h", &kw) && !is_counted("power_kw", &kw));
        assert!(!amount("item", Role::State) && !amount("m^3", Role::State) && !amount("item", Role::Setpoint));
    }

    #[test]
    fn months_are_recognised_also_with_daylight_saving_time_and_four_weeks_are_not_months() {
        let days = |lengths: &[f64]| {
            let mut time = vec![0];
            lengths.iter().for_each(|l| time.push(time[time.len() - 1] + (l * DAY_US as f64) as i64));
            time
        };
        let local = days(&[31.0, 29.0, 31.0 - 1.0 / 24.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0 + 1.0 / 24.0, 30.0]);
        assert_eq!(calendar_period(&local), Some("calendar month"));
        // one batch per month, with a sample every 15 minutes for 6 hours
        let batches: Vec<i64> = local.iter().flat_map(|t| (0..24).map(move |k| t + k * DAY_US / 96)).collect();
        assert_eq!(calendar_period(&batches), None);
        assert_eq!(calendar_period(&days(&[90.0, 91.0, 92.0, 92.0])), Some("quarter"));
        assert_eq!(calendar_period(&days(&[28.0; 20])), None);
        assert_eq!(calendar_period(&days(&[1.0, 1.0, 30.0, 1.0, 31.0, 1.0])), None);
    }
}
