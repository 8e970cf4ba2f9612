//! Types of the two kinds of files that users write: `twin.toml` and scenario files. The types are plain data and store
//! the location of each value in the file.
//!
//! Loading a file checks only its structure (keys and types). The meaning of the settings is checked by
//! [`crate::resolve`] and [`crate::check`].

mod at;
mod clock;
mod controller;
mod damage;
mod forecast;
mod json_schema;
mod load;
mod log;
mod model;
mod place;
mod planner;
mod retrain;
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
pub use controller::{
    AsLoggedSpec, BaseStockLoop, ControllerSpec, MpcSpec, PidLoop, PlannedStock, Reference, ScheduleEntry,
};
pub use damage::Damage;
pub use forecast::ForecastSpec;
pub use json_schema::{scenario_json_schema, twin_json_schema};
pub use load::{
    Loaded, Parsed, is_plant_name, load_scenario, load_twin, parse_scenario, parse_twin, parse_twin_text, twin_file,
};
pub use log::{Decimal, Labels, LogSpec, LongSpec, Stamps, TimeFormats, TimeUnit};
pub use model::{EnsembleSpec, GpKernel, GpSpec, MeanSpec, ModelSpec};
pub use place::{inner_place, key_place};
pub use planner::PlannerSpec;
pub use retrain::{MIN_BLOCKS, RetrainSpec, block_steps, least_blocks, suggested_blocks};
pub use scenario::{BASELINE, CaseSpec, Change, ScenarioSpec};
pub use span::TimeSpan;
pub use tags::{Complaint, schema, signals};
pub use total::TotalSpec;
pub use twin::{EconomicsSpec, Effect, Kind, KpiSpec, Partial, PriceBasis, Resample, SignalSpec, TwinSpec};
