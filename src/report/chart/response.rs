//! A learned step response: the change of a signal after a control moves by one unit.

use super::Ink;
use super::canvas::{self, Anchor, Head, Margins, units};
use crate::error::Result;
use crate::report::number;
use crate::scenario::results::StepResponse;

const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 104.0;
const MARGINS: Margins = Margins { left: 6.0, top: 10.0, right: 62.0, bottom: 20.0 };

/// The chart as SVG. Responses of one signal to several controls share `low` and `high` if their units are equal.
pub fn response(head: Head<'_>, r: &StepResponse, (low, high): (f64, f64)) -> Result<String> {
    let n = points_until_settled(r, high - low);
    let hours = r.hours[..n].last().copied().unwrap_or(1.0);
    let (low, high) = (low.min(0.0), high.max(0.0));
    let room = 0.08 * (high - low).max(1e-12);
    canvas::draw(head, WIDTH, HEIGHT, |root| {
        let mut plot = canvas::plot(root, MARGINS, (0.0, hours), (low - room, high + room))?;
        let zip = |v: &[f64]| r.hours[..n].iter().copied().zip(v.iter().copied()).collect::<Vec<_>>();
        let band: Vec<(f64, f64)> = zip(&r.high).into_iter().chain(zip(&r.low).into_iter().rev()).collect();
        if band.len() > 3 {
            canvas::area(&mut plot, band, Ink::Fill(1))?;
        }
        canvas::line(&mut plot, [(0.0, 0.0), (hours, 0.0)], Ink::Zero)?;
        canvas::line(&mut plot, zip(&r.mean[..n]), Ink::Line(1))?;
        let (right, bottom) = plot.backend_coord(&(hours, low - room));
        let (_, y) = plot.backend_coord(&(hours, r.gain));
        let ends = (r.low.last().copied().unwrap_or(r.gain), r.high.last().copied().unwrap_or(r.gain));
        let gain = number::within(r.gain, ends.0, ends.1, number::PROSE).value.with_sign();
        canvas::text(root, (right + units(5.0), y), &gain.text, Ink::Name(1), Anchor::Start)?;
        canvas::text(root, (units(MARGINS.left), bottom + units(10.0)), "0", Ink::Label, Anchor::Start)?;
        let label = match hours {
            h if h < 1.0 => format!("{} min", number::plain(h * 60.0, 3).text),
            h if h >= 48.0 => format!("{} d", number::plain(h / 24.0, 3).text),
            h => format!("{} h", number::plain(h, 3).text),
        };
        canvas::text(root, (right, bottom + units(10.0)), &label, Ink::Label, Anchor::End)
    })
}

/// Number of points to draw: twice as many as the response needs to settle to within 3 % of `range`.
fn points_until_settled(r: &StepResponse, range: f64) -> usize {
    let n = r.hours.len().min(r.mean.len()).min(r.low.len()).min(r.high.len());
    let end = r.gain;
    let last = r.mean[..n].iter().rposition(|v| (v - end).abs() > 0.03 * range).unwrap_or(0);
    (2 * last + 2).max(n.min(9)).min(n)
}
