//! The two files that a user writes, as types: `twin.toml` and scenarios. Pure data with the places of its values;
//! meaning is checked by [`crate::check`].

mod at;
mod scenario;
mod span;
mod twin;

pub use at::At;
pub use scenario::{
    BaseStockLoop, CaseSpec, Change, ControllerSpec, MpcSpec, PidLoop, PlannerSpec, Reference, ScenarioSpec,
    ScheduleEntry,
};
pub use span::TimeSpan;
pub use twin::{
    EconomicsSpec, Effect, Files, ForecastSpec, KpiSpec, LogSpec, LongSpec, ModelSpec, ParameterSpec, PriceBasis,
    Resample, RetrainSpec, SignalSpec, TwinSpec,
};
