//! What a run is worth: KPIs, the objective, money.

pub mod economics;
pub mod kpi;
