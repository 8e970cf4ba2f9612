//! The requirements of a case, and the parameters that are varied to meet the requirements.

use super::ControllerSettings;
use crate::config::{At, CaseSpec, ControllerSpec};
use crate::resolve::{Faults, Names, suggest};
use crate::schema::Bounds;

/// The resolved keys `search` and `require` of a case.
#[derive(Debug, Clone, Default)]
pub struct CaseTarget {
    /// The parameters to search, each with the range of its values.
    pub search: Vec<(String, Bounds)>,
    /// The required KPIs, each with the allowed range of its mean.
    pub require: Vec<(String, Bounds)>,
}

/// Maximum number of parameters to search. The limit is needed because the number of candidates
/// grows exponentially with the number of parameters.
const MOST_PARAMETERS: usize = 3;

impl CaseTarget {
    /// Resolves the target of a case. `owner` is the name of the case in messages.
    pub fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, case: &CaseSpec) -> Self {
        let spec = names.spec();
        if let Some((_, first)) = case.search.first() {
            if !matches!(case.controller.value, ControllerSpec::BaseStock(_) | ControllerSpec::Rule(_)) {
                let message = format!("{owner}: the controller has no expressions that could contain a parameter");
                faults.add("wrong-place", &first.span, message, "use `search` with `base_stock` or `rule`");
            }
            if case.search.len() > MOST_PARAMETERS {
                let message = format!("{owner}: `search` lists {} parameters", case.search.len());
                faults.add("out-of-range", &first.span, message, format!("list at most {MOST_PARAMETERS} parameters"));
            }
        }
        let search = case.search.iter().filter_map(|(name, at)| {
            let At { value: [low, high], span } = at;
            if !spec.parameters.contains_key(name) {
                let message = format!("{owner}: there is no parameter `{name}`");
                let help = format!(
                    "add `{name} = {{ value = {low} }}` to `[parameters]` of the twin, or {}",
                    suggest(name, spec.parameters.keys().map(String::as_str))
                );
                faults.add("unknown-parameter", span, message, help);
                return None;
            }
            if !(low < high && low.is_finite() && high.is_finite()) {
                let message = format!("{owner}: the range [{low}, {high}] of `{name}` is empty");
                faults.add("out-of-range", span, message, "write the lowest value first");
                return None;
            }
            Some((name.clone(), Bounds { low: *low, high: *high }))
        });
        let search = search.collect();
        let require = case.require.iter().filter_map(|(name, at)| {
            if !spec.kpi.contains_key(name) {
                let help = suggest(name, spec.kpi.keys().map(String::as_str));
                faults.add("unknown-kpi", &at.span, format!("{owner}: there is no KPI `{name}`"), help);
                return None;
            }
            let bound = |limit: &Option<At<f64>>, open: f64| limit.as_ref().map_or(open, |v| v.value);
            let (low, high) = (bound(&at.value.at_least, f64::NEG_INFINITY), bound(&at.value.at_most, f64::INFINITY));
            if (low == f64::NEG_INFINITY && high == f64::INFINITY) || low > high {
                let message = format!("{owner}: the requirement on `{name}` has no limits, or contradictory limits");
                faults.add("missing-value", &at.span, message, "write e.g. `{ at_least = 0.98 }`");
                return None;
            }
            Some((name.clone(), Bounds { low, high }))
        });
        Self { search, require: require.collect() }
    }

    /// Resolves the controller of a case with `values` for the parameters in `search`.
    pub fn controller(
        &self,
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        controller: &At<ControllerSpec>,
        values: &[f64],
    ) -> Option<ControllerSettings> {
        let mut names = names.clone();
        for ((name, _), value) in self.search.iter().zip(values) {
            if let Some(parameter) = names.scope.parameters.get_mut(name) {
                parameter.0 = *value;
            }
        }
        ControllerSettings::resolve(faults, &names, owner, controller)
    }

    /// The sum of the distances between the means of the required KPIs and their ranges, each
    /// divided by the violated limit. `mean` returns the mean of a KPI.
    pub fn shortfall(&self, mean: impl Fn(&str) -> f64) -> f64 {
        let one = |(name, range): &(String, Bounds)| {
            let limit = if range.low.is_finite() { range.low } else { range.high };
            let excess = range.excess(mean(name));
            if excess.is_nan() { f64::INFINITY } else { excess / limit.abs().max(f64::MIN_POSITIVE) }
        };
        self.require.iter().map(one).sum()
    }
}
