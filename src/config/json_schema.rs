//! JSON Schemas of `twin.toml` and of scenario files, for editors and for the structural check ([`super::load`]).

use serde_json::{Value, json};

use super::{ScenarioSpec, TwinSpec};

pub fn twin_json_schema() -> Value {
    titled(schemars::schema_for!(TwinSpec).to_value(), "twin.toml of twinopt")
}

pub fn scenario_json_schema() -> Value {
    titled(schemars::schema_for!(ScenarioSpec).to_value(), "scenario file of twinopt")
}

fn titled(mut schema: Value, title: &str) -> Value {
    schema["title"] = title.into();
    for definition in schema["$defs"].as_object_mut().into_iter().flat_map(|d| d.values_mut()) {
        if let Some(variants) = definition.get_mut("oneOf").and_then(Value::as_array_mut) {
            let words: Vec<String> = variants.iter().filter_map(word).collect();
            let description = "With default settings.";
            let short = json!({ "description": description, "type": "string", "enum": words });
            variants.extend((!words.is_empty()).then_some(short));
        }
    }
    schema
}

/// Returns the name of a choice `{ name = { … } }` if all its settings have defaults, in which case the name alone is a
/// valid value.
fn word(variant: &Value) -> Option<String> {
    let (tag, inner) = variant["properties"].as_object()?.iter().next()?;
    let settings = inner["type"] == "object" && inner["additionalProperties"] == false;
    (settings && inner["required"].is_null()).then(|| tag.clone())
}
