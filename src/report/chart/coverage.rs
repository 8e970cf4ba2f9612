//! Chart of the coverage of the 90 % interval by hours ahead. A band shows the coverage expected of a calibrated
//! interval.

use super::Ink;
use super::canvas::{self, Anchor, Head, Margins, units};
use super::skill::hours_axis;
use crate::error::Result;
use crate::report::number;

const WIDTH: f64 = 268.0;
const HEIGHT: f64 = 168.0;
const MARGINS: Margins = Margins { left: 40.0, top: 10.0, right: 76.0, bottom: 30.0 };

/// (hours ahead, measured coverage, lower end of the band, upper end of the band).
pub type CoveragePoint = (f64, f64, f64, f64);

/// The chart as SVG. A coverage below 50 % is drawn at 50 %.
pub fn coverage(head: Head<'_>, points: &[CoveragePoint]) -> Result<String> {
    const FLOOR: f64 = 0.5;
    let far = points.iter().map(|p| p.0).fold(0.0, f64::max);
    canvas::draw(head, WIDTH, HEIGHT, |root| {
        let mut plot = canvas::plot(root, MARGINS, (0.0, far), (FLOOR, 1.0))?;
        let band = points.iter().map(|p| (p.0, p.2.max(FLOOR))).chain(points.iter().rev().map(|p| (p.0, p.3)));
        canvas::area(&mut plot, band.collect(), Ink::Fill(1))?;
        for v in [0.5, 0.7, 0.9, 1.0] {
            let (left, y) = plot.backend_coord(&(0.0, v));
            let right = plot.backend_coord(&(far, v)).0;
            canvas::stroke(root, (left, y), (right, y), if v == 0.9 { Ink::Zero } else { Ink::Grid })?;
            canvas::text(root, (left - units(5.0), y), &number::percent_text(v), Ink::Label, Anchor::End)?;
        }
        hours_axis(root, &plot, far, FLOOR)?;
        canvas::line(&mut plot, points.iter().map(|p| (p.0, p.1.max(FLOOR))), Ink::Line(1))?;
        let (x, y) = plot.backend_coord(&(far, points.last().map_or(0.9, |p| p.1.max(FLOOR))));
        canvas::text(root, (x + units(5.0), y), "measured", Ink::Name(1), Anchor::Start)
    })
}
