//! The colours of the cases.

use super::cases::RankedCase;
use super::chart;
use super::runs;
use crate::scenario::results::Results;

/// The palette entries of the cases. A case has the same palette entry in all scenarios.
#[derive(Debug)]
pub struct Colours<'a>(Vec<&'a str>);

impl<'a> Colours<'a> {
    /// Assigns palette entries to the baseline, the case on the first page and the other cases, in this order.
    pub fn new(results: &'a Results, ranked: &[RankedCase<'a>]) -> Self {
        let baseline = runs::completed(results).filter_map(|s| s.cases.first()).map(|c| c.name.as_str()).take(1);
        let others = runs::completed(results).flat_map(|s| s.cases.iter().skip(1)).map(|c| c.name.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in baseline.chain(ranked.first().map(|p| p.case)).chain(others) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self(names)
    }

    pub fn get(&self, name: &str) -> usize {
        chart::colour(self.0.iter().position(|n| *n == name).unwrap_or(0))
    }
}
