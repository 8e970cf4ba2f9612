//! Small plants whose true effects are known.
//!
//! All plants have a control `u`, a state `x` and an output `power`, and depend on the outdoor temperature. The effect
//! of the control is the steady-state change of `power` (in W) after `u` is raised by one unit in usual weather.

use std::f64::consts::TAU;

use twinopt::rng::Key;

use crate::noise::autoregressive;

/// The sample time is 30 minutes.
pub const STEPS_PER_DAY: usize = 48;
/// Usual value of the control.
pub const USUAL: f64 = 20.0;
/// Dead time of [`Plant::DeadTime`] in steps. The dead time is longer than the lags of the twin.
pub const DEAD_TIME: usize = 6;
/// Half of the dead-band of [`Plant::DeadBand`].
pub const HALF_BAND: f64 = 0.5;
/// Order-up-to level of [`Plant::Inventory`].
pub const ORDER_UP_TO: f64 = 400.0;
/// Fraction of the distance to its steady state that the temperature `x` moves in one step.
const RATE: f64 = 0.2;
/// Steady-state change of the temperature `x` after `u` is raised by one unit.
const GAIN: f64 = 0.6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The power is linear in the control and in the outdoor temperature.
    Static,
    /// Like `Static`, but the power also depends on the square of the outdoor temperature.
    Curved,
    /// The effect of the control is proportional to a linear function of the outdoor temperature.
    Interaction,
    /// The effect of the control saturates.
    Saturating,
    /// The power depends on the temperature `x`, which follows the control with a time constant of about 2 hours.
    FirstOrder,
    /// Like `FirstOrder`, but with a second time constant, whose state is not in the log.
    SecondOrder,
    /// Like `FirstOrder`, but with a dead time of 3 hours.
    DeadTime,
    /// A valve follows the control only if the distance between them exceeds a dead-band. The position of the valve is
    /// not in the log.
    DeadBand,
    /// The control is 0 or 1.
    OnOff,
    /// The power depends on the level `x` of a tank, whose balance equation is known. The control drains the tank.
    KnownLevel,
    /// Like `KnownLevel`, but the twin learns the balance from the log.
    LearnedLevel,
    /// The control is a price that changes the demand. The demand depletes a stock whose balance equation is known, and
    /// orders replenish the stock.
    Inventory,
}

impl Plant {
    pub const ALL: [Self; 12] = [
        Self::Static,
        Self::Curved,
        Self::Interaction,
        Self::Saturating,
        Self::FirstOrder,
        Self::SecondOrder,
        Self::DeadTime,
        Self::DeadBand,
        Self::OnOff,
        Self::KnownLevel,
        Self::LearnedLevel,
        Self::Inventory,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Curved => "curved",
            Self::Interaction => "interaction",
            Self::Saturating => "saturating",
            Self::FirstOrder => "first_order",
            Self::SecondOrder => "second_order",
            Self::DeadTime => "dead_time",
            Self::DeadBand => "dead_band",
            Self::OnOff => "on_off",
            Self::KnownLevel => "known_level",
            Self::LearnedLevel => "learned_level",
            Self::Inventory => "inventory",
        }
    }

    /// Whether `x` is the level of a tank, which a feedback controller keeps near its set-point.
    pub fn has_level(self) -> bool {
        matches!(self, Self::KnownLevel | Self::LearnedLevel)
    }

    /// The feedback controller of the tank.
    pub fn level_control(level: f64, setpoint: f64) -> f64 {
        USUAL + 0.5 * (level - setpoint)
    }

    /// The state before the log starts.
    pub fn initial(self) -> Memory {
        let state = match self {
            Self::KnownLevel | Self::LearnedLevel => 50.0,
            Self::Inventory => ORDER_UP_TO / 2.0,
            _ => 24.0,
        };
        let inner = if self == Self::DeadBand { USUAL } else { 24.0 };
        Memory { state, inner, past: [USUAL; DEAD_TIME] }
    }

    /// The power at one step, without noise.
    fn power(self, effect: f64, memory: &Memory, u: f64, outdoor: f64) -> f64 {
        let warm = outdoor - 15.0;
        let part = match self {
            Self::Static | Self::Inventory => effect * (u - USUAL),
            Self::Curved => effect * (u - USUAL) + 60.0 * warm * warm,
            Self::Interaction => effect * (u - USUAL) * (1.0 + 0.1 * warm),
            Self::Saturating => effect * 1.5 * ((u - USUAL) / 1.5).tanh(),
            Self::FirstOrder | Self::SecondOrder | Self::DeadTime => effect / GAIN * (memory.state - 24.0),
            Self::DeadBand => effect * (memory.valve(u) - USUAL),
            Self::OnOff => 2.0 * effect * u,
            Self::KnownLevel | Self::LearnedLevel => effect / 2.0 * (memory.state - 50.0),
        };
        20_000.0 + 300.0 * warm + part
    }

    /// Advances the plant by one step.
    fn advance(self, memory: &mut Memory, inputs: Inputs) {
        let Inputs { u, order, demand, outdoor, inflow, disturbed } = inputs;
        let target = |u: f64| GAIN * (u - USUAL) + 0.2 * (outdoor - 15.0) + 24.0;
        let toward = |x: f64, target: f64| x + RATE * (target - x);
        match self {
            Self::KnownLevel => memory.state += 0.1 * (inflow - u),
            Self::LearnedLevel => memory.state += 0.1 * (inflow - u) + disturbed,
            Self::Inventory => memory.state += order - demand,
            Self::SecondOrder => {
                memory.state = toward(memory.state, memory.inner) + disturbed;
                memory.inner = toward(memory.inner, target(u));
            }
            Self::DeadTime => memory.state = toward(memory.state, target(memory.past[DEAD_TIME - 1])) + disturbed,
            Self::OnOff => memory.state = toward(memory.state, target(USUAL - 1.0 + 2.0 * u)) + disturbed,
            _ => memory.state = toward(memory.state, target(u)) + disturbed,
        }
        if self == Self::DeadBand {
            memory.inner = memory.valve(u);
        }
        memory.past.rotate_right(1);
        memory.past[0] = u;
    }

    /// Simulates the plant. `start` contains the internal states of the plant at the first step of `weather`.
    /// At every step, `control`
    /// computes the control from the number of the step and the state `x`.
    pub fn simulate(
        self,
        effect: f64,
        start: Memory,
        weather: &Weather,
        mut control: impl FnMut(usize, f64) -> f64,
    ) -> Path {
        let mut memory = start;
        let mut path = Path::default();
        for (t, &outdoor) in weather.outdoor.iter().enumerate() {
            let u = control(t, memory.state);
            let power = self.power(effect, &memory, u, outdoor) + weather.output_noise[t];
            let demand = power / 100.0;
            let order = (ORDER_UP_TO - memory.state).clamp(0.0, ORDER_UP_TO);
            path.memory.push(memory);
            path.control.push(u);
            path.power.push(power);
            path.demand.push(demand);
            path.order.push(order);
            let (inflow, disturbed) = (weather.inflow[t], weather.state_noise[t]);
            self.advance(&mut memory, Inputs { u, order, demand, outdoor, inflow, disturbed });
        }
        path
    }
}

/// All inputs of one step.
struct Inputs {
    u: f64,
    order: f64,
    demand: f64,
    outdoor: f64,
    inflow: f64,
    disturbed: f64,
}

/// Everything that a plant remembers from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// The state `x`, which is in the log.
    pub state: f64,
    /// A state that is not in the log: the position of the valve, or the output of the first of two first-order lags.
    inner: f64,
    /// Past values of the control, newest first.
    past: [f64; DEAD_TIME],
}

impl Memory {
    /// Position of the valve with a dead-band.
    fn valve(&self, u: f64) -> f64 {
        self.inner.clamp(u - HALF_BAND, u + HALF_BAND)
    }
}

/// A simulated run of a plant.
#[derive(Debug, Clone, Default)]
pub struct Path {
    pub memory: Vec<Memory>,
    pub control: Vec<f64>,
    pub power: Vec<f64>,
    pub demand: Vec<f64>,
    pub order: Vec<f64>,
}

/// The disturbances and the noise of a run.
#[derive(Debug, Clone)]
pub struct Weather {
    pub outdoor: Vec<f64>,
    pub inflow: Vec<f64>,
    output_noise: Vec<f64>,
    state_noise: Vec<f64>,
}

impl Weather {
    /// Weather in spring: all days and all weeks differ, and the mean temperature rises by 7 K in 60 days. `phi` is the
    /// correlation between successive values of the output noise.
    pub fn new(key: Key, steps: usize, phi: f64) -> Self {
        let days = |t: usize| t as f64 / STEPS_PER_DAY as f64;
        let slow = autoregressive(key.fold(1), steps, 0.98, 3.0);
        let outdoor = slow.iter().enumerate().map(|(t, slow)| {
            let season = -8.0 * (TAU * (days(t) + 45.0) / 365.0).cos();
            15.0 + season + 6.0 * (TAU * days(t)).sin() + slow
        });
        let inflow = autoregressive(key.fold(2), steps, 0.95, 2.0);
        Self {
            outdoor: outdoor.collect(),
            inflow: inflow.iter().enumerate().map(|(t, q)| USUAL + q + 2.0 * (TAU * days(t)).cos()).collect(),
            output_noise: autoregressive(key.fold(3), steps, phi, 500.0),
            state_noise: autoregressive(key.fold(4), steps, 0.0, 0.05),
        }
    }

    /// The disturbances of `steps` steps, starting at step `from`, without any noise.
    pub fn without_noise(&self, from: usize, steps: usize) -> Self {
        Self {
            outdoor: self.outdoor[from..from + steps].to_vec(),
            inflow: self.inflow[from..from + steps].to_vec(),
            output_noise: vec![0.0; steps],
            state_noise: vec![0.0; steps],
        }
    }
}
