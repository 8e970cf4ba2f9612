//! The promise of a report that a verification checks, and the ledger of all verifications of a plant.

use std::path::{Path, PathBuf};

use super::stored::StoredResults;
use crate::disk::{append_line, read_if_present};
use crate::error::{Error, Result};
use crate::scenario::results::{Difference, KpiResult, Results};
use crate::value::Kpi;
use crate::verify::{Entry, Ledger, Promise};

/// The saving that the report in `path` promises for the KPI `kpi` in `case`, or in the only case of the report if
/// `case` is not given.
///
/// # Errors
/// [`Error::Usage`] if the report does not promise a saving that can be compared with this verification.
pub fn promise(path: &Path, case: Option<&str>, plant: &str, kpi: &Kpi) -> Result<Promise> {
    let StoredResults { results, hash, .. } = StoredResults::read(path)?;
    let refused = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    if results.plant != plant {
        return Err(refused(format!("the report is about the plant `{}`, not `{plant}`", results.plant)));
    }
    let case = chosen_case(&results, case).map_err(refused)?;
    let (kpis, cash_change, days) = totals(&results, &case).map_err(refused)?;
    let row = kpis.iter().find(|k| k.name == kpi.name).ok_or_else(|| {
        let names: Vec<String> = kpis.iter().map(|k| format!("`{}`", k.name)).collect();
        refused(format!("the report has no KPI `{}`; its KPIs are {}", kpi.name, names.join(", ")))
    })?;
    let unit = &kpi.unit.text;
    if row.unit != *unit || row.kind != kpi.kind() {
        return Err(refused(format!(
            "the KPI `{}` of the report (in {}) differs from the KPI that is verified (in {unit}); run the scenarios again",
            kpi.name, row.unit
        )));
    }
    // If the KPI is the whole cost, its change is stated as the saving of the case, which is scaled down if the plans
    // are over-optimistic.
    let whole = results.cash.as_ref().is_some_and(|c| c.kpis == [kpi.name.clone()] && c.unit == *unit);
    let change = cash_change.filter(|_| whole).or(row.change);
    let change = change
        .filter(|d| d.low.is_finite() && d.high.is_finite())
        .ok_or_else(|| refused(format!("the report gives no interval for the change of `{}` in `{case}`", kpi.name)))?;
    Ok(Promise {
        report: hash,
        run: results.provenance.run_id.clone(),
        case,
        kpi: kpi.name.clone(),
        unit: unit.clone(),
        data_end: results.provenance.data_end.clone(),
        saving: -change.mean,
        low: -change.high,
        high: -change.low,
        days,
    })
}

/// The case with the given name, or the only case besides the baseline.
fn chosen_case(results: &Results, case: Option<&str>) -> std::result::Result<String, String> {
    let mut names: Vec<&str> =
        results.scenarios.iter().flat_map(|s| s.cases.iter().skip(1)).map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let list = || names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    match (case, names.as_slice()) {
        (Some(case), _) if names.contains(&case) => Ok(case.to_owned()),
        (Some(case), _) => Err(format!("the report has no case `{case}`; its cases are {}", list())),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => Err("the report has no case besides the baseline".to_owned()),
        (None, _) => Err(format!("choose the case that was put into operation with `--case`: {}", list())),
    }
}

/// The KPIs of a case, the change of its cost, and the number of days to which they refer: the days of the year, or
/// those of the scenario if there is only one.
fn totals<'a>(
    results: &'a Results,
    case: &str,
) -> std::result::Result<(&'a [KpiResult], Option<Difference>, f64), String> {
    if let Some(annual) = results.annual.iter().find(|a| a.case == case) {
        return Ok((&annual.kpis, annual.cash_change, annual.days));
    }
    let runs = results.scenarios.iter().filter_map(|s| Some((s, s.cases.iter().skip(1).find(|c| c.name == case)?)));
    match runs.collect::<Vec<_>>().as_slice() {
        [(scenario, found)] => Ok((&found.kpis, found.cash_change, scenario.hours / 24.0)),
        _ => Err(format!(
            "the report has no total for `{case}` over its scenarios; set `days_per_year` in the scenarios, or run a single \
             scenario and give the folder of its report"
        )),
    }
}

/// The file with the ledger of the plant in the folder `dir`.
fn ledger_file(dir: &Path) -> PathBuf {
    dir.join("verify").join("ledger.jsonl")
}

/// The ledger of the plant in the folder `dir`.
///
/// # Errors
/// [`Error::Data`] if the ledger is damaged or was changed.
pub fn ledger(dir: &Path) -> Result<Ledger> {
    let file = ledger_file(dir);
    let bytes = read_if_present(&file).map_err(|e| Error::no_input(&file, e.to_string()))?.unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| Error::Data(format!("{} is not UTF-8 text", file.display())))?;
    Ledger::parse(&text, &file.display().to_string())
}

/// Appends `entry` to the ledger of the plant in the folder `dir`. The caller holds the lock.
pub fn append(dir: &Path, ledger: &mut Ledger, entry: Entry) -> Result<()> {
    append_line(&ledger_file(dir), &ledger.append(entry)?)
}
