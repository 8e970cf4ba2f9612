//! Tests of `src/report/number.rs`.

use super::*;

fn interval(v: f64, low: f64, high: f64) -> String {
    let i = within(v, low, high, PROSE);
    format!("{} ({} to {})", i.value.text, i.low.text, i.high.text).replace(GAP, "_")
}

#[test]
fn the_interval_determines_the_number_of_digits() {
    assert_eq!(interval(12_345.0, 10_245.0, 14_445.0), "12_300 (10_200 to 14_400)");
    assert_eq!(interval(34.21, 25.9, 42.5), "34 (26 to 43)");
    assert_eq!(interval(1.2345, 1.2145, 1.2545), "1.23 (1.21 to 1.25)");
    assert_eq!(interval(-0.004, -0.034, 0.03), "\u{2212}0.004 (\u{2212}0.034 to 0.030)");
    assert_eq!(interval(3.0, -420.0, 500.0), "0 (\u{2212}400 to 500)");
    assert_eq!(interval(0.0, 0.0, 0.0042), "0 (0 to 0.0042)");
    let i = Interval::shares(0.994, 0.977, 1.0, TABLE, "%");
    assert_eq!((i.value.text.as_str(), i.low.text.as_str(), i.value.value), ("99.4\u{a0}%", "97.7\u{a0}%", 0.994));
    assert_eq!(interval(7.0, 7.0, 7.0), "7 (7 to 7)");
}

#[test]
fn plain_numbers_have_the_requested_digits() {
    let p = |v| plain(v, PROSE).text.replace(GAP, "_");
    assert_eq!([p(1_234_567.0), p(1234.0), p(99.96), p(0.012_345)], ["1_230_000", "1_230", "100", "0.0123"]);
    assert_eq!([p(20.0), p(0.0), p(-0.0), p(-1.5)], ["20", "0", "0", "\u{2212}1.5"]);
    assert_eq!([p(1.5e18), p(2.0e-7), p(f64::NAN)], ["1.50×10¹⁸", "2.00×10⁻⁷", "n/a"]);
    assert_eq!(count(1_234_567).replace(GAP, "_"), "1_234_567");
    assert_eq!(signed(0.25, 3).text, "+0.25");
}

#[test]
fn aligned_numbers_have_equal_decimals() {
    let t: Vec<String> = aligned(&[18.04, 20.0, 25.51], PROSE).into_iter().map(|q| q.text).collect();
    assert_eq!(t, ["18.0", "20.0", "25.5"]);
    let t: Vec<String> = aligned(&[10.0, 25.0], PROSE).into_iter().map(|q| q.text).collect();
    assert_eq!(t, ["10", "25"]);
    let t: Vec<String> = aligned(&[0.0, 0.005, 0.01], PROSE).into_iter().map(|q| q.text).collect();
    assert_eq!(t, ["0.000", "0.005", "0.010"]);
    let t: Vec<String> = aligned_within(&[1089.6, 1100.3], PROSE, Some(101.0)).into_iter().map(|q| q.text).collect();
    assert_eq!(t, ["1\u{202f}090", "1\u{202f}100"]);
    assert_eq!([exact(1101.0).text, exact(0.02).text], ["1\u{202f}101", "0.02"]);
}

#[test]
fn shares_are_percentages() {
    let p = |v| percent_text(v).replace('\u{a0}', " ");
    assert_eq!([p(0.0), p(1.0), p(0.5), p(0.034), p(0.956)], ["0 %", "100 %", "50 %", "3.4 %", "96 %"]);
    assert_eq!([p(0.0004), p(0.9996), p(3.2), p(-0.25)], ["<0.1 %", ">99.9 %", "320 %", "\u{2212}25 %"]);
    assert_eq!(percent(0.0004).text, "&lt;0.1\u{a0}%");
}

#[test]
fn units_are_in_common_notation() {
    assert_eq!([unit("mg/m3"), unit("m2"), unit("s3")], ["mg/m³", "m²", "s3"]);
    assert_eq!([unit("degC"), unit("m^3/h"), unit("K*h"), unit("1")], ["°C", "m³/h", "K·h", ""]);
    assert_eq!([unit("degC/degC"), unit("W*m^-2"), unit("EUR/MWh"), unit("%")], ["°C/°C", "W·m⁻²", "EUR/MWh", "%"]);
    assert_eq!(unit("<b>&"), "<b>&");
}

proptest::proptest! {
    #[test]
    fn printed_numbers_parse_back_within_the_rounding_error(v in -1e9f64..1e9, half in 0.0f64..1e6) {
        let i = within(v, v - half, v + half, TABLE);
        let read: f64 = i.value.text.replace(MINUS, "-").replace(GAP, "").parse().unwrap();
        let place = 10f64.powi(last_place(v, half, TABLE));
        proptest::prop_assert!((read - v).abs() <= 0.5 * place * (1.0 + 1e-9) + 1e-12 * v.abs(), "{} for {v}", i.value.text);
    }
}
