//! `twinopt init`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::guess::{self, Guess};
use super::project::Project;
use super::{Globals, output};
use crate::check::{self, Plant};
use crate::config::{self, At, Files, LogSpec, TimeSpan};
use crate::error::{Error, Result, plural};
use crate::log::{self, ColumnKind, ColumnSummary};
use crate::schema::Role;

/// Write a commented twin.toml and a first scenario from a Parquet log.
///
/// Guesses role and unit of every column from its name; every guess is marked with `# guess`. The log is copied to
/// `DIR/log`. Nothing is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt init data/plant1 --log export.parquet")]
pub struct Args {
    /// Folder of the new twin, `data/<plant>`
    pub dir: PathBuf,
    /// Parquet file of the plant's log
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
}

/// What is to be written.
struct Draft {
    name: String,
    time: String,
    episode: Option<String>,
    long: Option<(String, String, Option<String>)>,
    step: TimeSpan,
    span: (Timestamp, Timestamp),
    holdout: TimeSpan,
    horizon: TimeSpan,
    signals: Vec<Guess>,
    /// Columns that became no signal, and why.
    left: Vec<(String, &'static str)>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (root, name) = place(&args.dir)?;
    let project = Project { root };
    let file_name = args.log.file_name().ok_or_else(|| Error::no_input(&args.log, "it names no file"))?;
    let twin_file = args.dir.join("twin.toml");
    let log_file = args.dir.join("log").join(file_name);
    let scenario_file = project.scenario_dir(&name).join("first.toml");
    for file in [&twin_file, &log_file, &scenario_file] {
        if file.exists() {
            let text =
                format!("{} is there already, nothing was written; remove it or choose another folder", file.display());
            return Err(Error::Usage(text));
        }
    }
    let columns = log::describe(&args.log)?;
    let draft = draft(&name, &args.log, &columns)?;
    let twin = draft.twin(&file_name.to_string_lossy());
    let scenario = draft.scenario();
    write(&log_file, None, &args.log)?;
    write(&twin_file, Some(&twin), &args.log)?;
    write(&scenario_file, Some(&scenario), &args.log)?;

    let loaded = config::load_twin(&args.dir)?;
    let plant = Plant::new(&loaded);
    let mut faults = check::twin(&plant);
    faults.extend(check::scenario(&config::load_scenario(&scenario_file)?, &plant));
    let open = faults.iter().filter(|f| !f.warning).count();
    if globals.json {
        return output::json(&json!({
            "schema_version": output::SCHEMA_VERSION,
            "twin": twin_file,
            "log": log_file,
            "scenario": scenario_file,
            "signals": draft.signals.len(),
            "faults": open,
        }));
    }
    let mut text = format!("log copied to   {}\n", log_file.display());
    let _ = writeln!(text, "twin            {}, {}", twin_file.display(), plural(draft.signals.len(), "signal"));
    let _ = writeln!(text, "first scenario  {}", scenario_file.display());
    if open > 0 {
        let _ = writeln!(text, "{} left to mend: see `twinopt check {}`", plural(open, "fault"), args.dir.display());
    }
    let _ = writeln!(text, "\nNext: correct the lines marked `# guess` in twin.toml, then");
    let _ = writeln!(text, "  twinopt check {}", args.dir.display());
    let _ = writeln!(text, "  twinopt inspect {}", args.dir.display());
    let _ = writeln!(text, "  twinopt run {}", project.scenario_dir(&name).display());
    if globals.quiet { Ok(()) } else { output::print(&text) }
}

/// Root of the project and name of the plant of `dir`, which is `…/data/<plant>`.
fn place(dir: &Path) -> Result<(PathBuf, String)> {
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or("");
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !good {
        let text = format!("`{}` cannot be a plant's folder; use letters, digits, `_` and `-`", dir.display());
        return Err(Error::Usage(text));
    }
    let data = dir.parent().filter(|p| p.file_name().is_some_and(|n| n == "data"));
    match data {
        Some(data) => {
            let root = data.parent().unwrap_or(Path::new(""));
            Ok((root.to_path_buf(), name.to_owned()))
        }
        None => Err(Error::Usage(format!(
            "a plant's folder lies in a folder `data`, beside `scenarios`, `models` and `reports`; use `twinopt init {} …`",
            dir.parent().unwrap_or(Path::new("")).join("data").join(name).display()
        ))),
    }
}

/// Writes `text`, or a copy of `log`, to a new file.
fn write(file: &Path, text: Option<&str>, log: &Path) -> Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
    }
    match text {
        Some(text) => {
            let mut out = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(file)
                .map_err(|e| Error::write(file, e))?;
            std::io::Write::write_all(&mut out, text.as_bytes()).map_err(|e| Error::write(file, e))
        }
        None => {
            let mut from = std::fs::File::open(log).map_err(|e| Error::no_input(log, e))?;
            let mut out = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(file)
                .map_err(|e| Error::write(file, e))?;
            std::io::copy(&mut from, &mut out).map(|_| ()).map_err(|e| Error::write(file, e))
        }
    }
}

fn draft(name: &str, file: &Path, columns: &[ColumnSummary]) -> Result<Draft> {
    let time = guess::time(columns).ok_or_else(|| {
        let names = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::Data(format!(
            "{}: no column holds time stamps (there is {names}); export the log with a time column",
            file.display()
        ))
    })?;
    let long = guess::long(columns);
    let episode = if long.is_some() { None } else { guess::episode(columns) };
    let (span, rows) = match time.span {
        Some(span) => (span, time.rows),
        None => {
            let spec = LogSpec {
                files: At::from(Files::One(
                    file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned()),
                )),
                time: At::from(time.name.clone()),
                episode: None,
                timezone: None,
                max_gap: None,
                long: None,
                completeness: None,
            };
            let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let span = log::time_span(folder, &spec)?;
            ((span.first, span.last), span.rows)
        }
    };
    let length = span.1.as_millisecond() - span.0.as_millisecond();
    // Episodes that each begin at second 0 lie on top of each other.
    let rows = if time.span.is_none() { rows / episode.map_or(1, |e| e.distinct.max(1)) } else { rows };
    let mean = length / i64::try_from(rows).unwrap_or(i64::MAX).max(2).saturating_sub(1);
    let step = time.step.filter(|s| s.ms() > 0).unwrap_or_else(|| TimeSpan::from_ms(mean.max(1)));
    let step = usual_step(step);
    if length < 20 * step.ms() {
        return Err(Error::Data(format!(
            "{}: {} from {} to {} are too few to learn a twin from; export more of the log",
            file.display(),
            plural(rows, "row"),
            span.0,
            span.1
        )));
    }
    let holdout = whole(length / 5, step);
    let horizon = TimeSpan::from_ms((24 * step.ms()).min(holdout.ms() / 2 / step.ms() * step.ms()).max(step.ms()));
    let mut draft = Draft {
        name: name.to_owned(),
        time: time.name.clone(),
        episode: episode.map(|e| e.name.clone()),
        long: long.map(|(t, v, q)| (t.name.clone(), v.name.clone(), q.map(|q| q.name.clone()))),
        step,
        span,
        holdout,
        horizon,
        signals: Vec::new(),
        left: Vec::new(),
    };
    match long {
        // Of a long log the tags are known, not their values.
        Some((tag, value, _)) => {
            for text in &tag.examples {
                let column =
                    ColumnSummary { name: text.clone(), kind: ColumnKind::Float, distinct: 2, ..value.clone() };
                draft.add(&column, false);
            }
        }
        None => {
            for column in columns {
                let used = column.name == time.name || episode.is_some_and(|e| e.name == column.name);
                if !used {
                    draft.add(column, true);
                }
            }
        }
    }
    if draft.signals.is_empty() {
        return Err(Error::Data(format!("{}: no column holds numbers that change", file.display())));
    }
    if !draft.signals.iter().any(|s| matches!(s.role, Role::State | Role::Output)) {
        // Something must be predicted; without a better sign the last column it is.
        if let Some(last) = draft.signals.last_mut() {
            last.role = Role::State;
            last.why = format!("role by default, {}", last.why);
        }
    }
    Ok(draft)
}

impl Draft {
    fn add(&mut self, column: &ColumnSummary, with_values: bool) {
        match guess::signal(column) {
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
            Err(why) => self.left.push((column.name.clone(), why)),
        }
    }

    fn first(&self, role: Role) -> Option<&Guess> {
        self.signals.iter().find(|s| s.role == role)
    }

    /// The text of `twin.toml`.
    fn twin(&self, log: &str) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "# Twin of {}, written by `twinopt init`. Correct what is marked `# guess`.", self.name);
        let _ = writeln!(
            out,
            "# Roles: state (what the plant is in), output (what its meters show), control (what staff may move),"
        );
        let _ = writeln!(
            out,
            "# disturbance (what comes from outside), setpoint (what was asked for), derived (computed by `expr`)."
        );
        let _ = writeln!(out, "name = {}", quoted(&self.name));
        let _ = writeln!(out, "step = \"{}\"    # guess: sample time, from the time column", self.step);
        let _ = writeln!(
            out,
            "timezone = \"UTC\"    # guess: in which schedules and the report tell the time, e.g. Europe/Berlin"
        );
        let _ = writeln!(out);
        self.signals_text(&mut out);
        let _ = writeln!(out, "[log]");
        let _ = writeln!(out, "files = {}    # `*` matches: log/*.parquet", quoted(&format!("log/{log}")));
        let _ = writeln!(out, "time = {}", quoted(&self.time));
        if let Some(episode) = &self.episode {
            let _ = writeln!(out, "episode = {}    # guess: its changes split the log", quoted(episode));
        }
        if let Some((tag, value, quality)) = &self.long {
            let quality = quality.as_ref().map_or(String::new(), |q| format!(", quality = {}", quoted(q)));
            let _ = writeln!(
                out,
                "long = {{ tag = {}, value = {}{quality} }}    # guess: one row per sample",
                quoted(tag),
                quoted(value)
            );
        }
        let _ = writeln!(out);
        let _ = writeln!(out, "[model]");
        let _ = writeln!(
            out,
            "choose = [\"linear\", \"forest\"]    # fitted side by side; the best multi-step hold-out score wins"
        );
        let _ = writeln!(out, "lags = 3    # guess: past values that a model sees");
        let _ =
            writeln!(out, "holdout = \"{}\"    # guess: the newest fifth of the log, for scoring only", self.holdout);
        let _ = writeln!(out, "horizon = \"{}\"    # guess: how far ahead the twin must be good", self.horizon);
        let _ = writeln!(out);
        self.kpi_text(&mut out);
        let _ = writeln!(out, "# What the money is counted in; needed for CAPEX, NPV and payback.");
        let _ = writeln!(out, "# [economics]");
        let _ = writeln!(
            out,
            "# currency = \"EUR\"\n# benefit = [\"energy_cost\"]    # KPIs in that currency whose fall is the benefit"
        );
        let _ = writeln!(out, "# discount_rate = 0.08\n# lifetime = \"10y\"\n# price_base = 2024\n# basis = \"real\"");
        let _ = writeln!(
            out,
            "# escalation = 0.0\n# persistence = 0.97    # share of the saving that is still there after each year"
        );
        out
    }

    fn signals_text(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "# The tag list. `soft = [low, high]` should hold, `hard` must hold, `max_move` is the largest change per step."
        );
        let _ = writeln!(out, "signals = [");
        for signal in &self.signals {
            let mut keys = format!(
                "name = {}, role = \"{}\", unit = {}",
                quoted(&signal.name),
                signal.role.as_str(),
                quoted(&signal.unit)
            );
            if signal.column != signal.name {
                let _ = write!(keys, ", column = {}", quoted(&signal.column));
            }
            let mut why = signal.why.clone();
            if signal.role == Role::Control && signal.min < signal.max {
                let (low, high) = (guess::outwards(signal.min, false), guess::outwards(signal.max, true));
                let _ = write!(keys, ", hard = [{low}, {high}]");
                why.push_str(", limits from the log");
            }
            let _ = writeln!(out, "  {{ {keys} }},    # guess: {why}");
        }
        let _ = writeln!(out, "]");
        for (column, why) in &self.left {
            let _ = writeln!(out, "# left out: {} {why}", one_line(column));
        }
        let _ = writeln!(out);
    }

    /// The first signal whose set-point is logged, and that.
    fn followed(&self) -> Option<(&str, &str)> {
        let setpoints = self.signals.iter().filter(|s| s.role == Role::Setpoint);
        let mut pairs = setpoints.filter_map(|sp| {
            let of = |s: &&Guess| {
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
            Some((self.signals.iter().find(of)?.name.as_str(), sp.name.as_str()))
        });
        pairs.next()
    }

    fn kpi_text(&self, out: &mut String) {
        let powers = || {
            self.signals.iter().filter(|s| {
                s.role == Role::Output
                    && ["W", "kW", "MW"].contains(&s.unit.as_str())
                    && s.column.to_lowercase().contains("power")
            })
        };
        let called = |words: &[&str]| powers().find(|s| words.iter().any(|w| s.name.contains(w)));
        let power =
            called(&["total"]).or_else(|| called(&["hvac", "cool", "chiller", "fan"])).or_else(|| powers().next());
        let shown = self.first(Role::Output).or_else(|| self.first(Role::State));
        let _ = writeln!(out, "[kpi]    # figures of merit; units follow from the signals");
        let mut first = None;
        if let Some(power) = power {
            let _ = writeln!(out, "energy = {{ integral = \"{}\" }}    # guess", power.name);
            first = Some("energy".to_owned());
        } else if let Some((followed, sp)) = self.followed() {
            let _ = writeln!(
                out,
                "miss_{followed} = {{ mean = \"abs({followed} - {sp})\" }}    # guess: {sp} is its set-point"
            );
            first = Some(format!("miss_{followed}"));
        } else if let Some(shown) = shown {
            let _ = writeln!(out, "mean_{0} = {{ mean = \"{0}\" }}    # guess", shown.name);
            first = Some(format!("mean_{}", shown.name));
        }
        if let Some(control) = self.first(Role::Control) {
            let _ = writeln!(out, "moves = {{ moves = \"{}\" }}", control.name);
        }
        let _ = writeln!(out, "\n[objective]    # price per unit of KPI: MPC minimises the sum");
        if let Some(first) = first {
            let _ = writeln!(out, "{first} = 1.0    # guess");
        }
        let _ = writeln!(out);
    }

    /// The text of the first scenario.
    fn scenario(&self) -> String {
        let day = 86_400_000;
        let end = self.span.1.as_millisecond();
        let begin = self.span.0.as_millisecond();
        let start = end - self.holdout.ms();
        // Midnight reads better, if the log is long enough for it.
        let start = if self.holdout.ms() >= 2 * day { start.div_euclid(day) * day + day } else { start };
        let step = self.step.ms();
        let start = begin + (start - begin).div_euclid(step) * step;
        let length = whole((end - start).min(7 * day), self.step);
        let start = Timestamp::from_millisecond(start).unwrap_or(self.span.0);
        let mut out = String::new();
        let _ = writeln!(
            out,
            "# A scenario: a small difference on the twin `{}`, and the cases to compare. Written by `twinopt init`.",
            self.name
        );
        let control = self.first(Role::Control);
        let question = control.map_or_else(
            || "What did the plant do in the newest days of the log?".to_owned(),
            |c| format!("What if {} stayed at its mean?", c.name),
        );
        let _ = writeln!(out, "question = {}    # guess", quoted(&question));
        let _ = writeln!(out, "twin = {}", quoted(&self.name));
        let _ = writeln!(out, "start = {start}    # guess: in the hold-out, which no model has seen");
        let _ = writeln!(out, "length = \"{length}\"    # guess");
        let _ = writeln!(out, "particles = 20    # futures per case");
        let _ = writeln!(out, "seed = 1\n");
        if let Some(disturbance) = self.first(Role::Disturbance) {
            let _ = writeln!(out, "# What is not named is replayed from the log; `scale` first, then `add`, or `set`.");
            let _ = writeln!(out, "# [disturbance]\n# {} = {{ scale = 1.1 }}\n", disturbance.name);
        }
        let _ =
            writeln!(out, "[case.baseline]    # required; everything is compared with it\ncontroller.replay = {{}}\n");
        if let Some(c) = control {
            let value = if c.mean.is_finite() && c.min <= c.max {
                format!("{:?}", trimmed(c.mean, c.min, c.max))
            } else {
                "0.0".to_owned()
            };
            if c.min.is_finite() {
                let _ =
                    writeln!(out, "[case.constant]\ncontroller.hold = {{ {} = {value} }}    # guess: its mean", c.name);
            }
        }
        out
    }
}

/// `mean` to three digits, inside the limits that the twin gets.
fn trimmed(mean: f64, min: f64, max: f64) -> f64 {
    let text = format!("{mean:.2e}");
    let short: f64 = text.parse().unwrap_or(mean);
    short.clamp(guess::outwards(min, false), guess::outwards(max, true))
}

/// About `ms`, in whole days, hours or steps.
fn whole(ms: i64, step: TimeSpan) -> TimeSpan {
    for unit in [86_400_000, 3_600_000] {
        if ms >= 2 * unit && unit % step.ms() == 0 {
            return TimeSpan::from_ms(ms / unit * unit);
        }
    }
    TimeSpan::from_ms((ms / step.ms()).max(1) * step.ms())
}

/// A sample time as it was probably set: 599,870 ms is 10 min.
fn usual_step(step: TimeSpan) -> TimeSpan {
    for unit in [86_400_000, 3_600_000, 60_000, 1_000] {
        let n = (step.ms() + unit / 2) / unit;
        if n > 0 && (step.ms() - n * unit).abs() * 100 <= unit {
            return TimeSpan::from_ms(n * unit);
        }
    }
    step
}

/// `text` as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn one_line(text: &str) -> String {
    output::plain(&text.replace(['\n', '\r', '\t'], " "))
}
