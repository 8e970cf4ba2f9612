//! The objective, a weighted sum of KPIs. MPC minimises the objective, and cases are compared by their objective
//! values.

use indexmap::IndexMap;

use super::kpi::Kpi;
use crate::config::{At, key_place};
use crate::resolve::{Faults, Names, suggest};

/// Σ price · KPI, in the currency of the prices. Lower is better.
#[derive(Debug, Clone)]
pub struct Objective {
    /// Each KPI with its price per unit.
    pub terms: Vec<(Kpi, f64)>,
}

impl Objective {
    /// Builds the objective from `kpis` and `prices`, which are pairs (index of the KPI, price).
    pub fn new(kpis: &[Kpi], prices: impl IntoIterator<Item = (usize, f64)>) -> Self {
        Self { terms: prices.into_iter().map(|(kpi, price)| (kpis[kpi].clone(), price)).collect() }
    }

    /// Largest lag at which a term reads a signal.
    pub fn depth(&self) -> usize {
        self.terms.iter().map(|(kpi, _)| kpi.depth()).max().unwrap_or(0)
    }

    /// Computes the objective, `[particles]`, from the values of its terms, `[terms][particles]`. The objective is NaN
    /// if a term with a nonzero price is NaN.
    pub fn value(&self, values: &[Vec<f64>]) -> Vec<f64> {
        let rows = values.first().map_or(0, Vec::len);
        let mut out = vec![0.0; rows];
        for ((_, price), column) in self.terms.iter().zip(values) {
            add_priced(*price, column, &mut out);
        }
        out
    }

    /// Computes the objective, `[particles]`, from the values of all KPIs, `[kpis][particles]`.
    pub fn value_of(&self, kpis: &[Kpi], values: &[Vec<f64>]) -> Vec<f64> {
        let rows = values.first().map_or(0, Vec::len);
        let mut out = vec![0.0; rows];
        for (term, price) in &self.terms {
            match kpis.iter().position(|k| k.name == term.name) {
                Some(i) => add_priced(*price, &values[i], &mut out),
                None => out.fill(f64::NAN),
            }
        }
        out
    }
}

/// Converts the prices of KPIs to pairs (index of the KPI in the twin, price); `None` if a price has a fault.
pub fn resolve_prices(
    faults: &mut Faults<'_>,
    names: &Names<'_>,
    prices: &IndexMap<String, At<f64>>,
) -> Option<Vec<(usize, f64)>> {
    let kpis = &names.spec().kpi;
    let mut resolved = Some(Vec::new());
    for (name, price) in prices {
        let index = kpis.get_index_of(name);
        if index.is_none() && !names.is_lost(faults, name) {
            let place = key_place(faults.text(), name, &price.span);
            let known = suggest(name, kpis.keys().map(String::as_str));
            let help = format!("{known}, or add it under `[kpi]` of the twin");
            faults.add("unknown-kpi", &place, format!("there is no KPI `{name}`"), help);
        }
        if !price.is_finite() {
            let message = format!("the price of `{name}` must be a finite number");
            faults.add("out-of-range", &price.span, message, "give a price per unit of the KPI, e.g. `-1.0`");
        }
        resolved = resolved.zip(index).map(|(mut list, index)| {
            list.push((index, price.value));
            list
        });
    }
    resolved
}

/// Adds `price` times the values in `column` to `out`. Nothing is added if the price is zero, even if a value is NaN.
fn add_priced(price: f64, column: &[f64], out: &mut [f64]) {
    if price != 0.0 {
        for (o, v) in out.iter_mut().zip(column) {
            *o += price * v;
        }
    }
}
