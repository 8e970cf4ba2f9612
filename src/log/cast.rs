//! Converts Arrow arrays to floats, integers, strings and integer codes.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, LargeStringArray, StringArray, StringViewArray};
use arrow_schema::{DataType as D, TimeUnit};

use super::missing::{NULL, non_null};

/// Appends a column of numbers or booleans to `out` as `f64`. A null becomes [`NULL`]. If the column contains neither
/// numbers nor booleans, appends nothing and returns `None`.
pub(super) fn floats(array: &dyn Array, out: &mut Vec<f64>) -> Option<()> {
    let from = out.len();
    match array.data_type() {
        D::Float64 => out.extend_from_slice(array.as_primitive::<Float64Type>().values()),
        D::Float32 => each::<Float32Type>(array, out, f64::from),
        D::Float16 => each::<Float16Type>(array, out, |v| v.to_f64()),
        D::Int8 => each::<Int8Type>(array, out, f64::from),
        D::Int16 => each::<Int16Type>(array, out, f64::from),
        D::Int32 => each::<Int32Type>(array, out, f64::from),
        D::Int64 => each::<Int64Type>(array, out, |v| v as f64),
        D::UInt8 => each::<UInt8Type>(array, out, f64::from),
        D::UInt16 => each::<UInt16Type>(array, out, f64::from),
        D::UInt32 => each::<UInt32Type>(array, out, f64::from),
        D::UInt64 => each::<UInt64Type>(array, out, |v| v as f64),
        D::Decimal32(_, scale) => each::<Decimal32Type>(array, out, |v| scaled(f64::from(v), *scale)),
        D::Decimal64(_, scale) => each::<Decimal64Type>(array, out, |v| scaled(v as f64, *scale)),
        D::Decimal128(_, scale) => each::<Decimal128Type>(array, out, |v| scaled(v as f64, *scale)),
        D::Decimal256(_, scale) => each::<Decimal256Type>(array, out, |v| {
            // The value is computed from its magnitude, because adding the two parts of a negative number would cause
            // cancellation.
            let (low, high) = v.wrapping_abs().to_parts();
            let magnitude = high as f64 * 2_f64.powi(128) + low as f64;
            scaled(if v.is_negative() { -magnitude } else { magnitude }, *scale)
        }),
        D::Boolean => {
            let array = array.as_boolean();
            out.extend((0..array.len()).map(|i| f64::from(u8::from(array.value(i)))));
        }
        D::Null => out.resize(from + array.len(), NULL),
        D::Dictionary(..) => {
            let (keys, values) = keys(array);
            let mut known = Vec::new();
            floats(values, &mut known)?;
            out.extend(keys.iter().map(|k| known.get(*k).copied().unwrap_or(NULL)));
        }
        _ => return None,
    }
    if array.null_count() > 0 {
        out[from..].iter_mut().enumerate().filter(|(i, _)| array.is_null(*i)).for_each(|(_, v)| *v = NULL);
    }
    Some(())
}

fn each<T: ArrowPrimitiveType>(array: &dyn Array, out: &mut Vec<f64>, to: impl Fn(T::Native) -> f64) {
    out.extend(array.as_primitive::<T>().values().iter().map(|v| to(*v)));
}

/// Scales a decimal. Dividing once by a power of ten gives the `f64` nearest to the decimal value.
fn scaled(unscaled: f64, scale: i8) -> f64 {
    let power = 10_f64.powi(i32::from(scale.unsigned_abs()));
    if scale < 0 { unscaled * power } else { unscaled / power }
}

/// Returns the dictionary key of each row (an arbitrary key for a null) and the values of the dictionary.
fn keys(array: &dyn Array) -> (Vec<usize>, &dyn Array) {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values().as_ref();
    let keys = if values.is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
    (keys, values)
}

/// The values of a column of integers, time stamps or dates, as integers in the unit of the column.
pub(super) struct Integers<'a> {
    array: &'a dyn Array,
    values: Cow<'a, [i64]>,
}

impl<'a> Integers<'a> {
    /// Returns `None` if the column contains no integers, time stamps or dates.
    pub fn new(array: &'a dyn Array) -> Option<Self> {
        fn wide<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array) -> Cow<'_, [i64]> {
            Cow::Borrowed(array.as_primitive::<T>().values())
        }
        fn narrow<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array) -> Cow<'_, [i64]> {
            array.as_primitive::<T>().values().iter().map(|v| (*v).into()).collect()
        }
        let values = match array.data_type() {
            D::Int8 => narrow::<Int8Type>(array),
            D::Int16 => narrow::<Int16Type>(array),
            D::Int32 => narrow::<Int32Type>(array),
            D::Int64 => wide::<Int64Type>(array),
            D::UInt8 => narrow::<UInt8Type>(array),
            D::UInt16 => narrow::<UInt16Type>(array),
            D::UInt32 => narrow::<UInt32Type>(array),
            D::UInt64 => array
                .as_primitive::<UInt64Type>()
                .values()
                .iter()
                .map(|v| i64::try_from(*v).unwrap_or(i64::MAX))
                .collect(),
            D::Timestamp(TimeUnit::Second, _) => wide::<TimestampSecondType>(array),
            D::Timestamp(TimeUnit::Millisecond, _) => wide::<TimestampMillisecondType>(array),
            D::Timestamp(TimeUnit::Microsecond, _) => wide::<TimestampMicrosecondType>(array),
            D::Timestamp(TimeUnit::Nanosecond, _) => wide::<TimestampNanosecondType>(array),
            D::Date32 => narrow::<Date32Type>(array),
            D::Date64 => wide::<Date64Type>(array),
            _ => return None,
        };
        Some(Self { array, values })
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<i64>> {
        let some_null = self.array.null_count() > 0;
        self.values.iter().enumerate().map(move |(i, v)| (!some_null || self.array.is_valid(i)).then_some(*v))
    }
}

/// A column of strings in any Arrow representation.
pub(super) struct Texts<'a> {
    array: &'a dyn Array,
    storage: Storage<'a>,
}

enum Storage<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
    Coded(Vec<usize>, Box<Texts<'a>>),
}

impl<'a> Texts<'a> {
    /// Returns `None` if the column contains no strings.
    pub fn new(array: &'a dyn Array) -> Option<Self> {
        let storage = match array.data_type() {
            D::Utf8 => Storage::Small(array.as_string()),
            D::LargeUtf8 => Storage::Large(array.as_string()),
            D::Utf8View => Storage::View(array.as_string_view()),
            D::Dictionary(..) => {
                let (keys, values) = keys(array);
                Storage::Coded(keys, Box::new(Texts::new(values)?))
            }
            _ => return None,
        };
        Some(Self { array, storage })
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        if self.array.is_null(row) {
            return None;
        }
        match &self.storage {
            Storage::Small(a) => Some(a.value(row)),
            Storage::Large(a) => Some(a.value(row)),
            Storage::View(a) => Some(a.value(row)),
            Storage::Coded(keys, values) => values.get(keys[row]),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.array.len()).map(|row| self.get(row))
    }
}

/// Returns true for a column of strings.
pub(super) fn is_text(array: &dyn Array) -> bool {
    match array.data_type() {
        D::Utf8 | D::LargeUtf8 | D::Utf8View => true,
        D::Dictionary(_, value) => matches!(value.as_ref(), D::Utf8 | D::LargeUtf8 | D::Utf8View),
        _ => false,
    }
}

/// Returns one code per row. The function `code` computes the code of a row from the string in the row, or from the
/// number formatted as a string. To limit the number of calls, `code` is called only once for each dictionary value,
/// for each run of equal strings, or for each distinct number. Returns `None` if the column contains no text, numbers
/// or booleans.
pub(super) fn codes(array: &dyn Array, mut code: impl FnMut(Option<&str>) -> u32) -> Option<Vec<u32>> {
    if let Some(texts) = Texts::new(array) {
        return Some(match &texts.storage {
            Storage::Coded(keys, values) => {
                let mut known = vec![None; values.array.len()];
                let some_null = array.null_count() > 0;
                let code_of = |(row, key): (usize, &usize)| {
                    if some_null && array.is_null(row) {
                        return code(None);
                    }
                    match known.get(*key).copied().flatten() {
                        Some(code) => code,
                        None => {
                            let new = code(values.get(*key));
                            known[*key] = Some(new);
                            new
                        }
                    }
                };
                keys.iter().enumerate().map(code_of).collect()
            }
            _ => {
                let mut last: Option<(Option<&str>, u32)> = None;
                let code_of = |text| match last {
                    Some((known, code)) if known == text => code,
                    _ => last.insert((text, code(text))).1,
                };
                texts.iter().map(code_of).collect()
            }
        });
    }
    let mut known: HashMap<Option<u64>, u32> = HashMap::new();
    let mut last: Option<(Option<u64>, u32)> = None;
    let mut code_of = |bits: Option<u64>, show: &dyn Fn(u64) -> String| match last {
        Some((known, code)) if known == bits => code,
        _ => last.insert((bits, *known.entry(bits).or_insert_with(|| code(bits.map(show).as_deref())))).1,
    };
    if let D::UInt64 = array.data_type() {
        return Some(array.as_primitive::<UInt64Type>().iter().map(|v| code_of(v, &|v| v.to_string())).collect());
    }
    if let Some(integers) = Integers::new(array) {
        return Some(
            integers.iter().map(|v| code_of(v.map(i64::cast_unsigned), &|v| v.cast_signed().to_string())).collect(),
        );
    }
    let mut values = Vec::new();
    floats(array, &mut values)?;
    let boolean = *array.data_type() == D::Boolean;
    let show = |bits: u64| match f64::from_bits(bits) {
        v if boolean => (v == 1.0).to_string(),
        v => format!("{v:?}"),
    };
    Some(values.into_iter().map(|v| code_of(non_null(v).map(f64::to_bits), &show)).collect())
}

#[cfg(test)]
#[path = "../../tests/unit/log/cast.rs"]
mod tests;
