//! A live loop: one line of the plant in, one answer out.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::collected::Collected;
use super::ladder::{Decision, Footing, Ladder, Rung};
use super::line::{Flag, Line, Sample};
use super::order::{Order, Place};
use super::past::Past;
use super::record::{Record, Stamp};
use super::tags::{Tag, Tags};
use super::tally::Tally;
use crate::control::Context;
use crate::error::{Error, Result};
use crate::scenario::{Compiled, Plant};
use crate::schema::{Range, Role};
use crate::spec::{MpcSpec, TimeSpan};
use crate::twin::Support;

/// Steps of the plant's own controller at the start, at least, when the twin names no number.
const LEAST_SETTLE: usize = 3;

/// How a loop is run.
#[derive(Debug, Clone, Default)]
pub struct Settings<'a> {
    /// Compute and log, but answer with the plant's own controller.
    pub shadow: bool,
    /// Plans may leave the support.
    pub extrapolate: bool,
    /// Where what was seen, planned and predicted is written.
    pub log: Option<&'a Path>,
    pub seed: Option<u64>,
}

/// What came of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answer(Answer),
    /// The line wants no answer.
    Nothing,
    /// The plant has ended.
    End,
}

/// The loop between two lines.
pub struct Session<'a> {
    plant: &'a Plant,
    compiled: &'a Compiled,
    spec: MpcSpec,
    log: Option<&'a Path>,
    ladder: Ladder<'a>,
    tags: Tags,
    /// Milliseconds between lines, and lines per step of the twin.
    dt: i64,
    ratio: i64,
    described: bool,
    order: Order,
    past: Past,
    /// Runs so far.
    runs: usize,
    /// Number of the last line in its run.
    line: i64,
    /// When the run began.
    start: Timestamp,
    /// Time stamp of the last line that had one.
    time: Option<Timestamp>,
    collected: Collected,
    /// This line's values by signal.
    values: Vec<f64>,
    /// Controls in force now, and before the present step of the twin; `[controls]`, NaN where unknown.
    in_force: Vec<f64>,
    before: Vec<f64>,
    /// The twin's prediction from the present step: `[signals]`.
    predicted: Vec<f64>,
    /// Steps for which each signal has had no measurement.
    missing: Vec<usize>,
    /// Last value of each signal, and lines since it changed.
    unchanged: Vec<(f64, i64)>,
    last: Option<Decision>,
    pub tally: Tally,
    record: Option<Record>,
    /// Names of KPIs that are written too.
    kpis: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Session<'a> {
    /// # Errors
    /// [`Error::Config`] for `[mpc]` settings that cannot be, [`Error::Data`] for column units that cannot be converted.
    pub fn new(plant: &'a Plant, compiled: &'a Compiled, settings: &Settings<'a>) -> Result<Self> {
        let spec = plant.mpc();
        let context = Context {
            schema: &plant.schema,
            spec: &plant.spec.value,
            scope: &compiled.scope,
            dynamics: &plant.twin,
            objective: &compiled.objective,
            timezone: plant.zone()?,
            seed: settings.seed.unwrap_or(plant.spec.value.model.seed.value),
            file: &plant.spec.path,
            text: &plant.spec.text,
        };
        let settle = spec.settle.as_ref().map_or(LEAST_SETTLE.max(plant.twin.map.depth()), |s| s.value);
        let footing = Footing { settle, shadow: settings.shadow, extrapolate: settings.extrapolate };
        let ladder = Ladder::new(plant, &spec, &context, footing)?;
        let (signals, controls) = (plant.schema.len(), ladder.controls.len());
        let dt = plant.log.step_ms;
        Ok(Self {
            tags: Tags::new(plant, dt)?,
            dt,
            ratio: 1,
            described: false,
            order: Order::default(),
            past: Past::new(plant, &spec, None),
            runs: 0,
            line: 0,
            start: Timestamp::UNIX_EPOCH,
            time: None,
            collected: Collected::new(signals),
            values: vec![f64::NAN; signals],
            in_force: vec![f64::NAN; controls],
            before: vec![f64::NAN; controls],
            predicted: vec![f64::NAN; signals],
            missing: vec![0; signals],
            unchanged: vec![(f64::NAN, 0); signals],
            last: None,
            tally: Tally::default(),
            record: None,
            kpis: Vec::new(),
            notes: Vec::new(),
            log: settings.log,
            ladder,
            plant,
            compiled,
            spec,
        })
    }

    /// What the user should know, once.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Takes in one line, without its end; `flags`: what is known to be wrong with it already.
    ///
    /// # Errors
    /// [`Error::Data`] when the plant describes itself with a sample time that the twin cannot follow, [`Error::Write`]
    /// when the log cannot be written. No other line is an error.
    pub fn take(&mut self, bytes: &[u8], mut flags: Vec<Flag>) -> Result<Reply> {
        match Line::read(bytes, &mut flags) {
            Line::End => Ok(Reply::End),
            Line::Describe(describe) => {
                self.describe(&describe)?;
                Ok(Reply::Nothing)
            }
            Line::Sample(sample) => self.sample(&sample, flags).map(Reply::Answer),
        }
    }

    /// Writes the log, if there is one.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn write(&mut self) -> Result<()> {
        self.record.as_mut().map_or(Ok(()), Record::write)
    }

    fn describe(&mut self, describe: &Map<String, Value>) -> Result<()> {
        self.described = true;
        self.order = Order::default();
        if let Some(dt) = describe.get("dt_seconds").and_then(Value::as_f64) {
            let (step, ms) = (self.plant.log.step_ms, (dt * 1e3).round());
            let ratio = step as f64 / ms;
            if !(ms >= 1.0 && (ratio - ratio.round()).abs() < 1e-9 && ratio >= 1.0) {
                return Err(Error::Data(format!(
                    "the plant's sample time of {dt} s does not divide the twin's step of {}; fit the twin with a step \
                     that is a whole multiple of it",
                    TimeSpan::from_ms(step)
                )));
            }
            (self.dt, self.ratio) = (ms as i64, ratio.round() as i64);
            self.tags = Tags::new(self.plant, self.dt)?;
        }
        let names = |key: &str| -> Vec<String> {
            match describe.get(key) {
                Some(Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
                Some(Value::Object(map)) => map.keys().cloned().collect(),
                _ => Vec::new(),
            }
        };
        let told = ["states", "disturbances", "setpoints", "controls"].map(names).concat();
        let strangers: Map<String, Value> = told.iter().map(|n| (n.clone(), Value::Null)).collect();
        self.tell_strangers(&strangers);
        let inputs = [Role::State, Role::Control, Role::Disturbance, Role::Setpoint];
        for tag in self.tags.list.iter().filter(|t| inputs.contains(&t.role)) {
            let name = &self.plant.schema.signals[tag.signal].name;
            if !told.is_empty() && !told.contains(&tag.column) && !told.contains(name) {
                self.notes.push(format!("the plant does not tell `{}`, which the twin knows", tag.column));
            }
        }
        if let Some(Value::Object(controls)) = describe.get("controls") {
            self.narrow(controls);
        }
        self.kpis = names("kpis").into_iter().filter(|n| !self.tags.knows(n)).take(64).collect();
        Ok(())
    }

    /// The plant's own limits count too.
    fn narrow(&mut self, ranges: &Map<String, Value>) {
        for (i, &signal) in self.ladder.controls.iter().enumerate() {
            let Some(tag) = self.tags.list.iter().find(|t| t.signal == signal) else { continue };
            let Some([low, high]) = ranges.get(&tag.column).and_then(Value::as_array).map(Vec::as_slice) else {
                continue;
            };
            let (Some(low), Some(high)) = (low.as_f64(), high.as_f64()) else { continue };
            let own = self.plant.schema.signals[signal].hard;
            let (a, b) = (tag.inside(low), tag.inside(high));
            let both = Range { low: own.low.max(a.min(b)), high: own.high.min(a.max(b)) };
            if both.low <= both.high {
                self.ladder.limits[i].hard = both;
            }
        }
    }

    fn tell_strangers(&mut self, map: &Map<String, Value>) -> bool {
        let strangers = self.tags.strangers(map);
        let new = !strangers.is_empty();
        self.notes.extend(strangers.iter().map(|n| format!("`{n}` is no signal of the twin: it is ignored")));
        new
    }

    fn sample(&mut self, sample: &Sample, mut flags: Vec<Flag>) -> Result<Answer> {
        if !self.described {
            self.described = true;
            self.notes
                .push("the plant has not described itself: its sample time is taken to be the twin's step".into());
        }
        for map in [&sample.obs, &sample.baseline, &sample.applied] {
            if self.tell_strangers(map) {
                flags.push(Flag::line("unknown"));
            }
        }
        let most = self.ratio * i64::try_from(self.plant.twin.carry.max(1)).unwrap_or(1) + 1;
        let n = match self.order.place(sample.k, most) {
            Place::Old => {
                flags.push(Flag::line("old_k"));
                return Ok(self.answer(flags));
            }
            Place::Start => {
                self.begin(sample);
                if self.runs > 1 {
                    flags.push(Flag::line("restart"));
                }
                0
            }
            Place::Step { n, gap } => {
                flags.extend(gap.then(|| Flag::line("gap")));
                n
            }
        };
        if n <= self.line && self.past.rows() > 0 {
            self.rewind(n);
        }
        self.tally.add_kpis(&sample.kpi);
        let baseline = self.collect(sample, n, &mut flags);
        self.line = n;
        let row = usize::try_from(n / self.ratio).unwrap_or(0);
        if row + 1 > self.past.rows() {
            self.step(row, &baseline, &mut flags)?;
        } else if let Some(last) = self.last.as_mut().filter(|l| l.follows_baseline) {
            // the plant's own controller works at its own pace
            let shadow = last.rung == Rung::Shadow;
            last.controls = if shadow {
                self.ladder.own(&baseline, &self.before)
            } else {
                self.ladder.within(&self.before, &baseline)
            };
        }
        if let Some(last) = &self.last {
            self.in_force.clone_from(&last.controls);
        }
        self.note_row(sample);
        if let Some(record) = &mut self.record {
            record.write_now_and_then()?;
        }
        Ok(self.answer(flags))
    }

    /// A new run: nothing before it counts.
    fn begin(&mut self, sample: &Sample) {
        let after = || {
            // a second run without a time begins after the first
            let ms = self.start.as_millisecond() + (self.line + 1).saturating_mul(self.dt) + self.plant.log.step_ms;
            (self.runs > 0).then(|| Timestamp::from_millisecond(ms).ok())?
        };
        self.past = Past::new(self.plant, &self.spec, sample.time.or_else(after));
        self.start = self.past.begin();
        self.runs += 1;
        self.time = None;
        self.line = 0;
        self.collected.clear();
        self.in_force.fill(f64::NAN);
        self.before.fill(f64::NAN);
        self.predicted.fill(f64::NAN);
        self.missing.fill(0);
        self.unchanged.fill((f64::NAN, 0));
        self.last = None;
        self.ladder.forget();
        if let (None, Some(file)) = (&self.record, self.log) {
            self.record = Some(self.new_record(file));
        }
    }

    /// Takes back the steps from line `n` on.
    fn rewind(&mut self, n: i64) {
        let row = usize::try_from(n / self.ratio).unwrap_or(0);
        self.past.truncate(if n % self.ratio == 0 { row } else { row + 1 });
        self.collected.clear();
        self.ladder.forget();
        if let Some(record) = &mut self.record {
            record.rewind(self.start.as_second(), n);
        }
        self.line = n - 1;
    }

    /// Reads the line's values; the plant's own controls, `[controls]`.
    fn collect(&mut self, sample: &Sample, n: i64, flags: &mut Vec<Flag>) -> Vec<f64> {
        self.values.fill(f64::NAN);
        let stale = match (sample.time, self.time) {
            (Some(now), Some(before)) if now <= before => true,
            (Some(now), _) => {
                self.time = Some(now);
                false
            }
            _ => false,
        };
        if stale {
            flags.push(Flag::line("stale"));
        } else {
            self.tags.read(&sample.obs, |r| r != Role::Control, &mut self.values, flags);
        }
        self.tags.read(&sample.kpi, |r| r == Role::Output, &mut self.values, flags);
        self.tags.read(&sample.applied, |r| r == Role::Control, &mut self.values, flags);
        for (force, &c) in self.in_force.iter_mut().zip(&self.ladder.controls) {
            if self.values[c].is_finite() {
                *force = self.values[c];
            }
        }
        for tag in &self.tags.list {
            let (value, last) = (&mut self.values[tag.signal], &mut self.unchanged[tag.signal]);
            *last = if *value == last.0 { (last.0, last.1 + 1) } else { (*value, 0) };
            if tag.flat.is_some_and(|flat| last.1 > flat) {
                *value = f64::NAN;
                flags.push(Flag::of("stuck", &tag.column));
            }
            if tag.role != Role::Control {
                self.collected.add(tag.signal, *value);
            }
        }
        if n > 0 {
            for (&c, force) in self.ladder.controls.iter().zip(&self.in_force) {
                self.collected.add(c, *force);
            }
        }
        self.patch_record(n);
        let mut own = vec![f64::NAN; self.values.len()];
        self.tags.read(&sample.baseline, |r| r == Role::Control, &mut own, flags);
        self.ladder.controls.iter().map(|&c| own[c]).collect()
    }

    /// A new step of the twin: number `row` of the run.
    fn step(&mut self, row: usize, baseline: &[f64], flags: &mut Vec<Flag>) -> Result<()> {
        let compiled = self.compiled;
        let equations = &compiled.equations;
        if self.past.rows() > 0 {
            // what was realised over the step that has just ended
            for (i, tag) in self.tags.list.iter().enumerate() {
                let value = match tag.role {
                    Role::Control => self.collected.mean(tag.signal),
                    Role::Output => Some(self.collected.value(&self.tags, i))
                        .filter(|v| v.is_finite())
                        .unwrap_or(self.predicted[tag.signal]),
                    _ => continue,
                };
                if value.is_finite() {
                    self.past.set(tag.signal, 0, value);
                }
            }
            self.past.derive(equations, 0, true);
        }
        while self.past.rows() < row {
            // lines that never came
            self.past.push(equations);
            self.fill(false, flags);
            let held = self.ladder.held(&self.in_force);
            for (&c, v) in self.ladder.controls.iter().zip(&held) {
                self.past.set(c, 0, *v);
            }
            self.predicted = self.past.predict(&self.plant.twin);
            self.past.derive(equations, 0, true);
        }
        self.past.push(equations);
        let lost = self.fill(true, flags);
        self.collected.clear();
        self.before.clone_from(&self.in_force);
        let unknown = |t: &Tag| t.role == Role::State && !self.past.value(t.signal, 0).is_finite();
        if self.tags.list.iter().any(unknown) {
            self.past.skip();
        }
        let decision = self.ladder.decide(&mut self.past, baseline, &self.before, lost)?;
        self.predicted = self.past.predict(&self.plant.twin);
        self.last = Some(decision);
        Ok(())
    }

    /// Writes what was seen into the present row, and predictions and last values where nothing was; whether a state has
    /// been unknown for too long.
    fn fill(&mut self, seen: bool, flags: &mut Vec<Flag>) -> bool {
        let mut lost = false;
        for (i, tag) in self.tags.list.iter().enumerate() {
            if matches!(tag.role, Role::Control | Role::Output) {
                continue;
            }
            let s = tag.signal;
            let value = if seen { self.collected.value(&self.tags, i) } else { f64::NAN };
            if value.is_finite() {
                self.missing[s] = 0;
                self.past.set(s, 0, value);
                continue;
            }
            self.missing[s] += 1;
            let name = &tag.column;
            if seen && !flags.iter().any(|f| f.name == *name) {
                flags.push(Flag::of("missing", name));
            }
            let last = self.past.value(s, 1);
            let predicted = self.predicted[s];
            let stand_in = if tag.role == Role::State && predicted.is_finite() { predicted } else { last };
            self.past.set(s, 0, stand_in);
            lost |= tag.role == Role::State && (self.missing[s] > self.plant.twin.carry || !stand_in.is_finite());
        }
        self.past.derive(&self.compiled.equations, 0, false);
        lost
    }

    fn answer(&mut self, flags: Vec<Flag>) -> Answer {
        let (rung, support, controls) = match &self.last {
            Some(last) => (last.rung, last.support, last.controls.clone()),
            None => (Rung::Hold, Support::Outside, self.ladder.held(&self.in_force)),
        };
        let outside = |signal: usize, value: f64| {
            let tag = self.tags.list.iter().find(|t| t.signal == signal)?;
            Some((tag.column.clone(), tag.outside(value)))
        };
        let controls = self.ladder.controls.iter().zip(controls).filter_map(|(&c, v)| outside(c, v)).collect();
        let predicted = self.tags.with_role(Role::State).filter(|t| self.predicted[t.signal].is_finite());
        let predicted = predicted.map(|t| (t.column.clone(), t.outside(self.predicted[t.signal]))).collect();
        Answer { controls, rung, support, predicted, flags }
    }

    fn new_record(&self, file: &Path) -> Record {
        let log = &self.plant.spec.value.log;
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: String| {
            if !names.contains(&name) && name != log.time.value {
                names.push(name);
            }
        };
        self.tags.list.iter().for_each(|t| add(t.column.clone()));
        self.kpis.iter().for_each(|k| add(k.clone()));
        self.tags.with_role(Role::Control).for_each(|t| add(format!("planned_{}", t.column)));
        self.tags.with_role(Role::State).for_each(|t| add(format!("predicted_{}", t.column)));
        let episode = log.episode.as_ref().map(|e| e.value.as_str());
        Record::new(file, &log.time, episode, names)
    }

    /// What this line tells of the one before: controls that were in force, and what the step realised.
    fn patch_record(&mut self, n: i64) {
        let Some(record) = self.record.as_mut().filter(|r| r.newest() == Some((n - 1, self.start.as_second()))) else {
            return;
        };
        for tag in &self.tags.list {
            let value = match tag.role {
                Role::Control => {
                    let at = self.ladder.controls.iter().position(|&c| c == tag.signal);
                    at.map_or(f64::NAN, |i| self.in_force[i])
                }
                Role::Output => self.values[tag.signal],
                _ => continue,
            };
            if let Some(column) = record.find(&tag.column).filter(|_| value.is_finite()) {
                record.set(column, tag.outside(value));
            }
        }
    }

    /// The line as a row of the log.
    fn note_row(&mut self, sample: &Sample) {
        let (Some(record), Some(last)) = (&mut self.record, &self.last) else { return };
        for name in &self.kpis {
            let value = sample.kpi.get(name).and_then(Value::as_f64);
            if let (Some(column), Some(v)) = (record.find(name), value) {
                if record.newest() == Some((self.line - 1, self.start.as_second())) {
                    record.set(column, v);
                }
            }
        }
        record.push(Stamp {
            time: self.start.as_millisecond() + self.line.saturating_mul(self.dt),
            line: self.line,
            episode: self.start.as_second(),
            rung: last.rung.as_str(),
            support: match last.support {
                Support::Inside => "inside",
                Support::Edge => "edge",
                Support::Outside => "outside",
            },
        });
        for tag in &self.tags.list {
            let control = self.ladder.controls.iter().position(|&c| c == tag.signal);
            let value = match control {
                Some(i) => last.controls[i],
                None if tag.role == Role::Output => continue,
                None => self.values[tag.signal],
            };
            if let Some(column) = record.find(&tag.column) {
                record.set(column, tag.outside(value));
            }
            let planned = last.planned.as_ref().zip(control).map(|(p, i)| ("planned_", p[i]));
            let predicted = (tag.role == Role::State).then(|| ("predicted_", self.predicted[tag.signal]));
            for (what, value) in planned.into_iter().chain(predicted) {
                if let Some(column) = record.find(&format!("{what}{}", tag.column)) {
                    record.set(column, tag.outside(value));
                }
            }
        }
    }
}
