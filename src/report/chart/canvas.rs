//! The drawing area of a chart, which becomes one accessible `<svg>` element.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Ink;
use super::svg::{UNITS_PER_PIXEL, compact};
use crate::error::{Error, Result};
use crate::report::text::escaped;
use crate::terminal::one_line;

pub type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Plot<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub type Drawn<T = ()> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Descriptions of a chart for screen readers.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Identifier of the chart, which must be unique in the document.
    pub id: &'a str,
    pub title: &'a str,
    pub description: &'a str,
}

/// Draws a chart of `width` × `height` pixels. The SVG element scales with its container.
pub fn draw(head: Head<'_>, width: f64, height: f64, marks: impl for<'a> FnOnce(&Root<'a>) -> Drawn) -> Result<String> {
    let (w, h) = (units(width), units(height));
    let mut raw = String::new();
    {
        let root = SVGBackend::with_string(&mut raw, (w as u32, h as u32)).into_drawing_area();
        marks(&root).and_then(|()| root.present()).map_err(|e| Error::Internal(format!("chart: {e}")))?;
    }
    let id = head.id;
    Ok(format!(
        "<svg class=\"chart\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{}</svg>",
        escaped(head.title, 200),
        escaped(head.description, 600),
        compact(&raw)
    ))
}

/// Converts pixels to drawing units, rounded to an integer.
pub fn units(pixels: f64) -> i32 {
    (pixels * UNITS_PER_PIXEL).round() as i32
}

/// Space around the plotting area, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Margins {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Creates the plotting area with linear axes `x` and `y`.
pub fn plot<'a>(root: &Root<'a>, m: Margins, x: (f64, f64), y: (f64, f64)) -> Drawn<Plot<'a>> {
    let (x, y) = (widened(x), widened(y));
    ChartBuilder::on(root)
        .margin_left(units(m.left))
        .margin_top(units(m.top))
        .margin_right(units(m.right))
        .margin_bottom(units(m.bottom))
        .build_cartesian_2d(x.0..x.1, y.0..y.1)
}

/// Returns the range, widened if its length is zero.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if high > low {
        return (low, high);
    }
    let room = (low.abs() * 0.05).max(0.5);
    (low - room, low + room)
}

/// The colour that encodes `ink` (see the module [`super`]).
pub fn colour(ink: Ink) -> RGBColor {
    RGBColor(0, 0, ink.code())
}

/// Draws a line through points in plot coordinates.
pub fn line(plot: &mut Plot<'_>, points: impl IntoIterator<Item = (f64, f64)>, ink: Ink) -> Drawn {
    plot.draw_series(LineSeries::new(points, colour(ink))).map(|_| ())
}

/// Draws a filled polygon in plot coordinates.
pub fn area(plot: &mut Plot<'_>, points: Vec<(f64, f64)>, ink: Ink) -> Drawn {
    plot.draw_series([Polygon::new(points, colour(ink).filled())]).map(|_| ())
}

/// Horizontal alignment of text relative to the point at which it is drawn.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Draws text that is vertically centred at `at`, in drawing units.
pub fn text(root: &Root<'_>, at: (i32, i32), words: &str, ink: Ink, side: Anchor) -> Drawn {
    let h = match side {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let style = ("sans-serif", 12).into_font().color(&colour(ink)).pos(Pos::new(h, VPos::Center));
    // The font size is 12 px. Shifting the text down by half the height of a letter centres the text vertically.
    root.draw(&Text::new(one_line(words), (at.0, at.1 + units(4.0)), style))
}

pub fn dot(root: &Root<'_>, at: (i32, i32), radius: f64, ink: Ink) -> Drawn {
    root.draw(&Circle::new(at, units(radius), colour(ink).filled()))
}

pub fn stroke(root: &Root<'_>, from: (i32, i32), to: (i32, i32), ink: Ink) -> Drawn {
    root.draw(&PathElement::new(vec![from, to], colour(ink)))
}
