//! Charts as inline SVG.
//!
//! The crate `plotters` computes the coordinates and writes SVG with a fixed colour in every element. The dark mode and
//! the print layout of the page need CSS classes instead of fixed colours. Each mark is therefore drawn in three steps:
//!
//! 1. A chart (`trend`, `skill`, …) draws each mark with an [`Ink`] that names its role, such as axis, grid or line of
//!    a case.
//! 2. `canvas` passes the ink to `plotters` as a colour whose blue channel is [`Ink::code`], for example `#000012`.
//! 3. `svg` reads the SVG written by `plotters`, and replaces each colour with the CSS class of its ink. `svg` also
//!    simplifies the paths, which makes a report several times smaller.

mod canvas;
mod coverage;
mod reliability;
mod response;
mod skill;
mod svg;
mod trend;
mod whisker;

pub use canvas::Head;
pub use coverage::{CoveragePoint, coverage};
pub use reliability::{ReliabilityLine, reliability};
pub use response::response;
pub use skill::{SkillLine, skill};
pub use trend::{Band, Limit, TrendChart, far_limits, trend};
pub use whisker::{Whisker, whiskers};

/// The role of a mark in a chart. Each role becomes a CSS class, and `templates/style.css` defines its colour and dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Axis,
    Grid,
    Label,
    Limit,
    LimitLabel,
    Zero,
    Strong,
    /// The median line of case or model `k`.
    Line(usize),
    /// The band of case or model `k`.
    Fill(usize),
    /// The name of case or model `k`.
    Name(usize),
    /// The dots of case or model `k`.
    Dot(usize),
}

/// Number of palette entries for cases and models. Palette entry 0 is the baseline.
pub const PALETTE: usize = 6;

/// The palette entry of the `i`-th case. Only the baseline has palette entry 0.
pub fn colour(i: usize) -> usize {
    if i < PALETTE { i } else { (i - 1) % (PALETTE - 1) + 1 }
}

impl Ink {
    /// The number that identifies this ink. Charts pass the number to the crate `plotters` instead of a colour.
    fn code(self) -> u8 {
        match self {
            Self::Axis => 1,
            Self::Grid => 2,
            Self::Label => 3,
            Self::Limit => 4,
            Self::LimitLabel => 5,
            Self::Zero => 6,
            Self::Strong => 7,
            Self::Line(k) => 16 + k as u8,
            Self::Fill(k) => 32 + k as u8,
            Self::Name(k) => 48 + k as u8,
            Self::Dot(k) => 64 + k as u8,
        }
    }

    /// Returns the CSS class of the ink whose [`Self::code`] is `code`.
    fn class(code: u8) -> String {
        match code {
            1 => "ax".into(),
            2 => "gr".into(),
            3 => "lb".into(),
            4 => "lm".into(),
            5 => "lt".into(),
            6 => "ze".into(),
            7 => "st".into(),
            16..32 => format!("l{}", code - 16),
            32..48 => format!("b{}", code - 32),
            48..64 => format!("n{}", code - 48),
            _ => format!("d{}", code.saturating_sub(64)),
        }
    }
}

/// Evenly spaced round numbers that divide the range from `low` to `high` into about `n` intervals.
fn round_values(low: f64, high: f64, n: usize) -> Vec<f64> {
    let span = high - low;
    if span <= 0.0 || !span.is_finite() {
        return vec![low];
    }
    let raw = span / n.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(10.0 * power);
    let (from, to) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (from..=to).map(|k| k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(round_values(17.2, 26.9, 3), [20.0, 25.0]);
        assert_eq!(round_values(-0.3, 1.0, 4), [0.0, 0.5, 1.0]);
        assert_eq!(round_values(5.0, 5.0, 3), [5.0]);
    }

    #[test]
    fn inks_have_css_classes() {
        assert_eq!(colour(0), 0);
        assert!((1..40).all(|i| (1..PALETTE).contains(&colour(i))));
        assert_eq!(Ink::class(Ink::Fill(3).code()), "b3");
    }
}
