//! The protocol of a live loop, which assigns lines to steps, interprets names and units, and reads the plant's
//! description of itself.

pub mod answer;
pub mod description;
pub mod flag;
pub mod line;
pub mod order;
pub mod tags;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::description::{Description, Pace};
use self::flag::{Flag, FlagKind};
use self::line::Sample;
use self::order::{Order, Place};
use self::tags::Tags;
use crate::config::TimeSpan;
use crate::error::Result;
use crate::scenario::Plant;
use crate::schema::Role;

/// The state of the protocol between two lines.
pub struct Protocol<'a> {
    plant: &'a Plant,
    pub tags: Tags,
    pace: Pace,
    described: bool,
    order: Order,
    /// The last time stamp received in the run.
    last_time: Option<Timestamp>,
    run: Run,
    /// Names of the plant's KPIs that are not signals.
    pub kpis: Vec<String>,
    notes: Vec<String>,
    /// Whether the next answer must contain a flag because a description was ignored.
    flag_ignored_description: bool,
    /// Whether the user has been notified that a description was ignored.
    noted_ignored_description: bool,
}

/// The current run, and the position of the newest line in the run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Number of runs so far.
    count: usize,
    pub start: Timestamp,
    /// Number of the newest line, counted from the start of the run.
    pub line: i64,
}

impl Run {
    /// Returns the number of the run's episode in the log: the start time of the run in seconds since 1970.
    pub fn episode(&self) -> i64 {
        self.start.as_second()
    }
}

impl<'a> Protocol<'a> {
    /// # Errors
    /// Returns the errors of [`Tags::new`].
    pub fn new(plant: &'a Plant, notes: Vec<String>) -> Result<Self> {
        Ok(Self {
            plant,
            tags: Tags::new(plant)?,
            pace: Pace { dt_ms: plant.log.step_ms, lines_per_step: 1 },
            described: false,
            order: Order::default(),
            last_time: None,
            run: Run { count: 0, start: Timestamp::UNIX_EPOCH, line: 0 },
            kpis: Vec::new(),
            notes,
            flag_ignored_description: false,
            noted_ignored_description: false,
        })
    }

    /// Returns and removes the notes for the user that were added since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        self.notes.extend(notes);
    }

    pub fn run(&self) -> Run {
        self.run
    }

    pub fn dt_ms(&self) -> i64 {
        self.pace.dt_ms
    }

    /// Returns the step of the twin that line `n` of the run belongs to.
    pub fn step_of_line(&self, n: i64) -> usize {
        usize::try_from(n / self.pace.lines_per_step).unwrap_or(0)
    }

    /// Whether a step of the twin begins with line `n` of the run.
    pub fn begins_step(&self, n: i64) -> bool {
        n % self.pace.lines_per_step == 0
    }

    /// Returns the time of line `n` of the run, in milliseconds since 1970.
    pub fn line_ms(&self, n: i64) -> i64 {
        self.run.start.as_millisecond() + n.saturating_mul(self.pace.dt_ms)
    }

    /// Processes a description of the plant. Returns `false` if the description does not fit the twin and is ignored
    /// because a run has already begun.
    ///
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if the description does not fit the twin and no run has begun.
    pub fn describe(&mut self, description: &Description) -> Result<bool> {
        let pace = match description.pace(self.plant.log.step_ms) {
            Err(error) if self.run.count > 0 => {
                self.flag_ignored_description = true;
                if !std::mem::replace(&mut self.noted_ignored_description, true) {
                    let old = TimeSpan::from_ms(self.pace.dt_ms);
                    self.notes.push(format!(
                        "{error}; this description arrived during a run and is ignored; the sample time is still \
                         assumed to be {old}"
                    ));
                }
                return Ok(false);
            }
            pace => pace?,
        };
        self.described = true;
        self.order = Order::default();
        self.pace = pace;
        self.tags = Tags::new(self.plant)?;
        self.note_unknown(&description.names);
        self.note_undescribed(description);
        self.kpis = description.kpis.iter().filter(|n| !self.tags.knows(n)).cloned().collect();
        Ok(true)
    }

    /// Adds a note for each input of the twin that is missing from the description.
    fn note_undescribed(&mut self, description: &Description) {
        let names = &description.names;
        // If a description lists only controls, no notes are added, because all other signals are optional.
        let lists_more = names.iter().any(|n| description.ranges.iter().all(|(control, _)| control != n));
        let inputs = [Role::State, Role::Control, Role::Disturbance, Role::Setpoint];
        for tag in self.tags.list.iter().filter(|t| inputs.contains(&t.role)) {
            let name = &self.plant.schema.signals[tag.signal].name;
            if lists_more && !names.iter().any(|n| n == tag.column()) && !names.contains(name) {
                self.notes
                    .push(format!("the plant's description does not list `{}`, which the twin uses", tag.column()));
            }
        }
    }

    /// Adds a note for each name that does not belong to a signal and has not been noted before. Returns `true` if a
    /// note was added.
    fn note_unknown<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> bool {
        let unknown = self.tags.new_unknown(names);
        let new = !unknown.is_empty();
        self.notes.extend(unknown.iter().map(|n| format!("`{n}` is not a signal of the twin and is ignored")));
        new
    }

    /// Finds the position of a line in its run. Returns `None` if the line repeats an earlier line, in which case its
    /// values are ignored.
    pub fn place(&mut self, sample: &Sample, flags: &mut Vec<Flag>) -> Option<Place> {
        if !self.described {
            self.described = true;
            self.notes
                .push("the plant has not sent a description; its sample time is assumed to be the twin's step".into());
        }
        if std::mem::take(&mut self.flag_ignored_description) {
            flags.push(Flag::line(FlagKind::Describe));
        }
        for map in [&sample.obs, &sample.baseline, &sample.applied] {
            if self.note_unknown(map.keys()) {
                flags.push(Flag::line(FlagKind::Unknown));
            }
        }
        let carry = i64::try_from(self.plant.twin.carry.max(1)).unwrap_or(1);
        let most = self.pace.lines_per_step * carry + 1;
        let place = self.order.place(sample.k, sample.is_fresh(), most);
        match place {
            Place::Old => {
                flags.push(Flag::line(FlagKind::OldK));
                return None;
            }
            Place::Start if self.run.count > 0 => flags.push(Flag::line(FlagKind::Restart)),
            Place::Step { gap: true, .. } => flags.push(Flag::line(FlagKind::Gap)),
            Place::Start | Place::Step { .. } => {}
        }
        Some(place)
    }

    /// Returns the assumed start time of a run that follows another run and has no time stamps. The assumed start time
    /// is later than the end of the previous run.
    pub fn next_start(&self) -> Option<Timestamp> {
        let ms = self.line_ms(0) + (self.run.line + 1).saturating_mul(self.pace.dt_ms) + self.plant.log.step_ms;
        (self.run.count > 0).then(|| Timestamp::from_millisecond(ms).ok())?
    }

    /// Begins a new run at `start`.
    pub fn begin(&mut self, start: Timestamp) {
        self.run = Run { count: self.run.count + 1, start, line: 0 };
        self.last_time = None;
    }

    /// Records that the newest line is line `n` of the run.
    pub fn set_line(&mut self, n: i64) {
        self.run.line = n;
    }

    /// Reads the measurements, outputs and applied controls of a line into `values`, which has one element per signal.
    pub fn read(&mut self, sample: &Sample, values: &mut [f64], flags: &mut Vec<Flag>) {
        let stale = match (sample.time, self.last_time) {
            (Some(now), Some(before)) if now <= before => true,
            (Some(now), _) => {
                self.last_time = Some(now);
                false
            }
            _ => false,
        };
        if stale {
            flags.push(Flag::line(FlagKind::Stale));
        } else {
            self.tags.read(&sample.obs, |r| r != Role::Control, values, flags);
        }
        self.tags.read(&sample.kpi, |r| r == Role::Output, values, flags);
        self.tags.read(&sample.applied, |r| r == Role::Control, values, flags);
    }

    /// Reads the values of the plant's own controller, one per control. Missing values are NaN. If `unchecked` is
    /// `true`, values that are flagged as invalid are returned nevertheless.
    pub fn read_baseline(
        &self,
        baseline: &Map<String, Value>,
        controls: &[usize],
        unchecked: bool,
        flags: &mut Vec<Flag>,
    ) -> Vec<f64> {
        let mut values = vec![f64::NAN; self.plant.schema.len()];
        if unchecked {
            self.tags.read_unchecked(baseline, &mut values);
        }
        self.tags.read(baseline, |r| r == Role::Control, &mut values, flags);
        controls.iter().map(|&c| values[c]).collect()
    }
}
