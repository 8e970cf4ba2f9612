//! Limits on the sum of a control over a plan or over a period.

use super::periods::Period;
use crate::config::{At, TimeSpan, TotalSpec, Weekdays};
use crate::resolve::{Faults, Names};
use crate::schema::{Bounds, Role};

/// Maximum length of a period, in steps. The length is limited, because each plan adds up all steps
/// since the start of the period (not tuned).
const MOST_STEPS: i64 = 10_000;

/// A limit on the sum of a control's values over the steps of a plan or of a period.
#[derive(Debug, Clone, PartialEq)]
pub struct TotalSettings {
    pub control: usize,
    pub bounds: Bounds,
    /// The period to which the limits apply; `None` means the horizon.
    pub period: Option<Period>,
}

impl TotalSettings {
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        spec: &At<TotalSpec>,
        horizon: TimeSpan,
    ) -> Option<Self> {
        let control = names.control(faults, &spec.control, &spec.control.span);
        let valid_per = spec.per.as_ref().is_none_or(|p| p.ms() > 0);
        if let Some(per) = spec.per.as_ref().filter(|_| !valid_per) {
            let help = "write e.g. `per = \"1d\"`, or remove `per` to limit the total over the horizon";
            faults.add("out-of-range", &per.span, format!("{owner}: `per` must be positive"), help);
        }
        if let (Some(per), Some(step)) = (&spec.per, names.step())
            && per.ms() > MOST_STEPS.saturating_mul(step.ms())
        {
            let message = format!("{owner}: `per` must be at most {MOST_STEPS} steps, but it is {}", per.value);
            let help = "use a shorter period with a smaller limit";
            faults.add("out-of-range", &per.span, message, help);
        }
        for (key, end) in [("at_least", &spec.at_least), ("at_most", &spec.at_most)] {
            if let Some(end) = end.as_ref().filter(|e| e.is_nan()) {
                let message = format!("{owner}: `{key}` must be a number");
                faults.add("out-of-range", &end.span, message, format!("write e.g. `{key} = 400`"));
            }
        }
        match (&spec.at_least, &spec.at_most) {
            (None, None) => {
                let message = format!("{owner}: the total of `{}` has no limit", spec.control.value);
                faults.add("missing-value", &spec.span, message, "specify `at_most`, `at_least`, or both");
                return None;
            }
            (Some(least), Some(most)) if **least > **most => {
                let message = format!("{owner}: `at_least` {} is greater than `at_most` {}", least.value, most.value);
                let help = format!("swap the two: `at_least = {}, at_most = {}`", most.value, least.value);
                faults.add("out-of-range", &least.span, message, help);
                return None;
            }
            _ => {}
        }
        let end = |at: &Option<At<f64>>, open: f64| at.as_ref().map_or(open, |a| a.value);
        let bounds = Bounds { low: end(&spec.at_least, f64::NEG_INFINITY), high: end(&spec.at_most, f64::INFINITY) };
        let total = Self { control: control?, bounds, period: period(faults, owner, spec)? };
        let hard = names.signals.get(spec.control.as_str())?.hard.as_ref().filter(|h| h[0] <= h[1]);
        if let (Some(hard), Some(step), true) = (hard, names.step(), valid_per)
            && let Some((message, help)) =
                total.infeasible(&spec.control, Bounds { low: hard[0], high: hard[1] }, horizon.steps(step, 1), step)
        {
            faults.add("out-of-range", &spec.span, format!("{owner}: {message}"), help);
        }
        Some(total)
    }

    /// Returns a message and a help text if no plan of `horizon` steps with values within `bounds`
    /// can satisfy the limits. `name` is the name of the control.
    pub fn infeasible(&self, name: &str, bounds: Bounds, horizon: usize, step: TimeSpan) -> Option<(String, String)> {
        let horizon = self.period.map_or(horizon, |p| ((p.ms() as f64 / step.ms() as f64).ceil() as usize).max(1));
        let (wanted, steps) = (self.bounds, horizon as f64);
        let (least, most) = (bounds.low * steps, bounds.high * steps);
        let near = |v: f64| 1e-9 * v.abs().max(1e-9);
        if wanted.low > most + near(most) {
            let message = format!(
                "the total of `{name}` must be at least {}, but {horizon} steps of at most {} add up to at most {most}",
                wanted.low, bounds.high
            );
            let help = format!("use at most `at_least = {most}`, or raise the limits of `{name}`");
            return Some((message, help));
        }
        if wanted.high < least - near(least) {
            let message = format!(
                "the total of `{name}` must be at most {}, but {horizon} steps of at least {} add up to at least {least}",
                wanted.high, bounds.low
            );
            let help = format!("write at least `at_most = {least}`, or lower the limits of `{name}`");
            return Some((message, help));
        }
        None
    }
}

/// Returns the period of a limit. Returns `Some(None)` if the limit applies to the horizon, and
/// `None` if the period has a fault.
fn period(faults: &mut Faults<'_>, owner: &str, spec: &TotalSpec) -> Option<Option<Period>> {
    let name = &spec.control;
    let (given, missing) = match (&spec.from, &spec.to) {
        (None, None) if spec.days.is_none() => return Some(spec.per.as_ref().map(|per| Period::Every(per.ms()))),
        (None, None) => {
            let place = spec.days.as_ref().map_or(0..0, |d| d.span.clone());
            let message = format!("{owner}: the total of `{}` has `days`, but no daily period", name.value);
            faults.add("missing-value", &place, message, "add e.g. `from = \"00:00\", to = \"00:00\"` for whole days");
            return None;
        }
        (Some(from), Some(to)) => match &spec.per {
            None => {
                let days = spec.days.as_ref().map_or(Weekdays::EVERY_DAY, |d| d.value);
                return Some(Some(Period::Daily { days, from: from.minutes(), to: to.minutes() }));
            }
            Some(per) => {
                let message = format!("{owner}: the total of `{}` has both `per` and a daily period", name.value);
                faults.add("out-of-range", &per.span, message, "remove `per`, or remove `from` and `to`");
                return None;
            }
        },
        (Some(from), None) => (from, "to"),
        (None, Some(to)) => (to, "from"),
    };
    let message = format!("{owner}: the daily period for the total of `{}` has no `{missing}`", name.value);
    faults.add("missing-value", &given.span, message, format!("add e.g. `{missing} = \"06:00\"`"));
    None
}

/// Whether `name` is a control of the twin.
pub(super) fn is_control(names: &Names<'_>, name: &str) -> bool {
    names.signals.get(name).is_some_and(|s| *s.role == Role::Control)
}
