//! Tests of expressions: comparison with a naive evaluator, units, and faults.

use std::collections::HashMap;
use std::hint::black_box;

use jiff::Timestamp;
use proptest::prelude::*;
use twinopt::expr::{Expression, Program, Registers, Scope, is_name};
use twinopt::trajectory::{Frame, Window};
use twinopt::units::Unit;

fn unit(text: &str) -> Unit {
    Unit::parse(text).unwrap()
}

/// Names and units of the signals of a small plant.
const SIGNALS: [(&str, &str); 14] = [
    ("a", "1"),
    ("b", "1"),
    ("c", "1"),
    ("supply", "degC"),
    ("return_temp", "degC"),
    ("outdoor_f", "degF"),
    ("kelvin", "K"),
    ("it_power", "W"),
    ("hvac", "kW"),
    ("price", "EUR/MWh"),
    ("humidity", "%"),
    ("inflow", "m3/h"),
    ("level", "m"),
    ("order", "item"),
];

fn scope() -> Scope {
    let signals = SIGNALS.iter().enumerate().map(|(i, (n, u))| ((*n).to_owned(), (i, unit(u)))).collect();
    let parameters: HashMap<_, _> = [
        ("area", 2.0, "m2"),
        ("lead", 3.0, "1"),
        ("lead_days", 2.0, "d"),
        ("approach", 4.0, "K"),
        ("ua", 0.5, "kW/K"),
        ("usd_price", 1.0, "USD/MWh"),
        ("swing", 9.0, "delta_degF"),
    ]
    .into_iter()
    .map(|(n, v, u)| (n.to_owned(), (v, unit(u))))
    .collect();
    Scope { signals, parameters, dt: 600.0 }
}

/// A window in which the value of signal s in row r is `values[s] + r − 100 · lag`.
fn window(values: &[f64], rows: usize) -> Window {
    let mut w = Window::new(values.len(), 4, rows, Timestamp::UNIX_EPOCH, 600_000);
    for lag in 0..4 {
        for (s, v) in values.iter().enumerate() {
            for (r, o) in w.column_mut(s, lag).iter_mut().enumerate() {
                *o = v + r as f64 - 100.0 * lag as f64;
            }
        }
    }
    w
}

const VALUES: [f64; 14] = [2.0, 3.0, -1.5, 18.0, 24.0, 68.0, 300.0, 5000.0, 2.0, 90.0, 40.0, 7.2, 1.5, 10.0];

fn compiled(text: &str) -> Program {
    Program::compile(text, &scope()).unwrap_or_else(|f| panic!("{text}: {} {} ({})", f.code, f.message, f.help))
}

fn first(program: &Program) -> f64 {
    let mut out = [0.0];
    program.eval(&window(&VALUES, 1), &mut Registers::default(), &mut out);
    out[0]
}

/// The value of an expression in row 0, and its unit.
fn value(text: &str) -> (f64, String) {
    let p = compiled(text);
    (first(&p), p.unit.text)
}

fn value_in(text: &str, to: &str) -> Result<f64, String> {
    compiled(text).in_unit(&unit(to)).map(|p| first(&p))
}

fn code(text: &str) -> &'static str {
    match Program::compile(text, &scope()) {
        Ok(p) => panic!("{text} must not compile, but has the unit {}", p.unit),
        Err(f) => f.code,
    }
}

#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{got} is not close to {expected}");
}

#[test]
fn operators_have_the_usual_precedence() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("-a^2", -4.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("(2^3)^2", 64.0),
        ("10 - 4 - 3", 3.0),
        ("24 / 4 / 2", 3.0),
        ("2 * -3", -6.0),
        ("1 < 2 and 3 < 2 or 1", 1.0),
        ("not 1 > 2", 1.0),
        ("!0 + 1", 2.0),
        ("a × b ÷ 2 − 1", 2.0),
        ("a ** 2", 4.0),
        ("a ≥ 2 && b ≠ 3", 0.0),
        ("min(3, a, 5)", 2.0),
        ("max(a, b, 7, 1)", 7.0),
        ("clip(a, 3, 4)", 3.0),
        ("if(a > b, 1, 2)", 2.0),
        ("round(2.5) + floor(-0.5)", 2.0),
        ("exp(ln(a))", 2.0),
        ("sqrt(a^2 + b^2)", 13f64.sqrt()),
        ("a^0.5 * a^-2", 2f64.sqrt() / 4.0),
        ("a^b", 8.0),
        ("lag(a, 2)", -198.0),
        ("lag(a, lead - 1) - a", -200.0),
        ("lag(a, lead_days / dt * 0 + 1)", -98.0),
        ("lag(a, 99)", -298.0),
        ("1e3 + .5 + 2.", 1002.5),
        ("abs(c) + +c", 0.0),
    ] {
        near(value(text).0, expected);
    }
}

#[test]
fn units_of_results_are_correct() {
    for (text, expected, u) in [
        ("hvac + it_power", 7.0, "kW"),
        ("it_power + hvac", 7000.0, "W"),
        ("it_power + 500", 5500.0, "W"),
        ("max(it_power, hvac, 6000)", 6000.0, "W"),
        ("it_power * price", 450_000.0, "W*EUR/MWh"),
        ("hvac / it_power", 0.4, "1"),
        ("1 - hvac / it_power", 0.6, "1"),
        ("hvac * humidity", 0.8, "kW"),
        ("humidity > 39", 1.0, "1"),
        ("humidity + 0.1[1]", 50.0, "%"),
        ("0.5 * level", 0.75, "m"),
        ("level + dt * inflow / area", 2.1, "m"),
        ("level^2", 2.25, "m^2"),
        ("sqrt(2 * 9.81[m/s2] * level)", (2.0 * 9.81 * 1.5f64).sqrt(), "m/s"),
        ("ln(1 + level / 0.5[m])", 4f64.ln(), "1"),
        ("10 / hvac", 5.0, "1/kW"),
        ("dt", 600.0, "s"),
        ("ua * (return_temp - supply)", 3.0, "kW/K*K"),
        ("level > 1.4", 1.0, "1"),
        ("if(level > 200[cm], hvac, it_power)", 5.0, "kW"),
        ("order + lag(order, 1)", -80.0, "item"),
        ("-5[degC]", -5.0, "degC"),
        ("3 * 4", 12.0, "1"),
    ] {
        let (got, shown) = value(text);
        near(got, expected);
        if u == "kW/K*K" {
            assert_eq!(shown, "kW", "{text}");
        } else {
            assert_eq!(shown, u, "{text}");
        }
    }
    near(value_in("hvac + it_power", "W").unwrap(), 7000.0);
    near(value_in("if(a > 1, 16, 18)", "degC").unwrap(), 16.0);
    near(value_in("20", "item").unwrap(), 20.0);
    near(value_in("outdoor_f", "degC").unwrap(), 20.0);
    assert!(value_in("hvac", "kWh").is_err());
    assert!(value_in("a > 1", "degC").is_err());
    // the integral of 1 MW at 90 EUR/MWh over one hour is 90 EUR
    let rate = compiled("1000000[W] * 90[EUR/MWh]");
    let shown = rate.unit.integral().unwrap();
    assert_eq!(shown.text, "EUR");
    let factor = rate.unit.times(&Unit::second()).unwrap().factor(&shown).unwrap();
    near(first(&rate) * factor * 3600.0, 90.0);
}

#[test]
fn operations_that_depend_on_the_zero_point_of_a_temperature_scale_are_faults() {
    for (text, expected, u) in [
        ("return_temp - supply", 6.0, "K"),
        ("supply + approach", 22.0, "degC"),
        ("approach + supply", 22.0, "degC"),
        ("supply - approach", 14.0, "degC"),
        ("supply + 2", 20.0, "degC"),
        ("supply + swing", 23.0, "degC"),
        ("supply - outdoor_f", -2.0, "K"),
        ("outdoor_f - supply", 3.6, "delta_degF"),
        ("max(supply, outdoor_f)", 20.0, "degC"),
        ("max(supply, 0[degC] + (kelvin - 273.15))", 26.85, "degC"),
        ("supply > 17.5", 1.0, "1"),
        ("supply < outdoor_f", 1.0, "1"),
        ("if(supply > 27[degC], supply, return_temp)", 24.0, "degC"),
        ("supply + 0.5 * (return_temp - supply)", 21.0, "degC"),
        ("18 + 0.2 * (supply - 8)", 20.0, "K"),
        ("supply - 2 > 15", 1.0, "1"),
        ("max(supply - 2, return_temp)", 24.0, "degC"),
        ("max(0, supply - 2)", 16.0, "K"),
        ("clip(supply - 2, 15, 30)", 16.0, "K"),
        ("abs(supply - return_temp)", 6.0, "K"),
        ("abs(supply - 20)", 2.0, "K"),
        ("20 - supply", 2.0, "K"),
        ("lag(supply, 1)", -82.0, "degC"),
        ("kelvin - 273.15", 26.85, "K"),
        ("return_temp - (supply - 2)", 8.0, "K"),
    ] {
        let (got, shown) = value(text);
        near(got, expected);
        assert_eq!(shown, u, "{text}");
    }
    // `supply - 2` is a temperature or a temperature difference, depending on the unit required by the context
    near(value_in("supply - 2", "degC").unwrap(), 16.0);
    near(value_in("supply - 2", "K").unwrap(), 16.0);
    near(value_in("supply - 2", "degF").unwrap(), 60.8);
    near(value_in("if(a > 1, supply - 2, 18)", "degC").unwrap(), 16.0);
    near(value_in("clip(supply - 2, 15, 30)", "degC").unwrap(), 16.0);
    assert!(value_in("return_temp - supply", "degC").is_err());
    near(value_in("return_temp - supply", "delta_degF").unwrap(), 10.8);
    // a set-point that depends on the outdoor temperature (outdoor reset)
    near(value_in("18 + 0.2 * (supply - 8)", "degC").unwrap(), 20.0);
    near(value_in("clip(20 - 0.5 * (supply - return_temp), 15, 25)", "degC").unwrap(), 23.0);
    near(value_in("68 + 0.5 * (outdoor_f - 60)", "degC").unwrap(), 20.0 + 4.0 / 1.8);
    near(value_in("supply", "K").unwrap(), 291.15);
    // a value in K is never converted to degC implicitly, because it may be a difference
    assert!(value_in("kelvin", "degC").is_err() && value_in("18 + approach", "degC").unwrap_err().contains("18[degC]"));
    near(value_in("18[degC] + approach", "degC").unwrap(), 22.0);
    for text in [
        "supply + return_temp",
        "2 * supply",
        "supply * hvac",
        "hvac / supply",
        "-supply",
        "abs(supply)",
        "supply^2",
        "sqrt(supply)",
        "approach - supply",
        "max(supply, return_temp - supply)",
        "max(supply, kelvin)",
        "supply > 3[K]",
        "supply > return_temp - supply",
        "exp(supply)",
        "0.5 * supply + 0.5 * return_temp",
    ] {
        assert_eq!(code(text), "unit-mismatch", "{text}");
    }
    let fault = Program::compile("0.5 * supply", &scope()).unwrap_err();
    assert!(fault.help.contains("use a difference") && fault.help.contains('K'), "{}", fault.help);
}

#[test]
fn faults_have_the_right_position_and_help() {
    for (text, code, at, help) in [
        ("it_power + pricee", "unknown-name", "pricee", "`price`"),
        ("hvac + sqroot(a)", "unknown-function", "sqroot", "`sqrt`"),
        ("log(a)", "unknown-function", "log", "`ln`"),
        ("a + exp", "unknown-name", "exp", "exp(x)"),
        ("a * (b + 1", "syntax", "(", ")"),
        ("min(a, b", "syntax", "(", ")"),
        ("a b", "syntax", "b", "2 * x"),
        ("2a", "syntax", "a", "2 * x"),
        ("a +", "syntax", "", "add a name"),
        ("", "syntax", "", "add a name"),
        ("* a", "syntax", "*", "operator"),
        ("a = 2", "syntax", "=", "=="),
        ("a < b < c", "syntax", "<", "a < b and b < c"),
        ("a)", "syntax", ")", "remove"),
        ("a, b", "syntax", ",", "remove"),
        ("1,5 * a", "syntax", ",", "0.5"),
        ("exp(a, b)", "arity", "exp(a, b)", "exp(x)"),
        ("if(a, b)", "arity", "if(a, b)", "if(condition"),
        ("min(a)", "arity", "min(a)", "min(a, b"),
        ("max()", "arity", "max()", "max(a, b"),
        ("lag(a + b, 1)", "bad-lag", "a + b", "derived"),
        ("lag(a, -1)", "bad-lag", "-1", "0 or more"),
        ("lag(a, 1.5)", "bad-lag", "1.5", "whole"),
        ("lag(a, b)", "bad-lag", "b", "parameter"),
        ("lag(a, lead_days)", "bad-lag", "lead_days", "dt"),
        ("lag(a, 0/0)", "bad-lag", "0/0", "whole"),
        ("lag(lead, 1)", "bad-lag", "lead", "signal"),
        ("5[kWW]", "unknown-unit", "[kWW]", "unit"),
        ("5[kW", "syntax", "[", "[degC]"),
        ("level[m]", "syntax", "[m]", "remove"),
        ("hvac + level", "unit-mismatch", "hvac + level", "dimension"),
        ("hvac + a", "unit-mismatch", "hvac + a", "[kW]"),
        ("price + usd_price", "unit-mismatch", "price + usd_price", "currency"),
        ("price / usd_price", "unit-mismatch", "price / usd_price", "currency"),
        ("exp(level)", "unit-mismatch", "level", "x / 0.001[m]"),
        ("sqrt(level)", "unit-mismatch", "sqrt(level)", "reference"),
        ("level^a", "unit-mismatch", "a", "constant"),
        ("level and 1", "unit-mismatch", "level", "compare"),
        ("clip(a, 4, 3)", "bad-bounds", "4, 3", "low"),
        ("a % 2", "syntax", "%", "modulo"),
        ("a ? b : c", "syntax", "?", "if("),
        ("1e999", "syntax", "1e999", "1.8e308"),
        ("'a'", "syntax", "'", "quotes"),
    ] {
        let f = Program::compile(text, &scope()).expect_err(text);
        assert_eq!(f.code, code, "{text}: {f:?}");
        assert_eq!(&text[f.span.clone()], at, "{text}: {f:?}");
        assert!(f.help.contains(help), "{text}: {f:?}");
    }
    let f = Program::compile(&format!("{}a{}", "(".repeat(5000), ")".repeat(5000)), &scope()).unwrap_err();
    assert_eq!(f.code, "too-deep");
    for deep in ["-".repeat(9000) + "a", "2^".repeat(4000) + "2", "exp(".repeat(4000), "not ".repeat(4000) + "a"] {
        assert_eq!(code(&deep), "too-deep");
    }
    assert_eq!(code(&"a + ".repeat(9000)), "too-long");
    // a long sum is allowed, because it is not nested
    let long = "a + ".repeat(4000) + "a";
    near(value(&long).0, 8002.0);
    assert!(Expression::parse(&long).unwrap().same(&Expression::parse(&long).unwrap()));
}

#[test]
fn a_program_lists_the_signals_and_lags_that_it_reads() {
    let p = compiled("a + lag(b, 2) * lag(b, 2) + if(1 > 2, c, a) + lead");
    assert_eq!(p.reads, [(0, 0), (1, 2)]);
    assert_eq!(p.depth(), 2);
    assert!(p.reads_signal(1) && !p.reads_signal(2));
    let (constant, signal) = (compiled("lead * 2 + 1"), compiled("supply"));
    assert!(constant.reads.is_empty() && signal.reads == [(3, 0)]);
    assert_eq!((constant.operations(), first(&constant)), (0, 7.0));
    assert_eq!(signal.operations(), 0);
    // the common term (a + b) is computed only once, and 2 * 3 is a constant
    assert_eq!(compiled("(a + b) * (a + b) + 2 * 3").operations(), 3);
    let e = Expression::parse("lag(b, lead) + x.y_2 * dt + b").unwrap();
    let names: Vec<_> = e.names().into_iter().map(|n| n.0).collect();
    assert_eq!(names, ["b", "lead", "x.y_2", "b"]);
    for (name, valid) in [
        ("TIC101.PV", true),
        ("größe", true),
        ("dt", false),
        ("1a", false),
        ("a b", false),
        ("a.", false),
        ("and", false),
        ("", false),
    ] {
        assert_eq!(is_name(name), valid, "{name}");
    }
}

#[test]
fn results_of_missing_values_are_missing() {
    let mut values = VALUES;
    values[0] = f64::NAN;
    let w = window(&values, 700);
    for text in
        ["a + 1", "max(a, 0)", "max(0, a)", "min(b, a)", "clip(a, 0, 1)", "exp(a)", "floor(a)", "round(a)", "abs(a)"]
    {
        let mut out = vec![0.0; 700];
        compiled(text).eval(&w, &mut Registers::default(), &mut out);
        assert!(out.iter().all(|v| v.is_nan()), "{text}");
    }
    let mut out = vec![9.0; 700];
    compiled("if(a > 1, 1, 2) + !a").eval(&w, &mut Registers::default(), &mut out);
    assert!(out.iter().all(|v| *v == 3.0));
}

/// A random expression in the dimensionless signals a, b and c, which the naive evaluator can compute.
#[derive(Debug, Clone)]
enum Tree {
    Number(f64),
    Signal(usize, usize),
    One(&'static str, Box<Tree>),
    Two(&'static str, Box<Tree>, Box<Tree>),
    Three(&'static str, Box<[Tree; 3]>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (-50i32..50).prop_map(|v| Tree::Number(f64::from(v) / 8.0)),
        (0usize..3, 0usize..4).prop_map(|(s, l)| Tree::Signal(s, l)),
        (0usize..3).prop_map(|s| Tree::Signal(s, 0)),
    ];
    let one = prop_oneof![
        Just("-"),
        Just("!"),
        Just("abs"),
        Just("exp"),
        Just("ln"),
        Just("sqrt"),
        Just("floor"),
        Just("round"),
        Just("^2"),
        Just("^-1"),
        Just("^1.5")
    ];
    let two = prop_oneof![
        Just("+"),
        Just("-"),
        Just("*"),
        Just("/"),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(">="),
        Just("=="),
        Just("!="),
        Just("and"),
        Just("or"),
        Just("min"),
        Just("max")
    ];
    let three = prop_oneof![Just("if"), Just("clip")];
    leaf.prop_recursive(6, 60, 3, move |inner| {
        prop_oneof![
            2 => (one.clone(), inner.clone()).prop_map(|(f, a)| Tree::One(f, Box::new(a))),
            4 => (two.clone(), inner.clone(), inner.clone()).prop_map(|(f, a, b)| Tree::Two(f, Box::new(a), Box::new(b))),
            1 => (three.clone(), inner.clone(), inner.clone(), inner).prop_map(|(f, a, b, c)| Tree::Three(f, Box::new([a, b, c]))),
        ]
    })
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Number(v) if *v < 0.0 => format!("({v})"),
            Self::Number(v) => format!("{v}"),
            Self::Signal(s, 0) => SIGNALS[*s].0.to_owned(),
            Self::Signal(s, lag) => format!("lag({}, {lag})", SIGNALS[*s].0),
            Self::One(f @ ("-" | "!"), a) => format!("({f}{})", a.text()),
            Self::One(f, a) if f.starts_with('^') => format!("({}){f}", a.text()),
            Self::One(f, a) => format!("{f}({})", a.text()),
            Self::Two(f @ ("min" | "max"), a, b) => format!("{f}({}, {})", a.text(), b.text()),
            Self::Two(f, a, b) => format!("({} {f} {})", a.text(), b.text()),
            Self::Three(f, p) => format!("{f}({}, {}, {})", p[0].text(), p[1].text(), p[2].text()),
        }
    }

    /// The value of the expression in row `row`. `None` if the value is sensitive to rounding errors of the operands,
    /// for example at a discontinuity or at zero.
    fn naive(&self, w: &Window, row: usize) -> Option<f64> {
        let from_bool = |c: bool| f64::from(u8::from(c));
        let is_true = |c: f64| c != 0.0 && !c.is_nan();
        let min = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) };
        let max = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
        let distinct = |a: f64, b: f64| {
            let difference = (a - b).abs();
            difference.is_nan() || difference >= 1e-6 * a.abs().max(b.abs()).max(1e-6) || a.to_bits() == b.to_bits()
        };
        Some(match self {
            Self::Number(v) => *v,
            Self::Signal(s, lag) => w.column(*s, *lag)[row],
            Self::One(f, a) => {
                let a = a.naive(w, row)?;
                match *f {
                    "-" => -a,
                    "!" if !distinct(a, 0.0) => return None,
                    "!" => from_bool(!is_true(a)),
                    "abs" => a.abs(),
                    "exp" => a.exp(),
                    "ln" => a.ln(),
                    "sqrt" => a.sqrt(),
                    "floor" if !distinct(a, a.round()) => return None,
                    "floor" => a.floor(),
                    "round" if !distinct(a - 0.5, (a - 0.5).round()) => return None,
                    "round" => a.round(),
                    "^2" => a * a,
                    "^-1" if a == 0.0 => return None,
                    "^-1" => 1.0 / a,
                    _ => a.powf(1.5),
                }
            }
            Self::Two(f, a, b) => {
                let (a, b) = (a.naive(w, row)?, b.naive(w, row)?);
                match *f {
                    // if the operands nearly cancel, the result consists only of rounding errors
                    "+" if a + b != 0.0 && !distinct(a, -b) => return None,
                    "-" if a - b != 0.0 && !distinct(a, b) => return None,
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "/" if b == 0.0 => return None,
                    "/" => a / b,
                    "min" => min(a, b),
                    "max" => max(a, b),
                    "and" | "or" if !distinct(a, 0.0) || !distinct(b, 0.0) => return None,
                    "and" => from_bool(is_true(a) && is_true(b)),
                    "or" => from_bool(is_true(a) || is_true(b)),
                    _ if !distinct(a, b) => return None,
                    "<" => from_bool(a < b),
                    "<=" => from_bool(a <= b),
                    ">" => from_bool(a > b),
                    ">=" => from_bool(a >= b),
                    "==" => from_bool(a == b),
                    _ => from_bool(a != b),
                }
            }
            Self::Three(f, p) => {
                let [a, b, c] = [p[0].naive(w, row)?, p[1].naive(w, row)?, p[2].naive(w, row)?];
                match *f {
                    "if" if !distinct(a, 0.0) => return None,
                    "if" => {
                        if is_true(a) {
                            b
                        } else {
                            c
                        }
                    }
                    _ => min(max(a, b), c),
                }
            }
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn programs_agree_with_the_naive_evaluator(tree in tree(), seed in -3.0..3.0f64) {
        let text = tree.text();
        let scope = scope();
        match Program::compile(&text, &scope) {
            Err(f) => prop_assert!(f.code == "bad-bounds", "{} {:?}", text, f),
            Ok(program) => {
                let rows = 1100;
                let mut w = Window::new(3, 4, rows, Timestamp::UNIX_EPOCH, 1000);
                for lag in 0..4 {
                    for s in 0..3 {
                        for (r, o) in w.column_mut(s, lag).iter_mut().enumerate() {
                            *o = seed + 2.0 * ((r * 7 + s * 31 + lag * 13) as f64 * 0.37).sin();
                        }
                    }
                }
                let mut registers = Registers::default();
                let mut out = vec![0.0; rows];
                program.eval(&w, &mut registers, &mut out);
                let mut again = vec![1.0; rows];
                program.eval(&w, &mut registers, &mut again);
                prop_assert!(out.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()));
                for row in [0, 1, 17, 511, 512, 513, 1023, 1024, 1099] {
                    let Some(expected) = tree.naive(&w, row) else { continue };
                    let got = out[row];
                    let same = got == expected
                        || (got.is_nan() && expected.is_nan())
                        || (got - expected).abs() <= 1e-12 * expected.abs() * 30.0
                        || (expected.abs() > 1e100 && got.abs() > 1e100)
                        || (expected.abs() < 1e-100 && got.abs() < 1e-100);
                    prop_assert!(same, "{}\nrow {}: {:e}, naive {:e}", text, row, got, expected);
                }
            }
        }
    }

    #[test]
    fn printing_and_parsing_preserves_an_expression(tree in tree()) {
        let once = Expression::parse(&tree.text()).unwrap();
        let printed = once.to_string();
        let twice = Expression::parse(&printed).unwrap();
        prop_assert!(once.same(&twice), "{} printed as {}", tree.text(), printed);
        prop_assert_eq!(twice.to_string(), printed);
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in any::<String>()) {
        let _ = black_box(Program::compile(&text, &scope()));
        let _ = black_box(Unit::parse(&text));
    }

    #[test]
    fn random_tokens_do_not_panic(words in prop::collection::vec(prop_oneof![
        Just("a"), Just("supply"), Just("outdoor_f"), Just("kelvin"), Just("hvac"), Just("price"), Just("humidity"),
        Just("+"), Just("-"), Just("*"), Just("/"), Just("^"), Just("("), Just(")"), Just(","), Just("if("), Just("min("),
        Just("clip("), Just("lag("), Just("exp("), Just("sqrt("), Just("2"), Just("0.5"), Just("1e300"), Just("[m]"),
        Just("[degC]"), Just("[m^9]"), Just("<"), Just("and"), Just("not"), Just("!"), Just("²"), Just("−"), Just("é"),
        Just("."), Just("["), Just("approach"), Just("lead_days"), Just("dt"),
    ], 0..24), glue in prop_oneof![Just(""), Just(" ")]) {
        let text = words.join(glue);
        match Program::compile(&text, &scope()) {
            Ok(p) => {
                let mut out = [0.0; 3];
                p.eval(&window(&VALUES, 3), &mut Registers::default(), &mut out);
                prop_assert!(Unit::parse(&p.unit.text).is_ok(), "{}", p.unit.text);
            }
            Err(f) => prop_assert!(text.get(f.span.clone()).is_some(), "{:?}", f),
        }
    }

    #[test]
    fn random_unit_tokens_do_not_panic(words in prop::collection::vec(prop_oneof![
        Just("m"), Just("kW"), Just("degC"), Just("EUR"), Just("USD"), Just("*"), Just("/"), Just("^"), Just("-"),
        Just("2"), Just("²"), Just("⁻"), Just("("), Just(")"), Just("1"), Just("."), Just("%"), Just("h"), Just(" "),
    ], 0..14)) {
        if let Ok(u) = Unit::parse(&words.concat()) {
            let _ = black_box((u.preferred(), u.integral(), u.power(0.5), u.times(&u), u.per(&u)));
        }
    }
}

#[test]
fn a_sum_covers_the_steps_before_the_current_one() {
    use jiff::Timestamp;
    use twinopt::trajectory::Window;
    let mut scope = Scope { dt: 86_400.0, ..Scope::default() };
    scope.signals.insert("ship".into(), (0, Unit::parse("item").unwrap()));
    scope.signals.insert("room".into(), (1, Unit::parse("degC").unwrap()));
    scope.parameters.insert("lead".into(), (3.0, Unit::one()));
    let mut w = Window::new(2, 8, 1, Timestamp::UNIX_EPOCH, 86_400_000);
    for v in 0..8 {
        if v > 0 {
            w.advance();
        }
        w.column_mut(0, 0)[0] = f64::from(v);
    }
    let value = |text: &str| {
        let program = Program::compile(text, &scope).unwrap();
        let mut out = [0.0];
        program.eval(&w, &mut Registers::default(), &mut out);
        (out[0], program.unit.text)
    };
    assert_eq!(value("sum(ship, lead)"), (6.0 + 5.0 + 4.0, "item".into()));
    assert_eq!(value("sum(ship, lead + 2) / 5"), (4.0, "item".into()));
    assert_eq!(value("sum(ship, 0) + ship").0, 7.0);
    assert_eq!(Program::compile("sum(room, 2)", &scope).unwrap_err().code, "unit-mismatch");
    assert_eq!(Program::compile("sum(ship, 1e5)", &scope).unwrap_err().code, "bad-lag");
    assert_eq!(Program::compile("sum(ship + 1, 2)", &scope).unwrap_err().code, "bad-lag");
}
