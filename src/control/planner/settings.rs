//! Checks of planner settings.

use std::fmt::Display;

use crate::config::{At, PlannerSpec};
use crate::resolve::Faults;

/// Reports every setting of `planner` that is out of range. `owner` is the name of the controller in messages.
pub fn check_planner(faults: &mut Faults<'_>, owner: &str, planner: &PlannerSpec) {
    let mut ranges = Ranges { faults, owner };
    match planner {
        PlannerSpec::GaussNewton { iterations, starts } => {
            ranges.within("iterations", iterations, 0, 100, "3");
            ranges.within("starts", starts, 1, 100, "1 or 2");
        }
        PlannerSpec::Gradient { iterations, memory } => {
            ranges.within("iterations", iterations, 1, 1000, "8");
            ranges.within("memory", memory, 1, 100, "6");
        }
        PlannerSpec::Qp { iterations } => ranges.within("iterations", iterations, 1, 1000, "50"),
        PlannerSpec::Dp { cells } => ranges.within("cells", cells, 2, 100_000, "200"),
        PlannerSpec::Milp { nodes, gap } => {
            ranges.within("nodes", nodes, 1, 1_000_000, "100");
            ranges.within("gap", gap, 0.0, 0.5, "0.001");
        }
        PlannerSpec::RandomShooting { population, .. } => {
            ranges.within("population", population, 1, 1_000_000, "256 to 2000");
        }
        PlannerSpec::Mcts { population, levels, .. } => {
            ranges.within("population", population, 1, 1_000_000, "256 to 2000");
            ranges.within("levels", levels, 2, 1000, "3 to 9");
        }
        PlannerSpec::Mppi { population, iterations, temperature, smoothing, decay, .. } => {
            ranges.within("population", population, 4, 100_000, "64 to 500");
            ranges.within("iterations", iterations, 1, 100, "3 to 6");
            ranges.within("temperature", temperature, 1e-6, 1e6, "0.1");
            ranges.within("smoothing", smoothing, 0.01, 1.0, "0.6");
            ranges.within("decay", decay, 0.01, 1.0, "0.8");
        }
        PlannerSpec::Cem { population, elites, iterations, smoothing, .. }
        | PlannerSpec::Icem { population, elites, iterations, smoothing, .. } => {
            ranges.within("population", population, 4, 100_000, "64 to 500");
            ranges.above_zero("elites", elites, 0.5, "0.1");
            ranges.within("iterations", iterations, 1, 100, "3 to 6");
            ranges.within("smoothing", smoothing, 0.0, 0.99, "0.1");
        }
    }
    if let PlannerSpec::Icem { beta, decay, keep, .. } = planner {
        ranges.within("beta", beta, 0.0, 8.0, "2 to 4 for slow plants");
        ranges.within("decay", decay, 1.0, 4.0, "1.25");
        ranges.within("keep", keep, 0.0, 1.0, "0.3");
    }
}

struct Ranges<'r, 'f> {
    faults: &'r mut Faults<'f>,
    owner: &'r str,
}

impl Ranges<'_, '_> {
    fn within<T: PartialOrd + Display + Copy>(&mut self, key: &str, value: &At<T>, low: T, high: T, typical: &str) {
        if !(low..=high).contains(&value.value) {
            self.fault(key, value, &format!("be between {low} and {high}"), typical);
        }
    }

    fn above_zero(&mut self, key: &str, value: &At<f64>, high: f64, typical: &str) {
        if !(value.value > 0.0 && value.value <= high) {
            self.fault(key, value, &format!("be above 0 and at most {high}"), typical);
        }
    }

    fn fault<T: Display>(&mut self, key: &str, value: &At<T>, range: &str, typical: &str) {
        let message = format!("{}: `{key}` must {range}, but it is {}", self.owner, value.value);
        self.faults.add("out-of-range", &value.span, message, format!("a typical value is {typical}"));
    }
}
