//! Formats times, durations, percentages and suggestions as text.

use jiff::{Timestamp, TimestampRound, Unit};

use crate::error::nearest;

/// Maximum number of names listed in a suggestion (not tuned).
const MAX_NAMES: usize = 12;

/// Formats a time in µs since 1970 as RFC 3339 in UTC, rounded to milliseconds.
pub(super) fn rfc3339(us: i64) -> String {
    let Ok(t) = Timestamp::from_microsecond(us) else { return "beyond the calendar".into() };
    if us % 1_000_000 == 0 {
        return t.to_string();
    }
    t.round(TimestampRound::new().smallest(Unit::Millisecond)).unwrap_or(t).to_string()
}

/// Formats a duration given in µs, for example as `36 s`, `10 min`, `3.5 h` or `4.9 d`.
pub(super) fn duration(us: i64) -> String {
    let s = us as f64 / 1e6;
    let (value, unit) = match s.abs() {
        a if a < 1.0 => (s * 1e3, "ms"),
        a if a < 120.0 => (s, "s"),
        a if a < 7_200.0 => (s / 60.0, "min"),
        a if a < 172_800.0 => (s / 3_600.0, "h"),
        _ => (s / 86_400.0, "d"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// Formats a fraction as a percentage, for example `99.9 %`. A percentage is never rounded up to 100 % or down to 0 %.
pub(super) fn percent(share: f64) -> String {
    let p = (share * 1e3).round() / 10.0;
    let p = if share < 1.0 { p.min(99.9) } else { p };
    let p = if share > 0.0 { p.max(0.1) } else { p };
    format!("{p} %")
}

/// Returns "did you mean `x`?", or a list of the names in `known` if none of them is similar to `name`.
pub(super) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("use one of {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_suitable_unit() {
        assert_eq!(
            [duration(1_500_000), duration(600_000_000), duration(12_600_000_000)],
            ["1.5 s", "10 min", "3.5 h"]
        );
    }

    #[test]
    fn a_suggestion_is_the_nearest_name_or_all_names() {
        assert_eq!(suggestion("outdor_temp", ["outdoor_temp", "x"]), "did you mean `outdoor_temp`?");
        assert_eq!(suggestion("pressure", ["b", "a"]), "use one of a, b");
    }
}
