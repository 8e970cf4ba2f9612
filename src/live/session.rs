//! A live loop, which reads the lines from the plant one at a time and answers each sample.

use std::path::Path;

use super::decision::FallbackLevel;
use super::estimator::Estimator;
use super::fallback::{Fallback, FallbackSettings};
use super::journal::Journal;
use super::journal::record::require_new;
use super::journal::tally::Tally;
use super::protocol::Protocol;
use super::protocol::answer::Answer;
use super::protocol::description::Description;
use super::protocol::flag::Flag;
use super::protocol::line::{Line, Sample};
use super::protocol::order::Place;
use crate::control::Clock;
use crate::error::Result;
use crate::scenario::{Compiled, Plant};
use crate::schema::Role;
use crate::twin::Support;

/// Settings of a live loop.
#[derive(Clone, Default)]
pub struct Settings<'a> {
    /// Whether the loop runs in shadow mode, in which plans are computed and recorded but answers contain the values of
    /// the plant's own controller.
    pub shadow: bool,
    /// Whether plans may leave the range of the training data.
    pub extrapolate: bool,
    /// Path of a new Parquet file for measurements, plans and predictions.
    pub log: Option<&'a Path>,
    pub seed: Option<u64>,
    /// Clock for limiting the computing time of plans. Without a clock, the computing time is not limited.
    pub clock: Option<&'a Clock>,
}

/// The reply to one input line.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answer(Answer),
    /// The line does not need an answer.
    Nothing,
    /// The plant has ended the loop.
    End,
}

/// The state of a live loop between two lines.
pub struct Session<'a> {
    plant: &'a Plant,
    protocol: Protocol<'a>,
    estimator: Estimator<'a>,
    fallback: Fallback<'a>,
    journal: Journal<'a>,
}

impl<'a> Session<'a> {
    /// # Errors
    /// Returns [`crate::error::Error::Config`] for invalid `[mpc]` settings, [`crate::error::Error::Data`] for column
    /// units that cannot be converted, and [`crate::error::Error::Write`] if the log file already exists.
    pub fn new(plant: &'a Plant, compiled: &'a Compiled, settings: &Settings<'a>) -> Result<Self> {
        settings.log.map_or(Ok(()), require_new)?;
        let live = plant.live(compiled)?;
        let context = plant.context(compiled, settings.seed, settings.clock)?;
        let settle = live.mpc.settle.unwrap_or(plant.twin.map.depth() - 1);
        let levels = FallbackSettings { settle, shadow: settings.shadow, extrapolate: settings.extrapolate };
        let fallback = Fallback::new(plant, &live, &context, levels)?;
        let notes = plant.warning().into_iter().chain(fallback.skill_horizon()).collect();
        Ok(Self {
            plant,
            protocol: Protocol::new(plant, notes)?,
            estimator: Estimator::new(plant, compiled, live.mpc, fallback.limits.controls.len()),
            fallback,
            journal: Journal::new(settings.log),
        })
    }

    /// Returns and removes the notes for the user that were added since the last call.
    pub fn notes(&mut self) -> Vec<String> {
        self.protocol.take_notes()
    }

    /// Processes one line, given without its line ending. `flags` are the faults already found in the line.
    ///
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if the plant sends a description before its first sample, and the sample
    /// time in the description does not divide the twin's step.
    /// Returns [`crate::error::Error::Write`] if the log cannot be written.
    /// Faults in a line that do not cause an error become flags.
    pub fn take(&mut self, bytes: &[u8], mut flags: Vec<Flag>) -> Result<Reply> {
        match Line::parse(bytes, &mut flags) {
            Line::End => Ok(Reply::End),
            Line::Describe(map) => {
                self.describe(&Description::parse(&map))?;
                Ok(Reply::Nothing)
            }
            Line::Sample(sample) => self.sample(&sample, flags).map(Reply::Answer),
        }
    }

    /// Counts an answer, and records its computing time `ms` in milliseconds.
    pub fn count(&mut self, answer: &Answer, ms: f64) {
        self.journal.tally.add(answer, ms);
    }

    /// Returns the counts since the loop began.
    pub fn tally(&self) -> &Tally {
        &self.journal.tally
    }

    /// Writes the log, if there is one.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`]
    pub fn write(&mut self) -> Result<()> {
        self.journal.write()
    }

    fn describe(&mut self, description: &Description) -> Result<()> {
        if self.protocol.describe(description)? {
            let notes = self.fallback.limits.narrow(self.plant, &self.protocol.tags, description);
            self.protocol.note(notes);
        }
        Ok(())
    }

    fn sample(&mut self, sample: &Sample, mut flags: Vec<Flag>) -> Result<Answer> {
        let n = match self.protocol.place(sample, &mut flags) {
            None | Some(Place::Old) => return Ok(self.answer(flags)),
            Some(Place::Start) => {
                self.begin(sample);
                0
            }
            Some(Place::Step { n, .. }) => n,
        };
        if n <= self.protocol.run().line && self.estimator.past.rows() > 0 {
            self.rewind(n);
        }
        let baseline = self.collect(sample, n, &mut flags);
        self.protocol.set_line(n);
        let row = self.protocol.step_of_line(n);
        if row + 1 > self.estimator.past.rows() {
            self.step(row, &baseline, &mut flags)?;
        } else {
            self.fallback.update_baseline(&self.estimator.past, &self.estimator.before_step, &baseline);
        }
        if let Some(decision) = &self.fallback.decision {
            self.estimator.in_force.clone_from(&decision.controls);
            self.journal.push(&self.protocol, &self.estimator, decision)?;
        }
        Ok(self.answer(flags))
    }

    /// Starts a new run, which uses no values from earlier runs.
    fn begin(&mut self, sample: &Sample) {
        let start = self.estimator.begin(sample.time.or_else(|| self.protocol.next_start()));
        self.protocol.begin(start);
        self.fallback.begin();
        self.journal.begin(&self.plant.spec.value.log, &self.protocol, &self.fallback.limits.controls);
    }

    /// Undoes the effects of all lines of the run from line `n` onwards.
    fn rewind(&mut self, n: i64) {
        let row = self.protocol.step_of_line(n);
        self.estimator.rewind(if self.protocol.begins_step(n) { row } else { row + 1 });
        self.fallback.forget_plans();
        self.journal.rewind(self.protocol.run().episode(), n);
    }

    /// Reads the values of line `n`. Returns the values of the plant's own controller, one per control.
    fn collect(&mut self, sample: &Sample, n: i64, flags: &mut Vec<Flag>) -> Vec<f64> {
        let Self { plant, protocol, estimator, fallback, journal } = self;
        journal.tally.add_kpis(&sample.kpi);
        estimator.values.fill(f64::NAN);
        protocol.read(sample, &mut estimator.values, flags);
        estimator.collect(&protocol.tags, &fallback.limits, n > 0, protocol.dt_ms(), flags);
        journal.complete_row(protocol, estimator, n - 1, &sample.kpi);
        journal.tally.add_limits(&plant.schema, &estimator.values, &[Role::State, Role::Output]);
        protocol.read_baseline(&sample.baseline, &fallback.limits.controls, fallback.settings.shadow, flags)
    }

    /// Starts step `row` of the run, and chooses its controls.
    fn step(&mut self, row: usize, baseline: &[f64], flags: &mut Vec<Flag>) -> Result<()> {
        let Self { plant, protocol, estimator, fallback, journal } = self;
        let filled = estimator.advance(row, &protocol.tags, &fallback.limits, flags);
        if row > 0 {
            // The derived signals of the previous step are now known.
            let completed: Vec<f64> = (0..plant.schema.len()).map(|s| estimator.past.value(s, 1)).collect();
            journal.tally.add_limits(&plant.schema, &completed, &[Role::Derived]);
        }
        if filled.recovered {
            // The difference between a new measurement and the predictions that replaced missing measurements must not
            // count as a model error.
            fallback.forget_plans();
        }
        fallback.decide(&mut estimator.past, baseline, &estimator.before_step, filled.lost)?;
        estimator.predict();
        Ok(())
    }

    fn answer(&self, flags: Vec<Flag>) -> Answer {
        let Self { protocol, estimator, fallback, .. } = self;
        let (decided_by, support, controls) = match &fallback.decision {
            Some(last) => (last.decided_by, last.support, last.controls.clone()),
            None => {
                let held = fallback.limits.held(&estimator.past, &estimator.in_force);
                (FallbackLevel::Hold, Support::Outside, held)
            }
        };
        let in_column = |signal: usize, value: f64| {
            let tag = protocol.tags.of_signal(signal)?;
            Some((tag.column().to_owned(), tag.mapping.to_column(value)))
        };
        let controls = fallback.limits.controls.iter().zip(controls).filter_map(|(&c, v)| in_column(c, v)).collect();
        let states = protocol.tags.with_role(Role::State).map(|t| (t.signal, estimator.predicted[t.signal]));
        let predicted = states.filter(|(_, v)| v.is_finite()).filter_map(|(s, v)| in_column(s, v)).collect();
        Answer { controls, decided_by, support, predicted, flags }
    }
}
