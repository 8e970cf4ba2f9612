//! Trend chart of one signal over a run: median lines and P10–P90 bands of all cases, and the limits of the signal.

use super::canvas::{self, Anchor, Drawn, Head, Margins, Plot, Root, units};
use super::{Ink, round_values};
use crate::error::Result;
use crate::report::number;
use crate::report::text::short;

const WIDTH: f64 = 832.0;
const HEIGHT: f64 = 148.0;
const MARGINS: Margins = Margins { left: 50.0, top: 10.0, right: 112.0, bottom: 24.0 };

/// The line and the band of one case.
#[derive(Debug, Clone)]
pub struct Band<'a> {
    pub name: String,
    pub colour: usize,
    pub hours: &'a [f64],
    pub p10: &'a [f64],
    pub p50: &'a [f64],
    pub p90: &'a [f64],
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The name of the limit, such as `soft limit`.
    pub name: &'static str,
    pub value: f64,
}

#[derive(Debug, Clone)]
pub struct TrendChart<'a> {
    pub head: Head<'a>,
    pub hours: f64,
    /// Ticks of the time axis, as pairs (hours since the start, label).
    pub ticks: &'a [(f64, String)],
    /// The bands of all cases, starting with the baseline.
    pub bands: Vec<Band<'a>>,
    pub limits: Vec<Limit>,
    /// Shaded periods, in hours since the start, with a palette entry.
    pub spans: Vec<(f64, f64, usize)>,
}

impl<'a> TrendChart<'a> {
    pub fn new(id: &'a str, title: &'a str, description: &'a str, hours: f64, ticks: &'a [(f64, String)]) -> Self {
        Self {
            head: Head { id, title, description },
            hours,
            ticks,
            bands: Vec::new(),
            limits: Vec::new(),
            spans: Vec::new(),
        }
    }
}

/// The chart as SVG.
pub fn trend(chart: &TrendChart<'_>) -> Result<String> {
    let (low, high) = extent(chart);
    canvas::draw(chart.head, WIDTH, HEIGHT, |root| {
        let mut plot = canvas::plot(root, MARGINS, (0.0, chart.hours), (low, high))?;
        for &(from, to, colour) in &chart.spans {
            canvas::area(&mut plot, vec![(from, low), (from, high), (to, high), (to, low)], Ink::Fill(colour))?;
        }
        axes(root, &plot, chart, low, high)?;
        for b in &chart.bands {
            band(&mut plot, b)?;
        }
        for l in chart.limits.iter().filter(|l| l.value >= low && l.value <= high) {
            canvas::line(&mut plot, [(0.0, l.value), (chart.hours, l.value)], Ink::Limit)?;
        }
        for b in &chart.bands {
            // A line is interrupted if values are missing.
            let all: Vec<usize> = (0..b.p50.len().min(b.hours.len())).collect();
            for part in all.chunk_by(|i, j| b.p50[*i].is_finite() == b.p50[*j].is_finite()) {
                let part = part[0]..part[part.len() - 1] + 1;
                canvas::line(&mut plot, thinned(&b.hours[part.clone()], &b.p50[part]), Ink::Line(b.colour))?;
            }
        }
        names(root, &plot, chart, (low, high))
    })
}

/// Limits that are too far from all values to be drawn.
pub fn far_limits<'c>(chart: &'c TrendChart<'_>) -> impl Iterator<Item = &'c Limit> {
    let (low, high) = extent(chart);
    chart.limits.iter().filter(move |l| l.value < low || l.value > high)
}

/// Range of the value axis, which contains all bands and the limits near them.
fn extent(chart: &TrendChart<'_>) -> (f64, f64) {
    let values = chart.bands.iter().flat_map(|b| b.p10.iter().chain(b.p50).chain(b.p90)).filter(|v| v.is_finite());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if low > high {
        return (0.0, 1.0);
    }
    let span = (high - low).max(high.abs().max(low.abs()) * 0.01).max(1e-9);
    let near = |v: &&f64| **v > low - 0.5 * span && **v < high + 0.5 * span;
    let limits: Vec<f64> = chart.limits.iter().map(|l| l.value).collect();
    let bottom = limits.iter().filter(near).fold(low, |l, v| l.min(*v));
    let top = limits.iter().filter(near).fold(high, |h, v| h.max(*v));
    let room = 0.06 * (top - bottom).max(span);
    (bottom - room, top + room)
}

fn axes(root: &Root<'_>, plot: &Plot<'_>, chart: &TrendChart<'_>, low: f64, high: f64) -> Drawn {
    let values = round_values(low, high, 3);
    for q in number::aligned(&values, 5) {
        let (x, y) = plot.backend_coord(&(0.0, q.value));
        let (right, _) = plot.backend_coord(&(chart.hours, q.value));
        canvas::stroke(root, (x, y), (right, y), Ink::Grid)?;
        canvas::text(root, (x - units(6.0), y), &q.text, Ink::Label, Anchor::End)?;
    }
    let bottom = plot.backend_coord(&(0.0, low)).1;
    let right = plot.backend_coord(&(chart.hours, low)).0;
    canvas::stroke(root, (units(MARGINS.left), bottom), (right, bottom), Ink::Axis)?;
    for (hours, label) in chart.ticks {
        let (x, _) = plot.backend_coord(&(*hours, low));
        canvas::stroke(root, (x, bottom), (x, bottom + units(4.0)), Ink::Axis)?;
        // A centred label at the edge would be cut off.
        let side = if x + units(26.0) > right + units(MARGINS.right) { Anchor::End } else { Anchor::Middle };
        canvas::text(root, (x, bottom + units(13.0)), label, Ink::Label, side)?;
    }
    Ok(())
}

/// Draws the names of cases and limits at the right ends of their lines, moved apart if they would overlap.
fn names(root: &Root<'_>, plot: &Plot<'_>, chart: &TrendChart<'_>, (low, high): (f64, f64)) -> Drawn {
    let x = plot.backend_coord(&(chart.hours, 0.0)).0 + units(8.0);
    let y = |v: f64| plot.backend_coord(&(0.0, v)).1;
    let mut labels: Vec<(i32, String, Ink)> = Vec::new();
    for b in &chart.bands {
        let tail = &b.p50[b.p50.len().saturating_sub(b.p50.len() / 50 + 1)..];
        let (sum, n) = tail.iter().filter(|v| v.is_finite()).fold((0.0, 0), |(s, n), v| (s + v, n + 1));
        if n > 0 {
            labels.push((y(sum / f64::from(n)), short(&b.name, 16), Ink::Name(b.colour)));
        }
    }
    for l in chart.limits.iter().filter(|l| l.value >= low && l.value <= high) {
        let text = format!("{} {}", l.name, number::exact(l.value).text);
        labels.push((y(l.value), text, Ink::LimitLabel));
    }
    labels.sort_by_key(|(y, _, _)| *y);
    let (gap, top, bottom) = (units(14.0), units(MARGINS.top), units(HEIGHT - MARGINS.bottom));
    // Labels that overlap are moved down. Labels that would leave the chart are then moved up.
    let mut highest = top;
    for label in &mut labels {
        label.0 = label.0.max(highest);
        highest = label.0 + gap;
    }
    let mut lowest = bottom;
    for label in labels.iter_mut().rev() {
        label.0 = label.0.min(lowest);
        lowest = label.0 - gap;
    }
    for (y, text, ink) in labels {
        canvas::text(root, (x, y), &text, ink, Anchor::Start)?;
    }
    Ok(())
}

/// Draws the band as one polygon through the lowest and highest value of every 4 pixels.
fn band(plot: &mut Plot<'_>, b: &Band<'_>) -> Drawn {
    let n = b.hours.len().min(b.p10.len()).min(b.p90.len());
    let visible = b.p10.iter().zip(b.p90).any(|(l, h)| h > l);
    if n < 2 || !visible {
        return Ok(());
    }
    let buckets = ((WIDTH - MARGINS.left - MARGINS.right) / 4.0) as usize;
    let per = n.div_ceil(buckets).max(1);
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for from in (0..n).step_by(per) {
        // Adjacent buckets share an edge, so that the band has no gaps.
        let to = (from + per + 1).min(n);
        let x = if from == 0 { b.hours[0] } else { b.hours[(from + to - 1) / 2] };
        let x = if to == n { b.hours[n - 1] } else { x };
        lower.push((x, b.p10[from..to].iter().copied().fold(f64::INFINITY, f64::min)));
        upper.push((x, b.p90[from..to].iter().copied().fold(f64::NEG_INFINITY, f64::max)));
    }
    let points = upper.into_iter().chain(lower.into_iter().rev()).filter(|(_, y)| y.is_finite()).collect();
    canvas::area(plot, points, Ink::Fill(b.colour))
}

/// Reduces a line to at most two points per pixel, the lowest and the highest value, in chronological order.
fn thinned(hours: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let n = hours.len().min(values.len());
    let pixels = (WIDTH - MARGINS.left - MARGINS.right) as usize;
    if n <= 2 * pixels {
        return (0..n).filter(|&i| values[i].is_finite()).map(|i| (hours[i], values[i])).collect();
    }
    let per = n.div_ceil(pixels);
    let mut out = Vec::with_capacity(2 * pixels);
    for from in (0..n).step_by(per) {
        let finite = (from..(from + per).min(n)).filter(|&i| values[i].is_finite());
        let low = finite.clone().min_by(|&a, &b| values[a].total_cmp(&values[b]));
        let high = finite.max_by(|&a, &b| values[a].total_cmp(&values[b]));
        if let (Some(a), Some(b)) = (low, high) {
            out.push((hours[a.min(b)], values[a.min(b)]));
            if a != b {
                out.push((hours[a.max(b)], values[a.max(b)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_every_extreme() {
        let n = 50_000;
        let hours: Vec<f64> = (0..n).map(f64::from).collect();
        let mut values = vec![0.0; n as usize];
        values[12_345] = 9.0;
        values[40_000] = -7.0;
        let t = thinned(&hours, &values);
        assert!(t.len() <= 2 * 832, "{}", t.len());
        assert!(t.contains(&(12_345.0, 9.0)) && t.contains(&(40_000.0, -7.0)));
        assert!(t.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
