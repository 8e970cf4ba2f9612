//! The risk of an investment in the section “Year and economics”: sensitivities, break-even values and acceptance
//! rates.

use crate::error::Result;
use crate::scenario::results::Economics;
use crate::value::{Input, Risk, Sensitivity};

use super::chart::{self, Head, Whisker};
use super::number::{self, PROSE, Quantity, with_unit};
use super::text::readable;

/// Maximum number of conditions in the sentence about what must be true.
const MAX_CONDITIONS: usize = 3;

/// The sensitivities of one case.
#[derive(Debug)]
pub struct Tornado {
    pub case: String,
    pub svg: String,
    /// What must be true for the investment to pay for itself.
    pub conditions: String,
    /// A text about how the draws of the net present value were made.
    pub method: String,
    pub unit: String,
    pub rows: Vec<TornadoRow>,
}

#[derive(Debug)]
pub struct TornadoRow {
    pub input: &'static str,
    pub unit: String,
    pub low: Quantity,
    pub base: Quantity,
    pub high: Quantity,
    pub npv_low: Quantity,
    pub npv_high: Quantity,
    pub break_even: Option<Quantity>,
    /// Whether there are several break-even values.
    pub several: bool,
}

/// The sensitivities of `case`. `None` if the risk is unknown.
pub fn tornado(case: &str, colour: usize, economics: &Economics, noun: &str) -> Result<Option<Tornado>> {
    let Some(risk) = &economics.risk else { return Ok(None) };
    let unit = number::unit(&economics.currency);
    let name = |input| if input == Input::Saving && noun == "Gain" { "Gain per year" } else { label(input) };
    let rows: Vec<TornadoRow> = risk.sensitivities.iter().map(|s| row(s, name(s.input), &unit)).collect();
    let whisker = |(s, r): (&Sensitivity, &TornadoRow)| Whisker {
        name: r.input.to_owned(),
        colour,
        value: risk.npv,
        low: s.npv_low.min(s.npv_high),
        high: s.npv_low.max(s.npv_high),
        note: match (&r.break_even, r.several) {
            (Some(q), false) => format!("zero at {}", with_unit(&q.text, &r.unit)),
            (Some(q), true) => format!("zero at {} and other values", with_unit(&q.text, &r.unit)),
            (None, true) => "no unique zero".to_owned(),
            (None, false) => "no zero in the searched range".to_owned(),
        },
    };
    let whiskers: Vec<Whisker> = risk.sensitivities.iter().zip(&rows).map(whisker).collect();
    let describe = |w: &Whisker| {
        let q = number::aligned(&[w.low, w.high], PROSE);
        format!("{}: {} to {}, {}", w.name, q[0].text, with_unit(&q[1].text, &unit), w.note)
    };
    let description = whiskers.iter().map(describe).collect::<Vec<_>>().join("; ");
    let head =
        Head { id: "year-t", title: "Net present value over the range of each input", description: &description };
    let error = number::plain(risk.standard_error, 2);
    Ok(Some(Tornado {
        case: readable(case),
        svg: chart::whiskers(head, &whiskers, &unit)?,
        conditions: conditions(risk, &rows),
        method: format!(
            "The distribution of the net present value consists of {} draws. In each draw, the model error is the same in \
             all years. Because the number of draws is finite, P10, P50 and P90 have a standard error of at most {}.",
            number::count(risk.draws),
            with_unit(&error.text, &unit)
        ),
        unit,
        rows,
    }))
}

fn label(input: Input) -> &'static str {
    match input {
        Input::Saving => "Saving per year",
        Input::Capex => "One-time cost",
        Input::Opex => "Running cost",
        Input::Lifetime => "Lifetime",
        Input::DiscountRate => "Discount rate",
        Input::Escalation => "Price escalation",
        Input::Persistence => "Persistence",
        Input::Acceptance => "Advice followed",
    }
}

fn row(s: &Sensitivity, input: &'static str, money: &str) -> TornadoRow {
    let rate = matches!(s.input, Input::DiscountRate | Input::Escalation | Input::Persistence | Input::Acceptance);
    let shown = |v: f64| if rate { number::percent(v) } else { number::plain(v, PROSE) };
    TornadoRow {
        input,
        unit: match s.input {
            Input::Lifetime => "years".to_owned(),
            _ if rate => String::new(),
            _ => money.to_owned(),
        },
        low: shown(s.low),
        base: shown(s.base),
        high: shown(s.high),
        npv_low: number::plain(s.npv_low, PROSE),
        npv_high: number::plain(s.npv_high, PROSE),
        break_even: s.break_even.map(shown),
        several: s.several,
    }
}

/// A text such as `What must be true: the saving per year is above 1 300 EUR, … and …`, or a
/// sentence that no input has a unique break-even value.
fn conditions(risk: &Risk, rows: &[TornadoRow]) -> String {
    let condition = |(s, r): (&Sensitivity, &TornadoRow)| {
        let zero = s.break_even.filter(|_| !s.several)?;
        let value = with_unit(&r.break_even.as_ref()?.text, &r.unit);
        // The sign of the net present value is constant on each side of the break-even value.
        let is_above = if s.base == zero { s.npv_high > s.npv_low } else { (s.base > zero) == (risk.npv >= 0.0) };
        let side = if is_above { "above" } else { "below" };
        Some(format!("the {} is {side} {value}", r.input.to_lowercase()))
    };
    let found: Vec<String> = risk
        .sensitivities
        .iter()
        .zip(rows)
        .filter_map(condition)
        .take(MAX_CONDITIONS)
        .map(|c| c.replace("the advice followed is", "the fraction of the advice that is followed is"))
        .collect();
    match found.split_last() {
        None if rows.iter().any(|r| r.several) => {
            "No input has a unique break-even value within the searched range.".to_owned()
        }
        None if risk.npv >= 0.0 => "No change of a single input within the searched range makes the net present value \
                                    negative."
            .to_owned(),
        None => {
            "No change of a single input within the searched range makes the net present value positive.".to_owned()
        }
        Some((last, rest)) => {
            let rest = if rest.is_empty() { String::new() } else { format!("{} and ", rest.join(", ")) };
            format!(
                "What must be true: {rest}{last}. Each of these break-even values applies if all other inputs keep their \
                 values."
            )
        }
    }
}
