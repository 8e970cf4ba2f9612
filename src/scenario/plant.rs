//! A plant with its log, twin and model card, and with equations and KPIs compiled for a scenario.

use std::sync::Arc;

pub use super::compiled::Compiled;
use super::delay::Delay;
use super::results::ModelCard;
use crate::config::{ForecastSpec, Loaded, PlannerSpec, TimeSpan, TwinSpec};
use crate::control::mpc::{ResolvedMpc, TunedMpc, has_switched_control, select_planner};
use crate::control::{Clock, Context, LiveSettings};
use crate::error::Result;
use crate::expr::Registers;
use crate::log::Quality;
use crate::resolve::Names;
use crate::schema::{Role, Schema};
use crate::stats::{quantile_type_6, sorted_finite};
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Twin};
use crate::value::TerminalCost;

/// Maximum number of history steps before a run, for lags, forecasts and controllers. The value corresponds to two
/// weeks of one-minute steps, which is longer than any span that `sum` accepts.
pub const HISTORY: usize = 20_160;

/// A state is a store if at least this fraction of its content is left at the end of a plan (not tuned).
const RETENTION: f64 = 0.5;
/// Length of plans that contain stores and are computed exactly, as a multiple of the control horizon (see
/// docs/plans.md).
const STORE_HORIZONS: usize = 2;
/// Maximum number of steps of a plan whose length is the season of the prices (not tuned).
const MOST_SEASON: usize = 288;
const DAY_MS: i64 = 86_400_000;
/// Approximate number of rows of the log at which the retention of a state is computed (not tuned).
const RETENTION_ROWS: usize = 50;

/// A plant, with the data shared by all of its scenarios.
pub struct Plant {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// The cleaned log with complete derived signals.
    pub log: Trajectory,
    pub quality: Quality,
    /// Equations and KPIs with the twin's own parameters.
    pub compiled: Compiled,
    pub twin: Twin,
    pub card: ModelCard,
    /// BLAKE3 hash of the file `twin.toml`.
    pub config_hash: String,
}

impl Plant {
    /// Number of steps of the plant's time grid in `span`.
    pub fn steps(&self, span: TimeSpan) -> usize {
        span.steps(self.spec.value.step.value, 1)
    }

    /// The names in the twin to which controller settings can refer.
    pub fn names(&self) -> Names<'_> {
        Names::new(&self.spec)
    }

    /// The settings in the twin's `[mpc]` table, which `control` and `advise` use with the objective in `compiled`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) with the faults in `[mpc]`.
    pub fn live(&self, compiled: &Compiled) -> Result<LiveSettings> {
        let LiveSettings { mpc, safe } = LiveSettings::from_twin(&self.spec)?;
        Ok(LiveSettings { mpc: self.tuned(mpc, compiled), safe })
    }

    /// Fills in the tuned values for settings that are omitted in the file. If nothing was tuned,
    /// or if the tuned terminal cost was learned for a different objective, plans have the control
    /// horizon of the model, or a longer horizon if they would otherwise end before their moves
    /// take effect.
    pub fn tuned(&self, settings: ResolvedMpc, compiled: &Compiled) -> ResolvedMpc {
        let objective = &compiled.objective;
        let setting = self.card.tuned.as_ref().filter(|_| self.spec.value.tunes()).map(|t| &t.setting);
        let own = settings.horizon.is_some();
        let learned = self.terminal_cost().is_some_and(|t| t.is_for(objective));
        // Tuned settings other than `correction` apply only together with the tuned horizon.
        let applicable = setting.filter(|s| !own && (learned || !s.cost_to_go));
        let replan = match settings.replan {
            Some(replan) => self.steps(replan),
            None => applicable.map_or(1, |s| s.replan),
        };
        let least = self.delay(&settings, compiled).map_or(0, |d| d.horizon()).max(compiled.chain(&settings).horizon());
        let steps = applicable.map_or(self.card.horizon.max(least), |s| s.horizon).max(replan);
        let mut stores = compiled.unpriced_stores(&self.schema, &self.spec.value.model, &settings);
        let horizon = settings.horizon.map_or(steps, |h| self.steps(h));
        stores.retain(|&s| self.retention(compiled, s).powf(horizon as f64) >= RETENTION);
        let keeps_all = |s: &usize| (self.retention(compiled, *s) - 1.0).abs() < 1e-9;
        let stocks = compiled.equations.next.iter().map(|n| n.signal).filter(keeps_all).collect();
        let span = |steps| TimeSpan::from_steps(steps, self.log.step_ms);
        let tuned = ResolvedMpc {
            replan: settings.replan.or(Some(span(replan))),
            cost_to_go: settings.cost_to_go.or(applicable.map(|s| s.cost_to_go)),
            horizon: settings.horizon.or(Some(span(steps))),
            moves: match settings.moves {
                Some(moves) => Some(if own { moves } else { moves.min(steps) }),
                None => applicable.map(|s| s.moves),
            },
            correction: settings.correction.or(setting.map(|s| s.correction)),
            stores,
            stocks,
            ..settings
        };
        if own || applicable.is_some() {
            return tuned;
        }
        // Plans that contain stores look further ahead, because the value of a store at the end of a plan is uncertain.
        // The known balance equations do not limit the horizon. If there are switched controls, planning more steps
        // would take too long.
        let planned = tuned.planned_objective(objective, &compiled.kpis);
        let planner = select_planner(&tuned, &self.twin, &planned);
        let is_fast = matches!(planner, PlannerSpec::Milp { .. } | PlannerSpec::Qp { .. }) && !tuned.stores.is_empty();
        let longer = if is_fast && !has_switched_control(&tuned, &self.twin) { STORE_HORIZONS * steps } else { steps };
        let season = self.season(compiled);
        let keeps = |s: &usize| self.retention(compiled, *s).powf(season as f64) >= RETENTION;
        let longer = if compiled.managed(&tuned).iter().any(keeps) { longer.max(season) } else { longer };
        let mut stores = tuned.stores;
        stores.retain(|&s| self.retention(compiled, s).powf(longer as f64) >= RETENTION);
        ResolvedMpc { horizon: Some(span(longer)), stores, ..tuned }
    }

    /// Season in steps of the disturbances on which the cost depends, such as prices. A season
    /// that is declared for a forecast is used, but limited to one day. If the season is estimated,
    /// one day is used. Returns zero if there is no such disturbance, or if a plan of this length
    /// would have more than [`MOST_SEASON`] steps.
    fn season(&self, compiled: &Compiled) -> usize {
        let priced = compiled.objective.terms.iter().filter(|(_, price)| *price != 0.0);
        let read: Vec<usize> = priced.flat_map(|(kpi, _)| kpi.reads()).collect();
        let day = DAY_MS / self.log.step_ms.max(1);
        let of_signal = |s: usize| {
            let signal = &self.schema.signals[s];
            let is_constant = compiled.equations.constants.iter().any(|c| c.signal == s);
            let spec = self.spec.value.signals.iter().find(|spec| spec.name.value == signal.name)?;
            let period = match spec.forecast.as_ref().map(|f| f.value) {
                Some(ForecastSpec::Seasonal(season)) => (self.steps(season) as i64).min(day),
                Some(ForecastSpec::Persistence) => return None,
                Some(ForecastSpec::Learned | ForecastSpec::Perfect) | None => day,
            };
            (signal.role == Role::Disturbance && !is_constant).then_some(period)
        };
        longest_season(self.twin.sources(&read).into_iter().filter_map(of_signal))
    }

    /// The longest delay with which a control that is planned with `settings` affects the cost of a plan.
    pub fn delay(&self, settings: &ResolvedMpc, compiled: &Compiled) -> Option<Delay> {
        let model = &self.spec.value.model;
        compiled.delays(&self.schema, model, &self.card.responses, settings).first().copied()
    }

    /// Columns of the states with a known balance in which at least [`RETENTION`] of an added unit
    /// remains after the control horizon.
    pub fn stores(&self, compiled: &Compiled) -> Vec<usize> {
        let balances = compiled.equations.next.iter().filter(|n| n.program.reads.contains(&(n.signal, 0)));
        let keeps = |s: &usize| self.retention(compiled, *s).powf(self.card.horizon as f64) >= RETENTION;
        balances.map(|n| n.signal).filter(keeps).collect()
    }

    /// Fraction of an added unit of the `state` that remains after one step: the median derivative of the known
    /// equation over rows of the log.
    fn retention(&self, compiled: &Compiled, state: usize) -> f64 {
        let Some(equation) = compiled.equations.next.iter().find(|n| n.signal == state) else { return 0.0 };
        let derived = |s: usize| compiled.equations.derived_program(s);
        let program = equation.program.inlined(&derived);
        let (mut registers, depth) = (Registers::default(), program.depth() + 1);
        let range = self.twin.extremes(state);
        let change = Some(1e-3 * (range.high - range.low)).filter(|c| c.is_finite() && *c > 0.0).unwrap_or(1e-3);
        let rows = (depth..self.log.steps).step_by((self.log.steps / RETENTION_ROWS).max(1));
        let slopes = rows.filter_map(|row| {
            let mut past = self.log.part(row + 1 - depth..row + 1);
            let mut value = |past: &Trajectory| {
                let mut value = [0.0];
                program.eval(&past.frame(depth - 1, 0), &mut registers, &mut value);
                value[0]
            };
            let before = value(&past);
            past.columns[state][depth - 1] += change;
            Some((value(&past) - before) / change).filter(|slope| slope.is_finite())
        });
        let slopes = sorted_finite(&slopes.collect::<Vec<f64>>());
        quantile_type_6(&slopes, 0.5).clamp(0.0, 1.0)
    }

    /// The context for building controllers, with the equations and KPIs in `compiled`.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for an unknown time zone.
    pub fn context<'a>(
        &'a self,
        compiled: &'a Compiled,
        seed: Option<u64>,
        clock: Option<&'a Clock>,
    ) -> Result<Context<'a>> {
        Ok(Context {
            schema: &self.schema,
            dynamics: &self.twin,
            objective: &compiled.objective,
            kpis: &compiled.kpis,
            terminal_cost: self.terminal_cost(),
            timezone: self.spec.value.zone()?,
            seed: seed.unwrap_or(self.spec.value.model.seed.value),
            clock,
            cross_fitted: false,
        })
    }

    /// A warning if the tuned controller performed worse in closed loop than the logged operation.
    pub fn warning(&self) -> Option<String> {
        self.card.tuned.as_ref().filter(|_| self.spec.value.tunes()).and_then(TunedMpc::warning)
    }

    /// The terminal cost that was learned from the log, if any.
    pub fn terminal_cost(&self) -> Option<&TerminalCost> {
        self.card.tuned.as_ref()?.terminal_cost.as_ref()
    }

    /// The `steps` rows of the log that begin with row `start`, preceded by at most [`HISTORY`] rows of history.
    /// Returns a pair: the number of history rows, and the trajectory.
    pub fn slice(&self, start: usize, steps: usize) -> (usize, Trajectory) {
        let past = start.min(HISTORY);
        (past, self.log.part(start - past..start + steps))
    }
}

/// The longest of the `seasons`, in steps, for which a plan has at least 2 and at most [`MOST_SEASON`] steps. Zero if there
/// is none.
fn longest_season(seasons: impl Iterator<Item = i64>) -> usize {
    let usable = seasons.filter_map(|steps| usize::try_from(steps).ok().filter(|s| (2..=MOST_SEASON).contains(s)));
    usable.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of 1 min: the season of one price is estimated as a day, and that of the other is declared as 2 h.
    #[test]
    fn a_season_that_is_too_long_does_not_hide_a_shorter_one() {
        assert_eq!(longest_season([1_440, 120].into_iter()), 120);
        assert_eq!(longest_season([24, 12, 1].into_iter()), 24);
        assert_eq!(longest_season([1_440, 1].into_iter()), 0);
    }
}
