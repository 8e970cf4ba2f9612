//! The fallback sequence, which determines the controls at each step. The controls are taken from the first available
//! source: a new plan, a later move of the last plan, the safe policy, or the controls in force.

use super::decision::{Decision, FallbackLevel};
use super::estimator::past::Past;
use super::limits::ControlLimits;
use crate::config::TimeSpan;
use crate::control::{self, Context, Control, Controller, LiveSettings, Mpc, Observation, states_known, supported};
use crate::error::Result;
use crate::scenario::Plant;
use crate::twin::{Dynamics, Support};

/// Settings of the fallback sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackSettings {
    /// Number of measured steps required before the first plan of a run.
    pub settle: usize,
    /// Whether the loop runs in shadow mode, in which plans are computed but answers contain the values of the plant's
    /// own controller.
    pub shadow: bool,
    /// Whether plans may leave the range of the training data.
    pub extrapolate: bool,
}

/// The controllers of a live loop, and the newest decision.
pub struct Fallback<'a> {
    dynamics: &'a dyn Dynamics,
    mpc: Mpc<'a>,
    safe: Option<Box<dyn Controller + 'a>>,
    /// Whether the safe policy made the last decision.
    on_safe: bool,
    pub settings: FallbackSettings,
    pub limits: ControlLimits,
    last_plan: Option<LastPlan>,
    pub decision: Option<Decision>,
}

/// The last successful plan, whose later moves can be used if no new plan is found.
struct LastPlan {
    /// Row of the run for which the plan was made.
    row: usize,
    /// The planned values, `[horizon][controls of the plan]`.
    moves: Vec<Vec<f64>>,
}

/// Result of an attempt to plan at one step.
enum Attempt {
    /// The first move, `[controls]`.
    Planned(Vec<f64>),
    /// Planning failed: no plan has a finite cost, or a state has been missing for too long.
    Failed,
    /// The first move leaves the range of the training data, even after the move has been reduced.
    Outside,
    /// No plan was made, because too few steps have been measured or because a control cannot be
    /// moved yet.
    Settling,
}

impl<'a> Fallback<'a> {
    /// # Errors
    /// Returns [`crate::error::Error::Config`] for invalid settings; see [`Mpc::build`] and [`control::build`].
    pub fn new(
        plant: &'a Plant,
        live: &LiveSettings,
        context: &Context<'a>,
        settings: FallbackSettings,
    ) -> Result<Self> {
        Ok(Self {
            dynamics: context.dynamics,
            mpc: Mpc::build(&live.mpc, context)?,
            safe: live.safe.as_ref().map(|safe| control::build(safe, context)).transpose()?,
            on_safe: false,
            settings,
            limits: ControlLimits::new(plant),
            last_plan: None,
            decision: None,
        })
    }

    /// Returns a note for the user if the skill horizon shortens the plans.
    pub fn skill_horizon(&self) -> Option<String> {
        let step = TimeSpan::from_ms(self.dynamics.step_ms());
        Some(self.mpc.skill_horizon()?.text(self.dynamics.schema(), step))
    }

    /// Resets the fallback sequence for a new run.
    pub fn begin(&mut self) {
        self.decision = None;
        self.forget_plans();
    }

    /// Discards all earlier plans.
    pub fn forget_plans(&mut self) {
        self.mpc.restart();
        self.last_plan = None;
        self.on_safe = false;
    }

    /// Chooses the controls for the newest row of `past`, and writes them into that row. `baseline` and `in_force` have
    /// one value per control, with NaN for unknown values. `lost` means that a state has been missing for too long.
    pub fn decide(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64], lost: bool) -> Result<()> {
        let settling = past.measured() <= self.settings.settle || !self.limits.may_move(in_force);
        let attempt = if settling { Attempt::Settling } else { self.plan(past, baseline, in_force, lost)? };
        // If the new plan leaves the range of the training data, the last plan probably leaves this range as well.
        let may_follow = matches!(attempt, Attempt::Planned(_) | Attempt::Failed);
        let planned = match attempt {
            Attempt::Planned(moves) => Some(moves),
            _ => None,
        };
        let has_baseline = baseline.iter().any(|v| v.is_finite());
        let mut follows_baseline = false;
        let (decided_by, controls) = if self.settings.shadow {
            follows_baseline = has_baseline;
            (FallbackLevel::Shadow, self.limits.unlimited(baseline, in_force))
        } else if let Some(moves) = &planned {
            (FallbackLevel::Plan, moves.clone())
        } else if let Some(moves) = self.last_plan(past, baseline, in_force).filter(|_| may_follow) {
            (FallbackLevel::LastPlan, moves)
        } else {
            let safe = self.safe(past, baseline, in_force)?;
            follows_baseline = safe.is_none() && has_baseline;
            match safe.or_else(|| has_baseline.then(|| self.limits.within(past, in_force, baseline))) {
                Some(safe) => (if settling { FallbackLevel::Settle } else { FallbackLevel::Safe }, safe),
                None => {
                    let held = self.limits.held(past, in_force);
                    (if settling { FallbackLevel::Settle } else { FallbackLevel::Hold }, held)
                }
            }
        };
        self.on_safe = matches!(decided_by, FallbackLevel::Safe | FallbackLevel::Settle);
        self.limits.write(past, &controls);
        let support = self.support(past);
        self.decision = Some(Decision { decided_by, controls, support, planned, follows_baseline });
        Ok(())
    }

    /// Updates the decision when a further line of the same step arrives, because the plant's own controller may have
    /// changed its values. `before_step` contains the controls that were in force before the step.
    pub fn update_baseline(&mut self, past: &Past, before_step: &[f64], baseline: &[f64]) {
        let Some(last) = &self.decision else { return };
        let controls = match last.decided_by {
            FallbackLevel::Shadow if last.follows_baseline => self.limits.unlimited(baseline, before_step),
            _ if last.follows_baseline => self.limits.within(past, before_step, baseline),
            FallbackLevel::Plan | FallbackLevel::LastPlan => {
                let requested = baseline.iter().zip(&last.controls).map(|(b, c)| if b.is_finite() { *b } else { *c });
                let own = self.limits.within(past, before_step, &requested.collect::<Vec<f64>>());
                self.with_unplanned(last.controls.clone(), &own)
            }
            _ => last.controls.clone(),
        };
        if let Some(last) = &mut self.decision {
            last.controls = controls;
        }
    }

    fn plan(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64], lost: bool) -> Result<Attempt> {
        if lost {
            self.mpc.forget();
            return Ok(Attempt::Failed);
        }
        let own = self.limits.within(past, in_force, baseline);
        self.limits.write(past, &self.with_unplanned(self.limits.held(past, in_force), &own));
        let (row, failures) = (past.rows() - 1, self.mpc.failures());
        let window = past.window(self.dynamics.depth().max(self.mpc.depth()).max(2));
        let mut control = Control::new(self.mpc.signals().to_vec(), 1);
        self.mpc.act(&Observation { window: &window, step: row, forecast: past.forecast() }, &mut control)?;
        let failed = self.mpc.failures() > failures || control.values.iter().flatten().any(|v| !v.is_finite());
        if failed {
            self.mpc.forget();
            return Ok(Attempt::Failed);
        }
        let planned = self.by_control(&control.signals, |i| control.values[i][0]);
        let first = self.limits.within(past, in_force, &self.with_unplanned(planned, &own));
        let mut candidates = self.supported(past, own, in_force, first)?;
        if candidates.is_empty() {
            self.mpc.forget();
            return Ok(Attempt::Outside);
        }
        let best = (candidates.len() > 1).then(|| {
            let observation = Observation { window: &window, step: row, forecast: past.forecast() };
            self.mpc.cheapest(&observation, 0, &self.planned_only(&candidates))
        });
        let mut chosen = candidates.swap_remove(best.flatten().unwrap_or(0));
        // A reduced move must not violate a limit on a total, such as forbidden hours.
        let observation = Observation { window: &window, step: row, forecast: past.forecast() };
        if self.mpc.keep_totals(&observation, 0, &self.limits.controls, &mut chosen) {
            chosen = self.limits.within(past, in_force, &chosen);
        }
        let moves = (0..self.mpc.horizon()).map_while(|h| self.mpc.planned_controls(h).map(<[f64]>::to_vec));
        self.limits.write(past, &chosen);
        self.last_plan = self.mpc.planned_at().map(|row| LastPlan { row, moves: moves.collect() });
        Ok(Attempt::Planned(chosen))
    }

    /// Returns the moves that may be made if `first` is the first move of the plan; see [`supported`]. If plans may
    /// leave the range of the training data, only `first` is returned.
    fn supported(&self, past: &mut Past, own: Vec<f64>, in_force: &[f64], first: Vec<f64>) -> Result<Vec<Vec<f64>>> {
        if self.settings.extrapolate {
            return Ok(vec![first]);
        }
        let known = states_known(self.dynamics, |s| past.value(s, 0));
        let all_known = in_force.iter().all(|v| v.is_finite());
        let held = all_known.then(|| self.with_unplanned(self.limits.held(past, in_force), &own));
        supported(own, held.into_iter().collect(), first, known, |moves| {
            moves.copy_from_slice(&self.limits.within(past, in_force, moves));
            self.limits.write(past, moves);
            Ok(self.support(past))
        })
    }

    /// Returns `values` for the planned controls, and `own` (the values of the plant's own controller) for all other
    /// controls.
    fn with_unplanned(&self, mut values: Vec<f64>, own: &[f64]) -> Vec<f64> {
        let each = values.iter_mut().zip(own).zip(&self.limits.controls);
        each.filter(|(_, c)| !self.mpc.signals().contains(c)).for_each(|((v, own), _)| *v = *own);
        values
    }

    /// Returns one value per control, with NaN for controls that are not in `signals`.
    fn by_control(&self, signals: &[usize], value: impl Fn(usize) -> f64) -> Vec<f64> {
        let at = |c: &usize| signals.iter().position(|s| s == c);
        self.limits.controls.iter().map(|c| at(c).map_or(f64::NAN, &value)).collect()
    }

    /// Removes the values of unplanned controls from each element of `moves`, and puts the remaining values in the
    /// order of the plan.
    fn planned_only(&self, moves: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let planned = self.mpc.signals().iter();
        let at: Vec<usize> = planned.filter_map(|s| self.limits.controls.iter().position(|c| c == s)).collect();
        moves.iter().map(|m| at.iter().map(|&i| m[i]).collect()).collect()
    }

    /// Returns the move of the last plan for the newest row, if the plan extends that far.
    fn last_plan(&self, past: &Past, baseline: &[f64], in_force: &[f64]) -> Option<Vec<f64>> {
        let plan = self.last_plan.as_ref()?;
        let moves = plan.moves.get((past.rows() - 1).checked_sub(plan.row)?)?;
        let planned = self.by_control(self.mpc.signals(), |i| moves[i]);
        Some(self.limits.within(past, in_force, &self.with_unplanned(planned, baseline)))
    }

    /// Returns the controls of the twin's safe policy, or `None` if there is no such policy or if
    /// it returns a missing value. Controls that the safe policy does not set get the values of the
    /// plant's own controller.
    fn safe(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64]) -> Result<Option<Vec<f64>>> {
        if self.safe.is_none() {
            return Ok(None);
        }
        self.limits.write(past, &self.limits.held(past, in_force));
        let Some(safe) = &mut self.safe else { return Ok(None) };
        let mut control = Control::new(safe.signals().to_vec(), 1);
        let window = past.window(self.dynamics.depth().max(safe.depth()).max(2));
        // At step 0, a policy resets its state to the controls in force. A reset is necessary if a different fallback
        // level made the last decision.
        let step = if self.on_safe { past.rows() } else { 0 };
        safe.act(&Observation { window: &window, step, forecast: past.forecast() }, &mut control)?;
        if control.values.iter().flatten().any(|v| !v.is_finite()) {
            return Ok(None);
        }
        let mut requested = self.by_control(&control.signals, |i| control.values[i][0]);
        for (value, baseline) in requested.iter_mut().zip(baseline) {
            *value = if value.is_finite() { *value } else { *baseline };
        }
        Ok(Some(self.limits.within(past, in_force, &requested)))
    }

    /// Returns whether the newest row, with its controls, is inside the model's support, at its edge, or outside.
    fn support(&self, past: &Past) -> Support {
        let window = past.window(self.dynamics.depth().max(2));
        self.dynamics.support(&window).first().copied().unwrap_or(Support::Outside)
    }
}
