//! Who decides at a step: the plan, the rest of the last plan, the safe policy, or nobody.

use serde::Serialize;

use super::past::Past;
use super::support::{states_known, supported};
use crate::config::{ControllerSpec, MpcSpec, TimeSpan};
use crate::control::{self, Context, Control, Controller, Mpc, Observation, limited};
use crate::error::Result;
use crate::scenario::Plant;
use crate::schema::{MoveLimit, Role, Signal, Switching};
use crate::twin::{Dynamics, Support};

/// Which rung of the ladder gave the controls, from the best to the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackLevel {
    /// Computed only; the plant's own controller was answered.
    Shadow,
    /// The past is not known yet: as `Safe`.
    Settle,
    Plan,
    /// The rest of the last plan.
    LastPlan,
    /// The safe policy of the twin, or the plant's own controller.
    Safe,
    /// The controls in force stay.
    Hold,
}

impl FallbackLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Settle => "settle",
            Self::Plan => "plan",
            Self::LastPlan => "last_plan",
            Self::Safe => "safe",
            Self::Hold => "hold",
        }
    }
}

/// What was decided at a step of the twin; values in the twin's units, `[controls]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub rung: FallbackLevel,
    pub controls: Vec<f64>,
    pub support: Support,
    /// What the plan would do, also when another rung answers.
    pub planned: Option<Vec<f64>>,
    /// The plant's own controller was followed: it may go on between two steps of the twin.
    pub follows_baseline: bool,
}

/// How the ladder is climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackSettings {
    /// Steps at the start in which nothing is planned.
    pub settle: usize,
    pub shadow: bool,
    /// Plans may leave the support.
    pub extrapolate: bool,
}

/// The controllers of a live loop.
pub struct Fallback<'a> {
    dynamics: &'a dyn Dynamics,
    mpc: Mpc<'a>,
    safe: Option<Box<dyn Controller + 'a>>,
    /// The safe policy gave the last controls.
    on_safe: bool,
    footing: FallbackSettings,
    /// Schema columns of all controls, and their limits.
    pub controls: Vec<usize>,
    pub limits: Vec<Signal>,
    /// What stands in for controls in force that are not known: the log's last ones.
    initial: Vec<f64>,
    kept: Option<Kept>,
}

/// A plan that can be followed later.
struct Kept {
    /// Row that it was made at.
    row: usize,
    /// `[horizon][controls of the plan]`.
    wishes: Vec<Vec<f64>>,
}

/// What came of planning.
enum Attempt {
    /// Its first move: `[controls]`.
    Plan(Vec<f64>),
    /// No finite cost, or a state unknown.
    Failed,
    /// The first move leaves the support.
    Outside,
}

impl<'a> Fallback<'a> {
    /// # Errors
    /// [`crate::error::Error::Config`] for settings that cannot be; see [`Mpc::build`] and [`control::build`].
    pub fn new(plant: &'a Plant, spec: &MpcSpec, context: &Context<'a>, footing: FallbackSettings) -> Result<Self> {
        let controls = plant.schema.with_role(Role::Control);
        let safe = spec.safe.as_deref().filter(|s| !matches!(s.value, ControllerSpec::Replay {}));
        let initial = |&c: &usize| {
            let (seen, hard) = (plant.twin.logged_range(c), plant.schema.signals[c].hard);
            let known = plant.log.columns[c].iter().rev().copied().find(|v| v.is_finite());
            let middle = 0.5 * (seen.low + seen.high);
            hard.clamp(known.or_else(|| middle.is_finite().then_some(middle)).unwrap_or(0.0))
        };
        Ok(Self {
            dynamics: context.dynamics,
            mpc: Mpc::build(spec, context)?,
            safe: safe.map(|s| control::build(&s.value, context)).transpose()?,
            on_safe: false,
            footing,
            limits: controls.iter().map(|&c| plant.schema.signals[c].clone()).collect(),
            initial: controls.iter().map(initial).collect(),
            controls,
            kept: None,
        })
    }

    /// Why plans look less far than they were to.
    pub fn skill_horizon(&self) -> Option<String> {
        let step = TimeSpan::from_ms(self.dynamics.step_ms());
        Some(self.mpc.skill_horizon()?.text(self.dynamics.schema(), step))
    }

    /// Nothing planned before counts any more.
    pub fn forget(&mut self) {
        self.mpc.restart();
        self.kept = None;
        self.on_safe = false;
    }

    /// The controls in force, or what stands in for them, at the present row of `past`: `[controls]`.
    pub fn held(&self, past: &Past, in_force: &[f64]) -> Vec<f64> {
        let each = in_force.iter().zip(&self.initial).zip(self.controls.iter().zip(&self.limits));
        each.map(|((v, initial), (&c, signal))| {
            limited(signal, *v, past.since(signal, c), if v.is_finite() { *v } else { *initial })
        })
        .collect()
    }

    /// `wanted` within the limits at the present row of `past`, from the controls in force; what is not finite stays as it
    /// is.
    fn within(&self, past: &Past, in_force: &[f64], wanted: &[f64]) -> Vec<f64> {
        let held = self.held(past, in_force);
        let each = self.controls.iter().zip(&self.limits).zip(in_force).zip(wanted.iter().zip(&held));
        each.map(|(((&c, signal), force), (wanted, held))| {
            let value = limited(signal, *force, past.since(signal, c), *wanted);
            if value.is_finite() { value } else { *held }
        })
        .collect()
    }

    /// Decides for the present row of `past`, whose controls it sets. `baseline` and `in_force`: `[controls]`, NaN where
    /// unknown; `lost`: a state has been unknown for too long.
    pub fn decide(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64], lost: bool) -> Result<Decision> {
        let settling = past.known() <= self.footing.settle || !self.may_move(in_force);
        let attempt = if settling { Attempt::Failed } else { self.plan(past, baseline, in_force, lost)? };
        let (planned, followable) = match attempt {
            Attempt::Plan(moves) => (Some(moves), true),
            Attempt::Failed => (None, !settling),
            Attempt::Outside => (None, false),
        };
        let told = baseline.iter().any(|v| v.is_finite());
        let mut follows_baseline = false;
        let (rung, controls) = if self.footing.shadow {
            follows_baseline = told;
            (FallbackLevel::Shadow, self.own(past, baseline, in_force))
        } else if let Some(moves) = &planned {
            (FallbackLevel::Plan, moves.clone())
        } else if let Some(rest) = self.rest(past, baseline, in_force).filter(|_| followable) {
            (FallbackLevel::LastPlan, rest)
        } else {
            let safe = self.safe(past, baseline, in_force)?;
            follows_baseline = safe.is_none() && told;
            match safe.or_else(|| told.then(|| self.within(past, in_force, baseline))) {
                Some(safe) => (if settling { FallbackLevel::Settle } else { FallbackLevel::Safe }, safe),
                None => (if settling { FallbackLevel::Settle } else { FallbackLevel::Hold }, self.held(past, in_force)),
            }
        };
        self.on_safe = matches!(rung, FallbackLevel::Safe | FallbackLevel::Settle);
        self.write(past, &controls);
        let support = self.support(past);
        Ok(Decision { rung, controls, support, planned, follows_baseline })
    }

    /// What the plant's own controller does, untouched where it holds the hard limits: a shadow must not change the
    /// plant.
    fn own(&self, past: &Past, baseline: &[f64], in_force: &[f64]) -> Vec<f64> {
        let within = self.within(past, in_force, baseline);
        let each = baseline.iter().zip(&self.limits).zip(within);
        each.map(|((v, signal), within)| if signal.hard.contains(*v) { *v } else { within }).collect()
    }

    fn plan(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64], lost: bool) -> Result<Attempt> {
        if lost {
            self.mpc.forget();
            return Ok(Attempt::Failed);
        }
        let own = self.within(past, in_force, baseline);
        self.write(past, &self.beside(self.held(past, in_force), &own));
        let (row, failures) = (past.rows() - 1, self.mpc.failures());
        let window = past.window(self.dynamics.depth().max(self.mpc.depth()).max(2));
        let mut control = Control::new(self.mpc.signals().to_vec(), 1);
        self.mpc.act(&Observation { window: &window, step: row, forecast: past.forecast() }, &mut control)?;
        let failed = self.mpc.failures() > failures || control.values.iter().flatten().any(|v| !v.is_finite());
        if failed {
            self.mpc.forget();
            return Ok(Attempt::Failed);
        }
        let planned = self.whole(&control.signals, |i| control.values[i][0]);
        let wish = self.within(past, in_force, &self.beside(planned, &own));
        let mut moves = self.supported(past, own, in_force, wish)?;
        if moves.is_empty() {
            self.mpc.forget();
            return Ok(Attempt::Outside);
        }
        let best = (moves.len() > 1).then(|| {
            let observation = Observation { window: &window, step: row, forecast: past.forecast() };
            self.mpc.cheapest(&observation, &self.of_plan(&moves))
        });
        let wish = moves.swap_remove(best.flatten().unwrap_or(0));
        let wishes = (0..self.mpc.horizon()).map_while(|h| self.mpc.wished(h).map(<[f64]>::to_vec));
        self.write(past, &wish);
        self.kept = self.mpc.planned_at().map(|row| Kept { row, wishes: wishes.collect() });
        Ok(Attempt::Plan(wish))
    }

    /// What may be followed of the plan's first move, which is all of it where plans may leave the support: see
    /// [`supported`].
    fn supported(&self, past: &mut Past, own: Vec<f64>, in_force: &[f64], wish: Vec<f64>) -> Result<Vec<Vec<f64>>> {
        if self.footing.extrapolate {
            return Ok(vec![wish]);
        }
        let known = states_known(self.dynamics, |s| past.value(s, 0));
        let held = in_force.iter().all(|v| v.is_finite()).then(|| self.beside(self.held(past, in_force), &own));
        supported(own, held.into_iter().collect(), wish, known, |moves| {
            moves.copy_from_slice(&self.within(past, in_force, moves));
            self.write(past, moves);
            Ok(self.support(past))
        })
    }

    /// `values` of the controls that the plan moves, and `own` of the others, which the plant's own controller goes on to move.
    fn beside(&self, mut values: Vec<f64>, own: &[f64]) -> Vec<f64> {
        let each = values.iter_mut().zip(own).zip(&self.controls);
        each.filter(|(_, c)| !self.mpc.signals().contains(c)).for_each(|((v, own), _)| *v = *own);
        values
    }

    /// The controls of `last` at a later line of its step: what the plant's own controller moves goes on at its own pace.
    /// `in_force`: before the step.
    pub fn meanwhile(&self, past: &Past, in_force: &[f64], last: &Decision, baseline: &[f64]) -> Vec<f64> {
        match last.rung {
            FallbackLevel::Shadow if last.follows_baseline => self.own(past, baseline, in_force),
            _ if last.follows_baseline => self.within(past, in_force, baseline),
            FallbackLevel::Plan | FallbackLevel::LastPlan => {
                let told = baseline.iter().zip(&last.controls).map(|(b, c)| if b.is_finite() { *b } else { *c });
                let own = self.within(past, in_force, &told.collect::<Vec<f64>>());
                self.beside(last.controls.clone(), &own)
            }
            _ => last.controls.clone(),
        }
    }

    /// Whether the controls in force are known as far as they may move or switch only so far from there.
    fn may_move(&self, in_force: &[f64]) -> bool {
        let free = |limit: &Signal| limit.max_move == MoveLimit::NONE && limit.switching == Switching::NONE;
        self.limits.iter().zip(in_force).all(|(limit, force)| force.is_finite() || free(limit))
    }

    /// Values by control, NaN for those that are not among `signals`.
    fn whole(&self, signals: &[usize], value: impl Fn(usize) -> f64) -> Vec<f64> {
        let at = |c: &usize| signals.iter().position(|s| s == c);
        self.controls.iter().map(|c| at(c).map_or(f64::NAN, &value)).collect()
    }

    /// Of each of `moves`, by control, what the plan moves: in the order of its own.
    fn of_plan(&self, moves: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let planned = self.mpc.signals().iter();
        let at: Vec<usize> = planned.filter_map(|s| self.controls.iter().position(|c| c == s)).collect();
        moves.iter().map(|m| at.iter().map(|&i| m[i]).collect()).collect()
    }

    /// The rest of the last plan, as long as it reaches.
    fn rest(&self, past: &Past, baseline: &[f64], in_force: &[f64]) -> Option<Vec<f64>> {
        let kept = self.kept.as_ref()?;
        let wishes = kept.wishes.get((past.rows() - 1).checked_sub(kept.row)?)?;
        let planned = self.whole(self.mpc.signals(), |i| wishes[i]);
        Some(self.within(past, in_force, &self.beside(planned, baseline)))
    }

    /// The controls of the safe policy that the twin names; what it does not move, the plant's own controller does.
    fn safe(&mut self, past: &mut Past, baseline: &[f64], in_force: &[f64]) -> Result<Option<Vec<f64>>> {
        if self.safe.is_none() {
            return Ok(None);
        }
        self.write(past, &self.held(past, in_force));
        let Some(safe) = &mut self.safe else { return Ok(None) };
        let mut control = Control::new(safe.signals().to_vec(), 1);
        let window = past.window(self.dynamics.depth().max(safe.depth()).max(2));
        // a loop that was not in charge begins anew, from the controls in force
        let step = if self.on_safe { past.rows() } else { 0 };
        safe.act(&Observation { window: &window, step, forecast: past.forecast() }, &mut control)?;
        if control.values.iter().flatten().any(|v| !v.is_finite()) {
            return Ok(None);
        }
        let mut wish = self.whole(&control.signals, |i| control.values[i][0]);
        for (w, baseline) in wish.iter_mut().zip(baseline) {
            *w = if w.is_finite() { *w } else { *baseline };
        }
        Ok(Some(self.within(past, in_force, &wish)))
    }

    fn write(&self, past: &mut Past, controls: &[f64]) {
        for (&c, v) in self.controls.iter().zip(controls) {
            past.set(c, 0, *v);
        }
    }

    /// Of the present row with the controls in it.
    fn support(&self, past: &Past) -> Support {
        let window = past.window(self.dynamics.depth().max(2));
        self.dynamics.support(&window).first().copied().unwrap_or(Support::Outside)
    }
}
