//! Synthetic results of four scenarios of a data center. The results are deterministic and cover every part of the
//! report.

use twinopt::scenario::results::*;
use twinopt::schema::Role;
use twinopt::value::risk::{Acceptance, Input, Risk, Sensitivity};

#[path = "fixture_model.rs"]
mod model;

use model::{quality, responses, scores};

const POINTS: usize = 600;

/// A pseudo-random number between 0 and 1 that depends only on the arguments.
fn noise(a: usize, b: usize) -> f64 {
    let mut z = (a as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (b as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn estimate(mid: f64, half: f64) -> Estimate {
    Estimate { p10: mid - half, p50: mid, p90: mid + 1.1 * half, mean: mid + 0.02 * half }
}

fn difference(mean: f64, half: f64) -> Difference {
    let (low, high) = (mean - half, mean + half);
    Difference { mean, low, high, measurable: low > 0.0 || high < 0.0 }
}

/// Conditions of each scenario: temperature offset in K, load factor, price in EUR/MWh, and days per year.
struct Weather {
    name: &'static str,
    question: &'static str,
    warm: f64,
    load: f64,
    price: f64,
    days: f64,
    changes: &'static [&'static str],
}

const WEATHER: [Weather; 4] = [
    Weather {
        name: "summer",
        question: "What do warmer set-points or MPC save in a normal summer week?",
        warm: 0.0,
        load: 1.0,
        price: 90.0,
        days: 290.0,
        changes: &[],
    },
    Weather {
        name: "heatwave",
        question: "What does MPC save in a +6 °C week, and is 27 °C ever exceeded?",
        warm: 6.0,
        load: 1.0,
        price: 90.0,
        days: 10.0,
        changes: &["outdoor_temp + 6 K"],
    },
    Weather {
        name: "it_load",
        question: "Does cooling keep up when the IT load grows by 20 %?",
        warm: 0.0,
        load: 1.2,
        price: 90.0,
        days: 45.0,
        changes: &["cpu_load × 1.2", "it_power × 1.2"],
    },
    Weather {
        name: "price_peak",
        question: "What is flexibility worth when power costs three times as much in the evening?",
        warm: 1.0,
        load: 1.0,
        price: 210.0,
        days: 20.0,
        changes: &["price set to 270 EUR/MWh between 17:00 and 21:00"],
    },
];

const CASES: [(&str, &str); 3] = [
    ("baseline", "the logged controls"),
    ("warmer", "hold supply_setpoint = 20"),
    ("mpc", "MPC (iCEM), horizon 4h, replanning every 30min"),
];

/// Effects of each case: power reduction in percent, and temperature increase in K.
const EFFECT: [(f64, f64); 3] = [(0.0, 0.0), (3.1, 1.3), (6.4, 0.9)];

fn trend(signal: &str, unit: &str, role: Role, value: impl Fn(f64, usize) -> (f64, f64)) -> Trend {
    let hours: Vec<f64> = (0..POINTS).map(|i| i as f64 * 168.0 / (POINTS - 1) as f64).collect();
    let at: Vec<(f64, f64)> = hours.iter().enumerate().map(|(i, h)| value(*h, i)).collect();
    Trend {
        signal: signal.into(),
        unit: unit.into(),
        role,
        p10: at.iter().map(|(v, s)| v - s).collect(),
        p50: at.iter().map(|(v, _)| *v).collect(),
        p90: at.iter().map(|(v, s)| v + 1.2 * s).collect(),
        hours,
    }
}

fn day(h: f64, peak: f64) -> f64 {
    (std::f64::consts::TAU * (h - peak + 6.0) / 24.0).sin()
}

fn trends(w: &Weather, case: usize) -> Vec<Trend> {
    let (saved, warmer) = EFFECT[case];
    let weekend = |h: f64| if h % 168.0 > 120.0 { 0.8 } else { 1.0 };
    let wiggle = move |i: usize, k: usize| noise(i / 3, 7 * case + k) - 0.5;
    let outdoor = move |h: f64, i: usize| 21.0 + w.warm + 5.5 * day(h, 15.0) + 1.2 * (noise(i / 9, 3) - 0.5) + h / 90.0;
    let load = move |h: f64| (0.55 + 0.17 * day(h, 14.0)) * weekend(h) * w.load;
    let setpoint = move |h: f64, i: usize| match case {
        0 => 18.0 + if h % 24.0 > 8.0 && h % 24.0 < 20.0 { 0.0 } else { 0.6 },
        1 => 20.0,
        _ => (20.6 - 1.9 * day(h, 15.0) - 0.22 * w.warm + 0.8 * wiggle(i / 4, 5)).clamp(10.0, 25.0),
    };
    let inlet = move |h: f64, i: usize| {
        23.1 + warmer
            + 1.3 * day(h, 16.0) * (1.0 - 0.4 * f64::from(case == 2))
            + 0.22 * w.warm
            + 2.0 * (load(h) - 0.55)
            + 0.35 * wiggle(i, 1)
    };
    let hvac = move |h: f64, i: usize| {
        (21_000.0 + 900.0 * (outdoor(h, i) - 21.0) + 16_000.0 * (load(h) - 0.5)) * (1.0 - 2.6 * saved / 100.0)
            + 900.0 * wiggle(i, 2)
    };
    let it = move |h: f64| 42_000.0 + 38_000.0 * load(h);
    vec![
        trend("server_inlet_temp", "degC", Role::State, move |h, i| (inlet(h, i), 0.25 + 0.25 * (h / 168.0).sqrt())),
        trend("hvac_power", "W", Role::Output, move |h, i| (hvac(h, i), 900.0)),
        trend("it_power", "W", Role::Output, move |h, _| (it(h), 400.0)),
        trend("supply_setpoint", "degC", Role::Control, move |h, i| {
            (setpoint(h, i), if case == 2 { 0.3 } else { 0.0 })
        }),
        trend("fan_speed", "%", Role::Control, move |h, i| {
            (
                if case == 2 { 62.0 - 6.0 * day(h, 3.0) + 3.0 * wiggle(i / 6, 9) } else { 70.0 },
                if case == 2 { 1.5 } else { 0.0 },
            )
        }),
        trend("outdoor_temp", "degC", Role::Disturbance, move |h, i| (outdoor(h, i), 0.0)),
        trend("cpu_load", "1", Role::Disturbance, move |h, _| (load(h), 0.0)),
        trend("total_power", "W", Role::Derived, move |h, i| (hvac(h, i) + it(h), 1_000.0)),
    ]
}

struct Numbers {
    energy: f64,
    violation: f64,
}

fn numbers(w: &Weather, case: usize) -> Numbers {
    let (saved, warmer) = EFFECT[case];
    let mwh = 14.1 * (1.0 + 0.011 * w.warm) * (0.3 + 0.7 * w.load);
    Numbers {
        energy: mwh * w.price * (1.0 - saved / 100.0),
        violation: (0.4 * w.warm + 3.0 * (w.load - 1.0)) * if case == 2 { 0.6 } else { 1.0 + 0.1 * warmer },
    }
}

const SIGNALS: [&str; 8] = [
    "server_inlet_temp",
    "hvac_power",
    "it_power",
    "supply_setpoint",
    "fan_speed",
    "outdoor_temp",
    "cpu_load",
    "total_power",
];

const PRICE_OF_VIOLATION: f64 = 2.0;

fn kpis(w: &Weather, case: usize, scale: f64) -> Vec<KpiResult> {
    let (n, b) = (numbers(w, case), numbers(w, 0));
    let pue = |e: f64| 1.21 + 0.2 * (e / b.energy - 1.0) + 0.004 * w.warm;
    let kpi =
        |name: &str, kind, unit: &str, formula: &str, price, v: f64, base: f64, spread: f64, pair: f64| KpiResult {
            name: name.into(),
            kind,
            sources: Vec::new(),
            signals: SIGNALS.into_iter().filter(|s| formula.contains(s)).map(str::to_owned).collect(),
            unit: unit.into(),
            formula: formula.into(),
            price,
            value: estimate(v, spread * v.abs()),
            change: (case > 0).then(|| difference(v - base, pair * (v - base).abs() + 0.0004 * base.abs())),
            samples: Vec::new(),
            ratio: None,
        };
    let peak = |c: usize| 97.4 * w.load + 0.8 * w.warm - 2.0 * c as f64;
    let moves = [14.0, 1.0, 216.0];
    vec![
        kpi(
            "energy_cost",
            KpiKind::Sum,
            "EUR",
            "integral of total_power * price over time",
            Some(1.0),
            scale * n.energy,
            scale * b.energy,
            0.012,
            0.09,
        ),
        kpi(
            "violation",
            KpiKind::Exceedance,
            "K*h",
            "integral over time of the amount by which server_inlet_temp is above 27 degC",
            Some(PRICE_OF_VIOLATION),
            scale * n.violation,
            scale * b.violation,
            0.3,
            0.4,
        ),
        kpi(
            "pue",
            KpiKind::Ratio,
            "1",
            "integral of total_power divided by the integral of it_power",
            None,
            pue(n.energy),
            pue(b.energy),
            0.004,
            0.1,
        ),
        kpi(
            "peak_power",
            KpiKind::Peak,
            "kW",
            "largest mean of total_power over any period of 15min",
            None,
            peak(case),
            peak(0),
            0.01,
            1.4,
        ),
        kpi(
            "moves",
            KpiKind::Moves,
            "1",
            "number of changes in supply_setpoint",
            None,
            moves[case],
            moves[0],
            0.0,
            0.0,
        ),
    ]
}

fn case(w: &Weather, k: usize) -> CaseResult {
    let (n, b) = (numbers(w, k), numbers(w, 0));
    let total = |n: &Numbers| n.energy + PRICE_OF_VIOLATION * n.violation;
    let trends = trends(w, k);
    let use_of = |name: &str, unit: &str, baseline: f64, low, high, max_move, moves| {
        let t = trends.iter().find(|t| t.signal == name).unwrap();
        let ends = |f: fn(f64, f64) -> f64, z: f64| t.p50.iter().copied().fold(z, f);
        ControlUse {
            rms_difference: None,
            signal: name.into(),
            unit: unit.into(),
            mean: t.p50.iter().sum::<f64>() / t.p50.len() as f64,
            min: ends(f64::min, f64::INFINITY),
            max: ends(f64::max, f64::NEG_INFINITY),
            baseline_mean: baseline,
            low,
            high,
            max_move,
            moves,
            setting: match k {
                2 => Setting::Plan,
                _ => Setting::Held { value: baseline + k as f64 },
            },
            typical: ValueRange { low: ends(f64::min, f64::INFINITY), high: ends(f64::max, f64::NEG_INFINITY) },
            by_hour: Vec::new(),
            first_orders: Vec::new(),
        }
    };
    let beyond = (0.002 + 0.012 * w.warm + 0.1 * (w.load - 1.0)) * [1.0, 1.02, 0.55][k];
    CaseResult {
        missed_totals: Vec::new(),
        unseen_effect: None,
        unseen: None,
        name: CASES[k].0.into(),
        controller: CASES[k].1.into(),
        perfect_forecast: Vec::new(),
        notes: Vec::new(),
        end_contents: Vec::new(),
        reached: Vec::new(),
        kpis: kpis(w, k, 1.0),
        objective: estimate(total(&n), 0.014 * total(&n)),
        objective_change: (k > 0).then(|| difference(total(&n) - total(&b), 0.12 * (total(&n) - total(&b)).abs())),
        cash: Some(kpis(w, k, 1.0)[0].value),
        cash_change: kpis(w, k, 1.0)[0].change,
        controls: vec![
            use_of("supply_setpoint", "degC", 18.31, Some(10.0), Some(25.0), Some(1.0), [14, 1, 216][k]),
            use_of("fan_speed", "%", 70.0, Some(30.0), Some(100.0), Some(5.0), [0, 0, 190][k]),
        ],
        limits: vec![
            LimitUse {
                signal: "server_inlet_temp".into(),
                unit: "degC".into(),
                kind: LimitKind::Soft,
                low: None,
                high: Some(27.0),
                share_beyond: beyond,
                chance: (6.0 * beyond).min(0.96),
                near_setting: None,
                worst: 0.4 + 0.17 * w.warm,
                worst_time: Some("2024-07-18T14:40:00Z".into()),
                stop: vec![StopRule { above: true, value: 27.0, hours: 1.0, reached: None }],
            },
            LimitUse {
                signal: "server_inlet_temp".into(),
                unit: "degC".into(),
                kind: LimitKind::Hard,
                low: None,
                high: Some(32.0),
                share_beyond: 0.0,
                chance: 0.0,
                near_setting: None,
                worst: 0.0,
                worst_time: None,
                stop: vec![StopRule { above: true, value: 32.0, hours: 0.5, reached: None }],
            },
        ],
        support: [
            SupportShare { inside: 0.957, edge: 0.035, outside: 0.008 },
            SupportShare { inside: 0.914, edge: 0.071, outside: 0.015 },
            SupportShare { inside: 0.931, edge: 0.052, outside: 0.017 },
        ][k],
        saving_support: (k > 0).then_some(SupportShare { inside: 81.0, edge: 8.0, outside: 3.0 }),
        inputs: vec![InputRange {
            signal: "outdoor_temp".into(),
            unit: "degC".into(),
            role: Role::Disturbance,
            logged: [2.1, 31.0],
            run: [15.0, 29.3 + w.warm],
            outside: if w.warm > 2.0 { 0.13 } else { 0.0 },
        }],
        imitations: Vec::new(),
        trends,
    }
}

fn scenario(w: &Weather) -> ScenarioResult {
    ScenarioResult {
        name: w.name.into(),
        file: format!("scenarios/datacenter/{}.toml", w.name),
        question: w.question.into(),
        start: "2024-07-15T00:00:00Z".into(),
        hours: 168.0,
        skipped: Vec::new(),
        days_per_year: Some(w.days),
        particles: 50,
        seed: 1,
        inputs: "5f2c".into(),
        changes: w.changes.iter().map(|c| (*c).to_owned()).collect(),
        noise: NoiseSource::Drawn,
        noise_note: "The noise is drawn from the distribution of the model errors".into(),
        baseline_caveat: None,
        measured: Measured {
            cost: None,
            is_changed: !w.changes.is_empty(),
            cost_missing: 0.0,
            kpis: vec![MeasuredKpi { name: "energy_cost".into(), value: 1.01 * numbers(w, 0).energy, missing: 0.0 }],
            limits: vec![LimitUse {
                share_beyond: 0.004,
                chance: 1.0,
                near_setting: None,
                worst: 0.2,
                stop: Vec::new(),
                ..case(w, 0).limits[0].clone()
            }],
        },
        exit_code: 0,
        error: None,
        cases: (0..3).map(|k| case(w, k)).collect(),
    }
}

fn annual(k: usize) -> AnnualResult {
    let weeks = |w: &Weather| w.days / 7.0;
    let change: f64 = WEATHER
        .iter()
        .map(|w| {
            let (n, b) = (numbers(w, k), numbers(w, 0));
            weeks(w) * (n.energy - b.energy + PRICE_OF_VIOLATION * (n.violation - b.violation))
        })
        .sum();
    let objective: f64 =
        WEATHER.iter().map(|w| weeks(w) * (numbers(w, k).energy + PRICE_OF_VIOLATION * numbers(w, k).violation)).sum();
    let benefit: f64 = WEATHER.iter().map(|w| weeks(w) * (numbers(w, 0).energy - numbers(w, k).energy)).sum();
    let per: Vec<Vec<KpiResult>> = WEATHER.iter().map(|w| kpis(w, k, weeks(w))).collect();
    let sum = |i: usize| {
        let mut total = per[0][i].clone();
        for other in &per[1..] {
            let (t, o) = (&mut total.value, &other[i].value);
            (t.p10, t.p50, t.p90, t.mean) = (t.p10 + o.p10, t.p50 + o.p50, t.p90 + o.p90, t.mean + o.mean);
            if let (Some(t), Some(o)) = (&mut total.change, &other[i].change) {
                *t = Difference {
                    measurable: true,
                    ..difference(t.mean + o.mean, (t.high - t.low + o.high - o.low) / 2.0)
                };
            }
        }
        total
    };
    let (capex, opex) = [(0.0, 0.0), (0.0, 0.0), (8_000.0, 900.0)][k];
    let factor = 6.71;
    AnnualResult {
        case: CASES[k].0.into(),
        days: 365.0,
        kpis: vec![sum(0), sum(1)],
        objective: estimate(objective, 0.01 * objective.abs()),
        objective_change: difference(change, 0.13 * change.abs()),
        cash: Some(sum(0).value),
        cash_change: (k > 0).then(|| difference(-benefit, 0.16 * benefit)),
        economics: Some(Economics {
            currency: "EUR".into(),
            benefit_per_year: estimate(benefit, 0.16 * benefit),
            capex,
            opex_per_year: opex,
            discount_rate: 0.08,
            lifetime_years: 10.0,
            npv: estimate((benefit - opex) * factor * 0.93 - capex, 0.16 * benefit * factor),
            payback: Some(capex / (benefit - opex)),
            discounted_payback: Some(1.1 * capex / (benefit - opex)),
            irr: (capex > 0.0).then(|| (benefit - opex) / capex * 0.93),
            irr_note: (capex == 0.0).then(|| "no investment".to_owned()),
            roi: (capex > 0.0).then(|| ((benefit - opex) * 10.0 * 0.9 - capex) / capex),
            risk: Some(risk(benefit, opex, capex, factor)),
            assumptions: vec![
                "All prices are real 2024 prices (without inflation).".into(),
                "Energy prices stay constant.".into(),
                "97 % of the saving persists from one year to the next.".into(),
            ],
        }),
    }
}

fn risk(benefit: f64, opex: f64, capex: f64, factor: f64) -> Risk {
    let npv = |benefit: f64, capex: f64| (benefit - opex) * factor * 0.93 - capex;
    let sensitivity = |input, low, base, high, npv_low, npv_high, break_even| Sensitivity {
        input,
        low,
        base,
        high,
        npv_low,
        npv_high,
        break_even,
        several: false,
    };
    let (low, high) = (0.84 * benefit, 1.176 * benefit);
    let zero = opex + capex / (0.93 * factor);
    let middle = npv(benefit, capex);
    let mut sensitivities = vec![
        sensitivity(Input::Acceptance, 0.5, 1.0, 1.0, npv(0.5 * benefit, capex), middle, Some(zero / benefit)),
        sensitivity(Input::Saving, low, benefit, high, npv(low, capex), npv(high, capex), Some(zero)),
        sensitivity(Input::Lifetime, 8.0, 10.0, 12.0, 0.85 * middle, 1.1 * middle, None),
    ];
    if capex > 0.0 {
        let costs = [npv(benefit, 0.8 * capex), npv(benefit, 1.2 * capex)];
        sensitivities.push(sensitivity(
            Input::Capex,
            0.8 * capex,
            capex,
            1.2 * capex,
            costs[0],
            costs[1],
            Some(capex + middle),
        ));
    }
    Risk {
        draws: 20_000,
        standard_error: 0.002 * benefit,
        chance_of_loss: if capex > 0.0 { 0.004 } else { 0.0 },
        worst: npv(0.75 * benefit, capex),
        npv: middle,
        sensitivities,
        acceptance: [1.0, 0.5, 0.25]
            .map(|rate| Acceptance { rate, npv: estimate(npv(rate * benefit, capex), 0.16 * rate * benefit * factor) })
            .to_vec(),
    }
}

/// Results of four scenarios with three cases each. The verdict of a report on these results is “Run”.
pub fn datacenter() -> Results {
    Results {
        schema_version: SCHEMA_VERSION,
        plant: "datacenter".into(),
        timezone: "Europe/Berlin".into(),
        currency: Some("EUR".into()),
        cash: Some(CashDefinition { unit: "EUR".into(), kpis: vec!["energy_cost".into()] }),
        scenarios: WEATHER.iter().map(scenario).collect(),
        annual: vec![annual(1), annual(2)],
        annual_baseline: Some({
            let AnnualResult { kpis, objective, cash, .. } = annual(0);
            AnnualBaseline { kpis, objective, cash }
        }),
        model: ModelCard {
            identification: Vec::new(),
            effects: Vec::new(),
            version: "9f3a6c1d2e4b".into(),
            model: "forest".into(),
            reason: "it has the lowest multi-step error on held-out blocks; its squared error 4 h ahead is 31 % lower than that of linear.".into(),
            trained_until: "2024-10-14T13:20:00Z".into(),
            train_rows: 23_984,
            holdout_rows: 2_016,
            holdout_start: "2024-10-14T13:20:00Z".into(),
            holdout_end: "2024-10-28T13:20:00Z".into(),
            lags: 3,
            step: "10min".into(),
            horizon: 24,
            members: 0,
            scores: scores(),
            responses: responses(),
            replay: vec![
                ReplayCheck {
                    kpi: "energy_cost".into(),
                    unit: "EUR".into(),
                    measured: 2_561.3,
                    simulated: estimate(2_548.0, 31.0),
                    hours: 24.0,
                    segments: 20,
                    within: 18,
                    inside: true,
                },
                ReplayCheck {
                    kpi: "violation".into(),
                    unit: "K*h".into(),
                    measured: 0.0,
                    simulated: estimate(0.04, 0.06),
                    hours: 24.0,
                    segments: 20,
                    within: 20,
                    inside: true,
                },
                ReplayCheck {
                    kpi: "pue".into(),
                    unit: "1".into(),
                    measured: 1.3391,
                    simulated: estimate(1.3362, 0.006),
                    hours: 24.0,
                    segments: 20,
                    within: 15,
                    inside: true,
                },
            ],
            tuned: None,
            notes: vec![Note {
                kind: NoteKind::ConstantControl,
                text:
                    "fan_speed stayed between 52 and 88 % in the log, so advice outside this range is less reliable."
                        .into(),
            }],
        },
        quality: quality(),
        promises: Vec::new(),
        provenance: Provenance {
            crate_version: "0.1.0".into(),
            config_hash: "b1946ac92492d2347c6235b4d2611184".into(),
            model_version: "9f3a6c1d2e4b".into(),
            data_start: "2024-05-01T00:00:00Z".into(),
            data_end: "2024-10-28T13:20:00Z".into(),
            seed: 1,
            as_of: "2024-10-28T13:20:00Z".into(),
            run_id: "20241028-b1946ac9".into(),
        },
    }
}

/// A failed scenario.
pub fn failed() -> ScenarioResult {
    ScenarioResult {
        name: "winter".into(),
        file: "scenarios/datacenter/winter.toml".into(),
        question: "What changes in a cold week?".into(),
        start: "2024-12-15T00:00:00Z".into(),
        hours: 168.0,
        skipped: Vec::new(),
        days_per_year: None,
        particles: 50,
        seed: 1,
        inputs: String::new(),
        changes: Vec::new(),
        noise: NoiseSource::Drawn,
        noise_note: String::new(),
        baseline_caveat: None,
        measured: Measured::default(),
        exit_code: 65,
        error: Some("scenarios/datacenter/winter.toml:3: `start` 2024-12-15T00:00:00Z is outside the log, which ends at 2024-10-28T13:20:00Z; choose a start within the log".into()),
        cases: Vec::new(),
    }
}
