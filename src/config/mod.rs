//! The two files that a user writes, `twin.toml` and scenarios, as types: plain data with the places of its values.
//!
//! Loading checks the structure (keys and types). [`crate::resolve`] and [`crate::check`] check the meaning.

mod at;
mod clock;
mod json_schema;
mod load;
mod model;
mod mpc;
mod place;
mod planner;
mod scenario;
mod shape;
mod span;
mod syntax;
mod tags;
mod total;
mod twin;
mod words;

pub use at::At;
pub use clock::{TimeOfDay, Weekdays};
pub use json_schema::{scenario_json_schema, twin_json_schema};
pub use load::{
    Damage, Loaded, Parsed, is_plant_name, load_scenario, load_twin, parse_scenario, parse_twin, twin_file,
};
pub use model::{EnsembleSpec, GpKernel, GpSpec, MeanSpec, ModelSpec};
pub use mpc::{MpcSpec, PlannedStock};
pub use place::{inner_place, key_place};
pub use planner::PlannerSpec;
pub use scenario::{BaseStockLoop, CaseSpec, Change, ControllerSpec, PidLoop, Reference, ScenarioSpec, ScheduleEntry};
pub use span::TimeSpan;
pub use tags::{Complaint, schema, signals};
pub use total::TotalSpec;
pub use twin::{
    EconomicsSpec, Effect, Files, ForecastSpec, KpiSpec, LogSpec, LongSpec, PriceBasis, Resample, RetrainSpec,
    SignalSpec, TwinSpec,
};
