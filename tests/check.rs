//! Tests of `check` on seeded mistakes (CLI-2). Each mistake is one small edit of a valid file. For each mistake,
//! `check` must report the right line with a helpful hint.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use parquet::arrow::ArrowWriter;
use serde_json::Value;

const TWIN: &str = "data/datacenter/twin.toml";
const STOCK: &str = "data/stock/twin.toml";
const SUMMER: &str = "scenarios/datacenter/summer.toml";
const ORDERS: &str = "scenarios/stock/orders.toml";

/// A mistake in a file, the position at which it must be reported, and words that the help must contain.
struct Mistake {
    file: &'static str,
    find: &'static str,
    write: &'static str,
    /// Text contained in the line at which the fault must be reported. If `at` is empty, the fault must be reported at
    /// the edited line. If `at` is `1`, the fault must be reported at the first line of the file.
    at: &'static str,
    help: &'static [&'static str],
}

const fn m(
    file: &'static str,
    find: &'static str,
    write: &'static str,
    at: &'static str,
    help: &'static [&'static str],
) -> Mistake {
    Mistake { file, find, write, at, help }
}

#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    // Syntax.
    m(TWIN, "name     = \"datacenter\"", "name     = \"datacenter", "", &["\""]),
    m(TWIN, "name     = \"datacenter\"", "name     = datacenter", "", &["quotes"]),
    m(TWIN, "lags    = 3", "lags    3", "", &["key = value"]),
    m(TWIN, "lags    = 3", "lags    =", "", &["after `=`"]),
    m(TWIN, "lags    = 3", "lags    = 3\nlags    = 4", "lags    = 4", &["remove"]),
    m(TWIN, "[\"linear\", \"forest\"]", "[\"linear\" \"forest\"]", "", &["`,`"]),
    m(TWIN, "column = \"it_power_w\" }", "column = \"it_power_w\" ", "", &["}"]),
    m(TWIN, "step     = \"10min\"", "step     = 10min", "", &["quotes"]),
    m(TWIN, "[objective]", "[objective", "[objective", &["]"]),
    m(SUMMER, "[case.warmer]", "[case.baseline]", "", &["remove"]),
    m(SUMMER, "controller.replay = {}", "controller.replay = {", "", &["}"]),
    // Keys.
    m(TWIN, "timezone =", "timezon  =", "", &["timezone"]),
    m(TWIN, "soft = [-inf, 27]", "sotf = [-inf, 27]", "", &["soft"]),
    m(TWIN, "max_move = 1.0", "maxmove = 1.0", "", &["max_move"]),
    m(TWIN, "[model]", "[modle]", "", &["model"]),
    m(TWIN, "holdout = \"14d\"", "hold_out = \"14d\"", "", &["holdout"]),
    m(TWIN, "price_base = 2024, ", "", "economics =", &["price_base = 2024"]),
    m(TWIN, "role = \"output\",      unit = \"W\",    column = \"it_power_w\"", "unit = \"W\",    column = \"it_power_w\"", "name = \"it_power\"", &["role = "]),
    m(TWIN, "step     = \"10min\"\n", "", "1", &["step = \"10min\""]),
    m(TWIN, "max_gap = \"30min\"", "gap = \"30min\"", "", &["max_gap"]),
    m(TWIN, "blocks  = \"14d\"", "block   = \"14d\"", "", &["blocks"]),
    m(SUMMER, "question      = \"What does MPC save in a +6 degC week?\"\n", "", "1", &["question"]),
    m(SUMMER, "particles     = 50", "particels     = 50", "", &["particles"]),
    m(SUMMER, "controller.hold =", "controller.hodl =", "", &["hold"]),
    m(SUMMER, "replan = \"30min\"", "replann = \"30min\"", "", &["replan"]),
    m(SUMMER, "population = 128", "populaton = 128", "", &["population"]),
    m(SUMMER, "planner.icem", "planner.icm", "", &["icem"]),
    m(SUMMER, "{ add = 6.0 }", "{ plus = 6.0 }", "", &["add"]),
    m(SUMMER, "kp = 0.5, ", "", "measurement =", &["kp = "]),
    m(SUMMER, "controller.replay = {}", "controller.kind = \"replay\"", "", &["replay"]),
    m(SUMMER, "controller.hold = {", "controller = \"hold\" # {", "", &["hold = {"]),
    m(SUMMER, "[case.warmer]\ncontroller.hold", "[case.warmer]\ncontroller.replay = {}\ncontroller.hold", "controller.hold", &["keep one"]),
    m(SUMMER, "capex          = 180_000", "capexx         = 180_000", "", &["capex"]),
    // Types and values.
    m(TWIN, "max_move = 1.0", "max_move = \"1.0\"", "", &["without quotes", "max_move = 1.0"]),
    m(TWIN, "lags    = 3", "lags    = 3.5", "", &["whole number"]),
    m(TWIN, "lags    = 3", "lags    = -1", "", &["whole number"]),
    m(TWIN, "horizon = \"4h\"", "horizon = 4", "", &["quotes", "4min"]),
    m(TWIN, "horizon = \"4h\"", "horizon = \"4 hours\"", "", &["4h"]),
    m(TWIN, "choose  = [\"linear\", \"forest\"]", "choose  = \"linear\"", "", &["[\"linear\"]"]),
    m(TWIN, "hard = [10, 25]", "hard = [10]", "", &["2 values"]),
    m(TWIN, "role = \"control\"", "role = \"controll\"", "", &["control"]),
    m(TWIN, "role = \"state\", ", "role = \"sensor\", ", "", &["`state`"]),
    m(TWIN, "basis = \"real\"", "basis = \"reall\"", "", &["real"]),
    m(TWIN, "forecast = { seasonal = \"7d\" }", "forecast = \"seasonal\"", "", &["seasonal = "]),
    m(TWIN, "value = 90", "value = nan", "", &["finite"]),
    m(TWIN, "effects = { supply_setpoint = \"+\" }", "effects = { supply_setpoint = \"up\" }", "", &["`+`"]),
    m(SUMMER, "2024-07-15T00:00:00Z", "\"2024-07-15T00:00:00Z\"", "", &["without quotes"]),
    m(SUMMER, "2024-07-15T00:00:00Z", "2024-07-15T00:00:00", "", &["Z"]),
    m(SUMMER, "seed          = 1", "seed          = \"one\"", "", &["whole number"]),
    m(SUMMER, "setpoint = 25.0", "setpoint = true", "", &["number or a string"]),
    m(ORDERS, "level = \"120\"", "level = 120", "", &["quotes", "level = \"120\""]),
    m(ORDERS, "level = [10, 150]", "level = \"120\"", "", &["list of 2 numbers", "level = [1, 2]"]),
    m(ORDERS, "level = [10, 150]", "level = [10, true]", "", &["write a number"]),
    // The tag list.
    m(TWIN, "name = \"cpu_load\"", "name = \"it_power\"", "unit = \"1\"", &["rename"]),
    m(TWIN, "name = \"cpu_load\",          role = \"disturbance\",", "name = \"cpu load\", column = \"cpu_load\", role = \"disturbance\",", "", &["cpu_load"]),
    m(TWIN, "unit = \"degC\", column = \"outdoor_temp_c\"", "unit = \"celsius\", column = \"outdoor_temp_c\"", "", &["degC"]),
    m(TWIN, "unit = \"W\",    column = \"hvac_power_w\"", "unit = \"Watts\", column = \"hvac_power_w\"", "", &["W"]),
    m(TWIN, "unit = \"W\",    column = \"hvac_power_w\"", "unit = \"A,\", column = \"hvac_power_w\"", "", &["write `unit = \"A\"`"]),
    m(TWIN, "unit = \"W\",    column = \"hvac_power_w\"", "unit = \"; kW\", column = \"hvac_power_w\"", "", &["write `unit = \"kW\"`"]),
    m(TWIN, "unit = \"W\",    column = \"hvac_power_w\"", "unit = \"m3,/h.\", column = \"hvac_power_w\"", "", &["write `unit = \"m3/h\"`"]),
    m(TWIN, "column = \"outdoor_temp_c\"", "column = \"outdoor_temp_c\", column_unit = \"kW\"", "", &["same quantity"]),
    m(TWIN, "column = \"server_inlet_temp_c\"", "column = \"server_inlet_tmp_c\"", "", &["server_inlet_temp_c"]),
    m(TWIN, "{ name = \"cpu_load\",  ", "{ name = \"cpu_laod\",  ", "", &["cpu_load"]),
    m(TWIN, "column = \"it_power_w\"", "column = \"note\"", "", &["numbers"]),
    m(TWIN, "hard = [10, 25]", "hard = [25, 10]", "", &["[10, 25]"]),
    m(TWIN, "hard = [10, 25]", "hard = [50, 77]", "", &["degF", "[10, 25]"]),
    m(TWIN, "max_move = 1.0", "max_move = -1.0", "", &["largest change"]),
    m(TWIN, "max_move = 1.0", "max_move = 1.0, multiple = 2.0", "", &["at least the value of `multiple`"]),
    m(TWIN, "forecast = { seasonal = \"1d\" }", "forecast = { seasonal = \"5min\" }", "", &["1d"]),
    m(TWIN, "forecast = { seasonal = \"1d\" }", "max_move = 3.0", "", &["remove"]),
    m(TWIN, "expr = \"hvac_power + it_power\"", "expr = \"hvac_pwer + it_power\"", "", &["hvac_power"]),
    m(TWIN, "expr = \"hvac_power + it_power\"", "expr = \"hvac_power + outdoor_temp\"", "", &["unit"]),
    m(TWIN, "expr = \"hvac_power + it_power\"", "expr = \"(hvac_power + it_power\"", "", &[")"]),
    m(TWIN, "expr = \"hvac_power + it_power\"", "unit = \"W\", expr = \"total_power + it_power\"", "", &["lag"]),
    m(TWIN, ",     expr = \"hvac_power + it_power\"", "", "total_power\", ", &["expr"]),
    m(TWIN, "effects = { supply_setpoint = \"+\" }", "effects = { supply_setpont = \"+\" }", "", &["supply_setpoint"]),
    m(TWIN, "effects = { supply_setpoint = \"+\" }", "effects = { cpu_load = \"+\" }", "", &["control"]),
    m(STOCK, "next = \"max(on_hand + ordered - demand, 0)\"", "next = \"max(on_hand + ordered - demnd, 0)\"", "", &["demand"]),
    m(STOCK, "next = \"max(on_hand + ordered - demand, 0)\"", "next = \"on_hand * demand\"", "", &["unit"]),
    m(STOCK, "name = \"demand\"", "name = \"demand\"\ncensored = \"on_hnd <= 0[item]\"", "censored =", &["on_hand"]),
    m(STOCK, "name = \"demand\"", "name = \"demand\"\ncensored = \"short > 0[item]\"", "censored =", &["logged"]),
    m(STOCK, "multiple = 10", "multiple = 10\ncensored = \"on_hand <= 0[item]\"", "censored =", &["valid for"]),
    m(STOCK, "multiple = 10", "multiple = 10\nempty = 0\nkind = \"counter\"", "empty = 0", &["remove"]),
    m(STOCK, "multiple = 10", "multiple = 0", "", &["lot size"]),
    m(STOCK, "unit = \"EUR/(item*d)\"", "unit = \"EUR/(itm*d)\"", "", &["unit"]),
    m(ORDERS, "holding = { scale = 1.5 }", "lead = { add = -3 }", "", &["use 0 or more"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpoint\", at_least = 700 }]", "", &["at_least = 600"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpoint\", at_most = 100, per = \"2h\" }]", "", &["at_most = 120"]),
    // The log.
    m(TWIN, "files = \"log/*.parquet\"", "files = \"logs/*.parquet\"", "", &["log.files"]),
    m(TWIN, "time = \"timestamp\"", "time = \"time\"", "", &["timestamp"]),
    m(TWIN, "time = \"timestamp\"", "time = \"cpu_load\"", "", &["timestamp"]),
    m(TWIN, "episode = \"episode\"", "episode = \"epsode\"", "", &["episode"]),
    m(TWIN, "max_gap = \"30min\"", "max_gap = \"5min\"", "", &["10min"]),
    // KPIs, objective, money.
    m(TWIN, "exceedance = \"server_inlet_temp\"", "exceedence = \"server_inlet_temp\"", "", &["exceedance"]),
    m(TWIN, "exceedance = \"server_inlet_temp\"", "exceedance = \"server_inlet\"", "", &["server_inlet_temp"]),
    m(TWIN, "exceedance = \"server_inlet_temp\"", "exceedance = \"outdoor_temp\"", "", &["soft"]),
    m(TWIN, "moves = \"supply_setpoint\"", "moves = \"hvac_power\"", "", &["control"]),
    m(TWIN, "integral = \"total_power * price\"", "integral = \"total_power * prices\"", "", &["price"]),
    m(TWIN, "integral = \"total_power * price\"", "integral = \"total_power\"", "economics =", &["currency"]),
    m(TWIN, "window = \"1h\"", "window = \"1min\"", "", &["10min"]),
    m(TWIN, "violation   = 50.0", "violations  = 50.0", "", &["violation"]),
    m(TWIN, "benefit = [\"energy_cost\"]", "benefit = [\"energy_costs\"]", "", &["energy_cost"]),
    m(TWIN, "currency = \"EUR\"", "currency = \"Euro\"", "", &["EUR"]),
    m(TWIN, "discount_rate = 0.08", "discount_rate = 8", "", &["0.08"]),
    m(TWIN, "lifetime = \"10y\"", "lifetime = \"10d\"", "", &["10y"]),
    // Sample time and model.
    m(TWIN, "step     = \"10min\"", "step     = \"0s\"", "", &["sample time"]),
    m(TWIN, "\"Europe/Berlin\"", "\"Europe/Berln\"", "", &["Europe/Berlin"]),
    m(TWIN, "[\"linear\", \"forest\"]", "[\"linear\", \"forrest\"]", "", &["forest"]),
    m(TWIN, "lags    = 3", "lags    = 0", "", &["lags = 3"]),
    m(TWIN, "lags    = 3", "lags    = 3\ngp = { max_points = 90_000 }", "gp =", &["inducing points"]),
    m(TWIN, "lags    = 3", "lags    = 3\ngp = { inducing = 0 }", "gp =", &["inducing = 256"]),
    m(TWIN, "lags    = 3", "lags    = 3\ngp = { samples = 1 }", "gp =", &["samples = 16"]),
    m(TWIN, "lags    = 3", "lags    = 3\ngp = { kernel = \"matern\" }", "gp =", &["matern52"]),
    m(TWIN, "lags    = 3", "lags    = 3\nensemble = { members = 0 }", "ensemble =", &["members = 5"]),
    m(TWIN, "lags    = 3", "lags    = 3\nensemble = { layers = [64, 0] }", "ensemble =", &["layers = [64, 64]"]),
    m(TWIN, "lags    = 3", "lags    = 3\nensemble = { learning_rate = 7.0 }", "ensemble =", &["learning_rate = 0.005"]),
    m(TWIN, "lags    = 3", "lags    = 3\nrollout_loss = 0", "rollout_loss =", &["write 1"]),
    m(TWIN, "holdout = \"14d\"", "holdout = \"400d\"", "", &["fifth"]),
    m(TWIN, "horizon = \"4h\"", "horizon = \"1min\"", "", &["10min"]),
    m(TWIN, "horizon = \"4h\"", "horizon = \"20d\"", "", &["shorten"]),
    m(TWIN, "blocks  = \"14d\"", "blocks  = \"120d\"", "", &["window"]),
    // Scenarios.
    m(SUMMER, "twin          = \"datacenter\"", "twin          = \"datacentre\"", "", &["datacenter"]),
    m(SUMMER, "2024-07-15T00:00:00Z", "2023-07-15T00:00:00Z", "", &["the log covers"]),
    m(SUMMER, "length        = \"7d\"", "length        = \"300d\"", "", &["shorten"]),
    m(SUMMER, "length        = \"7d\"", "length        = \"5min\"", "", &["length = \"7d\""]),
    m(SUMMER, "particles     = 50", "particles     = 0", "", &["particles = 20"]),
    m(SUMMER, "particles     = 50", "particles     = 5_000_000", "", &["at most"]),
    m(SUMMER, "days_per_year = 365", "days_per_year = -3", "", &["days per year"]),
    m(SUMMER, "[case.baseline]", "[case.basline]", "", &["baseline"]),
    m(SUMMER, "outdoor_temp = { add = 6.0 }", "outdor_temp = { add = 6.0 }", "", &["outdoor_temp"]),
    m(SUMMER, "outdoor_temp = { add = 6.0 }", "hvac_power = { add = 6.0 }", "", &["disturbance"]),
    m(SUMMER, "{ add = 6.0 }", "{ add = 6.0, set = 30.0 }", "", &["keep"]),
    m(SUMMER, "hold = { supply_setpoint = 20.0 }", "hold = { supply_setpoint = 30.0 }", "", &["25"]),
    m(SUMMER, "hold = { supply_setpoint = 20.0 }", "hold = { supply_setpont = 20.0 }", "", &["supply_setpoint"]),
    m(SUMMER, "hold = { supply_setpoint = 20.0 }", "hold = { cpu_load = 0.5 }", "", &["control"]),
    m(SUMMER, "at = \"06:00\"", "at = \"6.00\"", "", &["06:00"]),
    m(SUMMER, "at = \"20:00\"", "at = \"25:00\"", "", &["23:59"]),
    m(SUMMER, "days = \"mon-fri\"", "days = \"Monday-fri\"", "", &["mon"]),
    m(SUMMER, "if(outdoor_temp > 30, 18, 20)", "if(outdoor_temp > 30, 18)", "", &["if"]),
    m(SUMMER, "if(outdoor_temp > 30, 18, 20)", "if(outdor_temp > 30, 18, 20)", "", &["outdoor_temp"]),
    m(SUMMER, "measurement = \"server_inlet_temp\"", "measurement = \"server_inlet_tmp\"", "", &["server_inlet_temp"]),
    m(SUMMER, "setpoint = 25.0", "setpoint = \"hvac_power\"", "", &["same quantity"]),
    m(SUMMER, "kp = 0.5", "kp = 0", "", &["control units"]),
    m(SUMMER, "horizon = \"4h\"", "horizon = \"10d\"", "", &["shorten"]),
    m(SUMMER, "horizon = \"4h\"", "horizon = \"5min\"", "", &["4h"]),
    m(SUMMER, "replan = \"30min\"", "replan = \"5h\"", "", &["horizon"]),
    m(SUMMER, "risk = 0.95", "risk = 95", "", &["0.95"]),
    m(SUMMER, "population = 128", "population = 1", "", &["64"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, correction = 30", "", &["correction = 0.3"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, budget = \"0ms\"", "", &["200ms"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, confidence = 95", "", &["confidence = 0.95"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, confidence = 0.2", "", &["typical value is 0.95"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, ranks = { server_inlet_tmp = 1 }", "", &["server_inlet_temp"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, ranks = { supply_setpoint = 1 }", "", &["a state, an output or a derived signal"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, ranks = { server_inlet_temp = 4 }", "", &["highest priority"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, ranks = { total_power = 1 }", "", &["soft = [low, high]"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, terminal = { energy_cots = 1.0 }", "", &["energy_cost"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, terminal = { energy_cost = inf }", "", &["-1.0"]),
    m(SUMMER, "population = 128", "population = 128, elites = 0", "", &["typical value is 0.1"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpont\", at_most = 400 }]", "", &["supply_setpoint"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"cpu_load\", at_most = 400 }]", "", &["control"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpoint\", at_most = 400, per = \"0s\" }]", "", &["per = \"1d\""]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpoint\" }]", "", &["at_most"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, totals = [{ control = \"supply_setpoint\", at_least = 500, at_most = 400 }]", "", &["at_least = 400, at_most = 500"]),
    m(STOCK, "correction = 0.1", "correction = 0.1\ntotals = [{ control = \"ordered\", at_most = 400 }]", "", &["base_stock"]),
    m(STOCK, "correction = 0.1", "correction = -0.1", "", &["typical value is 0.1"]),
    m(STOCK, "order = \"ordered\"", "order = \"orderd\"", "", &["ordered"]),
    m(STOCK, "order = \"ordered\"", "order = \"demand\"", "", &["control"]),
    m(STOCK, "position = \"on_hand\"", "position = \"on_hnd\"", "", &["on_hand"]),
    m(STOCK, "position = \"on_hand\"", "position = \"on_hand * demand\"", "", &["unit"]),
    m(STOCK, "level = [20, 200]", "level = [200, 20]", "", &["[20, 200]"]),
    m(ORDERS, "level = [10, 150]", "level = [10, inf]", "", &["[lowest, highest]"]),
    m(ORDERS, "position = \"max(on_hand, 0)\"", "position = \"max(on_hand, 0\"", "", &[")"]),
    m(ORDERS, "controls   = [\"ordered\"]", "controls   = []", "position = \"max", &["controls"]),
    m(SUMMER, "risk = 0.95", "risk = 0.95, forecast = { seasonal = \"150d\" }", "", &["season"]),
    m(ORDERS, "holding = { scale = 1.5 }", "holdng = { scale = 1.5 }", "", &["holding"]),
    m(ORDERS, "holding = { scale = 1.5 }", "demand = { scale = 1.5 }", "", &["[disturbance]"]),
    m(ORDERS, "order = \"ordered\"", "order = \"orderd\"", "", &["ordered"]),
    m(ORDERS, "level = \"120\"", "level = \"120 +\"", "", &["missing"]),
    m(ORDERS, "controller.base_stock = [{", "capex = 1000\ncontroller.base_stock = [{", "capex", &["economics"]),
    m(ORDERS, "2024-02-01T00:00:00Z", "2024-12-20T00:00:00Z", "length", &["shorten"]),
];

fn main_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A new project folder with valid configuration files and logs.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in [TWIN, STOCK, SUMMER, ORDERS] {
        let to = dir.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(main_dir().join("tests/mistakes").join(file), to).unwrap();
    }
    let rows = 26_000;
    let at = |i: usize| i as f64;
    let wave = |base: f64, size: f64, period: f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..rows).map(|i| base + size * (at(i) / period).sin())))
    };
    let steps: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|i| 12.0 + at(i / 18 % 12))));
    write_log(
        &dir.path().join("data/datacenter/log/crac.parquet"),
        1_714_521_600,
        600,
        rows,
        vec![
            ("episode", Arc::new(Int64Array::from(vec![0; rows]))),
            ("server_inlet_temp_c", wave(22.0, 4.0, 23.0)),
            ("hvac_power_w", wave(4_000.0, 900.0, 29.0)),
            ("it_power_w", wave(36_000.0, 5_000.0, 91.0)),
            ("supply_setpoint_c", steps),
            ("cpu_load", wave(0.5, 0.3, 77.0)),
            ("outdoor_temp_c", wave(16.0, 12.0, 23.0)),
            ("note", Arc::new(StringArray::from(vec!["ok"; rows]))),
        ],
    );
    let days = 400;
    let cycle = |base: usize, n: usize, unit: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..days).map(|i| (base + unit * (i % n)) as f64)))
    };
    // squares modulo a prime do not repeat within 400 days
    let cycle_free = |base: usize, n: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..days).map(|i| (base + i * i % 1_009 % n) as f64)))
    };
    write_log(
        &dir.path().join("data/stock/log/part.parquet"),
        1_704_067_200,
        86_400,
        days,
        vec![("on_hand", cycle_free(50, 40)), ("ordered", cycle(0, 5, 10)), ("demand", cycle(15, 9, 1))],
    );
    dir
}

fn write_log(file: &Path, start: i64, step: i64, rows: usize, columns: Vec<(&str, ArrayRef)>) {
    let times = (0..rows as i64).map(|i| (start + i * step) * 1_000_000);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
    write_columns(file, [("timestamp", times)].into_iter().chain(columns));
}

fn write_columns<'a>(file: &Path, columns: impl IntoIterator<Item = (&'a str, ArrayRef)>) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn twinopt(dir: &Path, args: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_twinopt")).current_dir(dir).args(args).output().unwrap()
}

fn faults(dir: &Path) -> (Value, Option<i32>) {
    let out = twinopt(dir, &["check", "--json"]);
    let text = String::from_utf8_lossy(&out.stdout);
    (serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")), out.status.code())
}

fn line_of(text: &str, part: &str) -> u64 {
    let at = text.find(part).unwrap_or_else(|| panic!("`{part}` was not found in the file"));
    text[..at].matches('\n').count() as u64 + 1
}

#[test]
fn valid_files_have_no_faults() {
    let dir = project();
    let (document, code) = faults(dir.path());
    assert_eq!(document["faults"].as_array().unwrap().len(), 0, "{document:#}");
    assert_eq!(code, Some(0));
}

#[test]
fn seeded_mistakes_are_reported_on_their_line_with_help() {
    let dir = project();
    let (mut lines, mut helps) = (0, 0);
    let mut misses = Vec::new();
    for (i, mistake) in MISTAKES.iter().enumerate() {
        let path = dir.path().join(mistake.file);
        let valid = std::fs::read_to_string(&path).unwrap();
        assert!(valid.contains(mistake.find), "{i}: `{}` is not in {}", mistake.find, mistake.file);
        let broken = valid.replacen(mistake.find, mistake.write, 1);
        std::fs::write(&path, &broken).unwrap();
        let (document, code) = faults(dir.path());
        std::fs::write(&path, &valid).unwrap();

        let wanted = match mistake.at {
            "1" => 1,
            "" => line_of(&valid, mistake.find) + common_lines(mistake.find, mistake.write),
            part => line_of(&broken, part),
        };
        let all = document["faults"].as_array().unwrap();
        let errors: Vec<&Value> = all.iter().filter(|f| f["warning"] == false).collect();
        assert!(!errors.is_empty() && code == Some(78), "{i}: `{}` is not reported (exit {code:?})", mistake.write);
        let here = |f: &&&Value| f["line"] == wanted && f["file"] == mistake.file;
        let text = |f: &&Value| f["help"].as_str().unwrap_or("").to_owned();
        let found: Vec<String> = errors.iter().filter(here).map(text).collect();
        let right_line = !found.is_empty();
        let right_help = found.iter().any(|help| mistake.help.iter().all(|word| help.contains(word)));
        lines += usize::from(right_line);
        helps += usize::from(right_help);
        if !right_line || !right_help || errors.len() > 2 {
            misses.push(format!(
                "{i}: `{}` → `{}`: line {wanted} {right_line}, help {:?} {right_help}; reported: {errors:#?}",
                mistake.find, mistake.write, mistake.help
            ));
        }
    }
    let n = MISTAKES.len();
    println!("{n} mistakes, right line {lines}, right help {helps}");
    for miss in &misses {
        println!("{miss}");
    }
    assert!(n >= 60);
    assert!(
        lines * 100 >= n * 95 && helps * 100 >= n * 90,
        "of {n} mistakes, only {lines} are reported at the right line and {helps} with the right help"
    );
}

/// Commands that read `file` and must therefore report mistakes in it.
fn readers(file: &str) -> &'static [&'static [&'static str]] {
    match file {
        TWIN => &[&["fit", "data/datacenter"], &["control", "data/datacenter"]],
        STOCK => &[&["fit", "data/stock"], &["advise", "data/stock"]],
        SUMMER => &[&["run", SUMMER, "--dry-run"]],
        _ => &[&["run", ORDERS, "--dry-run"]],
    }
}

#[test]
fn all_commands_report_the_same_faults() {
    let dir = project();
    for mistake in MISTAKES {
        let path = dir.path().join(mistake.file);
        let valid = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, valid.replacen(mistake.find, mistake.write, 1)).unwrap();
        let (document, _) = faults(dir.path());
        let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
        // faults in the log are ignored, because other commands report them as data errors
        let errors: Vec<&Value> = document["faults"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| {
                f["warning"] == false
                    && f["file"] == mistake.file
                    && !["no-log", "outside-log", "unreadable-log", "incomplete"].contains(&f["code"].as_str().unwrap())
            })
            .collect();
        let title = |f: &Value| format!("error[{}]: {}", text(f, "code"), text(f, "message"));
        for command in readers(mistake.file).iter().filter(|_| !errors.is_empty()) {
            let out = twinopt(dir.path(), command);
            let shown = String::from_utf8_lossy(&out.stderr);
            let titles: Vec<&str> = shown.lines().filter(|l| l.starts_with("error[")).collect();
            assert!(!titles.is_empty() && out.status.code() == Some(78), "{command:?}, `{}`: {shown}", mistake.write);
            for shown_title in titles {
                let same = errors.iter().find(|e| title(e) == shown_title);
                let same = same.unwrap_or_else(|| panic!("{command:?}, `{}`: {shown}\n{document:#}", mistake.write));
                let place = format!(":{}:{}\n", same["line"], same["column"]);
                assert!(shown.contains(&place) && shown.contains(&text(same, "help")), "{command:?}: {shown}");
            }
        }
        std::fs::write(&path, &valid).unwrap();
    }
}

/// Number of lines before the edit, which are the leading lines that `find` and `write` have in common.
fn common_lines(find: &str, write: &str) -> u64 {
    find.lines().zip(write.lines()).take_while(|(a, b)| a == b).count() as u64
}

#[test]
fn several_mistakes_are_all_reported() {
    let dir = project();
    let chosen: Vec<&Mistake> = MISTAKES
        .iter()
        .filter(|m| {
            [
                "timezon  =",
                "sotf = [-inf, 27]",
                "max_move = \"1.0\"",
                "lags    = 0",
                "violations  = 50.0",
                "discount_rate = 8",
                "particels     = 50",
                "hold = { supply_setpont = 20.0 }",
                "risk = 95",
                "at = \"25:00\"",
                "kp = 0",
                "multiple = 0",
                "holdng = { scale = 1.5 }",
            ]
            .contains(&m.write)
        })
        .collect();
    for mistake in &chosen {
        let path = dir.path().join(mistake.file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen(mistake.find, mistake.write, 1)).unwrap();
    }
    let (document, _) = faults(dir.path());
    let all = document["faults"].as_array().unwrap();
    for mistake in &chosen {
        let text = std::fs::read_to_string(dir.path().join(mistake.file)).unwrap();
        let line = line_of(&text, mistake.write);
        let found = all.iter().any(|f| f["file"] == mistake.file && f["line"] == line);
        assert!(found, "`{}` on line {line} of {} is not reported: {document:#}", mistake.write, mistake.file);
    }
    assert_eq!(all.iter().filter(|f| f["warning"] == false).count(), chosen.len(), "{document:#}");
}

#[test]
fn an_exclusive_lower_bound_is_shown_as_above_zero() {
    let dir = project();
    let path = dir.path().join(SUMMER);
    let valid = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, valid.replace("population = 128", "population = 128, elites = 0")).unwrap();
    let (document, _) = faults(dir.path());
    let message = document["faults"][0]["message"].as_str().unwrap();
    assert!(message.contains("`elites` must be above 0 and at most 0.5"), "{message}");
}

#[test]
fn text_output_contains_the_fields_of_json_output() {
    let dir = project();
    let path = dir.path().join(SUMMER);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("risk = 0.95", "risk = 95")).unwrap();
    let out = twinopt(dir.path(), &["check", "scenarios/datacenter"]);
    let shown = String::from_utf8_lossy(&out.stderr);
    let (document, _) = faults(dir.path());
    let fault = &document["faults"][0];
    let place = format!("--> {SUMMER}:{}:{}\n", fault["line"], fault["column"]);
    assert!(shown.contains(&place), "{shown}");
    for key in ["message", "help", "source", "code"] {
        assert!(shown.contains(fault[key].as_str().unwrap()), "{key}: {shown}");
    }
    assert!(shown.contains("^^"), "{shown}");
    assert_eq!(out.status.code(), Some(78));
}

#[test]
fn a_planner_or_controller_with_default_settings_can_be_written_as_its_name() {
    let dir = project();
    let path = dir.path().join(SUMMER);
    let valid = std::fs::read_to_string(&path).unwrap();
    for (long, short) in [
        ("planner.icem = { population = 128 }", "planner = \"qp\""),
        ("controller.replay = {}", "controller = \"replay\""),
    ] {
        assert!(valid.contains(long));
        std::fs::write(&path, valid.replace(long, short)).unwrap();
        let (document, code) = faults(dir.path());
        assert_eq!(code, Some(0), "{short}: {document:#}");
    }
}

#[test]
fn warnings_do_not_fail_check() {
    let dir = project();
    let path = dir.path().join(SUMMER);
    let text = std::fs::read_to_string(&path).unwrap();
    // a season is not a fault, but 375 days are
    std::fs::write(&path, text.replace("days_per_year = 365", "days_per_year = 10")).unwrap();
    assert_eq!(faults(dir.path()).0["warnings"].as_u64(), Some(0));
    std::fs::write(path.with_file_name("year.toml"), text).unwrap();
    let (document, code) = faults(dir.path());
    assert_eq!((document["warnings"].as_u64(), document["errors"].as_u64(), code), (Some(1), Some(0), Some(0)));
    assert!(document["faults"][0]["help"].as_str().unwrap().contains("365"));
}

#[test]
fn a_minimum_run_time_that_is_not_a_whole_number_of_steps_is_a_warning() {
    let dir = project();
    let path = dir.path().join(STOCK);
    let valid = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, valid.replace("multiple = 10", "multiple = 10\nmin_on = 10\nmin_run = \"36h\"")).unwrap();
    let (document, code) = faults(dir.path());
    assert_eq!((document["warnings"].as_u64(), code), (Some(1), Some(0)), "{document:#}");
    let fault = &document["faults"][0];
    assert!(fault["message"].as_str().unwrap().contains("`min_run` is 36h"), "{fault}");
    assert!(
        fault["help"].as_str().unwrap().contains("\"1d\"") || fault["help"].as_str().unwrap().contains("\"2d\""),
        "{fault}"
    );
}

#[test]
fn exit_codes_distinguish_usage_input_and_faults() {
    let dir = project();
    for (args, code) in [
        (&["check"][..], 0),
        (&["check", "nowhere"], 66),
        (&["check", "data/nowhere"], 66),
        (&["inspect", "data/nowhere"], 66),
        (&["chek"], 2),
        (&["check", "--device", "cuda"], 2),
        (&["init", "elsewhere/x", "--log", "data/stock/log/part.parquet"], 2),
        (&["init", "data/x", "--log", "missing.parquet"], 66),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let out = twinopt(dir.path(), args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn init_writes_files_that_pass_check_and_does_not_overwrite() {
    let dir = project();
    let root = dir.path().join("new");
    std::fs::create_dir(&root).unwrap();
    let log = dir.path().join("data/datacenter/log/crac.parquet");
    let args = ["init", "data/plant1", "--log", log.to_str().unwrap()];
    let out = twinopt(&root, &args);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let twin = std::fs::read_to_string(root.join("data/plant1/twin.toml")).unwrap();
    // Indented comments suggest lines, such as a price, instead of guessing a role.
    for line in twin.lines().filter(|l| l.contains("role = ") && !l.starts_with("#   ")) {
        assert!(line.contains("# guess"), "{line}");
    }
    for part in [
        "name = \"outdoor_temp\", role = \"disturbance\", unit = \"degC\"",
        "name = \"supply_setpoint\", role = \"control\", unit = \"degC\"",
        "name = \"hvac_power\", role = \"output\", unit = \"W\"",
        "step = \"10min\"",
    ] {
        assert!(twin.contains(part), "{part} is not in\n{twin}");
    }
    let out = twinopt(&root, &["check"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let again = twinopt(&root, &args);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(root.join("data/plant1/twin.toml")).unwrap(), twin);
}

/// For every Parquet file in `shared/`, `init` creates a twin that passes `check`.
#[test]
fn init_accepts_every_real_log() {
    let shared = std::env::var_os("TWINOPT_SHARED").map_or_else(|| main_dir().join("../shared"), PathBuf::from);
    let mut logs: Vec<PathBuf> = ["datacenter", "inventory", "process", "rollouts"]
        .iter()
        .filter_map(|d| std::fs::read_dir(shared.join("data").join(d)).ok())
        .flat_map(|d| d.flatten().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
        .collect();
    logs.sort();
    if logs.is_empty() {
        println!("skipped: no shared data");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for log in &logs {
        let name = log.file_stem().unwrap().to_str().unwrap();
        let folder = format!("data/{name}");
        let out = twinopt(dir.path(), &["init", &folder, "--log", log.to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        let out = twinopt(dir.path(), &["check", &folder]);
        let twin = std::fs::read_to_string(dir.path().join(&folder).join("twin.toml")).unwrap();
        assert_eq!(out.status.code(), Some(0), "{name}: {}\n{twin}", String::from_utf8_lossy(&out.stderr));
    }
}

/// The committed JSON Schemas must equal the schemas generated from the types. `UPDATE=1` rewrites them.
#[test]
fn json_schemas_are_up_to_date() {
    let schemas = [
        ("schemas/twin.schema.json", twinopt::twin_json_schema()),
        ("schemas/scenario.schema.json", twinopt::scenario_json_schema()),
    ];
    for (file, schema) in schemas {
        let path = main_dir().join(file);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{file} is stale; run the tests once with UPDATE=1");
    }
}

/// The committed reference page must equal the one generated from the types. `UPDATE=1` rewrites it.
#[test]
fn the_reference_page_is_up_to_date() {
    let (path, text) = (main_dir().join("docs/reference.md"), twinopt::reference());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/reference.md is stale; run the tests once with UPDATE=1");
    for part in ["| `signals` |", "### `signals[]`", "| `next` |", "`lag(signal, steps)`", "`degC`", "### `kpi.*`"] {
        assert!(text.contains(part), "{part}");
    }
}

/// A project whose log contains times and numbers in German notation, and energies per 15 min.
fn german_project(keys: &str, signal: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows = 400;
    let start = jiff::civil::date(2011, 12, 24).at(0, 0, 0, 0);
    let time = |i: i64| (start + jiff::SignedDuration::from_mins(15 * i)).strftime("%d.%m.%Y %H:%M").to_string();
    let text = |f: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..rows).map(f))) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("zeit", text(&|i| time(i as i64))),
        ("ruecklauf_c", text(&|i| format!("{:.2}", 20.0 + (i % 9) as f64 / 8.0).replace('.', ","))),
        ("verbrauch_kwh", Arc::new(Float64Array::from_iter_values((0..rows).map(|i| 1.0 + (i % 5) as f64)))),
    ];
    write_columns(&dir.path().join("data/haus/log/l.parquet"), columns);
    let twin = format!(
        "name = \"haus\"\nstep = \"1h\"\nsignals = [\n  {{ name = \"ruecklauf\", role = \"state\", unit = \"degC\", column = \"ruecklauf_c\" }},\n  {{ name = \"verbrauch\", role = \"output\", unit = \"kWh\", column = \"verbrauch_kwh\"{signal} }},\n]\n[log]\nfiles = \"log/*.parquet\"\ntime = \"zeit\"\n{keys}\n[model]\nholdout = \"1d\"\nhorizon = \"4h\"\n"
    );
    std::fs::write(dir.path().join("data/haus/twin.toml"), twin).unwrap();
    dir
}

/// `check` reads the log, and each fault names the setting that corrects it.
#[test]
fn check_finds_what_no_command_can_read() {
    let errors = |keys: &str, signal: &str| -> Vec<(u64, String)> {
        let dir = german_project(keys, signal);
        let (document, _) = faults(dir.path());
        let all = document["faults"].as_array().unwrap().clone();
        let errors = all.iter().filter(|f| f["warning"] == false);
        errors.map(|f| (f["line"].as_u64().unwrap(), f["help"].as_str().unwrap().to_owned())).collect()
    };
    let format = "time_format = \"%d.%m.%Y %H:%M\"";
    let found = errors("", "");
    assert!(found.iter().any(|(line, help)| *line == 9 && help.contains(format)), "{found:?}");
    assert!(found.iter().any(|(line, help)| *line == 4 && help.contains("decimal = \",\"")), "{found:?}");
    let found = errors(&format!("{format}\ndecimal = \",\""), "");
    assert!(matches!(&found[..], [(5, help)] if help.contains("kind = \"amount\"")), "{found:?}");
    let found = errors(&format!("{format}\ndecimal = \",\""), ", kind = \"amount\", resample = \"mean\"");
    assert!(matches!(&found[..], [(5, help)] if help.contains("remove `resample`")), "{found:?}");
    assert_eq!(errors(&format!("{format}\ndecimal = \",\""), ", kind = \"amount\""), []);
}

/// `init` detects the notation of the log and the kinds of its signals, and writes them to `twin.toml`.
#[test]
fn init_describes_the_notation_of_the_log() {
    let from = german_project("", "");
    let dir = tempfile::tempdir().unwrap();
    let log = from.path().join("data/haus/log/l.parquet");
    let out = twinopt(dir.path(), &["init", "data/haus", "--log", log.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let twin = std::fs::read_to_string(dir.path().join("data/haus/twin.toml")).unwrap();
    for line in ["time = \"zeit\"", "time_format = \"%d.%m.%Y %H:%M\"", "decimal = \",\"", "kind = \"amount\""] {
        assert!(twin.contains(line), "{line}: {twin}");
    }
    let (document, code) = faults(dir.path());
    assert_eq!(code, Some(0), "{document:#}");
}
