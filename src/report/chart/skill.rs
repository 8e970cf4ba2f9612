//! Skill on the hold-out by horizon: one chart per signal with all models.

use super::canvas::{self, Anchor, Drawn, Head, Margins, Plot, Root, units};
use super::{Ink, round_values};
use crate::error::Result;
use crate::report::number;
use crate::report::text::short;

const WIDTH: f64 = 268.0;
const HEIGHT: f64 = 150.0;
const MARGINS: Margins = Margins { left: 34.0, top: 10.0, right: 76.0, bottom: 30.0 };

/// The skill of one model as points (hours ahead, skill).
#[derive(Debug, Clone)]
pub struct SkillLine<'a> {
    pub model: &'a str,
    pub colour: usize,
    pub points: Vec<(f64, f64)>,
}

/// The chart as SVG. A skill below −0.5 is drawn at −0.5.
pub fn skill(head: Head<'_>, lines: &[SkillLine<'_>], hours: f64) -> Result<String> {
    const FLOOR: f64 = -0.5;
    let low = lines.iter().flat_map(|l| &l.points).map(|p| p.1).fold(0.0, f64::min).max(FLOOR) - 0.06;
    canvas::draw(head, WIDTH, HEIGHT, |root| {
        let mut plot = canvas::plot(root, MARGINS, (0.0, hours), (low, 1.04))?;
        for v in [0.0, 0.5, 1.0] {
            let (x, y) = plot.backend_coord(&(0.0, v));
            let right = plot.backend_coord(&(hours, v)).0;
            canvas::stroke(root, (x, y), (right, y), if v == 0.0 { Ink::Zero } else { Ink::Grid })?;
            canvas::text(root, (x - units(5.0), y), &number::plain(v, 2).text, Ink::Label, Anchor::End)?;
        }
        hours_axis(root, &plot, hours, low)?;
        // The chosen model is first in the list, and is drawn last so that it is on top.
        let mut occupied: Vec<i32> = vec![plot.backend_coord(&(0.0, 0.0)).1];
        let x = plot.backend_coord(&(hours, 0.0)).0 + units(5.0);
        canvas::text(root, (x, occupied[0]), "no change", Ink::Label, Anchor::Start)?;
        for l in lines.iter().rev() {
            canvas::line(&mut plot, l.points.iter().map(|p| (p.0, p.1.max(FLOOR))), Ink::Line(l.colour))?;
        }
        for l in lines {
            let Some(last) = l.points.last() else { continue };
            let mut y = plot.backend_coord(&(0.0, last.1.max(FLOOR))).1;
            // Move the name up until it overlaps no other name, or down if it would otherwise leave the chart.
            let free = |y: i32| occupied.iter().all(|t| (t - y).abs() >= units(12.0));
            let (start, mut step) = (y, -units(3.0));
            while !free(y) {
                y += step;
                if y < units(8.0) {
                    (y, step) = (start, units(3.0));
                }
            }
            occupied.push(y);
            canvas::text(root, (x, y), &short(l.model, 10), Ink::Name(l.colour), Anchor::Start)?;
        }
        Ok(())
    })
}

/// Draws the time axis (hours ahead) below a plot whose lowest value is `low`.
pub(super) fn hours_axis(root: &Root<'_>, plot: &Plot<'_>, hours: f64, low: f64) -> Drawn {
    let bottom = plot.backend_coord(&(0.0, low)).1;
    // Long horizons are labelled in days, short ones in minutes.
    let (unit, per) = match hours {
        h if h >= 48.0 => ("d", 24.0),
        h if h < 1.0 => ("min", 1.0 / 60.0),
        _ => ("h", 1.0),
    };
    let values = round_values(0.0, hours / per, 3);
    let values = if values.len() > 3 { values.into_iter().step_by(2).collect() } else { values };
    for q in number::aligned(&values, 3) {
        let x = plot.backend_coord(&(q.value * per, low)).0;
        canvas::stroke(root, (x, bottom), (x, bottom + units(3.0)), Ink::Axis)?;
        let last = Some(&q.value) == values.last();
        let label = if last { format!("{} {unit} ahead", q.text) } else { q.text.clone() };
        let side = if last && q.value != 0.0 { Anchor::Start } else { Anchor::Middle };
        canvas::text(root, (x, bottom + units(13.0)), &label, Ink::Label, side)?;
    }
    Ok(())
}
