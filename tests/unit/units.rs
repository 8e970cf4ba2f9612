//! Tests of `src/units.rs`.

use super::*;

fn unit(text: &str) -> Unit {
    Unit::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs().max(1.0)
}

#[test]
fn conversions_equal_reference_values() {
    for (from, value, to, expected) in [
        ("degF", 212.0, "degC", 100.0),
        ("degF", -40.0, "degC", -40.0),
        ("degC", 25.0, "K", 298.15),
        ("°C", 37.0, "°F", 98.6),
        ("RT", 1.0, "kW", 3.5168525),
        ("mph", 10.0, "m/s", 4.4704),
        ("inHg", 29.92, "kPa", 101.320_748),
        ("psi", 14.5, "bar", 0.999_739_807_5),
        ("kWh", 1.0, "MJ", 3.6),
        ("m3/h", 3.6, "l/s", 1.0),
        ("L/min", 60.0, "m^3/h", 3.6),
        ("%", 50.0, "1", 0.5),
        ("ppm", 1e4, "%", 1.0),
        ("rpm", 3000.0, "Hz", 50.0),
        ("t", 1.5, "kg", 1500.0),
        ("mg/m3", 1000.0, "g/m3", 1.0),
        ("g/kWh", 400.0, "kg/MWh", 400.0),
        ("kmol/min", 6.0, "mol/s", 100.0),
        ("kEUR", 2.0, "EUR", 2000.0),
        ("y", 1.0, "d", 365.0),
        ("inH2O", 1.0, "Pa", 249.08891),
        ("hPa", 1013.25, "mbar", 1013.25),
    ] {
        let got = unit(from).convert(value, &unit(to)).unwrap();
        assert!((got - expected).abs() <= 1e-8 * expected.abs().max(1.0), "{value} {from} = {got} {to}");
    }
}

#[test]
fn different_spellings_give_the_same_unit() {
    for (a, b) in [
        ("kW.h", "kWh"),
        ("kW·h", "kW*h"),
        ("m^3/h", "m3/h"),
        ("m³/h", "m3/h"),
        ("m3*h-1", "m3/h"),
        ("W/(m2*K)", "W/m^2/K"),
        ("s^-1", "Hz"),
        ("1/h", "h^-1"),
        ("kW h", "kWh"),
        ("W m⁻²", "W/m2"),
        ("µs", "us"),
    ] {
        let (x, y) = (unit(a), unit(b));
        assert!(x.dimension == y.dimension && close(x.scale, y.scale), "{a} {x:?} {b} {y:?}");
    }
    assert_eq!(unit(" EUR/MWh ").text, "EUR/MWh");
}

#[test]
fn errors_suggest_the_nearest_unit() {
    for (text, near) in [
        ("KWH", "`kWh`"),
        ("kw", "`kW`"),
        ("C", "`degC`"),
        ("dgeC", "`degC`"),
        ("EUR/MWhh", "`MWh`"),
        ("hours", "`h`"),
        ("RPM", "`rpm`"),
        ("€/MWh", "`EUR`"),
        ("kPA", "`kPa`"),
        ("itme", "`item`"),
    ] {
        let e = Unit::parse(text).unwrap_err();
        assert!(e.contains(near), "{text}: {e}");
    }
    for bad in ["", "m^", "m^2.5", "(m", "m)", "kW//h", "3 kW", "m^99", "((((((((((m))))))))))", "EUR/USD", "*", "m^(2"]
    {
        assert!(Unit::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn different_currencies_cannot_be_combined() {
    assert!(!unit("EUR").same_dimension(&unit("USD")));
    assert!(unit("EUR/MWh").times(&unit("MWh/USD")).is_err());
    assert!(unit("EUR").factor(&unit("USD")).unwrap_err().contains("USD"));
    assert_eq!(unit("GBP/MWh").currency().as_deref(), Some("GBP"));
}

#[test]
fn products_have_readable_texts() {
    let p = unit("W").times(&unit("EUR/MWh")).unwrap();
    assert_eq!(p.text, "W*EUR/MWh");
    assert_eq!(unit("kW").per(&unit("kW")).unwrap(), Unit::one());
    assert_eq!(unit("EUR/MWh").times(&unit("MWh")).unwrap(), unit("EUR"));
    assert_eq!(unit("W").per(&unit("m2*K")).unwrap().text, "W/(m^2*K)");
    assert_eq!(unit("degC").per(&unit("h")).unwrap().text, "K/h");
    assert_eq!(unit("m^2/s^2").power(0.5).unwrap().0.text, "m/s");
    let (u, f) = unit("kJ/kg").power(0.5).unwrap();
    assert_eq!((u.text.as_str(), u.scale), ("m/s", 1.0));
    assert!(close(f, 1000f64.sqrt()));
    assert!(unit("m").power(0.5).is_err());
}

#[test]
fn integrals_have_common_units() {
    for (of, shown) in [
        ("W", "kWh"),
        ("RT", "kWh"),
        ("W*EUR/MWh", "EUR"),
        ("kW*USD/kWh", "USD"),
        ("degC", "K*h"),
        ("K", "K*h"),
        ("m3/h", "m^3"),
        ("l/s", "l"),
        ("kg/h", "kg"),
        ("1", "h"),
        ("mbar", "mbar*h"),
        ("kW*t/MWh", "t"),
        ("W*kg/kWh", "kg"),
        ("item", "item*d"),
        ("item/d", "item"),
        ("EUR/h", "EUR"),
        ("kmol/min", "kmol"),
        ("item*EUR/(item*d)", "EUR"),
        ("mg/m3", "mg*h/m^3"),
    ] {
        let u = unit(of).integral().unwrap();
        assert_eq!(u.text, shown, "∫ {of}");
        assert!(unit(of).times(&Unit::second()).unwrap().same_dimension(&u), "{of}");
    }
    // a power of 1 MW at 90 EUR/MWh costs 90 EUR in one hour
    let rate = unit("W").times(&unit("EUR/MWh")).unwrap();
    let spent = rate.times(&Unit::second()).unwrap();
    assert!(close(1e6 * 90.0 * 3600.0 * spent.factor(&rate.integral().unwrap()).unwrap(), 90.0));
    assert_eq!(rate.preferred().text, "EUR/h");
    assert_eq!(unit("kWh/MWh").preferred().text, "1");
    assert_eq!(unit("kW/RT").preferred().text, "1");
    for stays in ["kW", "degC", "%", "EUR/MWh", "m3/h", "g/kWh", "1", "K/h"] {
        assert_eq!(unit(stays).preferred().text, stays);
    }
}

#[test]
fn differences_have_no_offset() {
    assert_eq!(unit("degC").difference().text, "K");
    let f = unit("degF").difference();
    assert!(close(f.factor(&unit("K")).unwrap(), 5.0 / 9.0) && !f.is_affine());
    assert_eq!(Unit::parse(&f.text).unwrap(), f);
}
