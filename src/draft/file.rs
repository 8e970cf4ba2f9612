//! The text of the drafted files.

use std::fmt::Write as _;

use askama::Template;
use jiff::Timestamp;

use super::clock::Feature;
use super::columns;
use super::notation::{ENTITY, quoted};
use super::objective::{self, KpiLine};
use super::roles::Guess;
use super::spans::Spans;
use crate::config::TimeSpan;
use crate::error::{Error, Result};
use crate::log::ColumnSummary;
use crate::schema::Role;
use crate::terminal::one_line;

/// Maximum number of unused columns that a draft lists individually.
const MAX_LISTED: usize = 500;

/// The guessed content of `twin.toml` and of the first scenario.
pub struct Draft {
    pub(super) name: String,
    /// Time zone of the plant; `None` if it is unknown.
    pub(super) timezone: Option<String>,
    /// Whether the times have no time zone.
    pub(super) without_zone: bool,
    /// Remarks for the user on what the draft assumes.
    pub(super) remarks: Vec<String>,
    pub(super) lines: LogLines,
    pub(super) step: TimeSpan,
    pub(super) step_reason: String,
    pub(super) spans: Spans,
    pub(super) signals: Vec<Guess>,
    pub(super) features: Vec<Feature>,
    /// Whether the rows are events, so that several rows can have the same time.
    pub(super) events: bool,
    /// Columns that are not used as signals, each with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// Start and length of the first scenario.
    pub(super) run: Option<(Timestamp, TimeSpan)>,
    /// Number of days per year on which the plant runs, and the reason.
    pub(super) days_per_year: (f64, String),
    /// Whether the first scenario is in the hold-out.
    pub(super) is_held_out: bool,
    /// Index of the control that the first scenario changes, and a low and a high value for this control.
    pub(super) room: Option<(usize, f64, f64)>,
}

/// The columns and settings in `[log]`.
pub(super) struct LogLines {
    pub time: String,
    pub episode: Option<String>,
    /// The columns of a log in long format, which has one row per sample.
    pub long: Option<Long>,
    /// Lines that describe how times and numbers are written, and which rows are read.
    pub settings: Vec<String>,
}

impl LogLines {
    /// The setting that selects the rows of one entity, and the comment on it.
    pub fn only(&self) -> Option<(&str, &str)> {
        let line = self.settings.iter().find(|l| l.starts_with("where = ") && l.contains(ENTITY))?.lines().next()?;
        Some(line.split_once("    # guess: ").unwrap_or((line, "")))
    }
}

/// The columns of a log in long format.
pub(super) struct Long {
    tag: String,
    value: String,
    /// The quality column, and the flag that marks good samples; `None` for a default flag.
    quality: Option<(String, Option<&'static str>)>,
}

impl Long {
    pub fn new(tag: &ColumnSummary, value: &ColumnSummary, quality: Option<&ColumnSummary>) -> Self {
        let quality = quality.map(|q| (q.name.clone(), columns::good(q)));
        Self { tag: tag.name.clone(), value: value.name.clone(), quality }
    }

    fn text(&self) -> String {
        let quality = self.quality.as_ref().map_or(String::new(), |(name, good)| {
            let good = good.map_or(String::new(), |flag| format!(", good = [{}]", quoted(flag)));
            format!(", quality = {}{good}", quoted(name))
        });
        format!("tag = {}, value = {}{quality}", quoted(&self.tag), quoted(&self.value))
    }
}

/// `twin.toml`. All strings are valid TOML.
#[derive(Template)]
#[template(path = "init_twin.toml", escape = "none")]
struct TwinFile<'a> {
    name: &'a str,
    step: TimeSpan,
    step_reason: &'a str,
    timezone: String,
    zone_assumed: bool,
    signals: Vec<SignalLine>,
    features: &'a [Feature],
    feature_names: String,
    left_out: Vec<(String, &'a str)>,
    more_left_out: usize,
    files: String,
    time: String,
    episode: Option<String>,
    long: Option<String>,
    settings: &'a [String],
    lags: usize,
    holdout: TimeSpan,
    horizon: TimeSpan,
    kpi: Option<KpiLine>,
    price: String,
    control: Option<&'a str>,
}

/// One signal in `twin.toml`.
struct SignalLine {
    keys: String,
    reason: String,
}

/// The first scenario.
#[derive(Template)]
#[template(path = "init_scenario.toml", escape = "none")]
struct ScenarioFile<'a> {
    name: &'a str,
    question: String,
    start: Timestamp,
    is_held_out: bool,
    length: TimeSpan,
    days_per_year: f64,
    days_reason: &'a str,
    /// A disturbance, and an example of a change of this disturbance.
    disturbance: Option<(&'a str, &'static str)>,
    /// A control, and a low and a high logged value of this control.
    room: Option<(&'a str, String, String)>,
}

impl Draft {
    fn first(&self, role: Role) -> Option<&Guess> {
        self.signals.iter().find(|s| s.role == role)
    }

    /// The text of `twin.toml`; `log` is the name of the log file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the template fails.
    pub fn twin(&self, log: &str) -> Result<String> {
        self.render(&format!("log/{log}"))
    }

    /// The text of `twin.toml` for the log in `files`.
    pub(super) fn render(&self, files: &str) -> Result<String> {
        let kpi = objective::kpi(&self.signals);
        let listed = self.left_out.iter().take(MAX_LISTED);
        let names: Vec<String> = self.features.iter().map(|f| quoted(&f.name)).collect();
        let file = TwinFile {
            name: &self.name,
            step: self.step,
            step_reason: &self.step_reason,
            timezone: quoted(self.timezone.as_deref().unwrap_or("UTC")),
            zone_assumed: self.timezone.is_none() && self.without_zone,
            signals: self.signals.iter().map(|s| signal_line(s, self.events)).collect(),
            features: &self.features,
            feature_names: names.join(", "),
            left_out: listed.map(|(column, reason)| (one_line(column), reason.as_str())).collect(),
            more_left_out: self.left_out.len().saturating_sub(MAX_LISTED),
            files: quoted(files),
            time: quoted(&self.lines.time),
            episode: self.lines.episode.as_deref().map(quoted),
            long: self.lines.long.as_ref().map(Long::text),
            settings: &self.lines.settings,
            lags: self.spans.lags,
            holdout: self.spans.holdout,
            horizon: self.spans.horizon,
            price: kpi.as_ref().and_then(|k| k.price).map_or(String::new(), |p| format!("{p:?}")),
            kpi,
            control: self.room.map_or_else(
                || self.first(Role::Control).map(|c| c.name.as_str()),
                |(i, ..)| Some(self.signals[i].name.as_str()),
            ),
        };
        file.render().map_err(|e| Error::Internal(format!("the draft of twin.toml: {e}")))
    }

    /// The text of the first scenario.
    ///
    /// # Errors
    /// [`Error::Data`] if no part of the log can be simulated.
    pub fn scenario(&self) -> Result<String> {
        let (start, length) = self.run.unwrap_or((Timestamp::UNIX_EPOCH, self.spans.holdout));
        let room = self.room.map(|(i, low, high)| (self.signals[i].name.as_str(), low, high));
        let only = self.lines.only().map(|(setting, _)| setting.trim_start_matches("where = ").trim());
        let only = only.map(|rows| format!(" Only rows with {rows}."));
        let question = room.map_or_else(
            || "What did the plant do in the newest part of the log?".to_owned(),
            |(name, low, high)| format!("What if {name} stayed at {low} or at {high}?"),
        ) + &only.unwrap_or_default();
        let file = ScenarioFile {
            name: &self.name,
            question: quoted(&question),
            start,
            is_held_out: self.is_held_out,
            length,
            days_per_year: self.days_per_year.0,
            days_reason: &self.days_per_year.1,
            // a multiple of a temperature in degrees Celsius has no meaning
            disturbance: self.first(Role::Disturbance).map(|d| match d.unit.starts_with("deg") {
                true => (d.name.as_str(), "add = 2.0"),
                false => (d.name.as_str(), "scale = 1.1"),
            }),
            room: room.map(|(name, low, high)| (name, format!("{low:?}"), format!("{high:?}"))),
        };
        file.render().map_err(|e| Error::Internal(format!("the draft of the scenario: {e}")))
    }
}

fn signal_line(signal: &Guess, events: bool) -> SignalLine {
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
    if let Some(only) = &signal.only {
        let _ = write!(keys, ", {only}");
        reason.push_str(", only the samples of good quality");
    }
    if events {
        keys.push_str(", empty = 0");
        reason.push_str(", a step without a row is 0");
    }
    if signal.role == Role::Control && signal.min < signal.max {
        let (low, high) = (round_outwards(signal.min, false), round_outwards(signal.max, true));
        let _ = write!(keys, ", hard = [{low}, {high}]");
        if signal.is_switch {
            keys.push_str(", multiple = 1");
        }
        reason.push_str(", limits from the log");
    }
    if let Some((low, high)) = signal.soft {
        let _ = write!(keys, ", soft = [{low}, {high}]");
        reason.push_str(", soft limits from the alarm limits");
    }
    SignalLine { keys, reason }
}

/// `v` rounded to two significant digits: downwards for a lower limit, and upwards for an upper limit.
fn round_outwards(v: f64, up: bool) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return 0.0;
    }
    let unit = 10f64.powi(v.abs().log10().floor() as i32 - 1);
    let n = v / unit;
    // a limit with at most two digits stays unchanged
    let n = if (n - n.round()).abs() < 1e-9 {
        n.round()
    } else if up {
        n.ceil()
    } else {
        n.floor()
    };
    // n / 1000, unlike n * 0.001, gives the floating-point number with the shortest decimal text
    if unit < 1.0 { n / (1.0 / unit).round() } else { n * unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_round_outwards() {
        assert_eq!(round_outwards(10.03, false), 10.0);
        assert_eq!(round_outwards(24.96, true), 25.0);
        assert_eq!(round_outwards(0.1234, true), 0.13);
        assert_eq!(round_outwards(-5.55, false), -5.6);
        assert_eq!(round_outwards(12_345.0, true), 13_000.0);
    }
}
