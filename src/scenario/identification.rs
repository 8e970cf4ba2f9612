//! The identification of each control, with names and units.

use serde::{Deserialize, Serialize};

use crate::config::TimeSpan;
use crate::learn::{Companion, Identification, IdentificationLevel, MIN_MOVES, Note, NoteKind, WEAK_UNEXPLAINED};
use crate::schema::Schema;
use crate::value::json::number_or_nan;

/// How well the log determines the effect of a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlIdentification {
    pub control: String,
    pub unit: String,
    pub level: IdentificationLevel,
    /// Fraction of the control's movement explained by other signals and the clock.
    #[serde(deserialize_with = "number_or_nan")]
    pub explained: f64,
    /// Root mean square of the unexplained movement per step.
    #[serde(deserialize_with = "number_or_nan")]
    pub own_movement: f64,
    /// Effective number of independent moves.
    #[serde(deserialize_with = "number_or_nan")]
    pub moves: f64,
    /// Mean time between two changes of the control.
    pub holding_time: String,
    /// The signal (or `time of day` or `time of week`) that alone explains most of the control's
    /// movement.
    pub companion: Option<String>,
    /// Fraction of the control's variance that the companion explains on its own.
    pub companion_share: Option<f64>,
    /// The schedule by day type that the control follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_types: Option<DaySchedule>,
    /// The disturbance that responds to the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequence: Option<Responding>,
    /// The local date since which the control has stood still, if this standstill is much longer than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<String>,
}

/// A disturbance that responds to a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Responding {
    pub disturbance: String,
    /// Change of the disturbance per unit of the control, as a mean over the control horizon.
    #[serde(deserialize_with = "number_or_nan")]
    pub change: f64,
    /// Whether the response is so clear that another cause is unlikely.
    pub is_clear: bool,
}

/// A schedule that has a few patterns for the whole day, such as working days and holidays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySchedule {
    /// The local date on which the schedule shifts by one hour, if it shifts exactly once in the log.
    pub shifted_on: Option<String>,
}

impl ControlIdentification {
    /// `date` returns the local date of a row of the log.
    pub fn new(found: &Identification, schema: &Schema, step: TimeSpan, date: &dyn Fn(usize) -> String) -> Self {
        let signal = &schema.signals[found.control];
        Self {
            control: signal.name.clone(),
            unit: signal.unit.text.clone(),
            level: found.level,
            explained: found.explained,
            own_movement: found.own_movement,
            moves: found.moves,
            holding_time: TimeSpan::from_ms(step.ms().saturating_mul(found.holding_steps as i64)).to_string(),
            companion: found.companion.map(|(companion, _)| match companion {
                Companion::Signal(s) => schema.signals[s].name.clone(),
                Companion::TimeOfDay => "time of day".into(),
                Companion::TimeOfWeek => "time of week".into(),
            }),
            companion_share: found.companion.map(|c| c.1),
            day_types: found.day_types.map(|d| DaySchedule { shifted_on: d.shifted_at.map(date) }),
            consequence: found.consequence.map(|c| Responding {
                disturbance: schema.signals[c.disturbance].name.clone(),
                change: c.change,
                is_clear: c.is_clear,
            }),
            idle_since: found.idle_since.map(date),
        }
    }

    /// A clause that explains why the effect of the control is not identified.
    pub fn reason(&self) -> String {
        let control = &self.control;
        let explained = self.explained_text();
        if let Some(Responding { disturbance, is_clear, .. }) = &self.consequence {
            if !is_clear {
                return format!(
                    "`{disturbance}` depends on earlier moves of `{control}`, so it may be a consequence of `{control}`, or \
                     both may follow a quantity that is not logged"
                );
            }
            return format!(
                "`{disturbance}` responds to moves of `{control}`, but scenarios keep the logged values of a disturbance"
            );
        }
        match &self.day_types {
            Some(DaySchedule { shifted_on: Some(date) }) => {
                return format!(
                    "`{control}` followed a schedule that moved by one hour on {date}; if the clocks changed on this \
                     day, correct `timezone` in twin.toml"
                );
            }
            Some(_) => {
                return format!(
                    "`{control}` followed a schedule with exceptions for whole days, such as holidays, on which other \
                     loads may change too"
                );
            }
            None => {}
        }
        match &self.companion {
            None if self.explained.is_nan() => format!(
                "`{control}` moves in too few complete rows for the number of other signals; list unimportant signals in \
                 `model.ignore`"
            ),
            None => format!("`{control}` never moved in the complete training rows"),
            Some(_) if self.explained < 1.0 - WEAK_UNEXPLAINED || self.moves < MIN_MOVES => {
                let moves = (self.moves.round() as usize).max(1);
                format!(
                    "`{control}` made only about {} in the training rows",
                    crate::error::plural(moves, "independent move", "independent moves")
                )
            }
            Some(_) if self.companion_share.is_none_or(|s| s < 0.5) => {
                format!("`{control}` moved together with other signals, which explain {explained} of its moves")
            }
            Some(companion) if companion.starts_with("time of ") => {
                format!(
                    "`{control}` followed the {companion}: the clock and other signals explain {explained} of its moves"
                )
            }
            Some(companion) => {
                format!("`{control}` moved together with `{companion}`: other signals explain {explained} of its moves")
            }
        }
    }

    /// What to do if the effect is not identified.
    pub fn advice(&self) -> String {
        match &self.consequence {
            Some(Responding { disturbance, .. }) => {
                format!("If `{disturbance}` is a consequence of `{}`, give it the role `output`", self.control)
            }
            None => "Test this control on the plant first".into(),
        }
    }

    /// The explained fraction as a percentage. Fractions close to 1 are given with more digits.
    pub fn explained_text(&self) -> String {
        match 100.0 * self.explained {
            p if p.is_nan() => "–".into(),
            p if p > 99.9 => "more than 99.9 %".into(),
            p if p >= 98.0 => format!("{p:.1} %"),
            p => format!("{p:.0} %"),
        }
    }

    /// A remark for the users of the model; `None` if the effect is identified or if the control never moved. Controls
    /// that never moved are reported in a separate remark.
    pub fn note(&self) -> Option<Note> {
        let help = match &self.consequence {
            Some(_) => self.advice(),
            None => "Move it independently of other signals to learn its effect".into(),
        };
        let text = match self.level {
            IdentificationLevel::Identified => return None,
            IdentificationLevel::NotIdentified if self.companion.is_none() => return None,
            IdentificationLevel::NotIdentified => {
                format!("The log does not identify the effect of `{}`: {}. {help}", self.control, self.reason())
            }
            IdentificationLevel::Weak => {
                format!("The log identifies the effect of `{}` only weakly: {}. {help}", self.control, self.reason())
            }
        };
        Some(Note::new(NoteKind::Identification, text))
    }
}
