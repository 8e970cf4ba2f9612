//! Local times that mark the end of an interval, such as the ending hour in market data.

use crate::error::Result;
use crate::stamp::SECOND_US;
use crate::zone::{NO_TIME, Zone};

/// Microseconds per hour.
pub const HOUR_US: i64 = 3_600 * SECOND_US;

/// The intervals that end at the local times of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Length of the intervals, µs.
    pub length: i64,
    /// Whether the hours of a day are counted, so that a day has 23, 24 or 25 of them.
    pub counted: bool,
}

impl Ends {
    /// Intervals whose length is the most frequent step of `times`, if there are at least two times.
    pub fn of(times: &[Vec<i64>]) -> Option<Self> {
        let steps = times.iter().flat_map(|t| t.windows(2)).filter(|w| w[0] != NO_TIME && w[1] != NO_TIME);
        let mut steps: Vec<i64> = steps.map(|w| (w[1] - w[0]).abs()).filter(|step| *step > 0).collect();
        let middle = steps.len() / 2;
        (!steps.is_empty()).then(|| Self { length: *steps.select_nth_unstable(middle).1, counted: false })
    }

    /// Converts local times to instants, in place. The start of an interval is converted, because its end can be a
    /// local time that does not exist or occurs twice. `dates` contains the date of each row. Returns the number of
    /// rows in repeated hours.
    ///
    /// # Errors
    /// The errors of [`Zone::resolve`].
    pub fn resolve(
        self,
        zone: &mut Zone,
        file: &str,
        times: &mut [i64],
        dates: &[i64],
        series: &[u32],
    ) -> Result<usize> {
        if self.counted {
            return count_hours(zone, file, times, dates, series);
        }
        let mut starts: Vec<i64> =
            times.iter().map(|t| if *t == NO_TIME { NO_TIME } else { t - self.length }).collect();
        match zone.resolve(file, &mut starts, series) {
            Ok(repeated) => {
                for (time, start) in times.iter_mut().zip(starts).filter(|(_, start)| *start != NO_TIME) {
                    *time = start + self.length;
                }
                Ok(repeated)
            }
            // if the start of an interval does not exist, the exporter skipped its end instead, or counts the hours of
            // the day
            Err(error) => {
                let mut ends = times.to_vec();
                if let Ok(repeated) = zone.resolve(file, &mut ends, series) {
                    times.copy_from_slice(&ends);
                    return Ok(repeated);
                }
                match self.length == HOUR_US && dates.iter().zip(times.iter()).any(|(date, time)| date != time) {
                    true => count_hours(zone, file, times, dates, series),
                    false => Err(error),
                }
            }
        }
    }
}

/// Converts dates and hours that are counted from midnight to instants.
fn count_hours(zone: &mut Zone, file: &str, times: &mut [i64], dates: &[i64], series: &[u32]) -> Result<usize> {
    let mut midnights = dates.to_vec();
    zone.resolve(file, &mut midnights, series)?;
    for ((time, date), midnight) in times.iter_mut().zip(dates).zip(midnights) {
        if *time != NO_TIME {
            *time = midnight + (*time - date);
        }
    }
    Ok(0)
}
