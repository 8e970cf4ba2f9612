//! Counts the answers, decisions and flags of a live loop.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::protocol::answer::Answer;
use crate::schema::{Bounds, Role, Schema};
use crate::stats::{quantile_type_6, sorted_finite};
use crate::twin::Support;
use crate::units::unit_suffix;

/// Number of answers whose computing times are kept, enough for 18 hours at one answer per second (not tuned).
const MAX_TIMES: usize = 65_536;
/// Maximum number of KPIs that are averaged (not tuned).
const MAX_KPIS: usize = 64;
/// KPI values of at least this magnitude are considered implausible and are ignored (not tuned).
const MAX_KPI: f64 = 1e15;

/// Counts and sums since the loop began.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub lines: usize,
    decided_by: BTreeMap<&'static str, usize>,
    support: [usize; 3],
    flags: BTreeMap<&'static str, usize>,
    /// Computing time of each answer in milliseconds, as a ring buffer.
    ms: Vec<f64>,
    /// KPI name → (sum, number of values).
    kpis: BTreeMap<String, (f64, usize)>,
    /// Signal name → number and size of the violations of its soft limits.
    soft_limits: BTreeMap<String, SoftLimit>,
}

/// Counts of the values of a signal with soft limits.
#[derive(Debug, Clone, Serialize)]
struct SoftLimit {
    unit: String,
    low: Option<f64>,
    high: Option<f64>,
    /// Number of known values.
    values: usize,
    /// Number of values outside the limits.
    violations: usize,
    /// Largest amount by which a value violates the limits.
    worst: f64,
}

impl Tally {
    pub fn add(&mut self, answer: &Answer, ms: f64) {
        if self.ms.len() < MAX_TIMES {
            self.ms.push(ms);
        } else {
            self.ms[self.lines % MAX_TIMES] = ms;
        }
        self.lines += 1;
        *self.decided_by.entry(answer.decided_by.as_str()).or_default() += 1;
        self.support[match answer.support {
            Support::Inside => 0,
            Support::Edge => 1,
            Support::Outside => 2,
        }] += 1;
        for flag in &answer.flags {
            *self.flags.entry(flag.kind.as_str()).or_default() += 1;
        }
    }

    /// Adds the KPIs that the plant reports for the interval that has just ended.
    pub fn add_kpis(&mut self, kpis: &Map<String, Value>) {
        for (name, value) in kpis {
            let Some(v) = value.as_f64().filter(|v| v.abs() < MAX_KPI) else { continue };
            if !self.kpis.contains_key(name) {
                if self.kpis.len() >= MAX_KPIS {
                    continue;
                }
                self.kpis.insert(name.clone(), (0.0, 0));
            }
            if let Some((sum, n)) = self.kpis.get_mut(name) {
                *sum += v;
                *n += 1;
            }
        }
    }

    /// Compares the `values` of all signals that have one of `roles` with their soft limits. Missing values are NaN.
    pub fn add_limits(&mut self, schema: &Schema, values: &[f64], roles: &[Role]) {
        for (signal, value) in schema.signals.iter().zip(values) {
            let Bounds { low, high } = signal.soft;
            if signal.soft == Bounds::OPEN || !value.is_finite() || !roles.contains(&signal.role) {
                continue;
            }
            let end = |v: f64| v.is_finite().then_some(v);
            let limit = self.soft_limits.entry(signal.name.clone()).or_insert_with(|| SoftLimit {
                unit: signal.unit.difference().text,
                low: end(low),
                high: end(high),
                values: 0,
                violations: 0,
                worst: 0.0,
            });
            let excess = signal.soft.excess(*value);
            limit.values += 1;
            limit.violations += usize::from(excess > 0.0);
            limit.worst = limit.worst.max(excess);
        }
    }

    fn kpi_means(&self) -> BTreeMap<&str, f64> {
        self.kpis.iter().map(|(name, (sum, n))| (name.as_str(), sum / *n as f64)).collect()
    }

    fn shares(&self) -> [f64; 3] {
        self.support.map(|n| n as f64 / self.lines.max(1) as f64)
    }

    /// Median and 99th percentile of the computing time per answer, in milliseconds.
    pub fn ms(&self) -> (f64, f64) {
        let sorted = sorted_finite(&self.ms);
        (quantile_type_6(&sorted, 0.5), quantile_type_6(&sorted, 0.99))
    }

    pub fn json(&self) -> Value {
        let ([inside, edge, outside], (median, p99)) = (self.shares(), self.ms());
        json!({
            "lines": self.lines,
            "decided_by": self.decided_by,
            "support": { "inside": inside, "edge": edge, "outside": outside },
            "flags": self.flags,
            "ms": { "median": median, "p99": p99 },
            "kpi_means": self.kpi_means(),
            "soft_limits": self.soft_limits,
        })
    }

    /// Returns the summary as text.
    pub fn text(&self) -> String {
        let counts = |map: &BTreeMap<&'static str, usize>| {
            let list: Vec<String> = map.iter().map(|(name, n)| format!("{name} {n}")).collect();
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        };
        let [inside, edge, outside] = self.shares().map(|s| 100.0 * s);
        let (median, p99) = self.ms();
        let mut text = format!(
            "{} lines answered\ndecided by: {}\nsupport: inside {inside:.0} %, edge {edge:.0} %, outside {outside:.0} %\n\
             flags: {}\n",
            self.lines,
            counts(&self.decided_by),
            counts(&self.flags),
        );
        if self.lines > 0 {
            text += &format!("ms per answer: median {median:.2}, 99th percentile {p99:.2}\n");
        }
        for (name, limit) in self.soft_limits.iter().filter(|(_, limit)| limit.violations > 0) {
            let SoftLimit { unit, low, high, values, violations, worst } = limit;
            let end = |v: &Option<f64>| v.map_or_else(|| "open".to_owned(), |v| v.to_string());
            let unit = unit_suffix(unit);
            text += &format!(
                "soft limit violated: {name} was outside [{}, {}] for {violations} of {values} values, by at most \
                 {worst:.4}{unit}\n",
                end(low),
                end(high)
            );
        }
        for (name, mean) in self.kpi_means() {
            text += &format!("mean {name}: {mean:.6}\n");
        }
        text
    }
}
