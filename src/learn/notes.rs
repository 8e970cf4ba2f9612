//! What a reader must know of a model before trusting it.

use super::choose::Task;
use super::response::Response;
use super::rollouts::Rollouts;
use super::score::ScoreRow;
use super::verdict::Verdict;
use crate::config::{Effect, TimeSpan};
use crate::schema::Role;

/// The steady change of a signal by one step of a control that matters, in standard deviations of the signal.
const MATERIAL: f64 = 0.05;

impl Task<'_> {
    fn name(&self, signal: usize) -> &str {
        &self.log.schema.signals[signal].name
    }

    pub(super) fn inputs_that_never_moved(&self) -> Vec<String> {
        let still = |c: &usize| !self.moments[*c].moves();
        let controls = self.log.schema.with_role(Role::Control).into_iter();
        controls
            .filter(still)
            .map(|c| {
                format!(
                    "`{}` never moved in the training rows: its effect cannot be learned, and no result for another \
                     value of it can be trusted",
                    self.name(c)
                )
            })
            .collect()
    }

    /// Known signs that the steady-state gains clearly deny.
    pub(super) fn contradictions(&self, effects: &[(usize, usize, Effect)], found: &[Response]) -> Vec<String> {
        let mut denied = Vec::new();
        for &(control, signal, effect) in effects {
            let Some(r) = found.iter().find(|r| r.control == control && r.signal == signal) else { continue };
            if (r.gain * r.step).abs() < MATERIAL * self.moments[signal].sd {
                continue;
            }
            let (up, down) = (r.gain_low > 0.0, r.gain_high < 0.0);
            let (wrong, known) = match effect {
                Effect::Up => (down, "raises it"),
                Effect::Down => (up, "lowers it"),
                Effect::None => (up || down, "has no effect"),
            };
            if wrong {
                denied.push(format!(
                    "`{}` on `{}`: it {known}, and the model's steady-state gain is {:.3} ({:.3} to {:.3} over its members)",
                    self.name(control),
                    self.name(signal),
                    r.gain,
                    r.gain_low,
                    r.gain_high,
                ));
            }
        }
        denied
    }

    pub(super) fn refusal_by_effects(&self, contradictions: &[String], name: &str) -> String {
        format!(
            "every model contradicts what is known of the plant; {name}, the best of them: {}. In a log made under \
             feedback a control often follows its effect: use a stretch in which operators moved it by themselves, fewer \
             `model.lags`, or name the disturbance that both follow; if the sign itself is wrong, change `effects` in \
             twin.toml",
            contradictions.join("; "),
        )
    }

    pub(super) fn weak_targets(&self, verdict: &Verdict, run: &Rollouts) -> Vec<String> {
        let ahead = self.spec.horizon.to_string();
        let mut notes = Vec::new();
        for (k, ratio) in verdict.to_persistence.iter().enumerate() {
            let name = self.name(run.signals[k]);
            match ratio {
                None => notes.push(format!("`{name}` could not be scored {ahead} ahead: it is not measured, or never moves")),
                Some(ratio) if *ratio >= 1.0 => notes.push(format!(
                    "`{name}` is not predicted better than by persistence {ahead} ahead on hold-out ({ratio:.2} times its \
                     error): do not base decisions on it"
                )),
                Some(_) => {}
            }
        }
        notes
    }

    /// 90 % intervals that hold clearly fewer or more of the hold-out than they should (CAL-1), at the first step, half
    /// and the whole horizon.
    pub(super) fn miscovered(&self, scores: &[ScoreRow], name: &str) -> Vec<String> {
        let marks = [1, self.horizon.div_ceil(2), self.horizon];
        let mut notes = Vec::new();
        for row in scores.iter().filter(|r| r.model == name && marks.contains(&r.horizon) && r.rmse > 0.0) {
            let (low, high) = row.right()[2];
            if !(low..=high).contains(&row.coverage[2]) {
                notes.push(format!(
                    "90 % intervals of `{}` hold {:.0} % of the hold-out {} ahead, where {:.0} to {:.0} % would be right \
                     ({:.0} independent forecasts): the hold-out differs from the training time",
                    self.name(row.signal),
                    100.0 * row.coverage[2],
                    TimeSpan::from_ms(row.horizon as i64 * self.log.step_ms),
                    100.0 * low,
                    100.0 * high,
                    row.independent,
                ));
            }
        }
        notes
    }
}
