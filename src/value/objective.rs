//! The one figure that cases are ranked by and that MPC minimises.

use super::kpi::Kpi;

/// Σ price × KPI, in the money of the prices; lower is better.
#[derive(Debug, Clone)]
pub struct Objective {
    /// (KPI, price per unit of it).
    pub terms: Vec<(Kpi, f64)>,
}

impl Objective {
    /// The terms whose KPI is in `kpis`, by name; `Err` names the first that is not.
    pub fn of<'a>(kpis: &[Kpi], prices: impl IntoIterator<Item = (&'a str, f64)>) -> Result<Self, String> {
        let terms = prices.into_iter().map(|(name, price)| {
            let kpi = kpis.iter().find(|k| k.name == name).ok_or_else(|| name.to_owned())?;
            Ok((kpi.clone(), price))
        });
        Ok(Self { terms: terms.collect::<Result<_, String>>()? })
    }

    /// Largest lag that a term reads.
    pub fn depth(&self) -> usize {
        self.terms.iter().map(|(kpi, _)| kpi.depth()).max().unwrap_or(0)
    }

    /// Of the terms' values `[terms][particles]`: `[particles]`. A term without a value makes the sum NaN.
    pub fn value(&self, values: &[Vec<f64>]) -> Vec<f64> {
        let rows = values.first().map_or(0, Vec::len);
        let mut out = vec![0.0; rows];
        for ((_, price), column) in self.terms.iter().zip(values) {
            add_priced(*price, column, &mut out);
        }
        out
    }

    /// Of the values of `kpis`, `[kpis][particles]`, of which the terms are a part: `[particles]`.
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

/// A price of zero counts nothing, whatever the value.
fn add_priced(price: f64, column: &[f64], out: &mut [f64]) {
    if price != 0.0 {
        for (o, v) in out.iter_mut().zip(column) {
            *o += price * v;
        }
    }
}
