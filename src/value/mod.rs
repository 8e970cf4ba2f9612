//! Evaluation of runs: KPIs, the objective, paired differences and economics.
//!
//! The same KPI implementation is used for the measured log, for simulated cases and for plans: a [`Kpi`] reads one
//! frame at a time, whether the frame is logged, simulated or planned.

pub mod accumulator;
pub mod annual;
pub mod cash;
pub mod compare;
pub mod economics;
mod investment;
pub mod json;
pub mod kpi;
mod kpi_compile;
pub mod objective;
pub mod risk;
pub mod terminal_cost;
mod terminal_fit;

pub use accumulator::Accumulator;
pub use annual::{WeightedScenario, annualise};
pub use cash::Cash;
pub use compare::{Difference, Estimate};
pub use economics::Economics;
pub use kpi::{Aggregation, Figures, Kpi, KpiKind, StepCost, evaluate, figures};
pub use objective::{Objective, resolve_prices};
pub use risk::{Input, Risk, Sensitivity};
pub use terminal_cost::TerminalCost;
