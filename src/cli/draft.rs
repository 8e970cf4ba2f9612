//! Drafts a first `twin.toml` and a first scenario from the columns of a log.

use std::fmt::Write as _;
use std::path::Path;

use askama::Template;
use jiff::Timestamp;

use super::guess::{self, Guess};
use super::imported::Imported;
use super::notation::{Settings, quoted};
use crate::config::{LogSpec, TimeSpan};
use crate::error::{Error, Result, plural};
use crate::log::{self, ColumnKind, ColumnSummary};
use crate::schema::Role;
use crate::terminal::one_line;

/// A text column is assumed to distinguish several things if more than this fraction of the rows has the time of
/// another row (not tuned).
const MAX_REPEATS: f64 = 0.1;

/// The tag and value columns, and the quality column with the flag of good samples if it is not a default flag.
type LongColumns = (String, String, Option<(String, Option<&'static str>)>);

/// The guessed content of `twin.toml` and of the first scenario.
pub(super) struct Draft {
    name: String,
    time: String,
    episode: Option<String>,
    /// Names of the tag, value and quality columns of a log in long format, which has one row per sample.
    long: Option<LongColumns>,
    /// Lines of `[log]` that describe how times and numbers are written.
    settings: Vec<String>,
    step: TimeSpan,
    timezone: String,
    span: (Timestamp, Timestamp),
    /// The longest stretch without a gap in the newest quarter of the log.
    stretch: Option<(Timestamp, Timestamp)>,
    holdout: TimeSpan,
    horizon: TimeSpan,
    pub signals: Vec<Guess>,
    /// Columns that are not used as signals, each with the reason.
    left_out: Vec<(String, &'static str)>,
}

/// `twin.toml`. All strings are valid TOML.
#[derive(Template)]
#[template(path = "init_twin.toml", escape = "none")]
struct TwinFile<'a> {
    name: &'a str,
    step: TimeSpan,
    timezone: String,
    signals: Vec<SignalLine>,
    left_out: Vec<(String, &'static str)>,
    files: String,
    time: String,
    episode: Option<String>,
    long: Option<String>,
    settings: &'a [String],
    holdout: TimeSpan,
    horizon: TimeSpan,
    kpi: Option<KpiLine>,
    control: Option<&'a str>,
}

/// One signal in `twin.toml`.
struct SignalLine {
    keys: String,
    reason: String,
}

/// The first KPI in the drafted `twin.toml`, which is also the objective.
struct KpiLine {
    name: String,
    definition: String,
    reason: String,
}

/// The first scenario.
#[derive(Template)]
#[template(path = "init_scenario.toml", escape = "none")]
struct ScenarioFile<'a> {
    name: &'a str,
    question: String,
    start: Timestamp,
    length: TimeSpan,
    disturbance: Option<&'a str>,
    /// A control and its mean in the log.
    constant: Option<(&'a str, String)>,
}

impl Draft {
    /// Drafts the twin of plant `name` from the `columns` of its log `file` and from what the import recorded.
    pub fn new(name: &str, file: &Path, columns: &[ColumnSummary], imported: &Imported) -> Result<Self> {
        let time = guess::time(columns).ok_or_else(|| {
            let names = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
            Error::Data(format!(
                "{}: no column contains time stamps (the columns are {names}); export the log with a time column",
                file.display()
            ))
        })?;
        let long = guess::long(columns);
        let mut notation = Settings::new(columns, time);
        let (span, rows, repeats, sampling) = match time.span {
            Some(span) => (span, time.rows, time.zero_moves, time.step),
            None => {
                let file_name = file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
                let spec = LogSpec::wide(file_name, time.name.clone());
                let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let span = log::time_span(folder, &spec)?;
                notation.time_unit(span.unit);
                let repeats = 1.0 - span.distinct as f64 / span.rows.max(1) as f64;
                ((span.first, span.last), span.rows, repeats, span.sampling)
            }
        };
        // If many rows have equal times, a text column is assumed to distinguish several things, of which the most
        // frequent is used.
        let entity = guess::entity(columns).filter(|_| long.is_none() && repeats > MAX_REPEATS);
        let entity_rows = entity.and_then(|e| e.commonest.as_ref()).map(|(value, rows)| {
            notation.only(entity.map_or("", |e| &e.name), value, entity.map_or(0, |e| e.distinct));
            *rows
        });
        let episode = guess::episode(columns).filter(|_| long.is_none() && entity.is_none());
        let length = span.1.as_millisecond() - span.0.as_millisecond();
        let mean = length / i64::try_from(rows).unwrap_or(i64::MAX).max(2).saturating_sub(1);
        let step = sampling.filter(|s| s.ms() > 0).unwrap_or_else(|| TimeSpan::from_ms(mean.max(1)));
        let step = match long.and_then(|(tag, ..)| own_clock(tag, length, repeats)) {
            Some(interval) => usual_step(interval),
            None => round_step(step),
        };
        if length < 20 * step.ms() {
            return Err(Error::Data(format!(
                "{}: {} from {} to {} are too few to fit a twin; export a longer log",
                file.display(),
                plural(rows, "row", "rows"),
                span.0,
                span.1
            )));
        }
        // The logged time does not include gaps, because models are fitted only to existing rows.
        let rows = entity_rows.unwrap_or((rows as f64 * (1.0 - repeats)).round() as usize);
        let logged = if long.is_some() { length } else { length.min(TimeSpan::from_steps(rows, step.ms()).ms()) };
        let holdout = round_span(logged / 5, step);
        let horizon = horizon(logged, holdout, step);
        let mut draft = Self {
            name: name.to_owned(),
            time: time.name.clone(),
            episode: episode.map(|e| e.name.clone()),
            settings: notation.lines,
            long: long.map(|(t, v, q)| (t.name.clone(), v.name.clone(), q.map(|q| (q.name.clone(), guess::good(q))))),
            step,
            timezone: imported.timezone().unwrap_or("UTC").to_owned(),
            span,
            stretch: time.stretch,
            holdout,
            horizon,
            signals: Vec::new(),
            left_out: Vec::new(),
        };
        match long {
            // the tags of a log in long format are known, but not the ranges of their values
            Some((tag, value, _)) => {
                for text in &tag.examples {
                    let column =
                        ColumnSummary { name: text.clone(), kind: ColumnKind::Float, distinct: 2, ..value.clone() };
                    draft.add(&column, imported, false);
                }
            }
            None => {
                for column in columns {
                    let named = |c: Option<&ColumnSummary>| c.is_some_and(|c| c.name == column.name);
                    let used = column.name == time.name || named(episode) || named(entity);
                    if !used {
                        draft.add(column, imported, true);
                    }
                }
            }
        }
        if draft.signals.is_empty() {
            return Err(Error::Data(format!("{}: no column contains numbers that change", file.display())));
        }
        if !draft.signals.iter().any(|s| matches!(s.role, Role::State | Role::Output)) {
            // a twin needs a signal to predict, so the last column becomes a state
            if let Some(last) = draft.signals.last_mut() {
                last.role = Role::State;
                last.reason = format!("role by default, {}", last.reason);
            }
        }
        Ok(draft)
    }

    fn add(&mut self, column: &ColumnSummary, imported: &Imported, with_values: bool) {
        match guess::signal(column, imported.unit(&column.name).as_deref()) {
            Ok(mut signal) => {
                let taken = |name: &str, list: &[Guess]| list.iter().any(|s| s.name == name);
                if taken(&signal.name, &self.signals) {
                    signal.name = guess::name(&signal.column);
                }
                let mut n = 2;
                while taken(&signal.name, &self.signals) {
                    signal.name = format!("{}_{n}", guess::name(&signal.column));
                    n += 1;
                }
                if !with_values {
                    (signal.min, signal.max) = (f64::NAN, f64::NAN);
                }
                self.signals.push(signal);
            }
            Err(why) => self.left_out.push((column.name.clone(), why)),
        }
    }

    fn first(&self, role: Role) -> Option<&Guess> {
        self.signals.iter().find(|s| s.role == role)
    }

    /// The text of `twin.toml`; `log` is the name of the log file.
    pub fn twin(&self, log: &str) -> Result<String> {
        let long = self.long.as_ref().map(|(tag, value, quality)| {
            let quality = quality.as_ref().map_or(String::new(), |(name, good)| {
                let good = good.map_or(String::new(), |flag| format!(", good = [{}]", quoted(flag)));
                format!(", quality = {}{good}", quoted(name))
            });
            format!("tag = {}, value = {}{quality}", quoted(tag), quoted(value))
        });
        let file = TwinFile {
            name: &self.name,
            step: self.step,
            timezone: quoted(&self.timezone),
            signals: self.signals.iter().map(signal_line).collect(),
            left_out: self.left_out.iter().map(|(column, reason)| (one_line(column), *reason)).collect(),
            files: quoted(&format!("log/{log}")),
            time: quoted(&self.time),
            episode: self.episode.as_deref().map(quoted),
            long,
            settings: &self.settings,
            holdout: self.holdout,
            horizon: self.horizon,
            kpi: self.kpi(),
            control: self.first(Role::Control).map(|c| c.name.as_str()),
        };
        file.render().map_err(|e| Error::Internal(format!("the draft of twin.toml: {e}")))
    }

    /// The first signal whose set-point is logged, and that set-point.
    fn controlled(&self) -> Option<(&str, &str)> {
        let setpoints = self.signals.iter().filter(|s| s.role == Role::Setpoint);
        let mut pairs = setpoints.filter_map(|sp| {
            let follows = |s: &&Guess| {
                matches!(s.role, Role::State | Role::Output)
                    && s.unit == sp.unit
                    && [
                        format!("sp_{}", s.name),
                        format!("{}_sp", s.name),
                        format!("target_{}", s.name),
                        format!("{}_target", s.name),
                    ]
                    .contains(&sp.name)
            };
            Some((self.signals.iter().find(follows)?.name.as_str(), sp.name.as_str()))
        });
        pairs.next()
    }

    /// Chooses the KPI: energy if a power signal is logged, otherwise the control error if a set-point is logged,
    /// otherwise the mean of an output or state.
    fn kpi(&self) -> Option<KpiLine> {
        let powers = || {
            self.signals.iter().filter(|s| {
                s.role == Role::Output
                    && ["W", "kW", "MW"].contains(&s.unit.as_str())
                    && s.column.to_lowercase().contains("power")
            })
        };
        let with_word = |words: &[&str]| powers().find(|s| words.iter().any(|w| s.name.contains(w)));
        let power = with_word(&["total"])
            .or_else(|| with_word(&["hvac", "cool", "chiller", "fan"]))
            .or_else(|| powers().next());
        let line = |name: String, definition: String, reason: String| Some(KpiLine { name, definition, reason });
        if let Some(power) = power {
            return line("energy".into(), format!("{{ integral = \"{}\" }}", power.name), String::new());
        }
        if let Some((signal, sp)) = self.controlled() {
            let definition = format!("{{ mean = \"abs({signal} - {sp})\" }}");
            return line(
                format!("tracking_error_{signal}"),
                definition,
                format!(": control error against the set-point {sp}"),
            );
        }
        let shown = self.first(Role::Output).or_else(|| self.first(Role::State))?;
        line(format!("mean_{}", shown.name), format!("{{ mean = \"{}\" }}", shown.name), String::new())
    }

    /// The text of the first scenario.
    pub fn scenario(&self) -> Result<String> {
        let day = 86_400_000;
        let end = self.span.1.as_millisecond();
        let begin = self.span.0.as_millisecond();
        let start = end - self.holdout.ms();
        // the scenario starts at midnight if the hold-out is long enough
        let start = if self.holdout.ms() >= 2 * day { start.div_euclid(day) * day + day } else { start };
        let step = self.step.ms();
        let start = begin + (start - begin).div_euclid(step) * step;
        // If the log has gaps, the scenario lies in a stretch without one, after the past values that the model reads.
        let stretch = self.stretch.map(|s| (s.0.as_millisecond(), s.1.as_millisecond()));
        let (start, end) = match stretch.filter(|s| s.0 > start || s.1 < end) {
            Some((from, to)) if to - from > 8 * step => (from + 4 * step, to),
            _ => (start, end),
        };
        let length = round_span((end - start).min(7 * day), self.step);
        let control = self.first(Role::Control);
        let question = control.map_or_else(
            || "What did the plant do in the last days of the log?".to_owned(),
            |c| format!("What if {} stayed at its mean?", c.name),
        );
        let mean = |c: &Guess| {
            if c.mean.is_finite() && c.min <= c.max {
                format!("{:?}", round_mean(c.mean, c.min, c.max))
            } else {
                "0.0".to_owned()
            }
        };
        let file = ScenarioFile {
            name: &self.name,
            question: quoted(&question),
            start: Timestamp::from_millisecond(start).unwrap_or(self.span.0),
            length,
            disturbance: self.first(Role::Disturbance).map(|d| d.name.as_str()),
            constant: control.filter(|c| c.min.is_finite()).map(|c| (c.name.as_str(), mean(c))),
        };
        file.render().map_err(|e| Error::Internal(format!("the draft of the scenario: {e}")))
    }
}

/// The horizon: one day of hourly steps or 24 steps, if the log is long enough for five training blocks.
fn horizon(logged: i64, holdout: TimeSpan, step: TimeSpan) -> TimeSpan {
    let steps = |ms: i64| ms / step.ms();
    // Each block needs one forecast, and the past values that it reads.
    let most = (steps(logged - holdout.ms()) - 8) / 11;
    TimeSpan::from_ms(24.min(steps(holdout.ms()) / 2).min(most).max(1) * step.ms())
}

fn signal_line(signal: &Guess) -> SignalLine {
    let mut keys = format!(
        "name = {}, role = \"{}\", unit = {}",
        quoted(&signal.name),
        signal.role.as_str(),
        quoted(&signal.unit)
    );
    if signal.column != signal.name {
        let _ = write!(keys, ", column = {}", quoted(&signal.column));
    }
    if let Some(kind) = signal.kind {
        let _ = write!(keys, ", kind = \"{kind}\"");
    }
    let mut reason = signal.reason.clone();
    if signal.role == Role::Control && signal.min < signal.max {
        let (low, high) = (guess::round_outwards(signal.min, false), guess::round_outwards(signal.max, true));
        let _ = write!(keys, ", hard = [{low}, {high}]");
        reason.push_str(", limits from the log");
    }
    SignalLine { keys, reason }
}

/// `mean` rounded to three significant digits, within the limits in the draft.
fn round_mean(mean: f64, min: f64, max: f64) -> f64 {
    let text = format!("{mean:.2e}");
    let short: f64 = text.parse().unwrap_or(mean);
    short.clamp(guess::round_outwards(min, false), guess::round_outwards(max, true))
}

/// `ms` rounded down to whole days, hours or steps.
fn round_span(ms: i64, step: TimeSpan) -> TimeSpan {
    for unit in [86_400_000, 3_600_000] {
        if ms >= 2 * unit && unit % step.ms() == 0 {
            return TimeSpan::from_ms(ms / unit * unit);
        }
    }
    TimeSpan::from_ms((ms / step.ms()).max(1) * step.ms())
}

/// The mean interval between the samples of the most frequent tag (ms), if the tags of a long log have their own times.
/// `repeats` is the fraction of the rows with the time of another row. If the tags share their times, only one row per
/// time and tag has a new time.
fn own_clock(tag: &ColumnSummary, length: i64, repeats: f64) -> Option<i64> {
    let (_, samples) = tag.commonest.as_ref()?;
    let shared = 1.0 - 1.0 / tag.distinct.max(1) as f64;
    let samples = i64::try_from(*samples).ok().filter(|n| *n > 1)?;
    (tag.distinct > 1 && repeats < shared / 2.0).then(|| length / (samples - 1))
}

/// The usual sample time that is closest to `interval` (ms), because irregular samples have no nominal one.
fn usual_step(interval: i64) -> TimeSpan {
    const USUAL: [i64; 20] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400,
    ];
    let ratio = |s: &i64| ((s * 1_000) as f64 / interval.max(1) as f64).ln().abs();
    let closest = USUAL.into_iter().min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    TimeSpan::from_ms(closest.unwrap_or(60) * 1_000)
}

/// Rounds a measured sample time to the nominal one: 599,870 ms becomes 10 min.
fn round_step(step: TimeSpan) -> TimeSpan {
    for unit in [86_400_000, 3_600_000, 60_000, 1_000] {
        let n = (step.ms() + unit / 2) / unit;
        if n > 0 && (step.ms() - n * unit).abs() * 100 <= unit {
            return TimeSpan::from_ms(n * unit);
        }
    }
    step
}
