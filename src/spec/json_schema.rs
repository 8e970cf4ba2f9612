//! JSON Schemas of the two files, for editors; the same schemas drive the structural check of [`super::load`].

use serde_json::Value;

use super::{ScenarioSpec, TwinSpec};

/// JSON Schema of `twin.toml`.
pub fn twin_json_schema() -> Value {
    titled(schemars::schema_for!(TwinSpec).to_value(), "twin.toml of twinopt")
}

/// JSON Schema of a scenario file.
pub fn scenario_json_schema() -> Value {
    titled(schemars::schema_for!(ScenarioSpec).to_value(), "scenario file of twinopt")
}

fn titled(mut schema: Value, title: &str) -> Value {
    schema["title"] = title.into();
    schema
}
