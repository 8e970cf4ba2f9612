//! The cells of the table: a plant, how its control moved, its noise and its true effect.

use crate::movement::Movement;
use crate::plant::Plant;

/// What the scenario compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Two constant set-points.
    Setpoint,
    /// A constant control and MPC.
    Mpc,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub plant: Plant,
    pub movement: Movement,
    /// Effect of the control in W per unit.
    pub effect: f64,
    /// Correlation between successive values of the output noise.
    pub phi: f64,
    /// Number of signals in the log that have nothing to do with the plant.
    pub extra: usize,
    /// Standard deviation of the measurement noise of the state `x`.
    pub sensor_noise: f64,
    pub question: Question,
}

impl Cell {
    /// A cell without extra signals or sensor noise, in which successive values of the output noise have correlation
    /// 0.9.
    pub fn new(plant: Plant, movement: Movement, effect: f64) -> Self {
        Self { plant, movement, effect, phi: 0.9, extra: 0, sensor_noise: 0.0, question: Question::Setpoint }
    }

    fn white(self) -> Self {
        Self { phi: 0.0, ..self }
    }

    fn with_extra(self, extra: usize) -> Self {
        Self { extra, ..self }
    }

    fn with_sensor_noise(self, sensor_noise: f64) -> Self {
        Self { sensor_noise, ..self }
    }

    fn planned(self) -> Self {
        Self { question: Question::Mpc, ..self }
    }

    /// Whether the true effect is zero.
    pub fn is_placebo(&self) -> bool {
        self.effect == 0.0
    }

    /// Name that distinguishes the cell from all other cells.
    pub fn name(&self) -> String {
        let mut name = format!("{} / {} / {:+}", self.plant.name(), self.movement.words(), self.effect);
        if self.phi == 0.0 {
            name += " / white noise";
        }
        if self.extra > 0 {
            name += &format!(" / {} extra signals", self.extra);
        }
        if self.sensor_noise > 0.0 {
            name += " / noisy sensor";
        }
        if self.question == Question::Mpc {
            name += " / MPC";
        }
        name
    }
}

/// All cells of the table.
pub fn cells() -> Vec<Cell> {
    use Movement::{Clock, Dither, Hand, Hardly, Never, Seldom};
    vec![
        Cell::new(Plant::Static, Hand, 0.0),
        Cell::new(Plant::Static, Hand, -60.0),
        Cell::new(Plant::Static, Hand, 300.0),
        Cell::new(Plant::Static, Hand, -300.0).white(),
        Cell::new(Plant::Static, Hand, 0.0).with_extra(4),
        Cell::new(Plant::Static, Hand, -300.0).with_extra(40),
        Cell::new(Plant::Static, Dither, 0.0),
        Cell::new(Plant::Static, Seldom, 0.0),
        Cell::new(Plant::Static, Hardly, 0.0),
        Cell::new(Plant::Static, Never, 0.0),
        Cell::new(Plant::Static, Movement::Weather, 0.0),
        Cell::new(Plant::Static, Clock, 0.0),
        Cell::new(Plant::Static, Hand, 0.0).planned(),
        Cell::new(Plant::Curved, Dither, -600.0),
        Cell::new(Plant::Interaction, Hand, -300.0),
        Cell::new(Plant::Saturating, Hand, -300.0),
        Cell::new(Plant::FirstOrder, Hand, -300.0),
        Cell::new(Plant::FirstOrder, Hand, -300.0).with_sensor_noise(0.3),
        Cell::new(Plant::FirstOrder, Movement::Weather, -300.0),
        Cell::new(Plant::SecondOrder, Hand, 300.0),
        Cell::new(Plant::DeadTime, Hand, -300.0),
        Cell::new(Plant::DeadBand, Hand, -300.0),
        Cell::new(Plant::OnOff, Hand, -300.0),
        Cell::new(Plant::KnownLevel, Dither, -300.0),
        Cell::new(Plant::LearnedLevel, Dither, -300.0),
        Cell::new(Plant::Inventory, Hand, -300.0),
    ]
}
