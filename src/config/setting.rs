//! What is wrong with settings of MPC by themselves, whatever the plant.

use std::ops::Range;

use super::{At, MpcSpec, PlannerSpec, TimeSpan, TotalSpec};

/// One setting at fault, in whatever file it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    pub code: &'static str,
    /// Byte range of the setting.
    pub span: Range<usize>,
    pub message: String,
    pub help: String,
}

/// A share of at least `least` that someone may have written in per cent.
fn share(value: f64, least: f64, key: &str, otherwise: &str) -> String {
    if value > 1.0 && value < 100.0 && value / 100.0 >= least {
        format!("write a share, not per cent: `{key} = {}`", value / 100.0)
    } else {
        otherwise.to_owned()
    }
}

impl MpcSpec {
    /// All faults of its values, in a plant with this sample time (`None`: not known).
    pub fn faults(&self, step: Option<TimeSpan>) -> Vec<SettingFault> {
        let mut list = Vec::new();
        let mut add = |code, span: &Range<usize>, message: String, help: String| {
            list.push(SettingFault { code, span: span.clone(), message, help });
        };
        let horizon = self.horizon.as_ref();
        if let (Some(step), Some(horizon)) = (step, horizon)
            && horizon.value < step
        {
            let message = format!("the horizon {} is shorter than the step {step}", horizon.value);
            add("too-short", &horizon.span, message, "write some steps, like `horizon = \"4h\"`".into());
        }
        if let Some(replan) = &self.replan {
            if let Some(horizon) = horizon.filter(|h| replan.value > h.value) {
                let message = format!("plans are {} apart, but reach only {} ahead", replan.value, horizon.value);
                add("too-long", &replan.span, message, "`replan` must not be longer than `horizon`".into());
            } else if let Some(step) = step.filter(|s| replan.value < *s) {
                let message = format!("`replan` {} is shorter than the step {step}", replan.value);
                add("too-short", &replan.span, message, format!("write at least `replan = \"{step}\"`"));
            }
        }
        if let Some(risk) = self.risk.as_ref().filter(|r| !(r.value > 0.0 && r.value < 1.0)) {
            let message = format!("`risk` is a quantile between 0 and 1, here it is {}", risk.value);
            let help = share(**risk, 0.0, "risk", "0.5 is the median, 0.95 is cautious");
            add("out-of-range", &risk.span, message, help);
        }
        if let Some(p) = self.confidence.as_ref().filter(|p| !(0.5..1.0).contains(&p.value)) {
            let message = format!("`confidence` is a probability from 0.5 to below 1, here it is {}", p.value);
            let help = share(**p, 0.5, "confidence", "0.95 is usual; without it plans keep no distance");
            add("out-of-range", &p.span, message, help);
        }
        if let Some(weight) = self.pessimism.as_ref().filter(|p| !(0.0..=100.0).contains(&p.value)) {
            let message = format!("`pessimism` must lie between 0 and 100, here it is {}", weight.value);
            add("out-of-range", &weight.span, message, "1 is usual, 0 trusts the model everywhere".into());
        }
        if let Some(part) = self.correction.as_ref().filter(|c| !(0.0..=1.0).contains(&c.value)) {
            let message = format!("`correction` is a share from 0 to 1, here it is {}", part.value);
            let usual = "0 trusts the model, 0.1 is usual, 1 takes all of its last error to last";
            add("out-of-range", &part.span, message, share(**part, 0.0, "correction", usual));
        }
        if let (Some(c), Some(false)) =
            (self.cost_to_go.as_ref().filter(|c| c.value), self.tune.as_ref().map(|t| t.value))
        {
            let message = "`cost_to_go` is learned where plans are tuned, and `tune` is false".to_owned();
            add("missing-value", &c.span, message, "remove one of the two".into());
        }
        if let Some(budget) = self.budget.as_ref().filter(|b| b.ms() <= 0) {
            let message = format!("a plan cannot be made within {}", budget.value);
            add("out-of-range", &budget.span, message, "write e.g. `budget = \"200ms\"`, or remove it".into());
        }
        if let Some(n) = self.particles.as_ref().filter(|n| !(1..=1000).contains(&n.value)) {
            let message = format!("`particles` of a plan must lie between 1 and 1000, here it is {}", n.value);
            add("out-of-range", &n.span, message, "write e.g. `particles = 4`".into());
        }
        if let Some(n) = &self.moves {
            let steps = step.and_then(|step| Some(horizon?.steps(step, 1))).unwrap_or(usize::MAX);
            if **n == 0 {
                add("out-of-range", &n.span, "`moves` must be 1 or more".into(), "write e.g. `moves = 6`".into());
            } else if **n > steps {
                let message = format!("{} moves do not fit into a horizon of {steps} steps", n.value);
                add("out-of-range", &n.span, message, format!("write at most `moves = {steps}`"));
            }
        }
        for rank in self.ranks.values().filter(|r| !(1..=3).contains(&r.value)) {
            let message = format!("a rank is 1, 2 or 3, here it is {}", rank.value);
            add("out-of-range", &rank.span, message, "write 1 for what is kept first".into());
        }
        for price in self.terminal.values().filter(|p| !p.is_finite()) {
            let message = format!("{} is no price", price.value);
            add("out-of-range", &price.span, message, "write money per unit of the KPI, like `-1.0`".into());
        }
        let moved = |name: &str| self.controls.as_ref().is_none_or(|c| c.iter().any(|c| c.value == name));
        for stock in &self.base_stock {
            if !moved(&stock.order) {
                let message = format!("the plan does not move `{}`", stock.order.value);
                add("unknown-signal", &stock.order.span, message, "name it in `controls`, too".into());
            }
            let [low, high] = stock.level.value;
            if !(low.is_finite() && high.is_finite() && low < high) {
                let help = if high < low {
                    format!("write the lower level first: `level = [{high}, {low}]`")
                } else {
                    "write `level = [lowest, highest]`, like `level = [20, 200]`".to_owned()
                };
                let message = format!("levels from {low} to {high} are no range");
                add("out-of-range", &stock.level.span, message, help);
            }
        }
        for total in &self.totals {
            let control = &total.control;
            if !moved(control) {
                let message = format!("the plan does not move `{}`, whose total it is to limit", control.value);
                add("unknown-signal", &control.span, message, "name it in `controls`, too".into());
            } else if self.base_stock.iter().any(|s| s.order.value == control.value) {
                let message = format!("the plan moves the level of `{}`, whose total it cannot know", control.value);
                add("out-of-range", &control.span, message, "remove the total, or the entry of `base_stock`".into());
            }
            judge_total(total, &mut add);
        }
        if let Some(planner) = &self.planner {
            planner.faults(&mut add);
        }
        list
    }
}

/// Takes in a fault: code, place, message, help.
type Add<'a> = dyn FnMut(&'static str, &Range<usize>, String, String) + 'a;

fn judge_total(total: &At<TotalSpec>, add: &mut Add) {
    if let Some(per) = total.per.as_ref().filter(|p| p.ms() <= 0) {
        let help = "write e.g. `per = \"1d\"`, or remove it: for the whole horizon";
        add("out-of-range", &per.span, format!("a total per {} is none", per.value), help.into());
    }
    for (key, end) in [("at_least", &total.at_least), ("at_most", &total.at_most)] {
        if let Some(end) = end.as_ref().filter(|e| e.is_nan()) {
            add("out-of-range", &end.span, format!("`{key}` is no number"), format!("write e.g. `{key} = 400`"));
        }
    }
    match (&total.at_least, &total.at_most) {
        (None, None) => {
            let message = format!("the total of `{}` has no limit", total.control.value);
            add("missing-value", &total.span, message, "write `at_most`, `at_least`, or both".into());
        }
        (Some(least), Some(most)) if **least > **most => {
            let message = format!("the total is to be at least {} and at most {}", least.value, most.value);
            let help = format!("write the lower one first: `at_least = {}, at_most = {}`", most.value, least.value);
            add("out-of-range", &least.span, message, help);
        }
        _ => {}
    }
}

impl PlannerSpec {
    fn faults(&self, add: &mut Add) {
        let mut within = |key: &str, at: &At<f64>, least: f64, most: f64, usual: &str| {
            if !(least..=most).contains(&at.value) {
                let range = if least == f64::MIN_POSITIVE {
                    format!("be above 0 and at most {most}")
                } else {
                    format!("lie between {least} and {most}")
                };
                let message = format!("`{key}` must {range}, here it is {}", at.value);
                add("out-of-range", &at.span, message, format!("{usual} is usual"));
            }
        };
        let count = |at: &At<usize>| At { value: at.value as f64, span: at.span.clone() };
        match self {
            PlannerSpec::GaussNewton { iterations, starts } => {
                within("iterations", &count(iterations), 0.0, 100.0, "3");
                within("starts", &count(starts), 1.0, 100.0, "1 or 2");
            }
            PlannerSpec::Gradient { iterations, memory } => {
                within("iterations", &count(iterations), 1.0, 1000.0, "8");
                within("memory", &count(memory), 1.0, 100.0, "6");
            }
            PlannerSpec::Qp { iterations } => within("iterations", &count(iterations), 1.0, 100.0, "3"),
            PlannerSpec::RandomShooting { population, .. } => {
                within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
            }
            PlannerSpec::Mcts { population, levels, .. } => {
                within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
                within("levels", &count(levels), 2.0, 1000.0, "3 to 9");
            }
            PlannerSpec::Mppi { population, iterations, temperature, smoothing, decay, .. } => {
                within("population", &count(population), 4.0, 100_000.0, "64 to 500");
                within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
                within("temperature", temperature, 1e-6, 1e6, "0.1");
                within("smoothing", smoothing, 0.01, 1.0, "0.6");
                within("decay", decay, 0.01, 1.0, "0.8");
            }
            PlannerSpec::Cem { population, elites, iterations, smoothing, .. }
            | PlannerSpec::Icem { population, elites, iterations, smoothing, .. } => {
                within("population", &count(population), 4.0, 100_000.0, "64 to 500");
                within("elites", elites, f64::MIN_POSITIVE, 0.5, "0.1");
                within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
                within("smoothing", smoothing, 0.0, 0.99, "0.1");
            }
        }
        if let PlannerSpec::Icem { beta, decay, keep, .. } = self {
            within("beta", beta, 0.0, 8.0, "2 to 4 for slow plants");
            within("decay", decay, 1.0, 4.0, "1.25");
            within("keep", keep, 0.0, 1.0, "0.3");
        }
    }
}
