//! Drafts a first `twin.toml` and a first scenario from a log.
//!
//! 1. `columns`, `notation`: the columns with the time, episodes and entities, and the notation of times and numbers.
//! 2. `roles`, `quantity`, `tags`: the role, unit and name of each signal, from the name of its column.
//! 3. The log is read with these settings. `behaviour` corrects roles, `relevance` leaves signals out, `clock` adds the
//!    time of day, and `spans` chooses the spans of `[model]`.
//! 4. `trial`: a linear model is fitted, and the signals that it cannot predict are left out.
//! 5. `objective` and `scenario` choose the first KPI and the first scenario.

mod behaviour;
mod calendar;
mod clock;
mod columns;
mod consumption;
mod control_loops;
mod events;
mod file;
mod flags;
mod notation;
mod objective;
mod quantity;
mod relevance;
mod remarks;
mod roles;
mod scenario;
mod spans;
mod tags;
mod target;
mod trial;
mod unused;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use behaviour::Behaviour;
pub use file::Draft;
use file::{LogLines, Long};
use jiff::tz::TimeZone;
use notation::Settings;
use roles::Guess;
use spans::Spans;

use crate::config::{self, Loaded, LogSpec, TimeSpan, TwinSpec};
use crate::error::{Error, Result, plural};
use crate::expr;
use crate::log::{self, ColumnKind, ColumnSummary};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;

/// A text column is assumed to distinguish several entities if more than this fraction of the rows share their time
/// with another row (not tuned).
const MAX_REPEATS: f64 = 0.1;
/// Minimum number of rows for a draft.
const MIN_ROWS: i64 = 20;
/// Minimum fraction of the steps in which a signal must have a value; equal to the default of `log.completeness`.
const MIN_KNOWN: f64 = 0.8;
/// Minimum fraction of the steps in which all signals must have a value (not tuned).
const MIN_COMPLETE: f64 = 0.6;
/// A signal is classified as an output if the correlation of its successive values is below this limit, because such a
/// signal has no memory (not tuned).
const MEMORY: f64 = 0.5;
/// Maximum number of trials. Each trial leaves out the signals that the preceding trial could not predict.
const MAX_TRIALS: usize = 7;

/// The files of a log, which are all in one folder.
#[derive(Clone, Copy)]
pub struct LogSource<'a> {
    pub files: &'a [PathBuf],
    /// The name of the file, or a pattern that matches the names of the files.
    pub pattern: &'a str,
    /// Time zone of the plant, and of times without a time zone; `None` if it is unknown.
    pub timezone: Option<&'a str>,
    /// Returns the unit of a column if the export states it.
    pub unit: &'a dyn Fn(&str) -> Option<String>,
}

impl LogSource<'_> {
    fn folder(&self) -> &Path {
        let folder = self.files.first().and_then(|f| f.parent());
        folder.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn display(&self) -> std::path::Display<'_> {
        match self.files {
            [one] => one.display(),
            _ => self.folder().display(),
        }
    }
}

/// The log on the grid of the draft. Column k belongs to the signal that had index k when the log was read.
struct Grid {
    log: Trajectory,
    /// Column of each signal.
    at: Vec<usize>,
}

impl Draft {
    /// Drafts the twin of plant `name` from the `columns` of its log.
    ///
    /// # Errors
    /// [`Error::Data`] if no twin can be drafted from the log. The message states in one sentence what the log lacks.
    pub fn new(name: &str, source: LogSource<'_>, columns: &[ColumnSummary]) -> Result<Self> {
        Self::of_entity(name, source, columns, None)
    }

    /// Drafts the twin. `alternating` is the column, if any, that distinguishes entities whose rows have different
    /// times. In this case, only the most active entity is used.
    fn of_entity(
        name: &str,
        source: LogSource<'_>,
        columns: &[ColumnSummary],
        alternating: Option<&str>,
    ) -> Result<Self> {
        let time = columns::time(columns).ok_or_else(|| {
            let names = columns.iter().take(20).map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
            Error::Data(format!(
                "{}: no column contains time stamps (the columns are {names}); export the log with a time column",
                source.display()
            ))
        })?;
        let long = columns::long(columns);
        let mut notation = Settings::new(columns, time, source.timezone);
        let (span, mut rows, repeats, sampling) = match time.span {
            Some(span) => (span, time.rows, time.zero_moves, time.step),
            None => {
                let spec = LogSpec::wide(source.pattern.to_owned(), time.name.clone());
                let span = log::time_span(source.folder(), &spec)?;
                let unit = span.numbers.filter(|n| !n.given).map(|n| n.unit);
                notation.time_unit(unit, log::is_relative(span.last));
                let repeats = 1.0 - span.distinct as f64 / span.rows.max(1) as f64;
                ((span.first, span.last), span.rows, repeats, span.sampling)
            }
        };
        // If many rows have equal times, the log contains several entities, which some columns distinguish. Only the
        // most active entity is used.
        let several = long.is_none() && repeats > MAX_REPEATS;
        let entities = match several || alternating.is_some() {
            true => log::entities(source.files, &time.name, alternating)?,
            false => None,
        };
        if let Some(entities) = &entities {
            notation.only(entities);
            rows = entities.list[0].rows;
        } else {
            rows = (rows as f64 * (1.0 - repeats)).round() as usize;
        }
        let episode = columns::episode(columns).filter(|_| long.is_none() && entities.is_none());
        let length = span.1.as_millisecond() - span.0.as_millisecond();
        let mean = length / i64::try_from(time.rows).unwrap_or(i64::MAX).max(2).saturating_sub(1);
        let sampling = sampling.filter(|s| s.ms() > 0).unwrap_or_else(|| TimeSpan::from_ms(mean.max(1)));
        if spans::may_be_months(sampling) {
            return Err(Error::Data(format!(
                "{}: there is about one row per {sampling}, such as a calendar month, but all steps of a twin have the \
                 same length; export one row per day or per week",
                source.display()
            )));
        }
        let events = several && entities.is_none();
        // in a log in long format, each tag may have its own sample times
        let own = long.and_then(|(tag, ..)| spans::own_clock(tag, length, repeats));
        let of_entity = alternating.map(|_| length / i64::try_from(rows).unwrap_or(i64::MAX).max(2).saturating_sub(1));
        let (step, longer) = match own.or(of_entity) {
            Some(interval) => (spans::usual_step(interval), None),
            None if events => spans::step_of_events(length),
            None => spans::step(sampling, rows),
        };
        if length < MIN_ROWS * step.ms() {
            return Err(Error::Data(format!(
                "{}: {} from {} to {} are too few to fit a twin; export a longer log",
                source.display(),
                plural(time.rows, "row", "rows"),
                span.0,
                span.1
            )));
        }
        let mut draft = Self {
            name: name.to_owned(),
            timezone: source.timezone.map(str::to_owned),
            without_zone: time.notation.without_zone,
            remarks: Vec::new(),
            lines: LogLines {
                time: time.name.clone(),
                episode: episode.map(|e| e.name.clone()),
                long: long.map(|(t, v, q)| Long::new(t, v, q)),
                settings: notation.lines,
            },
            step,
            step_reason: longer.unwrap_or_else(|| "sample time, from the time column".into()),
            // Provisional spans; the final ones are chosen after the log has been read.
            spans: Spans {
                lags: 1,
                holdout: spans::round_span(length / 5, step),
                horizon: TimeSpan::from_ms(step.ms()),
            },
            signals: Vec::new(),
            features: Vec::new(),
            events,
            left_out: Vec::new(),
            // this provisional run is used only if the log cannot be read
            run: Some((span.0, spans::round_span(length / 10, step))),
            days_per_year: (365.0, "if this scenario represents a whole year".into()),
            is_held_out: false,
            room: None,
        };
        match long {
            // the tags of a log in long format are known, but not the ranges of their values
            Some((tag, value, _)) => {
                let others: Vec<String> = tag.examples.iter().map(|t| roles::name(t)).collect();
                for text in &tag.examples {
                    let column =
                        ColumnSummary { name: text.clone(), kind: ColumnKind::Float, distinct: 2, ..value.clone() };
                    draft.add(&column, source, &others);
                }
            }
            None => {
                let is_label = |name: &String| entities.as_ref().is_some_and(|e| e.columns.contains(name));
                let flags = log::quality_columns_of(source.files)?;
                let others: Vec<String> = columns.iter().map(|c| roles::name(&c.name)).collect();
                for column in columns {
                    let all = || columns.iter().map(|c| c.name.as_str());
                    let is_flag = flags.iter().any(|f| f.name == column.name && f.is_certain(all()));
                    let used = is_flag || column.name == time.name || episode.is_some_and(|e| e.name == column.name);
                    if !used && !is_label(&column.name) {
                        draft.add(column, source, &others);
                    }
                }
                draft.use_flags(&flags, columns);
            }
        }
        if draft.signals.is_empty() {
            return Err(Error::Data(format!("{}: no column contains numbers that change", source.display())));
        }
        draft.add_events(source)?;
        draft.limits(columns);
        draft.loops();
        draft.require_target();
        if long.is_none()
            && entities.is_none()
            && let Some((loaded, schema)) = draft.parse(source)
            && let Ok(Some(column)) = log::alternating(source.folder(), &loaded.value, &schema)
        {
            return Self::of_entity(name, source, columns, Some(&column));
        }
        let mut read = draft.read(source);
        // a step of a day over which the log has no rows, such as a weekend, ends a segment
        let zone = draft.parse(source).and_then(|(loaded, _)| loaded.value.zone().ok());
        let free = read.as_ref().zip(zone).filter(|_| step.ms() == spans::DAY);
        if let Some(days) = free.and_then(|(grid, zone)| log::free_days(&grid.log, zone)) {
            draft.lines.settings.push(format!("max_gap = \"{step}\"    # guess: there are no rows on {days}, so every week is a separate part of the log"));
            read = draft.read(source);
        }
        while let Some(longer) = read.as_ref().and_then(|grid| spans::without_holes(&grid.log, draft.step)) {
            draft.step = longer;
            draft.step_reason = format!("longer than the sample time of {sampling}, at which many samples are missing");
            draft.spans.horizon = longer;
            draft.spans.holdout = spans::round_span(length / 5, longer);
            read = draft.read(source);
        }
        draft.refine(read, source)?;
        draft.add_remarks(span.1);
        Ok(draft)
    }

    /// Remarks for the user on what the draft assumes.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Number of signals.
    pub fn signals(&self) -> usize {
        self.signals.len()
    }

    /// A sentence about the signals and rows that the draft does not use; empty if the draft uses all signals and rows.
    pub fn remark(&self) -> String {
        let only = self.lines.only().map_or(String::new(), |(setting, comment)| {
            format!("the log contains rows of several entities, so only one entity is used: {setting} ({comment})\n")
        });
        let remarks: String = self.remarks.iter().map(|r| format!("{r}\n")).collect();
        only + &remarks + &self.unused()
    }

    fn add(&mut self, column: &ColumnSummary, source: LogSource<'_>, others: &[String]) {
        match roles::signal(column, (source.unit)(&column.name).as_deref(), others) {
            Ok(mut signal) => {
                let taken = |name: &str, list: &[Guess]| list.iter().any(|s| s.name == name);
                if taken(&signal.name, &self.signals) {
                    signal.name = roles::name(&signal.column);
                }
                let mut n = 2;
                while taken(&signal.name, &self.signals) {
                    signal.name = format!("{}_{n}", roles::name(&signal.column));
                    n += 1;
                }
                self.signals.push(signal);
            }
            Err(why) => self.left_out.push((column.name.clone(), why)),
        }
    }

    /// Reads the log with the current settings. Faults in the log are ignored here, because they are reported later.
    fn read(&self, source: LogSource<'_>) -> Option<Grid> {
        let (loaded, schema) = self.parse(source)?;
        let (log, _) = log::read(source.folder(), &loaded.value, &schema).ok()?;
        Some(Grid { at: (0..self.signals.len()).collect(), log })
    }

    /// The draft as it would be loaded from a folder that contains the log.
    fn parse(&self, source: LogSource<'_>) -> Option<(Loaded<TwinSpec>, Arc<Schema>)> {
        let text = self.render(source.pattern).ok()?;
        let parsed = config::parse_twin_text(&source.folder().join("twin.toml"), &text);
        let loaded = parsed.loaded.filter(|_| parsed.faults.is_empty())?;
        let schema = expr::schema(&loaded.value).ok()?;
        Some((loaded, schema))
    }

    /// Corrects the draft on the basis of the values in the log.
    fn refine(&mut self, read: Option<Grid>, source: LogSource<'_>) -> Result<()> {
        let Some(mut grid) = read else { return self.choose_spans(None) };
        let facts: Vec<Behaviour> = grid.at.iter().map(|s| Behaviour::new(&grid.log, *s)).collect();
        let mut reasons: Vec<Option<String>> = vec![None; facts.len()];
        let zone = self.parse(source).and_then(|(loaded, _)| loaded.value.zone().ok()).unwrap_or(TimeZone::UTC);
        for (((guess, fact), reason), s) in self.signals.iter_mut().zip(&facts).zip(&mut reasons).zip(&grid.at) {
            let repeated = calendar::repeated(&grid.log, *s, &zone);
            (guess.min, guess.mean, guess.max) = (fact.min, fact.mean, fact.max);
            guess.is_switch = fact.is_switch;
            if !fact.varies() {
                *reason = Some("never changes in the rows that are used".into());
            } else if let Some(part) = repeated {
                *reason = Some(format!("repeats {part}, which follows from the time"));
            } else if fact.known < MIN_KNOWN {
                *reason = Some(format!("has a value in only {:.0} % of the steps", 100.0 * fact.known));
            } else if fact.is_switch && guess.role == Role::State && !guess.by_default {
                // simulated values of a status that is 0 or 1 would leave this range, so no other signal depends on it
                guess.role = Role::Output;
                guess.reason.push_str(", only 0 or 1");
            } else if guess.by_default && fact.still > 0.95 && fact.jump > 0.02 && guess.role == Role::State {
                guess.role = Role::Control;
                guess.reason = guess.reason.replace("role by default", "role from its rare, large steps");
            } else if guess.by_default && fact.is_switch && guess.role == Role::State {
                guess.role = Role::Output;
                guess.reason = guess.reason.replace("role by default", "role by default, because it is only 0 or 1");
            } else if guess.by_default && fact.memory < MEMORY && guess.role == Role::State {
                guess.role = Role::Output;
                guess.reason = guess.reason.replace("role by default", "role from its low autocorrelation");
            }
        }
        let sparse = reasons.iter().all(Option::is_some);
        if sparse {
            let known = facts.iter().filter(|f| f.varies()).map(|f| f.known).fold(0.0, f64::max);
            return Err(Error::Data(format!(
                "{}: a column that changes must have a value in at least {:.0} % of the steps of {}, but the best \
                 column has a value in only {:.0} %; export more values, or means over longer steps",
                source.display(),
                100.0 * MIN_KNOWN,
                self.step,
                100.0 * known
            )));
        }
        self.leave_out(&mut grid, reasons);
        let main = objective::main_signal(&self.signals);
        let unrelated = relevance::selection(&self.signals, &grid.at, &grid.log, main);
        self.leave_out(&mut grid, unrelated);
        self.require_complete_rows(&mut grid);
        self.require_target();
        let targets = self.columns(&grid, |r| matches!(r, Role::State | Role::Output));
        let disturbances = self.columns(&grid, |r| r == Role::Disturbance);
        self.features = clock::features(&grid.log, &targets, &disturbances, self.step);
        self.choose_spans(Some(&grid))?;
        self.try_out(&mut grid, source);
        let signals: Vec<(usize, Role)> = grid.at.iter().copied().zip(self.signals.iter().map(|s| s.role)).collect();
        let rows = scenario::rows(&grid.log, &signals, self.spans, self.step);
        self.is_held_out = rows.as_ref().is_some_and(|(_, is_held_out)| *is_held_out);
        self.run = rows.map(|(r, _)| (grid.log.time(r.start), TimeSpan::from_steps(r.len(), self.step.ms())));
        self.room = scenario::room(&grid.log, &signals, &self.signals);
        self.operating_time(&grid, source)
    }

    fn columns(&self, grid: &Grid, role: impl Fn(Role) -> bool) -> Vec<usize> {
        self.signals.iter().zip(&grid.at).filter(|(s, _)| role(s.role)).map(|(_, at)| *at).collect()
    }

    /// Removes each signal for which `reasons` contains a reason.
    fn leave_out(&mut self, grid: &mut Grid, mut reasons: Vec<Option<String>>) {
        let signals = std::mem::take(&mut self.signals);
        let at = std::mem::take(&mut grid.at);
        for ((signal, at), reason) in signals.into_iter().zip(at).zip(&mut reasons) {
            match reason.take() {
                Some(reason) => self.left_out.push((signal.column, reason)),
                None => {
                    self.signals.push(signal);
                    grid.at.push(at);
                }
            }
        }
    }

    /// Leaves out signals with missing values until most rows are complete.
    fn require_complete_rows(&mut self, grid: &mut Grid) {
        let rows: usize = grid.log.segments.iter().map(ExactSizeIterator::len).sum();
        while self.signals.len() > 1 {
            let (complete, _) = spans::complete_rows(&grid.log, &grid.at);
            if complete as f64 >= MIN_COMPLETE * rows as f64 {
                return;
            }
            let known: Vec<f64> = grid.at.iter().map(|s| Behaviour::new(&grid.log, *s).known).collect();
            let Some(worst) = (0..known.len()).min_by(|a, b| known[*a].total_cmp(&known[*b])) else { return };
            let mut reasons = vec![None; known.len()];
            reasons[worst] = Some(format!(
                "has a value in only {:.0} % of the steps, so too few steps would be complete",
                100.0 * known[worst]
            ));
            self.leave_out(grid, reasons);
        }
    }

    fn choose_spans(&mut self, grid: Option<&Grid>) -> Result<()> {
        let inputs = self.signals.iter().filter(|s| !matches!(s.role, Role::Output | Role::Setpoint)).count();
        let Some(grid) = grid else {
            self.spans.horizon = self.spans.horizon.min(self.spans.holdout);
            return Ok(());
        };
        let rows: usize = grid.log.segments.iter().map(ExactSizeIterator::len).sum();
        let (complete, longest) = spans::complete_rows(&grid.log, &grid.at);
        self.spans = Spans::new(rows, complete, inputs + self.features.len().div_ceil(3), longest, self.step)?;
        Ok(())
    }

    /// Counts the days of operation per year from the hours in which the remaining signals have values.
    fn operating_time(&mut self, grid: &Grid, source: LogSource<'_>) -> Result<()> {
        let Some((loaded, schema)) = self.parse(source) else { return Ok(()) };
        if let Some(hours) = log::operating_hours(&self.of_signals(grid, &schema), &loaded.value)? {
            let days = hours.days_per_year();
            let reason =
                format!("the log never has data {}, so a year has {days} days of 24 h of operation", hours.text());
            self.days_per_year = (days, reason);
        }
        Ok(())
    }

    /// The log of the remaining signals.
    fn of_signals(&self, grid: &Grid, schema: &Arc<Schema>) -> Trajectory {
        let mut log = grid.log.clone();
        log.columns = grid.at.iter().map(|s| grid.log.columns[*s].clone()).collect();
        log.schema = schema.clone();
        log.columns.resize(schema.len(), vec![f64::NAN; grid.log.steps]);
        log
    }

    /// Leaves out signals that a linear model cannot predict, until the model predicts the rest well enough, provided
    /// that it can predict at least one signal.
    fn try_out(&mut self, grid: &mut Grid, source: LogSource<'_>) {
        for _ in 0..MAX_TRIALS {
            let Some((loaded, schema)) = self.parse(source) else { return };
            let log = self.of_signals(grid, &schema);
            let Ok(trial) = trial::run(&loaded, &schema, &log) else { return };
            if trial.failed.is_empty() || !trial.refused {
                return;
            }
            // An output that keeps its last value is better described as a state.
            let mut changed = false;
            for s in self.signals.iter_mut().filter(|s| s.role == Role::Output && s.kind.is_none() && !s.is_switch) {
                if trial.failed.contains(&s.name) {
                    s.role = Role::State;
                    s.reason = format!("role from a trial in which its own past was needed, {}", s.reason);
                    changed = true;
                }
            }
            if changed {
                continue;
            }
            if trial.predicted.len() < trial.failed.len() {
                // The horizon is halved, because shorter forecasts may have skill.
                let steps = self.spans.horizon.steps(self.step, 1);
                if steps > 3 {
                    self.spans.horizon = TimeSpan::from_steps(steps / 2, self.step.ms());
                    continue;
                }
            }
            if trial.predicted.is_empty() {
                return;
            }
            let reason = |s: &Guess| {
                trial.worst.contains(&s.name).then(|| {
                    format!(
                        "could not be predicted {} ahead better than by its last value or its mean, in a trial with a linear model",
                        self.spans.horizon
                    )
                })
            };
            let reasons = self.signals.iter().map(reason).collect();
            self.leave_out(grid, reasons);
        }
    }
}
