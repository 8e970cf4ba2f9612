//! One particle's plan.

use super::optimism::OptimismCheck;
use super::rollout::{Start, Workspace, paths};
use super::setup::Setup;
use crate::control::planner::{CostFunction, Linearisation, Plan, Planner, Problem, project};

/// One particle's plan.
#[derive(Default)]
pub(super) struct ParticlePlan {
    pub plan: Option<Plan>,
    /// Controls until the next plan: `[replan][controls]`.
    pub path: Vec<f64>,
    /// How wrong the model has been lately: `[targets]`.
    pub bias: Vec<f64>,
    pub failures: usize,
    /// Of the last plan.
    pub optimism_check: OptimismCheck,
}

impl ParticlePlan {
    /// Makes the next plan; `again`: and looks at what it promises in futures that it was not made for.
    pub fn plan(
        &mut self,
        setup: &Setup,
        planner: &dyn Planner,
        start: &Start,
        elapsed: usize,
        again: bool,
        workspace: &mut Workspace,
    ) {
        let controls = setup.controls.len();
        if let Some(last) = &mut self.plan {
            setup.blocks.shift(&mut last.controls, controls, elapsed);
            last.memory.iter_mut().for_each(|m| setup.blocks.shift(m, controls, elapsed));
        }
        workspace.begin_plan(setup.futures(start));
        match &self.plan {
            Some(last) => workspace.tighten(setup, start, &last.controls),
            None => workspace.tighten(setup, start, &start.previous.repeat(setup.blocks.count())),
        }
        let mut price = InFutures { setup, start, workspace };
        // In one block a control can ramp for its whole length.
        let block = setup.blocks.shortest() as f64;
        let began = setup.clock.map(|clock| clock());
        let late = || match (began, setup.clock, setup.budget) {
            (Some(began), Some(clock), Some(budget)) => clock().saturating_sub(began) >= budget,
            _ => false,
        };
        let mut problem = Problem {
            moves: setup.blocks.count(),
            steps: setup.blocks.lengths().collect(),
            allowed: setup.limits.iter().map(|l| l.allowed.per_move(block)).collect(),
            totals: setup.totals.clone(),
            previous: start.previous.clone(),
            since: start.since.clone(),
            scale: setup.limits.iter().map(|l| l.scale).collect(),
            price: &mut price,
            key: start.key.fold(1),
            late: &late,
        };
        let mut plan = planner.plan(&mut problem, self.plan.as_ref());
        let failed = !plan.cost.is_finite();
        if failed {
            self.failures += 1;
            if let Some(last) = &self.plan {
                plan.controls.clone_from(&last.controls);
                project(&problem, &mut plan.controls);
            }
        }
        self.optimism_check = OptimismCheck::default();
        if again && !failed {
            let mut held: Vec<f64> = start.previous.iter().copied().cycle().take(plan.controls.len()).collect();
            project(&problem, &mut held);
            self.optimism_check = optimism_check(setup, start, workspace, &[plan.controls.clone(), held]);
        }
        let sequence = std::slice::from_ref(&plan.controls);
        paths(setup, start, sequence, &mut self.path);
        self.path.truncate(setup.replan * controls);
        // After a failure nothing is known to be good: the next plan starts afresh, yet may fall back on this one.
        self.plan = Some(Plan { memory: if failed { Vec::new() } else { plan.memory }, ..plan });
    }
}

/// What a plan saves against holding the controls (the pair), in the futures that it was made for and in others; nothing where
/// there are no others.
fn optimism_check(setup: &Setup, start: &Start, workspace: &mut Workspace, pair: &[Vec<f64>; 2]) -> OptimismCheck {
    let Some(unseen) = workspace.futures().unseen(setup.dynamics.members()) else { return OptimismCheck::default() };
    let promised = workspace.saving(setup, start, pair);
    workspace.begin_plan(unseen);
    OptimismCheck { plans: 1, promised, kept: workspace.saving(setup, start, pair) }
}

/// What candidates cost over the simulated futures of one particle.
struct InFutures<'a, 'p> {
    setup: &'a Setup<'p>,
    start: &'a Start<'a>,
    workspace: &'a mut Workspace,
}

impl CostFunction for InFutures<'_, '_> {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.workspace.price(self.setup, self.start, candidates, costs);
    }

    fn near(&mut self, at: &[f64]) -> Option<Linearisation> {
        self.workspace.near(self.setup, self.start, at)
    }
}
