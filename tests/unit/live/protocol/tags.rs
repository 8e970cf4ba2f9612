//! Tests of `src/live/protocol/tags.rs`.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::config::TwinSpec;
use crate::log;
use crate::schema::Signal;
use crate::units::Unit;

const TWIN: &str = r#"
    name = "x"
    step = "1min"
    log = { files = "*.parquet", time = "time" }
    signals = [
      { name = "temp", role = "state", unit = "degC", column = "temp_f", column_unit = "degF", valid = [-40, 50] },
      { name = "power", role = "output", unit = "kW", column_unit = "W" },
      { name = "level", role = "state", unit = "m", valid = [0, 2] },
      { name = "valve", role = "control", column = "valve_pct", column_unit = "%" },
    ]
"#;

#[test]
fn a_live_line_is_read_like_a_row_of_the_log() {
    let spec: TwinSpec = toml::from_str(TWIN).unwrap();
    let signal = |s: &SignalSpec| {
        let unit = s.unit.as_ref().map_or_else(Unit::one, |u| Unit::parse(u).unwrap());
        Signal::open(&s.name, s.role.value, unit)
    };
    let schema = Arc::new(Schema::new(spec.signals.iter().map(|s| signal(&s.value)).collect()));
    // Each column has one value per row. In the last two rows, some values are outside their `valid` range.
    let columns: [(&str, [f64; 5]); 4] = [
        ("temp_f", [32.0, 71.3, -39.9, 130.0, 0.1]),
        ("power", [1234.5, 0.1, -7.0, 3e5, 1e-9]),
        ("level", [0.0, 0.1, 1.9999, 1.0, -0.1]),
        ("valve_pct", [33.3, 0.0, 100.0, 7.7, 50.0]),
    ];
    let dir = tempfile::TempDir::new().unwrap();
    let time = TimestampMillisecondArray::from_iter_values((0..5).map(|i| i * 60_000)).with_timezone("UTC");
    let arrays = columns.iter().map(|(n, v)| (*n, Arc::new(Float64Array::from(v.to_vec())) as ArrayRef));
    let batch = RecordBatch::try_from_iter([("time", Arc::new(time) as ArrayRef)].into_iter().chain(arrays)).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    std::fs::write(dir.path().join("log.parquet"), bytes).unwrap();
    let (logged, _) = log::read(dir.path(), &spec, &schema).unwrap();

    let tags = Tags::from_signals(spec.signals.iter().map(|s| &s.value), &schema, |_| Bounds::OPEN).unwrap();
    for row in 0..5 {
        let line: Map<String, Value> = columns.iter().map(|(n, v)| ((*n).to_owned(), v[row].into())).collect();
        let (mut values, mut flags) = (vec![f64::NAN; 4], Vec::new());
        tags.read(&line, |_| true, &mut values, &mut flags);
        for (signal, value) in values.iter().enumerate() {
            let from_log = logged.columns[signal][row];
            assert!(
                value.to_bits() == from_log.to_bits() || value.is_nan() && from_log.is_nan(),
                "row {row} of {}: {value} and {from_log}",
                schema.signals[signal].name
            );
        }
        assert_eq!(flags.len(), values.iter().filter(|v| v.is_nan()).count(), "{flags:?}");
    }
}
