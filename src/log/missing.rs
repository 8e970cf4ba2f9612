//! Representation of missing values between reading and cleaning a log.
//!
//! A column is read into plain `f64` values (8 bytes per sample) without a separate mask. Three kinds of missing values
//! must be distinguished until `clean` has counted and dropped them: nulls in the file, NaNs in the file, and values
//! whose column is absent from the file. Nulls and values of absent columns are represented by NaNs with different
//! payloads. NaNs with a payload are only copied and compared bitwise, because arithmetic could change the payload.

/// A null in the file.
pub(super) const NULL: f64 = f64::from_bits(0x7ff8_0000_0000_0001);
/// A value that is missing because its column is absent from the file.
pub(super) const ABSENT: f64 = f64::from_bits(0x7ff8_0000_0000_0002);

pub(super) fn is_null(value: f64) -> bool {
    value.to_bits() == NULL.to_bits()
}

pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

/// Returns the value, or `None` for a null.
pub(super) fn non_null(value: f64) -> Option<f64> {
    (!is_null(value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_missing_values_are_distinct() {
        assert!(NULL.is_nan() && ABSENT.is_nan());
        assert!(is_null(NULL) && !is_null(ABSENT) && !is_null(f64::NAN));
        assert!(is_absent(ABSENT) && !is_absent(NULL) && !is_absent(f64::NAN));
    }
}
