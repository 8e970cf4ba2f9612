//! Tests of `src/log/cast.rs`.

use std::sync::Arc;

use arrow_array::types::{Decimal256Type, Int8Type};
use arrow_array::*;

use super::*;

fn read(array: &dyn Array) -> Vec<Option<f64>> {
    let mut out = vec![7.0];
    floats(array, &mut out).unwrap();
    assert_eq!(out.remove(0), 7.0);
    out.into_iter().map(non_null).collect()
}

#[test]
fn numbers_of_every_type_are_read() {
    let some = vec![Some(3.0), None, Some(250.0)];
    assert_eq!(read(&UInt8Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&UInt16Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&UInt32Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&UInt64Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&Int16Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&Int32Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&Int64Array::from(vec![Some(3), None, Some(250)])), some);
    assert_eq!(read(&Float32Array::from(vec![Some(3.0), None, Some(250.0)])), some);
    assert_eq!(read(&Float64Array::from(vec![Some(3.0), None, Some(250.0)])), some);
    assert_eq!(read(&Int8Array::from(vec![Some(-3), None])), [Some(-3.0), None]);
    assert_eq!(read(&BooleanArray::from(vec![Some(true), None, Some(false)])), [Some(1.0), None, Some(0.0)]);
    assert_eq!(read(&NullArray::new(2)), [None, None]);
    let coded = DictionaryArray::<Int8Type>::new(
        Int8Array::from(vec![Some(1), None, Some(0)]),
        Arc::new(Float64Array::from(vec![2.5, 3.5])),
    );
    assert_eq!(read(&coded), [Some(3.5), None, Some(2.5)]);
    assert!(floats(&StringArray::from(vec!["1"]), &mut Vec::new()).is_none());
}

#[test]
fn decimals_become_the_nearest_f64() {
    let d = Decimal128Array::from(vec![Some(-12_345), None, Some(1)]).with_precision_and_scale(20, 4).unwrap();
    assert_eq!(read(&d), [Some(-1.2345), None, Some(0.0001)]);
    let d = Decimal32Array::from(vec![2_150]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(read(&d), [Some(21.5)]);
    let d = Decimal64Array::from(vec![-7]).with_precision_and_scale(18, -2).unwrap();
    assert_eq!(read(&d), [Some(-700.0)]);
    let integer = |text: &str| <Decimal256Type as ArrowPrimitiveType>::Native::from_string(text).unwrap();
    let d = ["-5", "123456", "-1000000000000000000000000000000000000000000000000"].map(integer);
    let d = Decimal256Array::from(d.to_vec()).with_precision_and_scale(60, 1).unwrap();
    assert_eq!(read(&d), [Some(-0.5), Some(12_345.6), Some(-1e47)]);
}

#[test]
fn code_is_called_once_per_dictionary_value_or_run_of_equal_texts() {
    let array: DictionaryArray<Int8Type> = vec![Some("b"), Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let mut asked = Vec::new();
    let mut ask = |t: Option<&str>| {
        asked.push(t.map(str::to_owned));
        asked.len() as u32 - 1
    };
    assert_eq!(codes(&array, &mut ask).unwrap(), [0, 1, 2, 0, 1]);
    assert_eq!(asked, [Some("b".into()), Some("a".into()), None]);
    let show = |array: &dyn Array| {
        let mut all = Vec::new();
        codes(array, |t| {
            all.push(t.unwrap_or("-").to_owned());
            0
        })
        .unwrap();
        all.join(" ")
    };
    assert_eq!(show(&StringViewArray::from(vec!["x", "x", "y", "x"])), "x y x");
    assert_eq!(show(&UInt64Array::from(vec![Some(u64::MAX), None, Some(u64::MAX)])), "18446744073709551615 -");
    assert_eq!(show(&Int16Array::from(vec![-4, 12, -4])), "-4 12");
    assert_eq!(show(&Float64Array::from(vec![Some(1.0), Some(0.5), None])), "1.0 0.5 -");
    assert_eq!(show(&BooleanArray::from(vec![true, false])), "true false");
}

#[test]
fn times_are_read_in_the_unit_of_their_column() {
    let seconds = TimestampSecondArray::from(vec![Some(5), None]);
    assert_eq!(Integers::new(&seconds).unwrap().iter().collect::<Vec<_>>(), [Some(5), None]);
    let days = Date32Array::from(vec![19_723]);
    assert_eq!(Integers::new(&days).unwrap().iter().collect::<Vec<_>>(), [Some(19_723)]);
    let large = UInt64Array::from(vec![u64::MAX]);
    assert_eq!(Integers::new(&large).unwrap().iter().collect::<Vec<_>>(), [Some(i64::MAX)]);
    assert!(Integers::new(&Float64Array::from(vec![1.0])).is_none());
}
