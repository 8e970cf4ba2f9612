//! Tables of KPIs and economics with one column per case.

use crate::scenario::results::{AnnualResult, Difference, Economics, Estimate, KpiResult, MeasuredKpi, Results};
use crate::value::Risk;

use super::display::Display;
use super::number::{self, Interval, PROSE, Quantity, TABLE};
use super::saving;
use super::text::readable;

#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    /// Palette entry of the case; `None` for measured values.
    pub colour: Option<usize>,
}

#[derive(Debug)]
pub struct Row {
    pub name: String,
    /// The KPI in the results, and the factor from its unit to the printed unit; `None` for totals.
    pub kpi: Option<(String, f64)>,
    pub unit: String,
    /// Description of the price of the KPI in the objective.
    pub priced: String,
    /// Whether the row is a total. A line separates totals from the rows above.
    pub total: bool,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Default)]
pub struct Cell {
    pub value: Option<Quantity>,
    /// P10 and P90.
    pub range: Option<(Quantity, Quantity)>,
    pub change: Option<Change>,
    /// Text to show instead of a value.
    pub note: String,
}

/// The difference case − baseline with its 90 % interval.
#[derive(Debug)]
pub struct Change {
    pub value: Quantity,
    /// Half-width of the interval if it is symmetric about the value. The text is empty if the half-width rounds to
    /// zero.
    pub half: Option<String>,
    pub low: Quantity,
    pub high: Quantity,
    pub measurable: bool,
    /// Whether the change has an interval: false if there is only one simulation.
    pub has_interval: bool,
    /// `good`, `bad`, or empty if neither direction is better.
    pub tone: &'static str,
}

impl Change {
    /// The sign of `price` gives the better direction: a KPI with a positive price should decrease.
    pub fn new(d: &Difference, price: Option<f64>) -> Self {
        Self::from_interval(d, number::difference(d, TABLE), price)
    }

    /// The change of a fraction, in percentage points.
    fn share(d: &Difference, price: Option<f64>) -> Self {
        Self::from_interval(d, Interval::shares(d.mean, d.low, d.high, TABLE, "%\u{a0}points").with_signs(), price)
    }

    fn from_interval(d: &Difference, i: Interval, price: Option<f64>) -> Self {
        let half = (d.high - d.low) / 2.0;
        let symmetric = half > 0.0 && (d.mean - (d.low + d.high) / 2.0).abs() <= 0.15 * half;
        let tone = match price.filter(|p| *p != 0.0 && d.measurable).map(|p| p * d.mean < 0.0) {
            None => "",
            Some(true) => "good",
            Some(false) => "bad",
        };
        // The half-width is rounded to the same decimal place as the change. A half-width that rounds to zero is not
        // printed.
        let share = i.value.text.contains('%');
        let half = (symmetric && !share).then(|| number::rounded_like(half, &i.value).text);
        Self {
            value: i.value,
            half,
            low: i.low,
            high: i.high,
            measurable: d.measurable,
            has_interval: d.low.is_finite(),
            tone,
        }
    }
}

impl Table {
    /// Inserts a column with the measured value of each KPI before all other columns. Returns the table unchanged if
    /// nothing was measured.
    #[must_use]
    pub fn with_measured(mut self, measured: &[MeasuredKpi]) -> Self {
        if measured.is_empty() {
            return self;
        }
        self.columns.insert(0, Column { name: "measured".into(), colour: None });
        for row in &mut self.rows {
            let found = row.kpi.as_ref().and_then(|(name, f)| Some((measured.iter().find(|m| m.name == *name)?, *f)));
            let cell = found.map_or_else(
                || Cell::note("–"),
                |(m, factor)| {
                    let share = row.unit == "%";
                    let value = match share {
                        true => number::percent(m.value),
                        false => number::plain(factor * m.value, TABLE),
                    };
                    let missing = format!("{} missing", number::percent_text(m.missing));
                    Cell {
                        value: Some(value),
                        note: if m.missing > 0.0 { missing } else { String::new() },
                        ..Cell::default()
                    }
                },
            );
            row.cells.insert(0, cell);
        }
        self
    }
}

/// The row with the cost, on which every saving is based. For each column, `cases` contains the cost and the change in
/// cost. `None` if the results define no cost, or if the row of a single KPI already shows the same values.
pub fn cost_row(
    results: &Results,
    columns: &[&[KpiResult]],
    cases: &[(Option<Estimate>, Option<Difference>)],
) -> Option<Row> {
    let cash = results.cash.as_ref()?;
    let is_shown = |(kpis, (cost, change)): (&&[KpiResult], &(Option<Estimate>, Option<Difference>))| {
        let kpi = kpis.iter().find(|k| cash.kpis == [k.name.as_str()] && k.unit == cash.unit);
        kpi.is_some_and(|k| Some(k.value) == *cost && k.change == *change)
    };
    if columns.iter().zip(cases).all(is_shown) {
        return None;
    }
    let cell = |(cost, change): &(Option<Estimate>, Option<Difference>)| match cost {
        Some(cost) => Cell::estimate(cost, change.as_ref().map(|d| Change::new(d, Some(1.0)))),
        None => Cell::note("–"),
    };
    let names: Vec<String> = cash.kpis.iter().map(|k| readable(k)).collect();
    Some(Row {
        name: "cost".into(),
        kpi: None,
        unit: saving::unit(results),
        priced: format!("{}; savings are decreases of this cost", names.join(" + ")),
        total: true,
        cells: cases.iter().map(cell).collect(),
    })
}

/// The row with the objective, which also contains penalties.
pub fn objective_row(currency: &str, cases: impl Iterator<Item = (Estimate, Option<Difference>)>) -> Row {
    let cell = |(value, change): (Estimate, Option<Difference>)| {
        Cell::estimate(&value, change.as_ref().map(|d| Change::new(d, Some(1.0))))
    };
    Row {
        name: "objective".into(),
        kpi: None,
        unit: number::unit(currency),
        priced: "sum of price × KPI, including penalties".into(),
        total: true,
        cells: cases.map(cell).collect(),
    }
}

impl Cell {
    pub fn estimate(e: &Estimate, change: Option<Change>) -> Self {
        Self::from_interval(e, number::estimate(e, TABLE), change)
    }

    fn share(e: &Estimate, change: Option<Change>) -> Self {
        Self::from_interval(e, Interval::shares(e.p50, e.p10, e.p90, TABLE, "%"), change)
    }

    fn from_interval(e: &Estimate, i: Interval, change: Option<Change>) -> Self {
        let range = (e.p90 > e.p10).then_some((i.low, i.high));
        Self { value: Some(i.value), range, change, note: String::new() }
    }

    /// The mean of a difference with its 90 % interval.
    fn difference(d: &Difference) -> Self {
        let [low, high] = [d.low, d.high].map(|v| if v.is_finite() { v } else { d.mean });
        let i = number::within(d.mean, low, high, PROSE);
        Self { range: (low < high).then_some((i.low, i.high)), value: Some(i.value), ..Self::default() }
    }

    fn plain(v: f64) -> Self {
        Self { value: Some(number::plain(v, TABLE)), ..Self::default() }
    }

    fn note(text: impl Into<String>) -> Self {
        Self { note: text.into(), ..Self::default() }
    }
}

/// One row for each KPI of the first case. If another case lacks this KPI, its cell shows a dash.
pub fn kpi_rows(columns: &[&[KpiResult]], currency: &str) -> Vec<Row> {
    let Some(first) = columns.first() else { return Vec::new() };
    let row = |k: &KpiResult| {
        let own = number::unit(&k.unit);
        let share = k.kind.is_share();
        let per = if own.is_empty() { String::new() } else { format!(" per {own}") };
        let found = columns.iter().filter_map(|kpis| kpis.iter().find(|o| o.name == k.name));
        let Display { factor, unit } = Display::new(&k.unit, found.map(|o| o.value.p50.abs()).fold(0.0, f64::max));
        let cell = |kpis: &&[KpiResult]| match kpis.iter().find(|o| o.name == k.name) {
            Some(o) if share => Cell::share(&o.value, o.change.as_ref().map(|d| Change::share(d, o.price))),
            Some(o) => {
                let change = o.change.as_ref().map(|d| Change::new(&d.in_unit(factor), o.price));
                Cell::estimate(&o.value.in_unit(factor), change)
            }
            None => Cell::note("–"),
        };
        Row {
            name: readable(&k.name),
            kpi: Some((k.name.clone(), factor)),
            priced: match k.price {
                // A price such as `1 EUR per EUR` contains no information.
                Some(p) if p == 1.0 && k.unit == currency => "counts in full".to_owned(),
                Some(p) => format!("priced at {} {currency}{per}", number::plain(p, TABLE).text),
                None => String::new(),
            },
            unit: match unit.is_empty() {
                true if share => "%".to_owned(),
                true => "–".to_owned(),
                false => unit,
            },
            total: false,
            cells: columns.iter().map(cell).collect(),
        }
    };
    first.iter().map(row).collect()
}

/// The economics of the cases in `annual`, without the cases for which none were computed.
pub fn economics_rows(results: &Results, annual: &[&AnnualResult], noun: &str) -> Vec<Row> {
    let cases: Vec<(&AnnualResult, &Economics)> =
        annual.iter().filter_map(|a| Some((*a, a.economics.as_ref()?))).collect();
    let Some((_, first)) = cases.first() else { return Vec::new() };
    let currency = number::unit(&first.currency);
    let saved = Row {
        name: format!("{noun} in the first year"),
        kpi: None,
        unit: currency.clone(),
        priced: "mean and 90 % interval".into(),
        total: false,
        cells: cases.iter().map(|(a, _)| Cell::difference(&saving::of_year(results, a))).collect(),
    };
    let row = |name: &str, unit: &str, cell: &dyn Fn(&Economics) -> Cell| Row {
        name: name.into(),
        kpi: None,
        unit: unit.into(),
        priced: String::new(),
        total: false,
        cells: cases.iter().map(|(_, e)| cell(e)).collect(),
    };
    let years = |v: Option<f64>| {
        v.map_or_else(|| Cell::note("never"), |y| Cell { value: Some(number::plain(y, 2)), ..Cell::default() })
    };
    let payback = |e: &Economics, v: Option<f64>| match v {
        Some(_) if e.capex <= 0.0 => Cell::note("at once"),
        v => years(v),
    };
    let share = |e: &Economics, v: Option<f64>, none: &str| match v {
        // An exact figure would not be credible for a value above 1000 %.
        Some(v) if v > 10.0 => Cell::note("above 1\u{202f}000\u{a0}%"),
        Some(v) => Cell { value: Some(number::percent(v)), ..Cell::default() },
        None if e.capex <= 0.0 => Cell::note("no investment"),
        None => Cell::note(none),
    };
    let risk = |e: &Economics, cell: &dyn Fn(&Risk) -> Cell| e.risk.as_ref().map_or_else(|| Cell::note("–"), cell);
    let fraction = |v: f64| Cell { value: Some(number::percent(v)), ..Cell::default() };
    let mut out = vec![
        saved,
        row("One-time cost (CAPEX)", &currency, &|e| Cell::plain(e.capex)),
        row("Running cost per year (OPEX)", &currency, &|e| Cell::plain(e.opex_per_year)),
        Row {
            priced: "median, P10 to P90".into(),
            ..row("Net present value (NPV)", &currency, &|e| Cell::estimate(&e.npv, None))
        },
        row("Probability of a negative NPV", "", &|e| risk(e, &|r| fraction(r.chance_of_loss))),
        row("Mean NPV of the worst 5 % (CVaR)", &currency, &|e| risk(e, &|r| Cell::plain(r.worst))),
        row("Payback", "years", &|e| payback(e, e.payback)),
        row("Payback, discounted", "years", &|e| payback(e, e.discounted_payback)),
        row("Internal rate of return (IRR)", "per year", &|e| share(e, e.irr, e.irr_note.as_deref().unwrap_or("none"))),
        row("Return on investment (ROI)", "", &|e| share(e, e.roi, "none")),
    ];
    let rates = first.risk.iter().flat_map(|r| r.acceptance.iter().map(|a| a.rate)).collect::<Vec<_>>();
    for (i, rate) in rates.into_iter().enumerate().filter(|(_, rate)| *rate < 1.0) {
        let name = format!("NPV if {} of the advice is followed", number::percent_text(rate));
        let cell = |r: &Risk| r.acceptance.get(i).map_or_else(|| Cell::note("–"), |a| Cell::estimate(&a.npv, None));
        out.push(Row { priced: "median, P10 to P90".into(), ..row(&name, &currency, &|e| risk(e, &cell)) });
    }
    out
}
