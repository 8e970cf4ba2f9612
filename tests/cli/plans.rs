//! Tests of orders, of minimum times, and of plans that end before their moves take effect. Each test computes the
//! expected values.

use super::room::{Columns, Ended, Room};
use serde_json::Value;

/// A project with one plant and one scenario.
pub(super) fn project(columns: &Columns, twin: &str, scenario: &str) -> Room {
    let room = Room::with(columns);
    std::fs::remove_dir_all(room.path("scenarios/room")).unwrap();
    let head = "name = 'room'\nstep = '1h'\nlog = { files = 'log/*.parquet', time = 'timestamp' }\n";
    room.write("data/room/twin.toml", &format!("{head}{twin}"));
    let head = "question = '?'\ntwin = 'room'\nstart = 2024-01-09T00:00:00Z\nparticles = 2\n";
    room.write("scenarios/room/s.toml", &format!("{head}{scenario}"));
    room
}

/// Row of the log at which the scenarios start.
pub(super) const START: usize = 8 * 24;

pub(super) fn case<'v>(results: &'v Value, name: &str) -> &'v Value {
    let cases = results["scenarios"][0]["cases"].as_array().unwrap();
    cases.iter().find(|c| c["name"] == name).unwrap()
}

pub(super) fn kpi(results: &Value, case_name: &str, name: &str) -> f64 {
    let kpis = case(results, case_name)["kpis"].as_array().unwrap();
    kpis.iter().find(|k| k["name"] == name).unwrap()["value"]["mean"].as_f64().unwrap()
}

pub(super) fn run(room: &Room) -> Value {
    assert!([Some(0), Some(3)].contains(&room.run(&["run", "scenarios/room", "--quiet"]).code));
    room.json("reports/room/results.json")
}

fn check(room: &Room) -> String {
    let Ended { code, stdout, stderr } = room.run(&["check"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stdout + &stderr
}

/// A store that sells two pieces per step, with a lead time of one step.
fn store() -> Columns {
    let (mut level, mut arriving) = (20.0, 0.0);
    let (mut levels, mut orders) = (Vec::new(), Vec::new());
    for k in 0..300 {
        let order = if level < 15.0 && k % 3 == 0 { 10.0 } else { 0.0 };
        levels.push(level);
        orders.push(order);
        level += arriving - 2.0;
        arriving = order;
    }
    vec![("level", levels), ("order_qty", orders), ("demand", vec![2.0; 300])]
}

#[test]
fn orders_are_rounded_up_to_packs_and_minimum_orders() {
    for (limit, pack, least) in
        [("multiple = 10", 10.0, 0.0), ("min_on = 30", 0.0, 30.0), ("multiple = 8, min_on = 20", 8.0, 20.0)]
    {
        let twin = format!(
            "signals = [\n\
             {{ name = 'level', role = 'state', unit = 'item', next = 'level + lag(order_qty, 1) - demand' }},\n\
             {{ name = 'order_qty', role = 'control', unit = 'item', hard = [0, 100], {limit} }},\n\
             {{ name = 'demand', role = 'disturbance', unit = 'item' }},\n\
             {{ name = 'on_order', role = 'derived', unit = 'item', expr = 'sum(order_qty, 1)' }},\n]\n\
             [model]\nchoose = ['linear']\nlags = 2\nholdout = '60h'\nhorizon = '7h'\n\
             [kpi]\nstock = {{ mean = 'level' }}\nordered = {{ sum = 'order_qty' }}\n"
        );
        let policy = |level: f64, reorder: &str| {
            format!(
                "controller.base_stock = [ {{ order = 'order_qty', position = 'level + on_order', level = '{level}'{reorder} }} ]\n"
            )
        };
        let scenario = format!(
            "length = '40h'\n[case.baseline]\n{}[case.small]\n{}[case.reorder]\n{}",
            policy(20.0, ""),
            policy(4.0, ""),
            policy(20.0, ", reorder = '14'")
        );
        let room = project(&store(), &twin, &scenario);
        let results = run(&room);
        for (name, up_to, reorder) in
            [("baseline", 20.0, f64::INFINITY), ("small", 4.0, f64::INFINITY), ("reorder", 20.0, 14.0)]
        {
            let columns = store();
            let (mut level, mut arriving) = (columns[0].1[START], columns[1].1[START - 1]);
            let (mut stock, mut ordered) = (0.0, 0.0);
            for _ in 0..40 {
                let need: f64 = up_to - level - arriving;
                let mut order = if level + arriving <= reorder && need > 0.0 { need.max(least) } else { 0.0 };
                if pack > 0.0 {
                    order = (order / pack).ceil() * pack;
                }
                stock += level / 40.0;
                ordered += order;
                level += arriving - 2.0;
                arriving = order;
            }
            let found = (kpi(&results, name, "stock"), kpi(&results, name, "ordered"));
            assert!(
                (found.0 - stock).abs() < 1e-9 && found.1 == ordered,
                "{limit}, {name}: {found:?}, not {stock}, {ordered}"
            );
            assert!(ordered > 0.0);
        }
    }
}

#[test]
fn minimum_times_are_rounded_up_to_whole_steps() {
    // The rule asks for a switch in every step. With minimum times of 90 and 70 min, the machine is on for two steps
    // and off for two steps.
    let twin = "signals = [\n\
        { name = 'heat', role = 'state', next = '0.5 * heat + machine' },\n\
        { name = 'machine', role = 'control', hard = [0, 4], min_on = 4, min_run = '90min', min_stop = '70min' },\n]\n\
        [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '7h'\n\
        [kpi]\nused = { mean = 'machine' }\nswitches = { moves = 'machine' }\n";
    let scenario = "length = '40h'\n[case.baseline]\ncontroller.replay = {}\n\
        [case.eager]\ncontroller.rule = { machine = '4 - lag(machine, 1)' }\n";
    let mut columns: Columns = vec![("heat", vec![0.0]), ("machine", Vec::new())];
    for k in 0..300 {
        let machine = if k / 4 % 2 == 0 { 0.0 } else { 4.0 };
        columns[1].1.push(machine);
        let heat = 0.5 * columns[0].1[k] + machine;
        columns[0].1.push(heat);
    }
    columns[0].1.pop();
    let room = project(&columns, twin, scenario);
    let report = check(&room);
    for word in ["`min_run` is 90min, which is not a whole number of steps of 1h; 2h is used", "like `\"2h\"`"] {
        assert!(report.contains(word), "{word}: {report}");
    }
    assert!(report.contains("`min_stop` is 70min") && !report.contains("\"1h\""), "{report}");
    let results = run(&room);
    assert_eq!((kpi(&results, "eager", "used"), kpi(&results, "eager", "switches")), (2.0, 20.0));
}

/// A control loop with the reference 40 and the plant x(t + 1) = x(t) + 0.2 (u(t) − x(t)).
fn tracking(model_horizon: &str, cases: &str) -> Room {
    let mut columns: Columns = vec![("x", vec![30.0]), ("u", Vec::new()), ("ref", vec![40.0; 300])];
    for k in 0..300 {
        let u = 30.0 + f64::from((k * 7 % 11) as u8) - 5.0;
        columns[1].1.push(u);
        let x = columns[0].1[k];
        columns[0].1.push(x + 0.2 * (u - x));
    }
    columns[0].1.pop();
    let twin = format!(
        "signals = [\n\
         {{ name = 'x', role = 'state', next = 'x + 0.2 * (u - x)' }},\n\
         {{ name = 'u', role = 'control', hard = [5, 60] }},\n\
         {{ name = 'ref', role = 'setpoint' }},\n\
         {{ name = 'err', role = 'derived', expr = '(x - ref)^2' }},\n]\n\
         [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '{model_horizon}'\n\
         [kpi]\ndeviation = {{ mean = 'err' }}\n[objective]\ndeviation = 1.0\n"
    );
    project(&columns, &twin, &format!("length = '60h'\n[case.baseline]\ncontroller.hold = {{ u = 30 }}\n{cases}"))
}

#[test]
fn a_plan_that_cannot_see_its_own_effect_is_reported_with_the_fix() {
    let cases = "[case.one]\ncontroller.mpc = { horizon = '1h', particles = 1, within_log = false }\n\
        [case.two]\ncontroller.mpc = { horizon = '2h', particles = 1, within_log = false }\n";
    let room = tracking("8h", cases);
    let unseen = "a plan of 1h ends before its moves take effect, because a move of `u` changes `x` only 1h later";
    let report = check(&room);
    assert!(report.contains(&format!("case `one`: {unseen}")) && report.contains("horizon = \"2h\""), "{report}");
    assert!(!report.contains("case `two`"), "{report}");
    let results = run(&room);
    let of_case = |name: &str| case(&results, name)["unseen"].as_str().unwrap_or_default().to_owned();
    assert!(of_case("one").starts_with(unseen) && of_case("two").is_empty(), "{results:#}");
    assert!(kpi(&results, "two", "deviation") < 10.0 && kpi(&results, "one", "deviation") > 50.0);
    let html = room.text("reports/room/index.html");
    let (first, _) = html.split_once("</section>").unwrap_or((&html, ""));
    assert!(html.contains("ends before its moves take effect"), "{first}");

    // The control horizon of the model is too short, so cases that specify no horizon use a longer one.
    let room = tracking("1h", "[case.default]\ncontroller.mpc = { particles = 1, within_log = false }\n");
    let report = check(&room);
    assert!(
        report.contains("the control horizon is too short for plans") && report.contains("look 2h ahead"),
        "{report}"
    );
    let fit = room.run(&["fit", "data/room", "--quiet", "--json"]).expect(0).document();
    assert!(fit["card"]["notes"].to_string().contains("ends before its moves take effect"), "{fit:#}");
    let results = run(&room);
    assert!(kpi(&results, "default", "deviation") < 10.0, "{results:#}");
    assert!(case(&results, "default")["controller"].as_str().unwrap().contains("horizon 2h"), "{results:#}");
}

#[test]
fn a_lead_time_beyond_the_horizon_is_reported() {
    let twin = "signals = [\n\
        { name = 'level', role = 'state', unit = 'item', next = 'max(level + lag(order_qty, lead) - demand, 0)' },\n\
        { name = 'order_qty', role = 'control', unit = 'item', hard = [0, 100] },\n\
        { name = 'demand', role = 'disturbance', unit = 'item' },\n\
        { name = 'lost', role = 'derived', unit = 'item', expr = 'max(demand - level, 0)' },\n]\n\
        [parameters]\nlead = { value = 24 }\n\
        [model]\nchoose = ['linear']\nlags = 2\nholdout = '100h'\nhorizon = '60h'\n\
        [kpi]\nordered = { sum = 'order_qty' }\nlost = { sum = 'lost' }\n[objective]\nordered = 1.0\nlost = 20.0\n";
    let plan = |horizon: &str| format!("controller.mpc = {{ horizon = '{horizon}', particles = 1 }}\n");
    let cases = format!(
        "length = '60h'\n[case.baseline]\ncontroller.replay = {{}}\n[case.short]\n{}[case.half]\n{}[case.long]\n{}",
        plan("22h"),
        plan("40h"),
        plan("50h")
    );
    let room = project(&store(), twin, &cases);
    let report = check(&room);
    // The order arrives after 24 steps and raises the level one step later.
    let short = "case `short`: a plan of 22h ends before its moves take effect, because a move of `order_qty` changes `level` only 25h later";
    let half = "case `half`: only the moves in the first 15h of a plan of 40h can take effect within the plan";
    for words in [short, half, "horizon = \"50h\""] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(!report.contains("case `long`"), "{report}");
    // With a shorter lead time, every plan is long enough.
    room.edit("scenarios/room/s.toml", "[case.baseline]", "[parameter]\nlead = { set = 3 }\n[case.baseline]");
    assert!(!check(&room).contains("take effect") && !check(&room).contains("cannot see"));
}

#[test]
fn few_moves_for_a_switched_control_are_reported() {
    let room = tracking("8h", "[case.mpc]\ncontroller.mpc = { horizon = '24h', moves = 3, particles = 1 }\n");
    room.edit("data/room/twin.toml", "hard = [5, 60]", "hard = [0, 60], min_on = 5, min_run = '2h', min_stop = '2h'");
    let report = check(&room);
    assert!(report.contains("case `mpc`: with 3 moves, a plan can switch `u` only every"), "{report}");
    assert!(report.contains("use at least `moves = "), "{report}");
    room.edit("data/room/twin.toml", "min_run = '2h'", "min_run = '30h'");
    let report = check(&room);
    assert!(report.contains("a plan of 1d ends before `u` may switch again"), "{report}");
}

/// Energy is cheap in the first half of the day and expensive in the second half, and the energy that is left in
/// the battery at the end of a plan has a value.
#[test]
fn a_battery_is_not_emptied_at_the_end_of_its_plans() {
    let twin = "signals = [\n\
        { name = 'charge', role = 'state', hard = [0, 10], next = 'charge + power' },\n\
        { name = 'power', role = 'control', hard = [-3, 3] },\n\
        { name = 'price', role = 'disturbance', forecast = 'perfect' },\n]\n\
        [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '8h'\n\
        [kpi]\ncost = { sum = 'price * power' }\nleft = { final = 'charge' }\n[objective]\ncost = 1.0\n";
    let mut columns: Columns = vec![("charge", vec![5.0]), ("power", Vec::new()), ("price", Vec::new())];
    for k in 0..300 {
        let power = [0.0, 2.0, -2.0, 1.0, -1.0, 3.0, -3.0, 0.0][k % 8];
        columns[1].1.push(power);
        columns[2].1.push(if k % 24 < 12 { 10.0 } else { 30.0 });
        let charge = columns[0].1[k] + power;
        columns[0].1.push(charge);
    }
    columns[0].1.pop();
    let scenario = "length = '96h'\n[case.baseline]\ncontroller.hold = { power = 0 }\n\
        [case.mpc]\ncontroller.mpc = { horizon = '8h', particles = 1, within_log = false }\n\
        [case.usual]\ncontroller.mpc = { particles = 1, within_log = false }\n";
    let results = run(&project(&columns, twin, scenario));
    // Without `horizon`, plans cover one period of the prices.
    let usual = case(&results, "usual")["controller"].as_str().unwrap();
    assert!(usual.contains("horizon 1d"), "{usual}");
    // With perfect foresight, the battery is charged from 5 to 10 and then discharged by 10 on the first day. On
    // each of the following days, the battery is charged and discharged by 10, except that a charge of 5 is left at the
    // end.
    let optimum = 10.0 * 35.0 - 30.0 * 35.0;
    // The energy left at the end, minus the initial 5 units, is valued at the mean price.
    let cost = kpi(&results, "mpc", "cost") - 20.0 * (kpi(&results, "mpc", "left") - 5.0);
    // A plan of 8 h ends too early to include the next price level, which increases the cost by 50.
    assert!(cost <= 0.928 * optimum, "{cost} instead of {optimum}: {}", case(&results, "mpc")["controller"]);
}

/// Work costs the same at all times and has no deadline within the plan. If the backlog at the end of the plan had no
/// price, deferring work would be free.
#[test]
fn work_is_not_deferred_for_ever() {
    let twin = "signals = [\n\
        { name = 'backlog', role = 'state', hard = [0, 500], next = 'backlog + arrivals - work' },\n\
        { name = 'work', role = 'control', hard = [0, 4] },\n\
        { name = 'arrivals', role = 'disturbance' },\n]\n\
        [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '8h'\n\
        [kpi]\ncost = { sum = '10 * work' }\nleft = { final = 'backlog' }\n[objective]\ncost = 1.0\n";
    let mut columns: Columns = vec![("backlog", vec![8.0]), ("work", Vec::new()), ("arrivals", vec![1.0; 300])];
    for k in 0..300 {
        let work = [0.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0][k % 8];
        columns[1].1.push(work);
        let backlog = columns[0].1[k] + 1.0 - work;
        columns[0].1.push(backlog);
    }
    columns[0].1.pop();
    let scenario = "length = '60h'\n[case.baseline]\ncontroller.hold = { work = 1 }\n\
        [case.mpc]\ncontroller.mpc = { horizon = '8h', particles = 1, within_log = false }\n";
    let results = run(&project(&columns, twin, scenario));
    let left = |name: &str| kpi(&results, name, "left");
    assert!(
        left("mpc") <= 1.5 && left("mpc") <= left("baseline"),
        "{} left, {} in the baseline",
        left("mpc"),
        left("baseline")
    );
}
