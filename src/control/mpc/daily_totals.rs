//! Limits on the total of a control within a daily period, such as "5 kWh by 6:00" or "never between 17:00 and 20:00".

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schema::Bounds;

/// A daily period in local time. The period ends on the next day if `to` is not later than `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyPeriod {
    /// Minutes since midnight.
    pub from: u32,
    pub to: u32,
}

const DAY: i64 = 24 * 60;

impl DailyPeriod {
    /// Length of the period in minutes.
    pub fn minutes(self) -> u32 {
        let length = (i64::from(self.to) - i64::from(self.from)).rem_euclid(DAY) as u32;
        if length == 0 { DAY as u32 } else { length }
    }

    /// Day number of the daily period that contains `time`; `None` if no period contains `time`.
    pub(super) fn number(self, time: Timestamp, zone: &TimeZone) -> Option<i64> {
        let local = time.to_zoned_datetime(zone.clone());
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let since = (minute - i64::from(self.from)).rem_euclid(DAY);
        let day = local.timestamp().as_second().checked_add(i64::from(local.offset().seconds()))?.div_euclid(86_400);
        let begun_yesterday = i64::from(minute < i64::from(self.from));
        (since < i64::from(self.minutes())).then_some(day - begun_yesterday)
    }
}

/// A limit on the total of a planned control.
#[derive(Debug, Clone)]
pub(super) struct PlannedTotal {
    /// Index of the control among the planned controls.
    pub control: usize,
    /// Limits on the total over the horizon, or over each daily period.
    pub bounds: Bounds,
    pub daily: Option<DailyPeriod>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_may_include_midnight() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let number = |from, to, text: &str| DailyPeriod { from, to }.number(text.parse().unwrap(), &zone);
        // 2024-01-10 is day 19732 since 1970. The offset from UTC is one hour.
        let day = |text| number(17 * 60, 20 * 60, text);
        assert_eq!(
            ["2024-01-10T15:59:00Z", "2024-01-10T16:00:00Z", "2024-01-10T18:59:00Z", "2024-01-10T19:00:00Z"].map(day),
            [None, Some(19_732), Some(19_732), None]
        );
        let night = |text| number(22 * 60, 6 * 60, text);
        assert_eq!(
            ["2024-01-10T20:59:00Z", "2024-01-10T21:00:00Z", "2024-01-11T04:59:00Z", "2024-01-11T05:00:00Z"].map(night),
            [None, Some(19_732), Some(19_732), None]
        );
        let whole = |text| number(0, 0, text);
        assert_eq!(["2024-01-10T22:59:00Z", "2024-01-10T23:00:00Z"].map(whole), [Some(19_732), Some(19_733)]);
        assert_eq!(
            [(0, 0), (60, 120), (120, 60)].map(|(from, to)| DailyPeriod { from, to }.minutes()),
            [1440, 60, 1380]
        );
    }
}
