//! The page about a nightly retraining: the outcome, what changed, the comparison of the two models, drift, the quality
//! of the log, and the promises of earlier reports.

use askama::Template;

use super::clock::Clock;
use super::data::{self, Data};
use super::number::{self, PROSE, Quantity};
use super::page::STYLE;
use super::promises::{Promises, promises};
use super::text::{Markup, marked, readable, sentence, short};
use crate::error::{Error, Result};
use crate::log::Quality;
use crate::verify::Entry;

/// The data about a retraining that are shown on its page.
#[derive(Debug)]
pub struct Nightly<'a> {
    pub plant: &'a str,
    pub timezone: &'a str,
    pub last: NightRow,
    /// The preceding retraining or fit, if there is one.
    pub before: Option<NightRow>,
    /// What a person must do, or the statement that no action is needed.
    pub action: String,
    pub exit_code: u8,
    pub seconds: f64,
    /// Time at which the champion was first promoted (UTC).
    pub champion_since: Option<String>,
    pub import: &'a [String],
    pub gate: Option<GateFigures>,
    /// One sentence per finding about drift, and the time of the retraining in which drift was examined; `None` if
    /// drift was never examined.
    pub drift: Option<(Vec<String>, String)>,
    pub quality: Option<&'a Quality>,
    pub promises: &'a [Entry],
    /// This and earlier retrainings and fits, newest first.
    pub history: Vec<NightRow>,
}

/// One retraining or fit.
#[derive(Debug, Clone)]
pub struct NightRow {
    /// UTC.
    pub at: String,
    pub kind: NightKind,
    /// One or two words.
    pub word: &'static str,
    pub reason: String,
    pub champion: Option<String>,
    pub rows: usize,
    /// Time of the newest log row (UTC), or empty.
    pub data_end: String,
}

/// Whether a person must act after a retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NightKind {
    Good,
    NeedsAttention,
    Failed,
}

impl NightKind {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "do",
            Self::NeedsAttention => "try",
            Self::Failed => "dont",
        }
    }

    /// CSS class of an outcome in a table.
    fn text_class(self) -> &'static str {
        if self == Self::Good { "good" } else { "bad" }
    }
}

/// The comparison of champion and challenger. All changes are relative.
#[derive(Debug, Clone)]
pub struct GateFigures {
    pub blocks: usize,
    pub change: f64,
    pub bound: f64,
    pub coverage: f64,
    pub tolerance: f64,
    pub champion_coverage: f64,
    pub worst_slice: Option<(String, f64)>,
}

/// The data of the template `night.html`.
#[derive(Debug, Template)]
#[template(path = "night.html")]
struct Page {
    style: &'static str,
    plant: String,
    word: &'static str,
    class: &'static str,
    headline: Markup,
    action: Markup,
    at: String,
    figures: Vec<(&'static str, String, String)>,
    changes: Vec<(&'static str, String, String)>,
    import: Vec<Markup>,
    gate: Vec<GateRow>,
    drift: Vec<Markup>,
    drift_at: String,
    data: Option<Data>,
    promises: Option<Promises>,
    history: Vec<HistoryRow>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Debug)]
struct GateRow {
    name: String,
    value: Quantity,
    rule: String,
    bad: bool,
}

#[derive(Debug)]
struct HistoryRow {
    at: String,
    word: &'static str,
    class: &'static str,
    reason: Markup,
}

/// Renders the page about a retraining as one self-contained HTML file.
///
/// # Errors
/// [`Error::Internal`] if the template fails, which is a bug in the program.
pub fn nightly(n: &Nightly<'_>) -> Result<String> {
    let clock = Clock::new(n.timezone);
    let moment = |utc: &str| if utc.is_empty() { "unknown".to_owned() } else { clock.moment(utc) };
    let champion = |row: &NightRow| row.champion.clone().unwrap_or_else(|| "none".to_owned());
    let since = n.champion_since.as_ref().map_or_else(String::new, |t| format!("since {}", clock.date(t)));
    let (drift, drift_at) = n.drift.clone().unwrap_or_default();
    let change = |label, old: String, new: String| if old == new { None } else { Some((label, old, new)) };
    let changes = n.before.as_ref().map(|b| {
        [
            change("Champion", champion(b), champion(&n.last)),
            change("Newest log row", moment(&b.data_end), moment(&n.last.data_end)),
            change("Steps of the log", number::count(b.rows), number::count(n.last.rows)),
        ]
    });
    let page = Page {
        style: STYLE,
        plant: short(&readable(n.plant), 80),
        word: n.last.word,
        class: n.last.kind.class(),
        headline: marked(&sentence(&n.last.reason)),
        action: marked(&n.action),
        at: clock.moment(&n.last.at),
        figures: vec![("Champion", champion(&n.last), since), ("Log until", moment(&n.last.data_end), String::new())],
        changes: changes.into_iter().flatten().flatten().collect(),
        import: n.import.iter().map(|text| marked(&sentence(text))).collect(),
        gate: n.gate.as_ref().map_or_else(Vec::new, gate),
        drift: drift.iter().map(|text| marked(&sentence(text))).collect(),
        drift_at: if drift_at.is_empty() { drift_at } else { clock.moment(&drift_at) },
        data: n.quality.map(|q| data::data(q, &clock)),
        promises: promises(n.promises, &clock),
        history: n.history.iter().map(|row| history(row, &clock)).collect(),
        facts: vec![
            ("Exit code", n.exit_code.to_string()),
            ("Duration", format!("{} s", number::plain(n.seconds, PROSE).text)),
            ("Time zone", clock.zone_at(&n.last.at)),
            ("twinopt", env!("CARGO_PKG_VERSION").to_owned()),
        ],
    };
    page.render().map_err(|e| Error::Internal(format!("template of the night: {e}")))
}

fn gate(g: &GateFigures) -> Vec<GateRow> {
    let row =
        |name: &str, value: Quantity, rule: String, bad: bool| GateRow { name: name.to_owned(), value, rule, bad };
    let tolerance = number::percent_text(g.tolerance);
    let mut out = vec![
        row("Blocks", number::plain(g.blocks as f64, PROSE), "at least 8".into(), false),
        row("Change of the loss", number::percent(g.change).with_sign(), String::new(), false),
        row("Upper 95 % bound of the change", number::percent(g.bound).with_sign(), "below 0".into(), g.bound >= 0.0),
        row(
            "Coverage of the challenger’s 90 % intervals",
            number::percent(g.coverage),
            format!("90 % ± {tolerance}"),
            (g.coverage - 0.9).abs() > g.tolerance,
        ),
        row("Coverage of the champion’s 90 % intervals", number::percent(g.champion_coverage), String::new(), false),
    ];
    out.extend(g.worst_slice.as_ref().map(|(name, change)| {
        let name = format!("Change of the loss in the worst slice ({})", name.replace('`', ""));
        row(&name, number::percent(*change).with_sign(), "at most +5 %".into(), *change > 0.05)
    }));
    out
}

fn history(row: &NightRow, clock: &Clock) -> HistoryRow {
    HistoryRow {
        at: clock.moment(&row.at),
        word: row.word,
        class: row.kind.text_class(),
        reason: marked(&short(&row.reason, 300)),
    }
}
