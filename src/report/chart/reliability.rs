//! Reliability diagram: the fraction of measured values below each forecast quantile. A calibrated forecast follows the
//! diagonal.

use super::Ink;
use super::canvas::{self, Anchor, Head, Margins, units};
use crate::error::Result;
use crate::report::number;

const WIDTH: f64 = 268.0;
const HEIGHT: f64 = 168.0;
const MARGINS: Margins = Margins { left: 40.0, top: 10.0, right: 14.0, bottom: 32.0 };

/// The name of a horizon, and the fraction of measured values in each tenth of the forecast distribution.
#[derive(Debug, Clone)]
pub struct ReliabilityLine {
    pub ahead: String,
    pub pit: [f64; 10],
}

/// The diagram as SVG.
pub fn reliability(head: Head<'_>, lines: &[ReliabilityLine]) -> Result<String> {
    canvas::draw(head, WIDTH, HEIGHT, |root| {
        let mut plot = canvas::plot(root, MARGINS, (0.0, 1.0), (0.0, 1.0))?;
        for v in [0.0, 0.5, 1.0] {
            let (left, y) = plot.backend_coord(&(0.0, v));
            let (right, bottom) = plot.backend_coord(&(1.0, 0.0));
            canvas::stroke(root, (left, y), (right, y), Ink::Grid)?;
            let label = number::percent_text(v);
            canvas::text(root, (left - units(5.0), y), &label, Ink::Label, Anchor::End)?;
            let x = plot.backend_coord(&(v, 0.0)).0;
            canvas::stroke(root, (x, bottom), (x, bottom + units(3.0)), Ink::Axis)?;
            let side = if v == 1.0 { Anchor::End } else { Anchor::Middle };
            let words = if v == 1.0 { format!("quantile {label}") } else { label };
            canvas::text(root, (x, bottom + units(13.0)), &words, Ink::Label, side)?;
        }
        canvas::line(&mut plot, [(0.0, 0.0), (1.0, 1.0)], Ink::Zero)?;
        for (k, l) in lines.iter().enumerate() {
            let mut sum = 0.0;
            let points: Vec<(f64, f64)> = l
                .pit
                .iter()
                .enumerate()
                .map(|(i, share)| {
                    sum += share;
                    ((i + 1) as f64 / 10.0, sum.min(1.0))
                })
                .collect();
            canvas::line(&mut plot, std::iter::once((0.0, 0.0)).chain(points), Ink::Line(k + 1))?;
            // The names are placed below the diagonal, where the chart is empty.
            let (x, y) = plot.backend_coord(&(0.99, 0.30 - 0.12 * k as f64));
            canvas::text(root, (x, y), &format!("{} ahead", l.ahead), Ink::Name(k + 1), Anchor::End)?;
        }
        Ok(())
    })
}
