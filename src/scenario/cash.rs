//! The cost that a twin defines.

use super::plant::{Compiled, Plant};
use super::results::CashDefinition;
use crate::value::Cash;

/// The cost that the twin defines, compiled with the parameters of a scenario.
pub fn cash(plant: &Plant, compiled: &Compiled) -> Option<Cash> {
    let economics = plant.spec.value.economics.as_ref().map(|e| &e.value);
    Cash::new(&compiled.kpis, &compiled.objective, economics)
}

/// The definition of the cost for the results.
pub fn cash_definition(plant: &Plant) -> Option<CashDefinition> {
    let cash = cash(plant, &plant.compiled)?;
    let kpis = cash.kpis().map(|k| plant.compiled.kpis[k].name.clone()).collect();
    Some(CashDefinition { kpis, unit: cash.unit })
}
