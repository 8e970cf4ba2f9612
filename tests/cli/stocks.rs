//! Plans of stocks compared with the best base-stock policy, which the tests find by trying all levels, and with exact
//! optima.

use super::plans::{START, case, kpi, project, run};
use super::room::Columns;

const ROWS: usize = 700;
const STEPS: usize = 300;
const LEAD: usize = 5;
/// Costs of one unit in stock and of one unit of backlog, per step.
const PRICES: [f64; 2] = [0.1, 2.0];

/// A demand that looks random, between 10 and 30.
fn demand(k: usize) -> f64 {
    let mixed = (k as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    10.0 + ((mixed ^ (mixed >> 29)) % 21) as f64
}

/// A stock whose orders arrive after `LEAD` steps, ordered up to a level that varies.
fn stock() -> Columns {
    let mut columns: Columns = ["demand", "stock", "amount"].map(|name| (name, Vec::new())).to_vec();
    let mut stock = 40.0;
    for k in 0..ROWS {
        let past = |lag: usize| k.checked_sub(lag).map_or(20.0, |k| columns[2].1[k]);
        let position = stock + (1..=LEAD).map(past).sum::<f64>();
        let order = (150.0 - position + demand(k + 3 * ROWS) - 20.0).clamp(0.0, 100.0);
        let next = stock + past(LEAD) - demand(k);
        for (column, value) in columns.iter_mut().zip([demand(k), stock, order]) {
            column.1.push(value);
        }
        stock = next;
    }
    columns
}

fn costs(stock: f64) -> f64 {
    PRICES[0] * stock.max(0.0) + PRICES[1] * (-stock).max(0.0)
}

/// The lowest cost of a base-stock policy in the run, over all levels.
fn best_base_stock(columns: &Columns) -> f64 {
    let cost = |level: f64| {
        let mut orders = columns[2].1[..START].to_vec();
        let (mut stock, mut cost) = (columns[1].1[START], 0.0);
        for k in START..START + STEPS {
            let position = stock + (1..=LEAD).map(|lag| orders[k - lag]).sum::<f64>();
            orders.push((level - position).clamp(0.0, 200.0));
            cost += costs(stock);
            stock += orders[k - LEAD] - demand(k);
        }
        cost
    };
    (80..250).map(|level| cost(f64::from(level))).fold(f64::INFINITY, f64::min)
}

/// Plans must hold a safety stock, although the expected demand is known exactly.
#[test]
fn plans_price_the_spread_of_the_demand() {
    let columns = stock();
    let best = best_base_stock(&columns);
    let scenario =
        format!("length = '{STEPS}h'\n[case.baseline]\ncontroller.replay = {{}}\n[case.mpc]\ncontroller.mpc = {{}}\n");
    // The demand as a disturbance that is forecast in different ways, and in a derived signal of the objective.
    for (demand, multiple) in [
        ("role = 'disturbance', forecast = { seasonal = '24h' }", ", multiple = 1"),
        ("role = 'disturbance'", ""),
        ("role = 'output'", ", multiple = 1"),
    ] {
        let twin = format!(
            "signals = [\n{{ name = 'demand', {demand} }},\n\
             {{ name = 'stock', role = 'state', next = 'stock + lag(amount, {LEAD}) - demand' }},\n\
             {{ name = 'amount', role = 'control', hard = [0, 200]{multiple} }},\n\
             {{ name = 'missing', role = 'derived', expr = 'max(-stock, 0)' }},\n]\n\
             [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '12h'\n\
             [kpi]\nheld = {{ sum = 'max(stock, 0)' }}\nmissing = {{ sum = 'missing' }}\n\
             [objective]\nheld = {}\nmissing = {}\n",
            PRICES[0], PRICES[1]
        );
        let results = run(&project(&columns, &twin, &scenario));
        let found = PRICES[0] * kpi(&results, "mpc", "held") + PRICES[1] * kpi(&results, "mpc", "missing");
        println!("{demand}: {found:.1}, best base stock {best:.1}, {}", case(&results, "mpc")["controller"]);
        assert!(found <= 1.05 * best, "{demand}: {found} instead of at most 1.05 × {best}");
    }
}

/// A stock with lost sales cannot be negative, so its hard limit must not change the plans.
#[test]
fn a_limit_that_the_equation_guarantees_does_not_change_plans() {
    let mut columns = stock();
    for k in 1..ROWS {
        let arriving = k.checked_sub(1 + LEAD).map_or(20.0, |k| columns[2].1[k]);
        columns[1].1[k] = (columns[1].1[k - 1] + arriving - demand(k - 1)).max(0.0);
    }
    let scenario =
        format!("length = '{STEPS}h'\n[case.baseline]\ncontroller.replay = {{}}\n[case.mpc]\ncontroller.mpc = {{}}\n");
    let cost = |hard: &str| {
        let twin = format!(
            "signals = [\n{{ name = 'demand', role = 'disturbance' }},\n\
             {{ name = 'stock', role = 'state'{hard}, next = 'max(stock + lag(amount, {LEAD}) - demand, 0)' }},\n\
             {{ name = 'amount', role = 'control', hard = [0, 200] }},\n\
             {{ name = 'lost', role = 'derived', expr = 'max(demand - stock - lag(amount, {LEAD}), 0)' }},\n]\n\
             [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '12h'\n\
             [kpi]\nheld = {{ sum = 'stock' }}\nlost = {{ sum = 'lost' }}\n[objective]\nheld = 0.1\nlost = 2.0\n"
        );
        let results = run(&project(&columns, &twin, &scenario));
        0.1 * kpi(&results, "mpc", "held") + 2.0 * kpi(&results, "mpc", "lost")
    };
    let without = cost("");
    assert_eq!([cost(", hard = [0, inf]"), cost(", hard = [0, 100000]")], [without; 2]);
}

/// The last order in the log is large. To leave it as it is would mean to repeat it in every step.
#[test]
fn the_last_order_is_never_the_advice() {
    let mut columns = stock();
    columns[2].1[ROWS - 1] = 90.0;
    let twin = |safe: &str| {
        format!(
            "signals = [\n{{ name = 'demand', role = 'disturbance' }},\n\
             {{ name = 'stock', role = 'state', next = 'stock + lag(amount, {LEAD}) - demand' }},\n\
             {{ name = 'amount', role = 'control', hard = [0, 200] }},\n]\n\
             [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '12h'\n\
             [kpi]\nheld = {{ sum = 'abs(stock)' }}\n[objective]\nheld = 1.0\n[mpc]\ntune = false\n{safe}"
        )
    };
    let scenario = "length = '60h'\n[case.baseline]\ncontroller.replay = {}\n";
    let advice = |safe: &str| {
        let room = project(&columns, &twin(safe), scenario);
        room.run(&["fit", "data/room", "--quiet"]).expect(0);
        room.run(&["advise", "data/room", "--json", "--quiet"]).expect(0).document()
    };
    let free = advice("");
    assert!(free["compared_with"].as_str().unwrap().starts_with("`amount` at its median in the log (2"), "{free:#}");
    assert_eq!(free["controls"][0]["advised"], free["controls"][0]["planned"], "{free:#}");
    assert!(free["controls"][0]["advised"].as_f64().unwrap() < 60.0, "{free:#}");
    // A reference that no plan can beat: the advice is its order.
    let safe = advice(
        "safe.base_stock = [{ order = 'amount', level = '150', position = 'stock + sum(amount, 5)' }]\nplanner.random_shooting = { population = 2 }\n",
    );
    assert_eq!(safe["compared_with"], "`amount` from the `safe` controller", "{safe:#}");
    if !safe["leave"].is_null() {
        assert_eq!(safe["controls"][0]["reason"], "value of the `safe` controller", "{safe:#}");
    }
    assert_ne!(safe["controls"][0]["advised"], safe["controls"][0]["now"], "{safe:#}");
}
