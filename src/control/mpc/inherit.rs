//! MPC settings that a scenario inherits from the twin.

use super::resolved::ResolvedMpc;
use crate::config::MpcSpec;
use crate::resolve::{Faults, Names};

impl ResolvedMpc {
    /// Takes settings that are missing from the table `given` of a scenario from the table `[mpc]` of the twin, so that
    /// the scenario simulates the controller that `advise` and `control` run. Limits on computing time are not
    /// inherited, because results must not depend on the speed of the machine. Reports a fault if the scenario plans
    /// the order-up-to level of a control whose total the twin limits.
    pub(in crate::control) fn inherit(
        self,
        faults: &mut Faults<'_>,
        owner: &str,
        given: &MpcSpec,
        names: &Names<'_>,
    ) -> Self {
        let Some(table) = &names.spec().mpc else { return self };
        // faults in the twin are reported when the twin is checked
        let mut of_twin = Faults::new(names.file);
        let Some(twin) = Self::resolve(&mut of_twin, names, "[mpc]", table, &table.span) else { return self };
        let horizon = self.horizon.or(twin.horizon);
        let steps = horizon.zip(names.step()).map(|(horizon, step)| horizon.steps(step, 1));
        let mut controls = if given.controls.is_some() { self.controls } else { twin.controls };
        let named = self.totals.iter().map(|t| t.control).chain(self.base_stock.iter().map(|s| s.order));
        for control in named {
            if !controls.contains(&control) {
                controls.push(control);
            }
        }
        let (mut totals, mut base_stock) = (twin.totals, twin.base_stock);
        // A limit on the total of a plan is meaningful only for plans of the length for which it was specified.
        totals.retain(|t| controls.contains(&t.control) && (t.period.is_some() || given.horizon.is_none()));
        for stock in given.base_stock.iter().flatten().filter(|_| given.totals.is_none()) {
            let order = stock.order.value.as_str();
            if totals.iter().any(|t| names.spec().signals[t.control].name.value == order) {
                let message = format!(
                    "{owner}: `[mpc]` of the twin limits the total of `{order}`, but order-up-to levels cannot satisfy \
                     limits on totals"
                );
                let help = "remove `base_stock`, so that the order itself is planned, or write `totals = []` to ignore \
                            the limits in this case";
                faults.add("out-of-range", &stock.order.span, message, help);
            }
        }
        base_stock.retain(|s| controls.contains(&s.order) && self.totals.iter().all(|total| total.control != s.order));
        Self {
            controls,
            horizon,
            replan: self.replan.or(twin.replan.filter(|replan| horizon.is_none_or(|h| *replan <= h))),
            moves: self.moves.or(twin.moves.filter(|moves| steps.is_none_or(|steps| *moves <= steps))),
            risk: self.risk.or(twin.risk),
            pessimism: self.pessimism.or(twin.pessimism),
            particles: self.particles.or(twin.particles),
            correction: self.correction.or(twin.correction),
            within_log: self.within_log.or(twin.within_log),
            states_within_log: self.states_within_log.or(twin.states_within_log),
            forecast: self.forecast.or(twin.forecast),
            confidence: self.confidence.or(twin.confidence),
            cost_to_go: self.cost_to_go.or(twin.cost_to_go),
            planner: self.planner.or(twin.planner),
            totals: if given.totals.is_some() { self.totals } else { totals },
            base_stock: if given.base_stock.is_none() { base_stock } else { self.base_stock },
            ranks: if given.ranks.is_none() { twin.ranks } else { self.ranks },
            terminal: if given.terminal.is_none() { twin.terminal } else { self.terminal },
            stores: self.stores,
            stocks: self.stocks,
            budget: self.budget,
            settle: self.settle,
        }
    }
}
