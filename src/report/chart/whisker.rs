//! Chart of values and their intervals: one row per value, on a common axis with a zero line.

use super::canvas::{self, Anchor, Head, Margins, units};
use super::{Ink, round_values};
use crate::error::Result;
use crate::report::number;
use crate::report::text::short;

const WIDTH: f64 = 832.0;
const ROW: f64 = 26.0;
const MARGINS: Margins = Margins { left: 140.0, top: 6.0, right: 268.0, bottom: 26.0 };

#[derive(Debug, Clone)]
pub struct Whisker {
    pub name: String,
    pub colour: usize,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Text to the right of the plot.
    pub note: String,
}

/// The chart as SVG. The `unit` is printed next to the axis.
pub fn whiskers(head: Head<'_>, rows: &[Whisker], unit: &str) -> Result<String> {
    let ends = rows.iter().flat_map(|r| [r.low, r.high, r.value]).filter(|v| v.is_finite());
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let room = 0.04 * (high - low).max(1e-9);
    let height = ROW * rows.len() as f64 + MARGINS.top + MARGINS.bottom;
    canvas::draw(head, WIDTH, height, |root| {
        let plot = canvas::plot(root, MARGINS, (low - room, high + room), (0.0, 1.0))?;
        let x = |v: f64| plot.backend_coord(&(v, 0.0)).0;
        let (top, bottom) = (units(MARGINS.top), units(height - MARGINS.bottom));
        let ticks = number::aligned(&round_values(low, high, 4), 4);
        let last = ticks.len().saturating_sub(1);
        for (i, q) in ticks.iter().enumerate() {
            let ink = if q.value == 0.0 { Ink::Zero } else { Ink::Grid };
            canvas::stroke(root, (x(q.value), top), (x(q.value), bottom), ink)?;
            canvas::text(root, (x(q.value), bottom + units(12.0)), &q.text, Ink::Label, Anchor::Middle)?;
            if i == last {
                let at = (units(WIDTH - MARGINS.right + 34.0), bottom + units(12.0));
                canvas::text(root, at, unit, Ink::Label, Anchor::Start)?;
            }
        }
        for (i, r) in rows.iter().enumerate() {
            let y = units(MARGINS.top + ROW * (i as f64 + 0.5));
            canvas::text(root, (units(MARGINS.left - 12.0), y), &short(&r.name, 22), Ink::Strong, Anchor::End)?;
            canvas::stroke(root, (x(r.low), y), (x(r.high), y), Ink::Dot(r.colour))?;
            for end in [r.low, r.high] {
                canvas::stroke(root, (x(end), y - units(4.0)), (x(end), y + units(4.0)), Ink::Dot(r.colour))?;
            }
            canvas::dot(root, (x(r.value), y), 4.0, Ink::Dot(r.colour))?;
            let at = (units(WIDTH - MARGINS.right + 34.0), y);
            canvas::text(root, at, &r.note, Ink::Label, Anchor::Start)?;
        }
        Ok(())
    })
}
