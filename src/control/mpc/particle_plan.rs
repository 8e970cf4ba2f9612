//! The plan of one particle.

use super::branches::SimulatedBranches;
use super::end_value::end_values;
use super::evaluator::Evaluator;
use super::formulate::formulate;
use super::linearise::linearise;
use super::plan_gap::PlanGap;
use super::rollout::control_paths;
use super::setup::Setup;
use super::start::PlanStart;
use super::tighten::tighten;
use crate::control::planner::{Branches, CostFunction, Form, Linearisation, Model, Plan, Planner, Problem, project};

#[derive(Default)]
pub(super) struct ParticlePlan {
    pub plan: Option<Plan>,
    /// Controls until the next plan: `[replan][controls]`.
    pub path: Vec<f64>,
    /// State of the disturbance observer: `[targets]`.
    pub bias: Vec<f64>,
    /// Number of failed plans that have not yet been added to the total.
    pub failures: usize,
    /// Gaps of all plans so far.
    pub gap: PlanGap,
    pub end_values: Vec<SummedValue>,
}

/// The sum of the values of a store over several plans.
#[derive(Debug, Clone, Copy)]
pub(super) struct SummedValue {
    pub signal: usize,
    pub sum: f64,
    pub plans: usize,
}

impl ParticlePlan {
    /// Makes the next plan, `elapsed` steps after the last plan.
    pub fn plan(
        &mut self,
        setup: &Setup,
        planner: &dyn Planner,
        start: &PlanStart,
        elapsed: usize,
        evaluator: &mut Evaluator,
    ) {
        let (controls, blocks) = (setup.controls.len(), &setup.horizon.blocks);
        if let Some(last) = &mut self.plan {
            blocks.shift(&mut last.controls, controls, elapsed);
            last.memory.iter_mut().for_each(|m| blocks.shift(m, controls, elapsed));
        }
        let reference =
            self.plan.as_ref().map_or_else(|| start.previous.repeat(blocks.count()), |p| p.controls.clone());
        let out_of_time = setup.budget.start();
        begin_plan(setup, start, evaluator, &reference);
        for end in evaluator.end_values() {
            match self.end_values.iter_mut().find(|v| v.signal == end.signal) {
                Some(known) => (known.sum, known.plans) = (known.sum + end.value, known.plans + 1),
                None => self.end_values.push(SummedValue { signal: end.signal, sum: end.value, plans: 1 }),
            }
        }
        let mut cost_function = SimulatedCost { setup, start, evaluator };
        let mut problem = Problem {
            moves: blocks.count(),
            steps: blocks.lengths().collect(),
            // A control can move at every step of a block, so its move limit per block is the limit per step times the
            // length of the shortest block.
            constraints: setup
                .limits
                .controls
                .iter()
                .map(|l| l.constraints.per_move(blocks.shortest() as f64))
                .collect(),
            totals: setup.totals(start),
            previous: start.previous.clone(),
            since: start.since.clone(),
            scale: setup.limits.controls.iter().map(|l| l.scale).collect(),
            cost_function: &mut cost_function,
            key: start.key.fold(1),
            out_of_time: &out_of_time,
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
        if let Some(bound) = plan.bound {
            self.gap.add(plan.cost, bound);
        }
        control_paths(setup, start, std::slice::from_ref(&plan.controls), &mut self.path);
        self.path.truncate(setup.horizon.replan * controls);
        // The warm-start sequences of a failed plan are discarded, but its controls are kept, because they are needed
        // if the next plan also fails.
        self.plan = Some(Plan { memory: if failed { Vec::new() } else { plan.memory }, ..plan });
    }
}

/// Starts a new plan: computes the margins of the limits and the values of the stores for the sequence `reference`,
/// `[moves * controls]`.
pub(super) fn begin_plan(setup: &Setup, start: &PlanStart, evaluator: &mut Evaluator, reference: &[f64]) {
    evaluator.begin_plan(setup.futures(start));
    let margins = tighten(evaluator, setup, start, reference);
    evaluator.set_margins(margins);
    let values = end_values(evaluator, setup, start, reference);
    evaluator.set_end_values(values);
}

/// The cost of candidates in the simulated futures of one particle.
struct SimulatedCost<'a, 'p> {
    setup: &'a Setup<'p>,
    start: &'a PlanStart<'a>,
    evaluator: &'a mut Evaluator,
}

impl CostFunction for SimulatedCost<'_, '_> {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.evaluator.evaluate(self.setup, self.start, candidates, costs);
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        linearise(self.evaluator, self.setup, self.start, at)
    }

    fn formulate(&mut self, model: &mut Model, targets: &[Form], at: &[f64]) -> bool {
        formulate(self.evaluator, self.setup, self.start, model, targets, at)
    }

    fn branches(&mut self) -> Option<Box<dyn Branches + '_>> {
        Some(Box::new(SimulatedBranches::new(self.setup, self.start, self.evaluator)?))
    }
}
