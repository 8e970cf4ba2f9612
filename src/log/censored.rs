//! Drops values that are only lower bounds, such as the sales during a stock-out.

use indexmap::IndexMap;

use super::resample::Resampled;
use crate::config::TwinSpec;
use crate::error::{Error, Result};
use crate::expr::{Program, Registers, Scope};
use crate::schema::Schema;
use crate::trajectory::Trajectory;

/// Sets the values of each signal to NaN in all steps in which its condition `censored` is true. `resampled` contains
/// the index and the step counts of each logged signal. If a value that the condition reads is missing, the condition
/// may be true, so the value of the signal is dropped as well.
///
/// # Errors
/// [`Error::Data`] if a condition cannot be compiled.
pub(super) fn censor<'r>(
    spec: &TwinSpec,
    schema: &Schema,
    log: &mut Trajectory,
    resampled: impl Iterator<Item = (usize, &'r mut Resampled)>,
) -> Result<()> {
    if spec.signals.iter().all(|s| s.censored.is_none()) {
        return Ok(());
    }
    let scope = Scope::new(spec, schema, &IndexMap::new()).map_err(|(message, _)| Error::Data(message))?;
    let mut registers = Registers::default();
    // A condition may read the signal itself, so all conditions are evaluated before any value is dropped.
    let mut censored = Vec::new();
    for (signal, resampled) in resampled {
        let own = spec.signals.iter().find(|s| s.name.value == schema.signals[signal].name);
        let Some(condition) = own.and_then(|s| s.censored.as_ref()) else { continue };
        let program = Program::compile(condition, &scope).map_err(|fault| {
            Error::Data(format!("`censored` of `{}`: {}; {}", schema.signals[signal].name, fault.message, fault.help))
        })?;
        let (mut steps, mut value) = (Vec::new(), [0.0]);
        for segment in &log.segments {
            for t in segment.clone().filter(|t| !log.columns[signal][*t].is_nan()) {
                program.eval(&log.frame(t, segment.start), &mut registers, &mut value);
                let read = |lag: usize| t.saturating_sub(lag).max(segment.start);
                let is_unknown = |&(s, lag): &(usize, usize)| log.columns[s][read(lag)].is_nan();
                if value[0] != 0.0 || program.reads.iter().any(is_unknown) {
                    steps.push(t);
                }
            }
        }
        censored.push((signal, resampled, steps));
    }
    for (signal, resampled, steps) in censored {
        for t in steps {
            log.columns[signal][t] = f64::NAN;
            let at = log.time(t).as_microsecond();
            resampled.missing.add(at);
            resampled.censored.add(at);
        }
    }
    Ok(())
}
