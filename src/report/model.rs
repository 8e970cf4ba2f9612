//! What the twin is made of, and how good it is.

use crate::error::Result;
use crate::scenario::results::{ModelCard, Results, Score, StepResponse};

use super::chart::{self, Head, SkillLine};
use super::clock::Clock;
use super::front::ahead;
use super::number::{self, Interval, PROSE, Quantity, TABLE};

#[derive(Debug)]
pub struct Model {
    pub name: String,
    pub reason: String,
    pub facts: Vec<String>,
    pub notes: Vec<String>,
    pub skills: Vec<SkillChart>,
    pub horizons: Vec<String>,
    pub last_horizon: String,
    pub scores: Vec<ScoreRow>,
    pub coverage: Vec<CoverageRow>,
    pub controls: Vec<String>,
    pub responses: Vec<ResponseRow>,
    pub gains: Vec<GainRow>,
    pub replay: Vec<ReplayRow>,
}

#[derive(Debug)]
pub struct SkillChart {
    pub signal: String,
    pub svg: String,
}

#[derive(Debug)]
pub struct ScoreRow {
    pub signal: String,
    pub unit: String,
    pub model: String,
    pub chosen: bool,
    /// First row of its signal.
    pub first: bool,
    /// Skill at each of [`Model::horizons`].
    pub skills: Vec<Option<Quantity>>,
    pub skill_linear: Quantity,
    pub rmse: Quantity,
    pub bias: Quantity,
    pub crps: Quantity,
}

#[derive(Debug)]
pub struct CoverageRow {
    pub signal: String,
    pub first: bool,
    pub ahead: String,
    /// (coverage, far from nominal).
    pub shares: Vec<(Quantity, bool)>,
}

#[derive(Debug)]
pub struct ResponseRow {
    pub signal: String,
    pub cells: Vec<Option<ResponseCell>>,
}

#[derive(Debug)]
pub struct ResponseCell {
    pub control: String,
    pub svg: String,
    pub unit: String,
    pub sign: String,
    pub agrees: bool,
}

#[derive(Debug)]
pub struct GainRow {
    pub signal: String,
    pub control: String,
    pub unit: String,
    /// (after, mean, low, high).
    pub points: Vec<(String, Interval)>,
    pub gain: Quantity,
    pub expected: String,
    pub agrees: bool,
}

#[derive(Debug)]
pub struct ReplayRow {
    pub kpi: String,
    pub unit: String,
    pub measured: Quantity,
    pub simulated: Interval,
    pub inside: bool,
}

pub fn model(results: &Results, clock: &Clock) -> Result<Model> {
    let m = &results.model;
    let horizons = marks(m);
    let controls = distinct(m.responses.iter().map(|r| r.control.as_str()));
    Ok(Model {
        name: m.model.clone(),
        reason: m.reason.clone(),
        facts: facts(m, clock),
        notes: m.notes.clone(),
        skills: skills(m)?,
        last_horizon: horizons.last().map(|h| ahead(*h, &m.step)).unwrap_or_default(),
        scores: score_rows(m, &horizons),
        coverage: coverage(m, &horizons),
        horizons: horizons.iter().map(|h| ahead(*h, &m.step)).collect(),
        responses: responses(m, &controls)?,
        controls: controls.into_iter().map(str::to_owned).collect(),
        gains: m.responses.iter().map(gain).collect(),
        replay: m
            .replay
            .iter()
            .map(|r| {
                let simulated = number::estimate(&r.simulated, TABLE);
                // The measured value to the same place as the simulated ones.
                let measured = number::within(r.measured, r.simulated.p10, r.simulated.p90, TABLE).value;
                ReplayRow { kpi: r.kpi.clone(), unit: number::unit(&r.unit), measured, simulated, inside: r.inside }
            })
            .collect(),
    })
}

fn facts(m: &ModelCard, clock: &Clock) -> Vec<String> {
    let mut out = Vec::new();
    if m.train_rows > 0 {
        out.push(format!("learned from {} rows up to {}", number::count(m.train_rows), clock.date(&m.trained_until)));
    }
    if m.holdout_rows > 0 {
        out.push(format!(
            "judged on {} rows that it never saw, {} to {}",
            number::count(m.holdout_rows),
            clock.date(&m.holdout_start),
            clock.date(&m.holdout_end)
        ));
    }
    if m.lags > 0 {
        out.push(format!(
            "sees {} of every input, {} apart",
            crate::error::plural(m.lags, "past value"),
            super::front::spaced(&m.step)
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

/// First, quarter, half and full control horizon, as far as there are scores.
fn marks(m: &ModelCard) -> Vec<usize> {
    let mut have: Vec<usize> = m.scores.iter().map(|s| s.horizon).collect();
    have.sort_unstable();
    have.dedup();
    let full = m.horizon.max(1);
    let near = |h: usize| have.iter().copied().min_by_key(|v| v.abs_diff(h));
    let mut out: Vec<usize> = [1, full / 4, full / 2, full].into_iter().filter_map(near).collect();
    out.sort_unstable();
    out.dedup();
    out
}

fn hours(steps: usize, m: &ModelCard) -> f64 {
    m.step.parse::<crate::spec::TimeSpan>().map_or(1.0, |s| s.seconds() / 3600.0) * steps as f64
}

/// Models in the order that charts and tables use: the chosen one first, persistence last.
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
            // Persistence has skill zero by definition: it is the zero line.
            let lines: Vec<SkillLine<'_>> = models
                .iter()
                .enumerate()
                .filter(|(_, name)| **name != "persistence")
                .map(|(k, name)| {
                    let scores = m.scores.iter().filter(|s| s.signal == signal && s.model == *name);
                    let mut points: Vec<(f64, f64)> = scores.map(|s| (hours(s.horizon, m), s.skill)).collect();
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
                title: &format!("Skill of the forecast of {signal} by hours ahead"),
                description: &format!("At the longest horizon: {}.", ends.join(", ")),
            };
            Ok(SkillChart { signal: signal.to_owned(), svg: chart::skill(head, &lines, far)? })
        })
        .collect()
}

fn score_rows(m: &ModelCard, horizons: &[usize]) -> Vec<ScoreRow> {
    let mut out = Vec::new();
    for signal in distinct(m.scores.iter().map(|s| s.signal.as_str())) {
        let mut first = true;
        for name in models(m) {
            let of = |h: &usize| m.scores.iter().find(|s| s.signal == signal && s.model == name && s.horizon == *h);
            let Some(last) = horizons.iter().rev().find_map(of) else { continue };
            let errors = number::alike(&[last.rmse, last.bias, last.crps], PROSE);
            let [rmse, bias, crps] = [0, 1, 2].map(|i| errors[i].clone());
            out.push(ScoreRow {
                signal: signal.to_owned(),
                unit: number::unit(&last.unit),
                model: name.to_owned(),
                chosen: name == m.model,
                first,
                skills: horizons.iter().map(|h| of(h).map(|s| number::fixed(s.skill, 2))).collect(),
                skill_linear: number::fixed(last.skill_linear, 2),
                rmse,
                bias,
                crps,
            });
            first = false;
        }
    }
    out
}

fn coverage(m: &ModelCard, horizons: &[usize]) -> Vec<CoverageRow> {
    const NOMINAL: [f64; 4] = [0.5, 0.8, 0.9, 0.95];
    let row = |s: &Score, first| CoverageRow {
        signal: s.signal.clone(),
        first,
        ahead: ahead(s.horizon, &m.step),
        shares: s.coverage.iter().zip(NOMINAL).map(|(c, n)| (number::percent(*c), (c - n).abs() > 0.05)).collect(),
    };
    let ends: Vec<usize> = match horizons {
        [] => Vec::new(),
        [one] => vec![*one],
        [first, .., last] => vec![*first, *last],
    };
    let mut out = Vec::new();
    for signal in distinct(m.scores.iter().map(|s| s.signal.as_str())) {
        let find = |h: &usize| m.scores.iter().find(|s| s.signal == signal && s.model == m.model && s.horizon == *h);
        out.extend(ends.iter().filter_map(find).enumerate().map(|(i, s)| row(s, i == 0)));
    }
    out
}

fn responses(m: &ModelCard, controls: &[&str]) -> Result<Vec<ResponseRow>> {
    let mut n = 0;
    distinct(m.responses.iter().map(|r| r.signal.as_str()))
        .into_iter()
        .map(|signal| {
            let of = |control: &str| m.responses.iter().find(|r| r.signal == signal && r.control == control);
            // One scale per row only where the controls share a unit of gain.
            let row: Vec<&StepResponse> = controls.iter().filter_map(|c| of(c)).collect();
            let cells = controls
                .iter()
                .map(|control| {
                    let Some(r) = of(control) else { return Ok(None) };
                    n += 1;
                    let like = row
                        .iter()
                        .filter(|o| o.unit == r.unit)
                        .flat_map(|o| o.low.iter().chain(&o.high).chain(&o.mean));
                    let range = like
                        .copied()
                        .filter(|v| v.is_finite())
                        .fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
                    let unit = number::unit(&r.unit);
                    let title = format!("{signal} after a unit step of {control}");
                    let description = format!("Settles at {} {unit}.", number::signed(r.gain, PROSE).text);
                    let head = Head { id: &format!("resp-{n}"), title: &title, description: &description };
                    Ok(Some(ResponseCell {
                        control: (*control).to_owned(),
                        svg: chart::response(head, r, range)?,
                        unit,
                        sign: expected(r),
                        agrees: r.agrees,
                    }))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(ResponseRow { signal: signal.to_owned(), cells })
        })
        .collect()
}

fn expected(r: &StepResponse) -> String {
    match r.expected.as_deref() {
        Some("+") => "known to rise".into(),
        Some("-") => "known to fall".into(),
        Some("0") => "known to stay".into(),
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

fn gain(r: &StepResponse) -> GainRow {
    let n = r.hours.len().min(r.mean.len()).min(r.low.len()).min(r.high.len());
    let points = (1..=3)
        .filter(|_| n >= 3)
        .map(|k| {
            let i = (k * (n - 1)) / 3;
            let after = format!("{}\u{a0}h", number::plain(r.hours[i], PROSE).text);
            (after, number::within(r.mean[i], r.low[i], r.high[i], PROSE))
        })
        .collect();
    GainRow {
        signal: r.signal.clone(),
        control: r.control.clone(),
        unit: number::unit(&r.unit),
        points,
        gain: number::signed(r.gain, PROSE),
        expected: expected(r),
        agrees: r.agrees,
    }
}
