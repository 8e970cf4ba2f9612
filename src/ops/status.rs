//! The status of a plant: its champion, its last night and its log, as they are now.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::night::{Night, history};
use super::project::Project;
use super::{Registry, plant};
use crate::compute::Compute;
use crate::config::{self, Loaded, TimeSpan, TwinSpec};
use crate::error::Error;
use crate::log;

/// Default of `--max-age`, the maximum age of the last good outcome and of the newest log row: a day plus a margin.
pub const MAX_AGE: TimeSpan = TimeSpan::from_ms(26 * 3_600_000);

/// The status of one plant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub plant: String,
    /// True if no action is needed.
    pub good: bool,
    /// What is wrong, most serious first.
    pub problems: Vec<Problem>,
    /// Champion, and the time at which it was first promoted (UTC).
    pub champion: Option<String>,
    pub champion_since: Option<String>,
    /// Time of the newest row of the log (UTC).
    pub newest_row: Option<String>,
    /// Time of the last night on which `fit` or `retrain` ended without a problem, and the record of the last night,
    /// whatever its outcome.
    pub last_good: Option<String>,
    pub last: Option<Night>,
}

/// One problem of a plant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// `twin.toml` has faults.
    Configuration,
    NoModel,
    /// Every command would refuse the champion.
    Unusable,
    /// The last fit or retraining failed or needs attention.
    LastNight,
    /// The newest log row is too old, or the log cannot be read.
    OldLog,
    /// The last good outcome is too old.
    OldNight,
    /// The champion is older than `retrain.max_age`.
    OldChampion,
    /// The history cannot be read.
    History,
}

impl ProblemKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::NoModel => "no model",
            Self::Unusable => "unusable",
            Self::LastNight => "failed",
            Self::OldLog => "old log",
            Self::OldNight => "stale",
            Self::OldChampion => "old model",
            Self::History => "no history",
        }
    }
}

/// Examines the plant in the folder `dir` of `project` at the time `now`. `max_age` is the maximum age of the last good
/// night and of the newest log row.
pub fn examine(project: &Project, dir: &Path, now: Timestamp, max_age: TimeSpan, compute: &Compute) -> Status {
    let folder = dir.canonicalize().ok().and_then(|d| Some(d.file_name()?.to_str()?.to_owned()));
    let mut status = Status {
        plant: folder.unwrap_or_default(),
        good: false,
        problems: Vec::new(),
        champion: None,
        champion_since: None,
        newest_row: None,
        last_good: None,
        last: None,
    };
    match config::load_twin(dir) {
        Ok(twin) => {
            status.plant.clone_from(&twin.value.name.value);
            let registry = Registry::open(project.model_dir(&status.plant));
            status.judge_champion(&registry, &twin, now, compute);
            status.judge_nights(&registry, now, max_age);
            status.judge_log(dir, &twin, now, max_age);
        }
        Err(e) => status.add(ProblemKind::Configuration, format!("{e}; see `twinopt check {}`", dir.display())),
    }
    // problems are added in the order in which they are found, and sorting is stable
    status.problems.sort_by_key(|p| p.kind as u8);
    status.good = status.problems.is_empty();
    status
}

impl Status {
    fn add(&mut self, kind: ProblemKind, text: String) {
        self.problems.push(Problem { kind, text });
    }

    fn judge_champion(&mut self, registry: &Registry, twin: &Loaded<TwinSpec>, now: Timestamp, compute: &Compute) {
        let champion = match registry.champion() {
            Ok(Some(champion)) => champion.name,
            Ok(None) => {
                let text = "there is no champion; fit one with `twinopt fit` or `twinopt retrain`";
                return self.add(ProblemKind::NoModel, text.into());
            }
            Err(e) => return self.add(ProblemKind::Unusable, e.to_string()),
        };
        let damage = registry.check(&champion).err().map(|e| e.to_string());
        if let Some(why) = damage.or_else(|| plant::unusable(registry, &champion, twin, compute)) {
            self.add(ProblemKind::Unusable, format!("no command would use the champion: {why}"));
        }
        let max_age = twin.value.max_champion_age();
        let since = registry.champion_since().ok().flatten();
        if let Some(age) = since.map(|t| age(t, now)).filter(|age| *age > max_age) {
            let text = format!("the champion is {} old, but `retrain.max_age` is {max_age}", readable(age));
            self.add(ProblemKind::OldChampion, text);
        }
        self.champion = Some(champion);
        self.champion_since = since.map(|t| t.to_string());
    }

    fn judge_nights(&mut self, registry: &Registry, now: Timestamp, max_age: TimeSpan) {
        let mut nights = history(registry.dir()).unwrap_or_else(|e| {
            self.add(ProblemKind::History, e.to_string());
            Vec::new()
        });
        let good = nights.iter().rev().find(|n| n.outcome.is_good()).and_then(|n| n.at.parse().ok());
        // models that were fitted by older versions of this program have no history
        let promoted = self.champion_since.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
        if let Some(t) = good.max(promoted) {
            self.last_good = Some(t.to_string());
            let age = age(t, now);
            if age > max_age {
                let text = format!(
                    "the last good outcome was {} ago, more than {max_age}; run or schedule `twinopt retrain`",
                    readable(age)
                );
                self.add(ProblemKind::OldNight, text);
            }
        }
        self.last = nights.pop();
        if let Some(last) = self.last.as_ref().filter(|n| !n.outcome.is_good()) {
            let text = format!("the last night ({}) ended with: {}: {}", last.at, last.outcome, last.reason);
            self.add(ProblemKind::LastNight, text);
        }
    }

    fn judge_log(&mut self, dir: &Path, twin: &Loaded<TwinSpec>, now: Timestamp, max_age: TimeSpan) {
        match log::used_time_span(dir, &twin.value) {
            Ok(span) => {
                let age = age(span.last, now);
                if age > max_age {
                    let text = format!(
                        "the log ends at {}, {} ago, more than {max_age}; check {}",
                        span.last,
                        readable(age),
                        match twin.value.log.until {
                            Some(_) => "`until` in `log`, which leaves out later rows",
                            None => "the export of the log",
                        }
                    );
                    self.add(ProblemKind::OldLog, text);
                }
                self.newest_row = Some(span.last.to_string());
            }
            Err(Error::Data(why)) => self.add(ProblemKind::OldLog, why),
            Err(e) => self.add(ProblemKind::OldLog, e.to_string()),
        }
    }

    /// The status of the plant in one or two words.
    pub fn state(&self) -> &'static str {
        self.problems.first().map_or("good", |p| p.kind.as_str())
    }
}

/// The status of all plants in the text format of Prometheus. A metric whose value is unknown is left out.
pub fn metrics(all: &[Status]) -> String {
    let seconds = |time: Option<&String>| time?.parse::<Timestamp>().ok().map(|t| t.as_second() as f64);
    type Metric<'a> = (&'a str, &'a str, &'a dyn Fn(&Status) -> Option<f64>);
    let list: [Metric<'_>; 7] = [
        ("twinopt_good", "1 if no action is needed", &|s| Some(f64::from(u8::from(s.good)))),
        ("twinopt_last_good_timestamp_seconds", "time of the last good outcome", &|s| seconds(s.last_good.as_ref())),
        ("twinopt_newest_row_timestamp_seconds", "time of the newest log row", &|s| seconds(s.newest_row.as_ref())),
        ("twinopt_champion_timestamp_seconds", "first promotion of the champion", &|s| {
            seconds(s.champion_since.as_ref())
        }),
        ("twinopt_last_exit_code", "exit code of the last fit or retraining", &|s| {
            s.last.as_ref().map(|n| f64::from(n.exit_code))
        }),
        ("twinopt_last_duration_seconds", "duration of the last fit or retraining", &|s| {
            s.last.as_ref().map(|n| n.seconds)
        }),
        ("twinopt_last_rows", "grid steps of the log in the last fit or retraining", &|s| {
            s.last.as_ref().map(|n| n.rows as f64)
        }),
    ];
    let mut text = String::new();
    for (name, help, value) in list {
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for status in all {
            text += &value(status).map_or_else(String::new, |v| format!("{name}{{plant=\"{}\"}} {v}\n", status.plant));
        }
    }
    text
}

fn age(then: Timestamp, now: Timestamp) -> TimeSpan {
    TimeSpan::from_ms((now.as_millisecond() - then.as_millisecond()).max(0))
}

/// A time span, rounded for the reader: `3.4 h` or `12 d`.
pub fn readable(span: TimeSpan) -> String {
    let hours = span.seconds() / 3600.0;
    if hours < 72.0 { format!("{hours:.1} h") } else { format!("{:.0} d", hours / 24.0) }
}
