//! The value of a run: KPIs, the objective, paired differences and economics.
//!
//! The measured log, every simulated case and the planner use the same code: a [`Kpi`] reads one frame at a time, so
//! that the planner and the report compute a KPI in the same way.

pub mod accumulator;
pub mod annual;
pub mod compare;
pub mod economics;
pub mod json;
pub mod kpi;
mod kpi_compile;
pub mod objective;
pub mod terminal_cost;
mod terminal_fit;

pub use accumulator::Accumulator;
pub use annual::{WeightedScenario, annualise};
pub use compare::{Difference, Estimate};
pub use economics::Economics;
#[cfg(test)]
pub use kpi::Aggregation;
pub use kpi::{Figures, Kpi, KpiKind, PerStep, evaluate, figures};
pub use objective::{Objective, resolve_prices};
pub use terminal_cost::TerminalCost;
