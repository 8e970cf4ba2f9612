//! The ways in which the control moved in the log.

use twinopt::rng::Key;

use crate::noise::{autoregressive, piecewise_constant};
use crate::plant::{STEPS_PER_DAY, Weather};

/// How the control moved in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Operators choose a new value every 12 hours, independently of everything else.
    Hand,
    /// The control follows the weather, with a small independent movement.
    Dither,
    /// The control follows the weather exactly.
    Weather,
    /// The control has one value from 06:00 to 18:00 and another value at night.
    Clock,
    /// Operators choose a new value every 10 days.
    Seldom,
    /// Operators choose a new value every 12 hours, within a tenth of the range of the what-if question.
    Hardly,
    /// The control is constant.
    Never,
}

impl Movement {
    pub fn words(self) -> &'static str {
        match self {
            Self::Hand => "by hand every 12 h",
            Self::Dither => "closed loop with dither",
            Self::Weather => "follows the weather exactly",
            Self::Clock => "driven by the clock",
            Self::Seldom => "by hand every 10 d",
            Self::Hardly => "by hand every 12 h, ±0.1",
            Self::Never => "never",
        }
    }

    /// Whether the log contains independent movement of the control, so that its effect can be estimated.
    pub fn identifies(self) -> bool {
        !matches!(self, Self::Weather | Self::Clock | Self::Never)
    }

    /// The deviation of the control from its usual value.
    pub fn series(self, key: Key, weather: &Weather) -> Vec<f64> {
        let steps = weather.outdoor.len();
        let follow = || weather.outdoor.iter().map(|d| -0.3 * (d - 15.0));
        match self {
            Self::Hand => piecewise_constant(key, steps, STEPS_PER_DAY / 2, 2.0),
            Self::Dither => follow().zip(autoregressive(key, steps, 0.9, 0.3)).map(|(f, e)| f + e).collect(),
            Self::Weather => follow().collect(),
            Self::Clock => {
                let day = STEPS_PER_DAY / 4..3 * STEPS_PER_DAY / 4;
                (0..steps).map(|t| if day.contains(&(t % STEPS_PER_DAY)) { 1.0 } else { -1.0 }).collect()
            }
            Self::Seldom => piecewise_constant(key, steps, 10 * STEPS_PER_DAY, 2.0),
            Self::Hardly => piecewise_constant(key, steps, STEPS_PER_DAY / 2, 0.1),
            Self::Never => vec![0.0; steps],
        }
    }
}
