//! Tests of `src/scenario/delay.rs`.

use super::super::results::StepResponse;
use super::*;
use crate::config::{Loaded, TwinSpec};
use crate::expr;
use indexmap::IndexMap;

/// Compiles a twin with a step of 1 h.
fn twin(signals: &str, more: &str) -> (Loaded<TwinSpec>, std::sync::Arc<Schema>, Compiled) {
    let text = format!(
        "name = 'plant'\nstep = '1h'\nlog = {{ files = 'log/*.parquet', time = 'timestamp' }}\nsignals = [\n{signals}\n]\n{more}"
    );
    let value: TwinSpec = toml::from_str(&text).unwrap();
    let file = Loaded { value, text, path: "twin.toml".into(), damage: Default::default() };
    let schema = expr::schema(&file.value).unwrap();
    let compiled = Compiled::new(&file, &schema, &IndexMap::new()).unwrap();
    (file, schema, compiled)
}

/// The delays of the controls of a twin, as (control, signal, steps).
fn delays(signals: &str, more: &str, responses: &[StepResponse]) -> Vec<(String, String, usize)> {
    let (file, schema, compiled) = twin(signals, more);
    let settings = ResolvedMpc { controls: schema.with_role(Role::Control), ..ResolvedMpc::default() };
    let list = compiled.delays(&schema, &file.value.model, responses, &settings);
    let name = |s: usize| schema.signals[s].name.clone();
    list.into_iter().map(|d| (name(d.control), name(d.signal), d.steps)).collect()
}

fn one(control: &str, signal: &str, steps: usize) -> Vec<(String, String, usize)> {
    vec![(control.to_owned(), signal.to_owned(), steps)]
}

const OBJECTIVE: &str = "[kpi]\ncost = { sum = 'cost' }\n[objective]\ncost = 1.0\n";

#[test]
fn delays_add_up_along_lags_and_integrations() {
    // order → (5 steps) → stock → (1 step) → sold → (1 step) → cash
    let chain = "{ name = 'stock', role = 'state', next = 'stock + lag(order, 4) - sold' },\n\
        { name = 'sold', role = 'state', next = 'min(stock, demand)' },\n\
        { name = 'cash', role = 'state', next = 'cash + sold' },\n\
        { name = 'order', role = 'control' },\n{ name = 'demand', role = 'disturbance' },\n";
    let cost = |text: &str| format!("{chain}{{ name = 'cost', role = 'derived', expr = '{text}' }},");
    assert_eq!(delays(&cost("order - cash"), OBJECTIVE, &[]), one("order", "cash", 7));
    assert_eq!(delays(&cost("order + stock"), OBJECTIVE, &[]), one("order", "stock", 5));
    // The cost of an order and the receipt of the goods are different effects. A sum over consecutive orders counts as
    // a single effect.
    assert_eq!(delays(&cost("order - lag(order, 24)"), OBJECTIVE, &[]), one("order", "order", 24));
    assert_eq!(delays(&cost("sum(order, 24)"), OBJECTIVE, &[])[0].2, 1);
    assert_eq!(delays(&cost("stock - lag(stock, 24)"), OBJECTIVE, &[]), one("order", "stock", 5));
    // A control without any effect on the cost has no delay.
    assert_eq!(delays(&cost("demand"), OBJECTIVE, &[]), Vec::new());
    // Hard limits of a state also determine the cost of a plan; they apply to the next value of the state.
    let limited = cost("order").replacen("'cash', role = 'state',", "'cash', role = 'state', hard = [0, 9],", 1);
    assert_eq!(delays(&limited, OBJECTIVE, &[]), one("order", "cash", 6));
}

#[test]
fn learned_signals_respond_after_their_measured_dead_time() {
    let signals = "{ name = 'x', role = 'state' },\n{ name = 'y', role = 'output' },\n{ name = 'u', role = 'control' },\n\
        { name = 'cost', role = 'derived', expr = 'x + y' },";
    assert_eq!(delays(signals, OBJECTIVE, &[])[0].2, 1);
    let response = |signal: &str, mean: Vec<f64>| StepResponse {
        control: "u".into(),
        signal: signal.into(),
        unit: "1".into(),
        step: 1.0,
        hours: (0..mean.len()).map(|k| k as f64).collect(),
        low: mean.clone(),
        high: mean.clone(),
        gain: 1.0,
        mean,
        expected: None,
        agrees: true,
    };
    let late = [response("x", vec![0.0, 0.01, 0.0, -0.01, 0.5, 1.0]), response("y", vec![0.0, 0.3, 1.0])];
    assert_eq!(delays(signals, OBJECTIVE, &late), one("u", "x", 4));
    assert_eq!(delays(signals, OBJECTIVE, &[response("x", vec![0.0; 6])])[0].2, 1);
}

#[test]
fn a_plan_sees_its_effect_if_it_is_twice_as_long_as_the_delay() {
    let delay = Delay { control: 0, signal: 0, steps: 5 };
    let sights = [4, 5, 6, 9, 10].map(|horizon| delay.sight(horizon));
    assert_eq!(sights, [Sight::None, Sight::None, Sight::Partial, Sight::Partial, Sight::Full]);
    assert_eq!(Delay { steps: 0, ..delay }.sight(1), Sight::Full);
}

#[test]
fn a_store_is_unpriced_if_it_matters_only_through_limits() {
    let stores = |store: &str, cost: &str, settings: &ResolvedMpc| {
        let signals = format!(
            "{store},\n{{ name = 'u', role = 'control' }},\n{{ name = 'price', role = 'disturbance' }},\n\
             {{ name = 'flow', role = 'derived', expr = 'min(u, x)' }},\n{{ name = 'cost', role = 'derived', expr = '{cost}' }},"
        );
        let (file, schema, compiled) = twin(&signals, OBJECTIVE);
        let settings = ResolvedMpc { controls: schema.with_role(Role::Control), ..settings.clone() };
        let list = compiled.unpriced_stores(&schema, &file.value.model, &settings);
        list.into_iter().map(|s| schema.signals[s].name.clone()).collect::<Vec<String>>()
    };
    let open = ResolvedMpc::default();
    let battery = "{ name = 'x', role = 'state', hard = [0, 10], next = 'x + u' }";
    let backlog = "{ name = 'x', role = 'state', next = 'x + price - flow' }";
    assert_eq!(stores(battery, "price * u", &open), ["x"]);
    assert_eq!(stores(backlog, "price * flow", &open), ["x"]);
    // The content of these stores has a price, either in the objective or at the end of the plan.
    assert!(stores(backlog, "price * flow + x", &open).is_empty());
    assert!(stores(backlog, "max(price - x, 0)", &open).is_empty());
    let priced = ResolvedMpc { terminal: vec![(0, 1.0)], ..ResolvedMpc::default() };
    let learned = ResolvedMpc { cost_to_go: Some(true), ..ResolvedMpc::default() };
    assert!(stores(battery, "price * u", &priced).is_empty() && stores(battery, "price * u", &learned).is_empty());
    // A meter does not affect the cost, and a store that the control does not change is irrelevant for planning.
    assert!(stores("{ name = 'x', role = 'state', next = 'x + u' }", "price * u", &open).is_empty());
    assert!(
        stores("{ name = 'x', role = 'state', hard = [0, 10], next = 'x + price' }", "price * u", &open).is_empty()
    );
    // A state is not a store if its next value does not depend on its present value.
    assert!(stores("{ name = 'x', role = 'state', hard = [0, 10], next = 'u' }", "price * u", &open).is_empty());
}

#[test]
fn lead_times_add_up_along_a_supply_chain() {
    let lead = |signals: &str| {
        let (_, schema, compiled) = twin(signals, "");
        compiled.chain(&ResolvedMpc { controls: schema.with_role(Role::Control), ..ResolvedMpc::default() })
    };
    let stage = |i: usize, lag: usize, demand: &str| {
        format!(
            "{{ name = 'inv{i}', role = 'state', next = 'inv{i} + lag(o{i}, {lag}) - {demand}' }},\n\
             {{ name = 'o{i}', role = 'control' }},\n"
        )
    };
    let demand = "{ name = 'demand', role = 'disturbance' },\n";
    // A lead time of n steps in the equation means that an order changes the stock n + 1 steps later.
    let single = lead(&format!("{demand}{}", stage(0, 4, "demand")));
    assert_eq!((single.total, single.horizon(), single.exceeds(5)), (5, 10, false));
    let chain = format!("{demand}{}{}{}", stage(0, 2, "demand"), stage(1, 5, "o0"), stage(2, 1, "o1"));
    let chain = lead(&chain);
    assert_eq!((chain.total, chain.longest, chain.horizon()), (3 + 6 + 2, 6, 17));
    assert!(chain.exceeds(11) && !chain.exceeds(12));
    // Two shops order from one warehouse: the longer way counts. Derived signals are replaced by their expressions.
    let network = format!(
        "{demand}{}{}{{ name = 'both', role = 'derived', expr = 'o0 + o1' }},\n{}",
        stage(0, 2, "demand"),
        stage(1, 6, "demand"),
        stage(2, 9, "both")
    );
    assert_eq!((lead(&network).total, lead(&network).longest), (7 + 10, 10));
    // Charging and discharging a battery have no lead time.
    let battery = "{ name = 'soc', role = 'state', next = 'soc + charge - discharge' },\n\
        { name = 'charge', role = 'control' },\n{ name = 'discharge', role = 'control' },\n";
    assert_eq!((lead(battery).total, lead(battery).exceeds(1)), (1, false));
}
