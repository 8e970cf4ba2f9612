//! The delays after which the moves of a plan take effect.
//!
//! If a plan ends before a move takes effect, the plan includes only the cost of the move, or no
//! effect at all. The delays follow from the structure of the equations (lags, dead times and
//! integrations) and from the step responses of learned models.

use std::collections::{BTreeMap, BTreeSet};

use super::card::StepResponse;
use super::compiled::Compiled;
use crate::config::{ModelSpec, TimeSpan};
use crate::control::mpc::ResolvedMpc;
use crate::learn::Layout;
use crate::schema::{Bounds, Role, Schema};
use crate::trajectory::Trajectory;

/// A response is visible if it reaches this fraction of the largest response of the learned signal
/// (not tuned).
const VISIBLE: f64 = 0.02;
/// Recommended length of a plan as a multiple of the longest delay, so that at least half of the moves take effect
/// within the plan (not tuned).
const HORIZON_DELAYS: usize = 2;

/// The signal that a control affects last, among all signals that determine the cost of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Columns of the schema.
    pub control: usize,
    pub signal: usize,
    /// Number of steps after which a move of the control first changes the signal.
    pub steps: usize,
}

/// The lead times of a supply chain, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupplyChain {
    /// Sum of the lead times of all stages.
    pub total: usize,
    /// Lead time of the slowest stage.
    pub longest: usize,
}

impl SupplyChain {
    /// Number of steps that a plan should cover so that several orders at the far end of the chain take effect at its
    /// beginning.
    pub fn horizon(&self) -> usize {
        self.total + self.longest
    }

    /// Whether a plan of `horizon` steps ends before any order at the end of the chain takes effect at its beginning. A
    /// single stage is not a chain.
    pub fn exceeds(&self, horizon: usize) -> bool {
        self.total > self.longest && self.total >= horizon
    }
}

/// Whether the moves of a plan take effect before the plan ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The plan ends before any of its moves changes the signal.
    None,
    /// Only moves in the first half of the plan, or in a shorter initial part, can change the signal within the plan.
    Partial,
    Full,
}

impl Delay {
    /// How much of the delayed effect is visible in a plan of `horizon` steps.
    pub fn sight(&self, horizon: usize) -> Sight {
        match self.steps {
            steps if steps >= horizon => Sight::None,
            steps if HORIZON_DELAYS * steps > horizon => Sight::Partial,
            _ => Sight::Full,
        }
    }

    /// Number of steps that a plan should cover.
    pub fn horizon(&self) -> usize {
        HORIZON_DELAYS * self.steps
    }

    /// The advice to use a horizon that is long enough to cover the effects of the moves.
    pub fn help(&self, step: TimeSpan) -> String {
        format!("use a longer horizon, like `horizon = \"{}\"`", TimeSpan::from_steps(self.horizon(), step.ms()))
    }

    /// A clause that states which effects occur only after the end of a plan of `horizon` steps; `None` if the plan is
    /// long enough.
    pub fn text(&self, horizon: usize, schema: &Schema, step: TimeSpan) -> Option<String> {
        let name = |s: usize| &schema.signals[s].name;
        let (control, signal) = (name(self.control), name(self.signal));
        let span = |steps: usize| TimeSpan::from_steps(steps, step.ms());
        let (delay, length) = (span(self.steps), span(horizon));
        match self.sight(horizon) {
            Sight::None => Some(format!(
                "a plan of {length} ends before its moves take effect, because a move of `{control}` changes \
                 `{signal}` only {delay} later"
            )),
            Sight::Partial => Some(format!(
                "only the moves in the first {} of a plan of {length} can take effect within the plan, because a move \
                 of `{control}` changes `{signal}` only {delay} later",
                span(horizon - self.steps)
            )),
            Sight::Full => None,
        }
    }
}

impl Compiled {
    /// A clause that names a control whose values differ between the runs `case` and `baseline`, if the runs end before
    /// the difference takes effect.
    pub fn unseen_effect(
        &self,
        model: &ModelSpec,
        responses: &[StepResponse],
        case: &Trajectory,
        baseline: &Trajectory,
    ) -> Option<String> {
        let schema = &case.schema;
        let is_moved = |c: &usize| schema.signals[*c].role == Role::Control && case.differs(baseline, *c);
        let controls = (0..schema.len()).filter(is_moved).collect();
        let delays = self.delays(schema, model, responses, &ResolvedMpc { controls, ..ResolvedMpc::default() });
        let delay = delays.first().filter(|d| d.sight(case.steps) == Sight::None)?;
        let span = |steps: usize| TimeSpan::from_steps(steps, case.step_ms);
        Some(format!(
            "the scenario of {} is too short, because a change of `{}` affects `{}` only {} later",
            span(case.steps),
            schema.signals[delay.control].name,
            schema.signals[delay.signal].name,
            span(delay.steps)
        ))
    }

    /// The longest delay of each planned control, in descending order. Controls without any effect on the cost are
    /// omitted. `responses` are the step responses of the learned model. A learned signal without a step response is
    /// assumed to respond without dead time. The list is empty if plans have a learned terminal cost, because this cost
    /// includes later effects.
    pub fn delays(
        &self,
        schema: &Schema,
        model: &ModelSpec,
        responses: &[StepResponse],
        settings: &ResolvedMpc,
    ) -> Vec<Delay> {
        if settings.cost_to_go == Some(true) {
            return Vec::new();
        }
        let layout = Layout::new(schema, model, &self.equations);
        let cost_signals = self.cost_signals(schema, settings);
        let of_control = |&control: &usize| {
            let dead_time = |signal: usize| {
                let pair = (&schema.signals[control].name, &schema.signals[signal].name);
                let response = responses.iter().find(|r| (&r.control, &r.signal) == pair);
                response.map_or(0, |r| self.dead_time(r))
            };
            let after = self.response_times(schema, &layout, control, dead_time);
            let delays = cost_signals.iter().filter_map(|&(signal, lag)| {
                Some(Delay { control, signal, steps: after[signal]?.saturating_add_signed(lag) })
            });
            // A state or an output describes the effect better than the derived signals that depend on it.
            delays.max_by_key(|d| (d.steps, schema.signals[d.signal].role != Role::Derived))
        };
        let mut list: Vec<Delay> = settings.controls.iter().filter_map(of_control).collect();
        list.sort_by_key(|d| std::cmp::Reverse(d.steps));
        list
    }

    /// The lead times of the longest supply chain. Each stage orders only when its own stock is
    /// low, so an order at the end of the chain can satisfy the demand at its beginning only after
    /// the sum of the lead times. In the known balance of a stock, the order that replenishes the
    /// stock has a longer lag than the orders that the stock serves.
    pub fn chain(&self, settings: &ResolvedMpc) -> SupplyChain {
        let planned = |s: usize| settings.controls.contains(&s);
        let mut links: Vec<(usize, usize, usize)> = Vec::new();
        for balance in self.equations.next.iter().filter(|n| n.program.reads.contains(&(n.signal, 0))) {
            let reads = balance.program.inlined(&|s| self.equations.derived_program(s)).reads;
            let orders: Vec<(usize, usize)> = reads.into_iter().filter(|r| planned(r.0)).collect();
            for &(order, lag) in &orders {
                let served = orders.iter().filter(|o| o.0 != order && o.1 < lag).map(|o| (order, o.0, lag + 1));
                links.extend(served);
                links.push((order, order, lag + 1));
            }
        }
        // Finds the longest path to each order, which has at most as many links as there are orders.
        let mut leads: BTreeMap<usize, usize> = BTreeMap::new();
        for _ in 0..settings.controls.len() {
            let before = leads.clone();
            for &(order, served, lead) in &links {
                let later = if order == served { 0 } else { before.get(&served).copied().unwrap_or(0) };
                let own = leads.entry(order).or_default();
                *own = (*own).max(lead + later);
            }
        }
        let total = leads.into_values().max().unwrap_or(0);
        SupplyChain { total, longest: links.iter().map(|l| l.2).max().unwrap_or(0) }
    }

    /// Columns of the states with a known balance that a planned control changes directly.
    pub fn managed(&self, settings: &ResolvedMpc) -> Vec<usize> {
        let derived = |s: usize| self.equations.derived_program(s);
        let is_managed = |reads: Vec<(usize, usize)>| reads.iter().any(|(s, _)| settings.controls.contains(s));
        let balances = self.equations.next.iter().filter(|n| n.program.reads.contains(&(n.signal, 0)));
        balances.filter(|n| is_managed(n.program.inlined(&derived).reads)).map(|n| n.signal).collect()
    }

    /// The planned controls that are amounts per step, such as orders. They are added to a stock,
    /// or taken from a stock, that retains its content.
    pub fn amounts(&self, settings: &ResolvedMpc) -> Vec<usize> {
        let balances = self.equations.next.iter().filter(|n| settings.stocks.contains(&n.signal));
        let derived = |s: usize| self.equations.derived_program(s);
        let read: Vec<usize> = balances.flat_map(|n| n.program.inlined(&derived).reads).map(|(s, _)| s).collect();
        settings.controls.iter().copied().filter(|c| read.contains(c)).collect()
    }

    /// Columns of the states that act as stores and whose content at the end of a plan has no
    /// price. A store is a known balance that the planned controls change. The content of such a
    /// store affects the cost of a plan only through limits on the store, or because the content
    /// limits a control. The list is empty if the settings include a terminal cost or price.
    pub fn unpriced_stores(&self, schema: &Schema, model: &ModelSpec, settings: &ResolvedMpc) -> Vec<usize> {
        if settings.cost_to_go == Some(true) || !settings.terminal.is_empty() || self.objective.terms.is_empty() {
            return Vec::new();
        }
        let layout = Layout::new(schema, model, &self.equations);
        let cost_signals = self.cost_signals(schema, settings);
        let derived = |s: usize| self.equations.derived_program(s);
        let priced = |s: usize| {
            let mut terms = self.objective.terms.iter().filter(|(_, price)| *price != 0.0);
            terms.any(|(kpi, _)| kpi.depends_beyond_limits(s, &settings.controls, &derived))
        };
        let changed = |s: usize| {
            let times = |c: &usize| self.response_times(schema, &layout, *c, |_| 0)[s];
            settings.controls.iter().any(|c| times(c).is_some())
        };
        let matters = |s: usize| cost_signals.iter().any(|&(signal, _)| signal == s);
        let stores = self.equations.next.iter().filter(|n| !n.has_residual && n.program.reads.contains(&(n.signal, 0)));
        stores.map(|n| n.signal).filter(|&s| !priced(s) && changed(s) && matters(s)).collect()
    }

    /// Number of steps after which a step response becomes visible; zero if there is no response.
    fn dead_time(&self, response: &StepResponse) -> usize {
        let largest = response.mean.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let first = response.mean.iter().position(|v| largest > 0.0 && v.abs() >= VISIBLE * largest);
        first.map_or(0, |i| (response.hours[i] * 3600.0 / self.scope.dt).round() as usize)
    }

    /// The signals on which the cost of a plan depends, as pairs (signal, lag). A limit on a state applies to the next
    /// value of the state, so the lag of the state is −1.
    fn cost_signals(&self, schema: &Schema, settings: &ResolvedMpc) -> Vec<(usize, isize)> {
        let mut found: BTreeSet<(usize, usize)> = BTreeSet::new();
        let own = self.objective.terms.iter().map(|(kpi, price)| (kpi, *price));
        let terminal = settings.terminal.iter().map(|&(kpi, price)| (&self.kpis[kpi], price));
        for (kpi, _) in own.chain(terminal).filter(|(_, price)| *price != 0.0) {
            self.expand(schema, &kpi.lagged_reads(), 0, &mut found);
        }
        let limits = schema.signals.iter().enumerate().filter_map(|(s, signal)| {
            let is_limited = signal.hard != Bounds::OPEN || settings.ranks.iter().any(|(ranked, _)| *ranked == s);
            match signal.role {
                Role::State if is_limited => Some((s, -1)),
                Role::Output | Role::Derived if is_limited => Some((s, 0)),
                _ => None,
            }
        });
        found.into_iter().map(|(signal, lag)| (signal, lag.cast_signed())).chain(limits).collect()
    }

    /// Adds the pairs (signal, lag) in `reads` to `found`. If a pair refers to a derived signal, the pairs in the
    /// expression of this signal are added as well. `offset` is added to all lags. If a state, an output or an
    /// input is read with several lags, only the smallest lag is added. For a control or a derived signal, the smallest
    /// lag of each range of consecutive lags is added, because different ranges may belong to different effects. For
    /// example, an order causes a cost when it is placed, and the goods arrive after the lead time.
    fn expand(&self, schema: &Schema, reads: &[(usize, usize)], offset: usize, found: &mut BTreeSet<(usize, usize)>) {
        for &(signal, lag) in reads {
            let separate = matches!(schema.signals[signal].role, Role::Control | Role::Derived);
            let is_repeated = reads.iter().any(|&(s, l)| s == signal && if separate { l + 1 == lag } else { l < lag });
            if is_repeated || !found.insert((signal, offset + lag)) {
                continue;
            }
            if let Some(program) = self.equations.derived_program(signal) {
                self.expand(schema, &program.reads, offset + lag, found);
            }
        }
    }

    /// Number of steps after which a move of `control` first changes each signal; `None` if it never does. A learned
    /// signal changes at the earliest after its `dead_time`.
    fn response_times(
        &self,
        schema: &Schema,
        layout: &Layout,
        control: usize,
        dead_time: impl Fn(usize) -> usize,
    ) -> Vec<Option<usize>> {
        let next = &self.equations.next;
        // Triples of cause, effect, and delay in steps.
        let mut effects: Vec<(usize, usize, usize)> = Vec::new();
        for d in self.equations.derived() {
            effects.extend(d.program.reads.iter().map(|&(s, lag)| (s, d.signal, lag)));
        }
        for n in next {
            effects.extend(n.program.reads.iter().map(|&(s, lag)| (s, n.signal, lag + 1)));
        }
        let mut earliest = vec![0; schema.len()];
        for target in &layout.targets {
            let (signal, ahead) = (target.signal(), usize::from(target.is_next()));
            effects.extend(layout.inputs.iter().map(|&(s, lag)| (s, signal, lag + ahead)));
            let has_equation = next.iter().any(|n| n.signal == signal);
            earliest[signal] = if has_equation { 0 } else { dead_time(signal) };
        }
        let mut times: Vec<Option<usize>> = vec![None; schema.len()];
        times[control] = Some(0);
        let mut changed = true;
        while changed {
            changed = false;
            for &(cause, effect, steps) in &effects {
                let Some(time) = times[cause].map(|t| (t + steps).max(earliest[effect])) else { continue };
                if effect != control && times[effect].is_none_or(|known| time < known) {
                    times[effect] = Some(time);
                    changed = true;
                }
            }
        }
        times
    }
}

#[cfg(test)]
#[path = "../../tests/unit/scenario/delay.rs"]
mod tests;
