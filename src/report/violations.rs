//! Compares the limit violations of a case with the violations of the baseline.

use crate::scenario::results::{CaseResult, LimitKind, LimitUse};

use super::runs::{CaseRun, counterpart};

/// An increase in the duration of violations is ignored if it is at most this fraction of the time
/// (not tuned).
const SLACK_SHARE: f64 = 0.001;
/// In a single scenario, a case may violate a soft limit for up to this additional fraction of the time, if it does not
/// violate the limit more often over all scenarios together (not tuned).
const SLACK_SOFT: f64 = 0.01;
/// An increase in the duration of violations is ignored if it is at most this fraction of the
/// duration in the baseline and at most [`SLACK_SOFT`] of the time (not tuned).
const SLACK_FACTOR: f64 = 0.1;
/// An increase in the probability of a violation is ignored if it corresponds to at most this number of particles (not
/// tuned).
const SLACK_PARTICLES: f64 = 1.5;
/// An increase in the probability of a violation by up to this value is ignored, regardless of the number of particles
/// (not tuned).
const SLACK_CHANCE: f64 = 0.05;

/// A case is worse than the baseline if it exceeds a hard limit by more than this multiple of the
/// largest violation in the baseline (not tuned).
const SLACK_WORST: f64 = 1.25;

/// Limits that `run.case` violates more often than its baseline, and hard limits that it exceeds
/// further. Differences are ignored if they are too small to be distinguished from zero with the
/// given number of simulated futures.
pub fn violated_more(run: CaseRun<'_>) -> Vec<(CaseRun<'_>, &LimitUse)> {
    let slack_chance = (SLACK_PARTICLES / run.scenario.particles.max(1) as f64).max(SLACK_CHANCE);
    let mut out = Vec::new();
    for used in &run.case.limits {
        let base = counterpart(used, run.baseline);
        let (share, chance) = base.map_or((0.0, 0.0), |b| (b.share_beyond, b.chance));
        let longer = used.share_beyond > share + slack(share);
        let worst = base.map_or(0.0, |b| b.worst);
        let further =
            used.kind == LimitKind::Hard && used.share_beyond > SLACK_SHARE && used.worst > SLACK_WORST * worst;
        if longer || further || (used.chance > chance + slack_chance && used.share_beyond > share) {
            out.push((run, used));
        }
    }
    out
}

/// The baseline violates a limit if its violations last for more than this fraction of the time
/// (not tuned).
const VIOLATED: f64 = 0.01;
/// A case keeps a limit if its violations last for at most this fraction of the duration in the
/// baseline (not tuned).
const KEPT: f64 = 0.1;

/// Among the hard limits that the baseline violates and `run.case` keeps, the limit that the
/// baseline violates for the longest time. Returns the entry of the baseline.
pub fn kept_limit(run: CaseRun<'_>) -> Option<&LimitUse> {
    let is_kept = |before: &&LimitUse| {
        let share = counterpart(before, run.case).map_or(1.0, |l| l.share_beyond);
        before.kind == LimitKind::Hard && before.share_beyond > VIOLATED && share <= KEPT * before.share_beyond
    };
    run.baseline.limits.iter().filter(is_kept).max_by(|a, b| a.share_beyond.total_cmp(&b.share_beyond))
}

/// The additional fraction of the time that is ignored if the baseline violates the limit for `share` of the time.
fn slack(share: f64) -> f64 {
    (SLACK_FACTOR * share).clamp(SLACK_SHARE, SLACK_SOFT)
}

/// The mean fraction of the time beyond a limit over `runs`, weighted by [`CaseRun::weight`].
/// `share` returns the fraction in one run. `None` if no run has the limit.
pub fn mean_share(runs: &[CaseRun<'_>], share: &dyn Fn(&CaseRun<'_>) -> Option<f64>) -> Option<f64> {
    let shares: Vec<(f64, f64)> = runs.iter().filter_map(|r| Some((share(r)?, r.weight))).collect();
    let total: f64 = shares.iter().map(|s| s.1).sum();
    let weight = |w: f64| if total > 0.0 { w / total } else { 1.0 / shares.len() as f64 };
    (!shares.is_empty()).then(|| shares.iter().map(|(share, w)| weight(*w) * share).sum())
}

/// Whether additional violations of a limit in one scenario exclude the case.
pub fn excludes(run: CaseRun<'_>, used: &LimitUse, runs: &[CaseRun<'_>]) -> bool {
    if used.kind == LimitKind::Hard {
        return true;
    }
    let share = |case: &CaseResult| counterpart(used, case).map_or(0.0, |l| l.share_beyond);
    let now = mean_share(runs, &|r| Some(share(r.baseline))).unwrap_or(0.0);
    let then = mean_share(runs, &|r| Some(share(r.case))).unwrap_or(0.0);
    used.share_beyond > share(run.baseline) + SLACK_SOFT || then > now + slack(now)
}
