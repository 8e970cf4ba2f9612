//! The statement that the baseline violates a hard limit.

use crate::scenario::results::{CaseResult, LimitKind};

use super::cases::RankedCase;
use super::number;
use super::saving::Words;
use super::text::{readable, short, tag};
use super::violations::mean_share;

/// The baseline violation is not reported if it lasts for at most this fraction of the time (not
/// tuned).
const MIN_SHARE: f64 = 0.01;
/// A case is named as a remedy if its violations last for at most this fraction of the duration in
/// the baseline (not tuned).
const REDUCTION: f64 = 0.2;

/// A sentence about the hard limit that the baseline violates for the longest time, and about the
/// best case that nearly ends these violations. Without this sentence, “no case is better” would
/// hide that the present operation is not permitted.
pub fn breach(ranked: &[RankedCase<'_>], words: Words) -> Option<String> {
    let first = ranked.first()?;
    let of = |case: &CaseResult, signal: &str| {
        case.limits.iter().find(|l| l.signal == signal && l.kind == LimitKind::Hard).map(|l| l.share_beyond)
    };
    let is_control = |signal: &str| first.runs.iter().flat_map(|r| &r.case.controls).any(|c| c.signal == signal);
    let signals = first.runs.iter().flat_map(|r| &r.baseline.limits).map(|l| l.signal.as_str());
    let shares = signals
        .filter(|s| !is_control(s))
        .filter_map(|signal| Some((mean_share(&first.runs, &|r| of(r.baseline, signal))?, signal)));
    let (now, signal) = shares.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|s| s.0 > MIN_SHARE)?;
    let then = |p: &RankedCase<'_>| mean_share(&p.runs, &|r| of(r.case, signal)).unwrap_or(now);
    let remedy = ranked.iter().find(|p| then(p) <= REDUCTION * now && p.violated.is_empty());
    let remedy = remedy.map_or_else(String::new, |p| {
        let (case, amount) = (short(&readable(p.case), 40), words.amount(&p.saving, "about "));
        format!(" “{case}” reduces this to {} and {amount}.", number::percent_text(then(p)))
    });
    let share = number::percent_text(now);
    Some(format!("The baseline violates the hard limit of {} {share} of the time.{remedy}", tag(signal, 40)))
}
