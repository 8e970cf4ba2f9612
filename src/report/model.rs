//! The section on the model: how it was chosen and how accurate it is.

use crate::config::Effect;
use crate::control::mpc::TunedMpc;
use crate::error::Result;
use crate::scenario::results::{ModelCard, ReplayCheck, Results, Score, StepResponse};

use super::chart::{self, CoveragePoint, Head, ReliabilityLine, SkillLine};
use super::clock::Clock;
use super::duration::{ahead, hours_text, step_text};
use super::identification::{EffectRow, IdentificationRow};
use super::number::{self, Interval, PROSE, Quantity, TABLE};
use super::text::{Markup, marked, readable, tag};
use super::{caveats, runs};

#[derive(Debug)]
pub struct Model {
    pub name: String,
    pub reason: Markup,
    pub facts: Vec<String>,
    pub notes: Vec<Markup>,
    pub skills: Vec<SkillChart>,
    pub horizons: Vec<String>,
    pub last_horizon: String,
    pub scores: Vec<Group<ScoreCells>>,
    pub coverage: Vec<Group<CoverageRow>>,
    pub reliability: Vec<ReliabilityCharts>,
    pub identification: Vec<IdentificationRow>,
    pub effects: Vec<EffectRow>,
    pub controls: Vec<String>,
    pub responses: Vec<ResponseCells>,
    /// The kind of input to which the step is applied: `a control` or `a disturbance`.
    pub input: &'static str,
    pub gains: Vec<GainRow>,
    /// A sentence naming the controls to which no learned signal responds.
    pub ineffective: Markup,
    pub replay: Vec<ReplayRow>,
}

#[derive(Debug)]
pub struct SkillChart {
    pub signal: String,
    pub svg: String,
}

/// Calibration charts for the forecasts of one signal.
#[derive(Debug)]
pub struct ReliabilityCharts {
    pub signal: String,
    /// Reliability diagram: fraction of measured values below each forecast quantile.
    pub quantiles: String,
    /// Coverage of the 90 % interval as a function of the forecast horizon in hours.
    pub coverage: String,
}

#[derive(Debug)]
pub struct Group<T> {
    pub signal: String,
    pub unit: String,
    pub rows: Vec<T>,
}

#[derive(Debug)]
pub struct ScoreCells {
    pub model: String,
    pub chosen: bool,
    /// Skill at each horizon in [`Model::horizons`].
    pub skills: Vec<Option<Quantity>>,
    /// Skill relative to the linear model. `None` for the linear model and persistence.
    pub skill_linear: Option<Quantity>,
    pub rmse: Quantity,
    pub bias: Quantity,
    pub crps: Quantity,
}

#[derive(Debug)]
pub struct CoverageRow {
    pub ahead: String,
    /// Pairs (coverage, flag). The flag is set if the difference from the nominal coverage is too large to be due to
    /// chance.
    pub shares: Vec<(Quantity, bool)>,
    /// Range of coverage expected of a calibrated 90 % interval, such as `87 to 93 %`.
    pub expected: String,
    pub independent: String,
}

#[derive(Debug)]
pub struct ResponseCells {
    pub signal: String,
    pub cells: Vec<Option<ResponseCell>>,
}

#[derive(Debug)]
pub struct ResponseCell {
    pub svg: String,
    pub unit: String,
    pub known_effect: String,
    pub agrees: bool,
}

#[derive(Debug)]
pub struct GainRow {
    pub signal: String,
    pub control: String,
    pub unit: String,
    /// The response at several times, as pairs (time after the step, interval).
    pub points: Vec<(String, Interval)>,
    pub gain: Quantity,
    pub known_effect: String,
    pub agrees: bool,
}

#[derive(Debug)]
pub struct ReplayRow {
    pub kpi: String,
    pub unit: String,
    pub measured: Quantity,
    pub simulated: Interval,
    /// In how many segments the interval contains the measured value, such as `18 of 20 segments of
    /// 24 h`.
    pub within: String,
    pub inside: bool,
    /// Whether the KPI has a price or contributes to the benefit. The verdict ignores the replay
    /// errors of all other KPIs.
    pub priced: bool,
}

pub fn model(results: &Results, clock: &Clock) -> Result<Model> {
    let m = &results.model;
    let horizons = table_horizons(m);
    let (moved, ineffective) = effective_responses(m);
    let controls = distinct(moved.iter().map(|r| r.control.as_str()));
    Ok(Model {
        name: m.model.clone(),
        reason: marked(&m.reason),
        facts: facts(m, clock),
        notes: m.notes.iter().map(|n| marked(&n.text)).collect(),
        skills: skills(m)?,
        last_horizon: horizons.last().map(|h| ahead(*h, &m.step)).unwrap_or_default(),
        scores: score_rows(m, &horizons),
        coverage: coverage(m, &horizons),
        reliability: reliability(m, &horizons)?,
        horizons: horizons.iter().map(|h| ahead(*h, &m.step)).collect(),
        responses: responses(&moved, &controls, results)?,
        input: match runs::completed(results).flat_map(|s| &s.cases).any(|c| !c.controls.is_empty()) {
            true => "a control",
            false => "a disturbance",
        },
        effects: m.effects.iter().map(EffectRow::new).collect(),
        identification: m.identification.iter().map(IdentificationRow::new).collect(),
        controls: controls.into_iter().map(str::to_owned).collect(),
        gains: moved.iter().map(|r| gain(r, results)).collect(),
        ineffective: marked(&ineffective),
        replay: m.replay.iter().map(|r| replay(r, results)).collect(),
    })
}

fn replay(r: &ReplayCheck, results: &Results) -> ReplayRow {
    let kpi = runs::completed(results).flat_map(|s| &s.cases).flat_map(|c| &c.kpis).find(|k| k.name == r.kpi);
    let share = kpi.is_some_and(|k| k.kind.is_share());
    let within = |v: f64| match share {
        true => Interval::shares(v, r.simulated.p10, r.simulated.p90, TABLE, "%"),
        false => number::within(v, r.simulated.p10, r.simulated.p90, TABLE),
    };
    let unit = number::unit(&r.unit);
    ReplayRow {
        kpi: readable(&r.kpi),
        unit: match unit.is_empty() {
            true if share => "%".to_owned(),
            true => "–".to_owned(),
            false => unit,
        },
        // The measured value is rounded to the same decimal place as the simulated values.
        measured: within(r.measured).value,
        simulated: within(r.simulated.p50),
        within: format!("{} of {} segments of {}", r.within, r.segments, hours_text(r.hours)),
        inside: r.inside,
        priced: caveats::priced_replays(results).any(|p| p.kpi == r.kpi),
    }
}

/// Step responses to the controls that have an effect, and a sentence about all other controls.
fn effective_responses(m: &ModelCard) -> (Vec<&StepResponse>, String) {
    let moves = |r: &&StepResponse| r.mean.iter().chain(&r.low).chain(&r.high).any(|v| *v != 0.0);
    let moving: Vec<&str> = distinct(m.responses.iter().filter(moves).map(|r| r.control.as_str()));
    let ineffective: Vec<String> = distinct(m.responses.iter().map(|r| r.control.as_str()))
        .into_iter()
        .filter(|c| !moving.contains(c))
        .map(|c| tag(c, 60))
        .collect();
    let shown = m.responses.iter().filter(|r| moving.contains(&r.control.as_str()));
    // A signal that responds to no control is left out, because its row would be empty.
    let shown: Vec<&StepResponse> =
        shown.filter(|r| m.responses.iter().filter(|o| o.signal == r.signal).any(|o| moves(&o))).collect();
    let sentence = match ineffective.len() {
        0 => String::new(),
        _ => format!(
            "No learned signal responds to {}. Any effect of these controls comes from the known equations of the twin.",
            ineffective.join(", ")
        ),
    };
    (shown, sentence)
}

fn facts(m: &ModelCard, clock: &Clock) -> Vec<String> {
    let mut out = Vec::new();
    if m.train_rows > 0 {
        out.push(format!("Trained on {} rows up to {}", number::count(m.train_rows), clock.date(&m.trained_until)));
    }
    if m.holdout_rows > 0 {
        out.push(format!(
            "Tested on {} rows of the hold-out ({} to {})",
            number::count(m.holdout_rows),
            clock.date(&m.holdout_start),
            clock.date(&m.holdout_end)
        ));
    }
    if m.lags > 0 {
        out.push(format!(
            "Uses {} of every input at intervals of {}",
            crate::error::plural(m.lags, "past value", "past values"),
            step_text(&m.step)
        ));
    }
    if let Some(TunedMpc { setting, trials, runs, steps, .. }) = &m.tuned {
        out.push(format!(
            "Plan settings: horizon {}, {}{}{}. Among {} candidates, these settings are the simplest that perform as \
             well as the best candidate. The candidates were tested in closed loop ({} of {} each) on a plant model \
             from another model family, which was trained on the other half of the log",
            crate::config::TimeSpan::from_steps(setting.horizon, step_ms(m)),
            crate::error::plural(setting.moves, "move", "moves"),
            if setting.replan > 1 { format!(", a new plan every {} steps", setting.replan) } else { String::new() },
            if setting.cost_to_go { ", a terminal cost learned from the log" } else { "" },
            trials.len(),
            crate::error::plural(*runs, "run", "runs"),
            crate::error::plural(*steps, "step", "steps"),
        ));
    }
    out
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for n in names {
        if !out.contains(&n) {
            out.push(n);
        }
    }
    out
}

/// The horizons in the tables are one step, half the control horizon and the full control horizon, or the scored
/// horizons nearest to these.
fn table_horizons(m: &ModelCard) -> Vec<usize> {
    let mut scored: Vec<usize> = m.scores.iter().map(|s| s.horizon).collect();
    scored.sort_unstable();
    scored.dedup();
    let full = m.horizon.max(1);
    let nearest = |h: usize| scored.iter().copied().min_by_key(|v| v.abs_diff(h));
    let mut out: Vec<usize> = [1, full.div_ceil(2), full].into_iter().filter_map(nearest).collect();
    out.sort_unstable();
    out.dedup();
    out
}

fn step_ms(m: &ModelCard) -> i64 {
    m.step.parse::<crate::config::TimeSpan>().map_or(3_600_000, crate::config::TimeSpan::ms)
}

fn hours(steps: usize, m: &ModelCard) -> f64 {
    step_ms(m) as f64 / 3_600_000.0 * steps as f64
}

/// Models in the order used in charts and tables: the chosen model comes first, and persistence last.
fn models(m: &ModelCard) -> Vec<&str> {
    let mut names = distinct(m.scores.iter().map(|s| s.model.as_str()));
    names.sort_by_key(|n| (*n != m.model, *n == "persistence"));
    names
}

fn skills(m: &ModelCard) -> Result<Vec<SkillChart>> {
    let models = models(m);
    let far = hours(m.scores.iter().map(|s| s.horizon).max().unwrap_or(1), m);
    distinct(m.scores.iter().map(|s| s.signal.as_str()))
        .into_iter()
        .enumerate()
        .map(|(i, signal)| {
            // The skill of persistence is zero by definition, so the zero line of the chart represents it.
            let lines: Vec<SkillLine<'_>> = models
                .iter()
                .enumerate()
                .filter(|(_, name)| **name != "persistence")
                .map(|(k, name)| {
                    let scores = m.scores.iter().filter(|s| s.signal == signal && s.model == *name);
                    let mut points: Vec<(f64, f64)> =
                        scores.map(|s| (hours(s.horizon, m), s.skill)).filter(|p| p.1.is_finite()).collect();
                    points.sort_by(|a, b| a.0.total_cmp(&b.0));
                    SkillLine { model: name, colour: chart::colour(k + 1), points }
                })
                .collect();
            let ends: Vec<String> = lines
                .iter()
                .filter_map(|l| l.points.last().map(|p| format!("{}: {}", l.model, number::fixed(p.1, 2).text)))
                .collect();
            let head = Head {
                id: &format!("skill-{}", i + 1),
                title: &format!("Forecast skill of {signal} by hours ahead"),
                description: &format!("At the longest horizon: {}.", ends.join(", ")),
            };
            Ok(SkillChart { signal: signal.to_owned(), svg: chart::skill(head, &lines, far)? })
        })
        .collect()
}

/// Formats a skill for a table. A skill below −9.99 is printed as `<−10`.
fn score(skill: f64) -> Option<Quantity> {
    let mut q = number::fixed(skill, 2);
    if skill < -9.99 {
        q.text = "&lt;\u{2212}10".to_owned();
    }
    skill.is_finite().then_some(q)
}

fn score_rows(m: &ModelCard, horizons: &[usize]) -> Vec<Group<ScoreCells>> {
    let row = |signal: &str, name: &str| {
        let score_at = |h: &usize| m.scores.iter().find(|s| s.signal == signal && s.model == name && s.horizon == *h);
        let last = horizons.iter().rev().find_map(score_at)?;
        let errors = number::aligned(&[last.rmse, last.bias, last.crps], PROSE);
        let [rmse, bias, crps] = [0, 1, 2].map(|i| errors[i].clone());
        Some(ScoreCells {
            model: name.to_owned(),
            chosen: name == m.model,
            skills: horizons.iter().map(|h| score_at(h).and_then(|s| score(s.skill))).collect(),
            skill_linear: score(last.skill_linear).filter(|_| name != "persistence" && name != "linear"),
            rmse,
            bias,
            crps,
        })
    };
    groups(m, |signal| models(m).into_iter().filter_map(|name| row(signal, name)).collect())
}

fn groups<T>(m: &ModelCard, rows: impl Fn(&str) -> Vec<T>) -> Vec<Group<T>> {
    distinct(m.scores.iter().map(|s| s.signal.as_str()))
        .into_iter()
        .map(|signal| Group {
            signal: signal.to_owned(),
            unit: m.scores.iter().find(|s| s.signal == signal).map(|s| number::unit(&s.unit)).unwrap_or_default(),
            rows: rows(signal),
        })
        .filter(|g| !g.rows.is_empty())
        .collect()
}

/// Scores of the chosen model for `signal` at all horizons at which the forecast is not exact.
fn chosen<'a>(m: &'a ModelCard, signal: &'a str) -> impl Iterator<Item = &'a Score> {
    m.scores.iter().filter(move |s| s.signal == signal && s.model == m.model && s.rmse > 0.0)
}

fn coverage(m: &ModelCard, horizons: &[usize]) -> Vec<Group<CoverageRow>> {
    let row = |s: &Score| {
        let cell = |(c, (low, high)): (&f64, &(f64, f64))| (number::percent(*c), !(low..=high).contains(&c));
        let (low, high) = s.acceptable_coverage[2];
        CoverageRow {
            ahead: ahead(s.horizon, &m.step),
            shares: s.coverage.iter().zip(&s.acceptable_coverage).map(cell).collect(),
            expected: format!("{:.0} to {:.0}\u{a0}%", 100.0 * low, 100.0 * high),
            independent: number::count(s.independent.max(1.0) as usize),
        }
    };
    groups(m, |signal| horizons.iter().filter_map(|h| chosen(m, signal).find(|s| s.horizon == *h)).map(row).collect())
}

fn reliability(m: &ModelCard, horizons: &[usize]) -> Result<Vec<ReliabilityCharts>> {
    let signals = distinct(m.scores.iter().map(|s| s.signal.as_str()));
    let charts = |(i, signal): (usize, &str)| -> Option<Result<ReliabilityCharts>> {
        let mut scores: Vec<&Score> = chosen(m, signal).collect();
        scores.sort_by_key(|s| s.horizon);
        let last = scores.last()?;
        let lines: Vec<ReliabilityLine> = horizons
            .iter()
            .filter_map(|h| scores.iter().find(|s| s.horizon == *h))
            .map(|s| ReliabilityLine { ahead: ahead(s.horizon, &m.step), pit: s.pit })
            .collect();
        let points: Vec<CoveragePoint> = scores
            .iter()
            .map(|s| (hours(s.horizon, m), s.coverage[2], s.acceptable_coverage[2].0, s.acceptable_coverage[2].1))
            .collect();
        let below = last.pit[..5].iter().sum::<f64>();
        let quantiles = Head {
            id: &format!("reliability-{}", i + 1),
            title: &format!("Fraction of measured values of {signal} below each forecast quantile"),
            description: &format!(
                "At the longest horizon, {} of the measured values are below the forecast median.",
                number::percent_text(below)
            ),
        };
        let coverage = Head {
            id: &format!("coverage-{}", i + 1),
            title: &format!("Coverage of the 90 % interval of {signal} by hours ahead"),
            description: &format!("At the longest horizon: {}.", number::percent_text(last.coverage[2])),
        };
        let draw = || {
            Ok(ReliabilityCharts {
                signal: signal.to_owned(),
                quantiles: chart::reliability(quantiles, &lines)?,
                coverage: chart::coverage(coverage, &points)?,
            })
        };
        Some(draw())
    };
    signals.into_iter().enumerate().filter_map(charts).collect()
}

fn responses(all: &[&StepResponse], controls: &[&str], results: &Results) -> Result<Vec<ResponseCells>> {
    let mut n = 0;
    distinct(all.iter().map(|r| r.signal.as_str()))
        .into_iter()
        .map(|signal| {
            let response_to = |control: &str| all.iter().copied().find(|r| r.signal == signal && r.control == control);
            // Charts in one row have the same scale if they have the same unit.
            let row: Vec<&StepResponse> = controls.iter().filter_map(|c| response_to(c)).collect();
            let cells = controls
                .iter()
                .map(|control| {
                    let Some(r) = response_to(control) else { return Ok(None) };
                    n += 1;
                    let same_unit = row
                        .iter()
                        .filter(|o| o.unit == r.unit)
                        .flat_map(|o| o.low.iter().chain(&o.high).chain(&o.mean));
                    let range = same_unit
                        .copied()
                        .filter(|v| v.is_finite())
                        .fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
                    let unit = gain_unit(r, results);
                    let title = format!("{signal} after a unit step of {control}");
                    let description = format!("Settles at {} {unit}.", number::signed(r.gain, PROSE).text);
                    let head = Head { id: &format!("resp-{n}"), title: &title, description: &description };
                    Ok(Some(ResponseCell {
                        svg: chart::response(head, r, range)?,
                        unit,
                        known_effect: known_effect(r),
                        agrees: r.agrees,
                    }))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(ResponseCells { signal: signal.to_owned(), cells })
        })
        .collect()
}

fn known_effect(r: &StepResponse) -> String {
    match r.expected {
        Some(Effect::Up) => "increase".into(),
        Some(Effect::Down) => "decrease".into(),
        Some(Effect::None) => "none".into(),
        None => String::new(),
    }
}

/// `kWh/l/s` → `kWh/(l/s)` for a control in l/s.
fn gain_unit(r: &StepResponse, results: &Results) -> String {
    let mut uses = runs::completed(results).flat_map(|s| &s.cases).flat_map(|c| &c.controls);
    let control = uses.find(|u| u.signal == r.control).map(|u| u.unit.as_str()).filter(|u| u.contains('/'));
    let bracketed = control.and_then(|u| Some(format!("{}/({u})", r.unit.strip_suffix(u)?.strip_suffix('/')?)));
    number::unit(bracketed.as_deref().unwrap_or(&r.unit))
}

fn gain(r: &StepResponse, results: &Results) -> GainRow {
    let n = r.hours.len().min(r.mean.len()).min(r.low.len()).min(r.high.len());
    let points = (1..=3)
        .filter(|_| n >= 3)
        .map(|k| {
            let i = (k * (n - 1)) / 3;
            (hours_text(r.hours[i]), number::within(r.mean[i], r.low[i], r.high[i], PROSE))
        })
        .collect();
    let (low, high) = (r.low.last().copied().unwrap_or(r.gain), r.high.last().copied().unwrap_or(r.gain));
    GainRow {
        signal: r.signal.clone(),
        control: r.control.clone(),
        unit: gain_unit(r, results),
        points,
        gain: number::within(r.gain, low, high, PROSE).value.with_sign(),
        known_effect: known_effect(r),
        agrees: r.agrees,
    }
}
