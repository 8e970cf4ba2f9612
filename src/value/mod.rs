//! What a run is worth: KPIs, the objective, paired differences, money.
//!
//! One code serves the measured log, every simulated case and the planner: a [`Kpi`] takes in frames one at a time,
//! whatever made them, so that the optimiser and the report cannot disagree.

pub mod accumulator;
pub mod annual;
pub mod compare;
pub mod economics;
pub mod kpi;
pub mod objective;
pub mod terminal_cost;

pub use accumulator::Accumulator;
pub use annual::{Part, annualise};
pub use compare::{Difference, Estimate};
pub use economics::{Economics, Investment};
pub use kpi::{Aggregation, Figures, Kpi, PerStep, evaluate, figures};
pub use objective::Objective;
pub use terminal_cost::TerminalCost;
