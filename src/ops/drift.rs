//! What changed at a plant since its champion was fitted.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::plant::{Source, StoredModel};
use crate::learn::drift::{Drift, EffectChange, ErrorShift, InputShift, Reference, SHIFTED, input_shift};
use crate::learn::gate::loss_ratio;
use crate::learn::{Note, NoteKind, Residuals, starts};
use crate::scenario::results::{ControlEffect, ModelCard};
use crate::schema::Role;
use crate::stats::mean_and_population_sd;
use crate::trajectory::Trajectory;

/// Mean time between false alarms about the forecast errors at a plant, in milliseconds (DRIFT-1).
const BUDGET_MS: f64 = 90.0 * 86_400_000.0;
/// Training data and new data are from the same season if their days of the year differ by at most this number (not
/// tuned).
const SEASON_DAYS: i32 = 30;
/// Smallest mean error since an alarm that counts as a shift, in standard deviations of the errors. The allowance of
/// the detector is chosen for a shift of one standard deviation; if the errors have returned to normal, the mean is
/// smaller.
const LEAST_SIZE: f64 = 0.5;
/// Smallest difference of an effect that counts as a change, relative to the larger of the two effects (not tuned).
const RELEVANT: f64 = 0.5;
/// Smallest difference of an effect that counts as a change, in standard deviations of the signal per standard
/// deviation of the control (not tuned).
const LEAST_EFFECT: f64 = 0.05;

/// Compares the rows `blocks`, which are the newest in the log, with the data to which the champion was fitted.
pub fn examine(source: &Source, champion: &StoredModel, challenger: &ModelCard, blocks: &[Range<usize>]) -> Drift {
    let (log, card) = (&source.log, &champion.card);
    let holdout = rows_between(log, &card.holdout_start, &card.holdout_end);
    let (from, until) = (blocks.first().map_or(0, |r| r.start), blocks.last().map_or(0, |r| r.end));
    let twin = &champion.twin;
    let model = (&twin.map, &twin.noise_model);
    Drift {
        errors: error_shifts(champion, log, &holdout, from..until),
        inputs: input_shifts(champion, log, from..until),
        effects: effect_changes(&card.effects, &challenger.effects, &|name| {
            let column = log.schema.find(name).map_or(&[][..], |s| &log.columns[s]);
            mean_and_population_sd(column.iter().copied().filter(|v| v.is_finite())).1
        }),
        loss: loss_ratio(model, log, std::slice::from_ref(&holdout), blocks, card.horizon, twin.provenance.seed),
    }
}

/// A note for the reader of a report if the rows that are newer than the data of the model show that the plant has
/// changed.
pub fn since_fit(source: &Source, stored: &StoredModel) -> Option<Note> {
    let (log, card) = (&source.log, &stored.card);
    let holdout = rows_between(log, &card.holdout_start, &card.holdout_end);
    let trained_until = card.trained_until.parse().ok().and_then(|t| log.step_at(t)).unwrap_or(0);
    let known = holdout.end.max(trained_until);
    let shifts = error_shifts(stored, log, &holdout, known..log.steps);
    let worst = shifts.iter().max_by(|a, b| a.size.abs().total_cmp(&b.size.abs()))?;
    Some(Note::new(
        NoteKind::Outdated,
        format!(
            "the plant has probably changed since the model was fitted: since {}, the one-step errors of `{}` have shifted \
             by {:.1} standard deviations; run `twinopt retrain {}`",
            worst.since,
            worst.signal,
            worst.size,
            source.dir()
        ),
    ))
}

/// Rows of `log` from time `start` to time `end`; empty if the log no longer contains this period.
fn rows_between(log: &Trajectory, start: &str, end: &str) -> Range<usize> {
    let row = |time: &str| time.parse().ok().and_then(|t| log.step_at(t));
    match (row(start), row(end)) {
        (Some(start), Some(end)) if start < end => start..end,
        (Some(start), None) => start..log.steps,
        _ => 0..0,
    }
}

/// The signals whose one-step errors shifted after the hold-out of the champion, according to an alarm in the rows
/// `new`.
fn error_shifts(
    champion: &StoredModel,
    log: &Trajectory,
    holdout: &Range<usize>,
    new: Range<usize>,
) -> Vec<ErrorShift> {
    let map = &champion.twin.map;
    let measure = |rows: Range<usize>| Residuals::measure(map, log, &starts(map, log, &[rows], 1, usize::MAX));
    let (before, after) = (measure(holdout.clone()), measure(holdout.end..new.end));
    let budget = BUDGET_MS / log.step_ms as f64 * map.layout.targets.len() as f64;
    let shift = |(i, target): (usize, &crate::learn::Target)| {
        let series = |r: &Residuals| -> Vec<(usize, f64)> {
            r.rows.iter().copied().zip(r.errors[i].iter().copied()).filter(|(_, e)| e.is_finite()).collect()
        };
        let reference = Reference::new(&series(&before), log.step_ms)?;
        let errors = series(&after);
        let alarm = reference.alarms(&errors, budget).into_iter().rfind(|a| new.contains(&a.row))?;
        let size = reference.size(&errors, alarm.since);
        (size.abs() >= LEAST_SIZE).then(|| ErrorShift {
            signal: log.schema.signals[target.signal()].name.clone(),
            since: log.time(alarm.since).to_string(),
            size,
        })
    };
    map.layout.targets.iter().enumerate().filter_map(shift).collect()
}

/// The inputs of the model whose distribution in the rows `new` differs from that in the training data by more than in
/// any earlier period of the same length. The comparison with earlier periods is needed because the distribution of a
/// slow input differs between any two short periods.
fn input_shifts(champion: &StoredModel, log: &Trajectory, new: Range<usize>) -> Vec<InputShift> {
    let day = |t: usize| i32::from(log.time(t).to_zoned_datetime(TimeZone::UTC).day_of_year());
    let (first, last) = (day(new.start), day(new.end.saturating_sub(1).max(new.start)));
    let in_season = |t: &usize| {
        let apart = |d: i32| (day(*t) - d).rem_euclid(366).min((d - day(*t)).rem_euclid(366));
        let inside =
            if first <= last { (first..=last).contains(&day(*t)) } else { day(*t) >= first || day(*t) <= last };
        inside || apart(first) <= SEASON_DAYS || apart(last) <= SEASON_DAYS
    };
    let until = champion.card.trained_until.parse().ok().and_then(|t| log.step_at(t)).unwrap_or(0);
    let season: Vec<usize> = (0..until).filter(in_season).collect();
    // a reference period shorter than the new data would often differ by chance
    let same_season = season.len() >= 2 * new.len();
    let reference = if same_season { season } else { (0..until).collect() };
    let is_input = |role| matches!(role, Role::Control | Role::Disturbance | Role::Setpoint);
    let signals = log.schema.signals.iter().enumerate().filter(|(_, s)| is_input(s.role));
    let shift = |(s, signal): (usize, &crate::schema::Signal)| {
        let column = &log.columns[s];
        let old: Vec<f64> = reference.iter().map(|t| column[*t]).collect();
        let index = input_shift(&old, &column[new.clone()])?;
        let periods = (0..until.saturating_sub(new.len())).step_by(new.len().div_ceil(2).max(1));
        let earlier = periods.filter_map(|from| input_shift(&old, &column[from..from + new.len()]));
        (index >= earlier.fold(SHIFTED, f64::max)).then(|| InputShift {
            signal: signal.name.clone(),
            index,
            same_season,
        })
    };
    signals.filter_map(shift).collect()
}

/// The effects that differ in sign or size between the log of the champion and that of the challenger by more than
/// their uncertainty. `sd` returns the standard deviation of a signal in the log.
fn effect_changes(before: &[ControlEffect], now: &[ControlEffect], sd: &dyn Fn(&str) -> f64) -> Vec<EffectChange> {
    let change = |b: &ControlEffect| {
        let n = now.iter().find(|n| (&n.control, &n.signal) == (&b.control, &b.signal))?;
        let change = EffectChange {
            control: b.control.clone(),
            signal: b.signal.clone(),
            unit: b.unit.clone(),
            before: b.model + b.error,
            before_half: b.half_width(),
            now: n.model + n.error,
            now_half: n.half_width(),
        };
        let difference = (change.now - change.before).abs();
        let significant = difference > change.before_half.hypot(change.now_half);
        let relevant = difference > RELEVANT * change.before.abs().max(change.now.abs())
            && difference * sd(&change.control) > LEAST_EFFECT * sd(&change.signal);
        (significant && relevant).then_some(change)
    };
    before.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_changed_if_its_sign_or_size_did_beyond_its_uncertainty() {
        let effect = |model: f64, se: f64| ControlEffect {
            control: "u".into(),
            signal: "x".into(),
            unit: "K/kW".into(),
            window: 6,
            hours: 6.0,
            model,
            members: vec![0.0],
            inflation: 1.0,
            error: 0.1,
            se,
            blocks: 1e6,
            accumulation: None,
            contrast: None,
            shown_hours: None,
        };
        let sd = |signal_sd: f64| move |name: &str| if name == "x" { signal_sd } else { 1.0 };
        let changes = |now: &[ControlEffect], signal_sd| effect_changes(&[effect(1.0, 0.1)], now, &sd(signal_sd)).len();
        let changed = |now: f64, se: f64| changes(&[effect(now, se)], 1.0) == 1;
        // half widths: 1.645 · 0.1 each, combined 0.23; the relative change is 1.2 / 1.1 and 0.5 / 1.1
        assert!(changed(-0.2, 0.1) && !changed(0.5, 0.1) && changed(0.4, 0.1) && !changed(0.4, 0.5));
        // a change of 1.2 per unit of the control is negligible for a signal with a standard deviation of 30
        assert_eq!((changes(&[], 1.0), changes(&[effect(-0.2, 0.1)], 30.0)), (0, 0));
    }
}
