//! Equations, KPIs and objective of a plant, compiled with the parameters of a scenario.

use std::ops::Range;

use indexmap::IndexMap;

use crate::config::{At, Change, Loaded, TwinSpec};
use crate::error::{Error, Fault, Result};
use crate::expr::Scope;
use crate::learn::Equations;
use crate::resolve::{Faults, Names};
use crate::schema::Schema;
use crate::value::{Kpi, Objective, resolve_prices};

/// Equations, KPIs and objective of a plant, compiled with the parameters of a scenario.
pub struct Compiled {
    pub scope: Scope,
    pub equations: Equations,
    pub kpis: Vec<Kpi>,
    pub objective: Objective,
}

impl Compiled {
    /// Compiles the equations and KPIs after applying `changes` to the parameters.
    pub fn new(spec: &Loaded<TwinSpec>, schema: &Schema, changes: &IndexMap<String, At<Change>>) -> Result<Self> {
        let fault = |span: Range<usize>, code, message: String, help: String| {
            Fault::new(code, &spec.path, &spec.text, Some(span), message, help)
        };
        let scope = Scope::new(&spec.value, schema, changes)
            .map_err(|(m, span)| Error::Config(vec![fault(span, "parameter", m, "see `twinopt check`".into())]))?;
        let mut faults = Vec::new();
        let equations = Equations::compile(&spec.value, schema, &scope).unwrap_or_else(|list| {
            faults.extend(list.into_iter().map(|(span, f)| fault(span, f.code, f.message, f.help)));
            Equations::default()
        });
        let names = Names::new(spec).with(changes);
        let mut resolved = Faults::new(spec);
        let kpis = spec.value.kpi.iter().filter_map(|(name, kpi)| Kpi::resolve(&mut resolved, &names, name, kpi));
        let kpis: Vec<Kpi> = kpis.collect();
        let prices = resolve_prices(&mut resolved, &names, &spec.value.objective);
        faults.extend(resolved.into_list());
        let (true, Some(prices)) = (faults.is_empty(), prices) else { return Err(Error::Config(faults)) };
        let objective = Objective::new(&kpis, prices);
        Ok(Self { scope, equations, kpis, objective })
    }
}
