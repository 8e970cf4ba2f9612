//! Tests of `src/log/clean.rs`.

use super::super::missing::NULL;
use super::super::store::Store;
use super::*;
use crate::units::Unit;

/// The cleaning rule for a signal in degC, with the additional lines `keys` in the twin file.
fn rule(keys: &str) -> Rule {
    let spec = toml::from_str(&format!("name = \"x\"\nrole = \"state\"\n{keys}")).unwrap();
    Rule {
        signal: "x".into(),
        unit: "degC".into(),
        mapping: ColumnMapping::new(&spec, &Unit::parse("degC").unwrap()).unwrap(),
        other_units: OtherUnits::default(),
        absolute_zero: None,
        amount: false,
        role: Role::State,
        step: 10_000_000,
        zone: jiff::tz::TimeZone::UTC,
        max_gap: 30_000_000,
        window: (i64::MIN, i64::MAX),
    }
}

fn raw(pairs: &[(i64, f64)]) -> RawSamples {
    let samples = Samples {
        time: Arc::new(pairs.iter().map(|p| p.0 * 1_000_000).collect()),
        value: pairs.iter().map(|p| p.1).collect(),
        length: Vec::new(),
    };
    RawSamples { samples: Store::packed(&samples), breaks: Arc::new(vec![0]), ..RawSamples::default() }
}

fn count(c: &Cleaned, class: FindingClass) -> usize {
    c.findings.iter().filter(|f| f.class == class).map(|f| f.count).sum()
}

#[test]
fn unusable_values_are_dropped_and_counted() {
    let r = raw(&[(0, 1.0), (1, f64::NAN), (2, NULL), (3, f64::INFINITY), (4, 1e308), (5, 99.0), (6, -0.0)]);
    let c = clean(&r, &rule("valid = [-1, 10]"), None);
    assert_eq!(c.samples.value, [1.0, -0.0]);
    assert_eq!((c.read, c.dropped), (7, 5));
    let counts = [FindingClass::NotFinite, FindingClass::Missing, FindingClass::OutOfRange].map(|f| count(&c, f));
    assert_eq!(counts, [2, 1, 2]);
}

#[test]
fn rows_are_sorted_and_duplicates_dropped() {
    let r = raw(&[(3, 3.0), (1, 1.0), (2, 2.0), (2, 2.0), (1, 7.0)]);
    let c = clean(&r, &rule(""), None);
    assert_eq!(c.samples.value, [7.0, 2.0, 3.0]);
    assert_eq!([FindingClass::Duplicate, FindingClass::DuplicateConflict].map(|f| count(&c, f)), [1, 1]);
    assert!(count(&c, FindingClass::OutOfOrder) > 0);
}

#[test]
fn units_are_converted_before_values_are_compared_with_valid() {
    let r = raw(&[(0, 212.0), (1, 32.0)]);
    let c = clean(&r, &rule("column_unit = \"degF\"\nvalid = [-50, 101]"), None);
    assert!((c.samples.value[0] - 100.0).abs() < 1e-9 && c.samples.value[1].abs() < 1e-9);
}

#[test]
fn the_first_sample_of_a_stuck_sensor_is_kept() {
    let mut pairs: Vec<_> = (0..40).map(|i| (i, i as f64)).collect();
    pairs[10..30].iter_mut().for_each(|p| p.1 = 10.0);
    let c = clean(&raw(&pairs), &rule("flat = \"5s\""), None);
    assert_eq!((c.samples.value.len(), count(&c, FindingClass::FlatLine)), (21, 19));
}
