//! A live loop: one line of the plant in, one answer out.

use std::path::Path;

use jiff::Timestamp;

use super::account::Account;
use super::answer::Answer;
use super::collected::Collected;
use super::description::Description;
use super::fallback::{Decision, Fallback, FallbackLevel, FallbackSettings};
use super::line::{Flag, Line, Sample};
use super::order::{Order, Place};
use super::past::Past;
use super::record::{Stamp, require_new};
use super::tags::Tags;
use super::tally::Tally;
use crate::config::{MpcSpec, TimeSpan};
use crate::control::{Clock, Context};
use crate::error::Result;
use crate::scenario::{Compiled, Plant};
use crate::schema::{Bounds, Role};
use crate::twin::{Dynamics, Support};

/// How a loop is run.
#[derive(Clone, Default)]
pub struct Settings<'a> {
    /// Compute and log, but answer with the plant's own controller.
    pub shadow: bool,
    /// Plans may leave the support.
    pub extrapolate: bool,
    /// Where what was seen, planned and predicted is written: a new file.
    pub log: Option<&'a Path>,
    pub seed: Option<u64>,
    /// By which plans keep their budget; `None`: they take the time that they need.
    pub clock: Option<&'a Clock>,
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
    ladder: Fallback<'a>,
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
    account: Option<Account>,
    /// Names of KPIs that are written too.
    kpis: Vec<String>,
    notes: Vec<String>,
    /// A description was ignored: the next answer says so, and the user has been told.
    ignored: (bool, bool),
}

impl<'a> Session<'a> {
    /// # Errors
    /// [`crate::error::Error::Config`] for `[mpc]` settings that cannot be, [`crate::error::Error::Data`] for column units that cannot be converted,
    /// [`crate::error::Error::Write`] when there is a file where the log is to be.
    pub fn new(plant: &'a Plant, compiled: &'a Compiled, settings: &Settings<'a>) -> Result<Self> {
        settings.log.map_or(Ok(()), require_new)?;
        let spec = plant.mpc(&compiled.objective);
        let context = Context {
            schema: &plant.schema,
            spec: &plant.spec.value,
            scope: &compiled.scope,
            dynamics: &plant.twin,
            objective: &compiled.objective,
            kpis: &compiled.kpis,
            terminal_cost: plant.terminal_cost(),
            timezone: plant.spec.value.zone()?,
            seed: settings.seed.unwrap_or(plant.spec.value.model.seed.value),
            clock: settings.clock,
            rescored: false,
            file: &plant.spec.path,
            text: &plant.spec.text,
        };
        let settle = spec.settle.as_ref().map_or(plant.twin.map.depth() - 1, |s| s.value);
        let footing = FallbackSettings { settle, shadow: settings.shadow, extrapolate: settings.extrapolate };
        let ladder = Fallback::new(plant, &spec, &context, footing)?;
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
            account: None,
            kpis: Vec::new(),
            notes: plant.warning().into_iter().chain(ladder.skill_horizon()).collect(),
            ignored: (false, false),
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
    /// [`crate::error::Error::Data`] when the plant, before its first sample, describes itself with a sample time that the twin cannot
    /// follow, [`crate::error::Error::Write`] when the log cannot be written. No other line is an error.
    pub fn take(&mut self, bytes: &[u8], mut flags: Vec<Flag>) -> Result<Reply> {
        match Line::read(bytes, &mut flags) {
            Line::End => Ok(Reply::End),
            Line::Describe(describe) => {
                self.describe(&Description::read(&describe))?;
                Ok(Reply::Nothing)
            }
            Line::Sample(sample) => self.sample(&sample, flags).map(Reply::Answer),
        }
    }

    /// Writes the log, if there is one.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`]
    pub fn write(&mut self) -> Result<()> {
        self.account.as_mut().map_or(Ok(()), Account::write)
    }

    fn describe(&mut self, description: &Description) -> Result<()> {
        let pace = match description.pace(self.plant.log.step_ms) {
            Err(error) if self.runs > 0 => {
                // no line ends a loop that has begun
                if !std::mem::replace(&mut self.ignored, (true, true)).1 {
                    let old = TimeSpan::from_ms(self.dt);
                    self.notes.push(format!("{error}; in mid-run it is ignored, and lines still stand for {old} each"));
                }
                return Ok(());
            }
            pace => pace?,
        };
        self.described = true;
        self.order = Order::default();
        (self.dt, self.ratio) = pace;
        self.tags = Tags::new(self.plant, self.dt)?;
        let names = &description.names;
        self.tell_strangers(names);
        // who lists its controls alone leaves the rest to its lines
        let lists = names.iter().any(|n| description.ranges.iter().all(|(control, _)| control != n));
        let inputs = [Role::State, Role::Control, Role::Disturbance, Role::Setpoint];
        for tag in self.tags.list.iter().filter(|t| inputs.contains(&t.role)) {
            let name = &self.plant.schema.signals[tag.signal].name;
            if lists && !names.contains(&tag.column) && !names.contains(name) {
                self.notes.push(format!("the plant does not tell `{}`, which the twin knows", tag.column));
            }
        }
        // the plant's own limits count too
        for (&control, limit) in self.ladder.controls.iter().zip(&mut self.ladder.limits) {
            let own = self.plant.schema.signals[control].hard;
            let tag = self.tags.list.iter().find(|t| t.signal == control);
            let range = tag.and_then(|t| Some((t, description.ranges.iter().find(|r| r.0 == t.column)?.1)));
            let Some((tag, range)) = range else { continue };
            let (a, b) = (tag.inside(range.low), tag.inside(range.high));
            let both = Bounds { low: own.low.max(a.min(b)), high: own.high.min(a.max(b)) };
            if both.low <= both.high {
                limit.hard = both;
            } else {
                let (name, [low, high]) = (&tag.column, [range.low, range.high]);
                self.notes.push(format!(
                    "the plant takes `{name}` from {low} to {high}, and the twin's hard limits leave nothing of that: they stand"
                ));
            }
        }
        self.kpis = description.kpis.iter().filter(|n| !self.tags.knows(n)).cloned().collect();
        Ok(())
    }

    /// Whether a name belongs to no signal and was not told before.
    fn tell_strangers<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> bool {
        let strangers = self.tags.strangers(names);
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
        if std::mem::take(&mut self.ignored.0) {
            flags.push(Flag::line("describe"));
        }
        for map in [&sample.obs, &sample.baseline, &sample.applied] {
            if self.tell_strangers(map.keys()) {
                flags.push(Flag::line("unknown"));
            }
        }
        let most = self.ratio * i64::try_from(self.plant.twin.carry.max(1)).unwrap_or(1) + 1;
        let n = match self.order.place(sample.k, sample.fresh(), most) {
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
        } else if let Some(last) = &mut self.last {
            last.controls = self.ladder.meanwhile(&self.past, &self.before, last, &baseline);
        }
        if let Some(last) = &self.last {
            self.in_force.clone_from(&last.controls);
        }
        self.note()?;
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
        if let (None, Some(file)) = (&self.account, self.log) {
            let log = &self.plant.spec.value.log;
            self.account = Some(Account::new(file, log, &self.tags, &self.ladder.controls, &self.kpis));
        }
    }

    /// Takes back the steps from line `n` on.
    fn rewind(&mut self, n: i64) {
        let row = usize::try_from(n / self.ratio).unwrap_or(0);
        self.past.truncate(if n % self.ratio == 0 { row } else { row + 1 });
        self.collected.clear();
        self.ladder.forget();
        if let Some(account) = &mut self.account {
            account.rewind(self.start.as_second(), n);
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
                let hard = self.plant.schema.signals[c].hard;
                let told = hard.clamp(self.values[c]);
                // plants in single precision are a little beyond a limit that they are at
                if hard.excess(self.values[c]) > 1e-6 * told.abs().max(1.0) {
                    // it cannot have been applied: what was answered last is the better guess
                    flags.push(Flag::of("applied", &self.plant.schema.signals[c].name));
                    self.values[c] = if force.is_finite() { *force } else { told };
                } else {
                    self.values[c] = told;
                }
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
        if let Some(account) = &mut self.account {
            let before = (self.start.as_second(), n - 1);
            account.realised(before, &self.tags, &self.values, &self.in_force, &sample.kpi);
        }
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
            let held = self.ladder.held(&self.past, &self.in_force);
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
        let states = || self.tags.list.iter().filter(|t| t.role == Role::State);
        if states().any(|t| !self.past.value(t.signal, 0).is_finite()) {
            self.past.skip();
        } else if states().all(|t| self.missing[t.signal] == 0) {
            self.past.saw();
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
                if tag.role == Role::State && self.missing[s] > 0 {
                    // how far it is from what stood in for it says nothing of the model
                    self.ladder.forget();
                }
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
            let stand_in = if tag.role == Role::State && predicted.is_finite() {
                // a model that runs on alone may leave what it has seen: then it is none to plan on
                let around = self.plant.twin.widened_range(s);
                if !around.contains(predicted) {
                    self.missing[s] = self.missing[s].max(self.plant.twin.carry + 1);
                }
                around.clamp(predicted)
            } else {
                last
            };
            self.past.set(s, 0, stand_in);
            lost |= tag.role == Role::State && (self.missing[s] > self.plant.twin.carry || !stand_in.is_finite());
        }
        self.past.derive(&self.compiled.equations, 0, false);
        lost
    }

    /// The line as a row of the log.
    fn note(&mut self) -> Result<()> {
        let (Some(account), Some(last)) = (&mut self.account, &self.last) else { return Ok(()) };
        let stamp = Stamp {
            time: self.start.as_millisecond() + self.line.saturating_mul(self.dt),
            line: self.line,
            episode: self.start.as_second(),
            rung: last.rung.as_str(),
            support: match last.support {
                Support::Inside => "inside",
                Support::Edge => "edge",
                Support::Outside => "outside",
            },
        };
        account.push(stamp, &self.tags, &self.values, last, &self.predicted);
        account.write_now_and_then()
    }

    fn answer(&self, flags: Vec<Flag>) -> Answer {
        let (rung, support, controls) = match &self.last {
            Some(last) => (last.rung, last.support, last.controls.clone()),
            None => (FallbackLevel::Hold, Support::Outside, self.ladder.held(&self.past, &self.in_force)),
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
}
