//! The log of a cell, and the true saving of its scenario.

use twinopt::rng::Key;

use crate::cell::Cell;
use crate::noise::autoregressive;
use crate::plant::{Path, Plant, STEPS_PER_DAY, USUAL, Weather};

/// Length of the log.
const STEPS: usize = 60 * STEPS_PER_DAY;
/// First step of the scenario, 31 days after the start of the log.
pub const SCENARIO_START: usize = 31 * STEPS_PER_DAY;
/// Length of a scenario with constant set-points.
pub const SCENARIO_DAYS: usize = 7;
/// Price of energy per MWh.
pub const PRICE: f64 = 100.0;
/// Cost of ordering one item, and of storing one item for one step.
pub const ORDER_COST: f64 = 0.1;
pub const STORAGE_COST: f64 = 0.01;

/// The operation of a plant in one case of the scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// The control is held at this value.
    Hold(f64),
    /// The level controller follows this set-point.
    Level(f64),
}

impl Operation {
    fn control(self, level: f64) -> f64 {
        match self {
            Self::Hold(u) => u,
            Self::Level(setpoint) => Plant::level_control(level, setpoint),
        }
    }
}

/// The baseline of the scenario, and the case that is compared with it.
pub fn operations(plant: Plant) -> [Operation; 2] {
    match plant {
        Plant::OnOff => [Operation::Hold(0.0), Operation::Hold(1.0)],
        Plant::KnownLevel | Plant::LearnedLevel => [Operation::Level(48.0), Operation::Level(52.0)],
        _ => [Operation::Hold(USUAL - 1.0), Operation::Hold(USUAL + 1.0)],
    }
}

/// The measured past of a plant.
pub struct History {
    cell: Cell,
    weather: Weather,
    path: Path,
    /// Columns of the log, each with its name.
    pub columns: Vec<(String, Vec<f64>)>,
}

impl History {
    /// Simulates the log of `cell`. Logs of different cells and seeds have different weather and noise.
    pub fn new(cell: &Cell, seed: u64) -> Self {
        let key = cell.name().bytes().fold(Key::new(seed), |key, byte| key.fold(u64::from(byte)));
        let weather = Weather::new(key.fold(1), STEPS, cell.phi);
        let moves = cell.movement.series(key.fold(2), &weather);
        let dither = autoregressive(key.fold(3), STEPS, 0.9, 1.0);
        let rounded = |u: f64| (u.clamp(10.0, 30.0) * 1000.0).round() / 1000.0;
        let path = cell.plant.simulate(cell.effect, cell.plant.initial(), &weather, |t, x| match cell.plant {
            Plant::KnownLevel | Plant::LearnedLevel => rounded(Plant::level_control(x, 50.0) + dither[t]),
            Plant::OnOff => f64::from(u8::from(moves[t] > 0.0)),
            _ => rounded(USUAL + moves[t]),
        });
        let sensor = autoregressive(key.fold(4), STEPS, 0.0, cell.sensor_noise);
        let state = path.memory.iter().zip(sensor).map(|(m, e)| m.state + e).collect();
        let mut columns = vec![
            ("x".to_owned(), state),
            ("u".to_owned(), path.control.clone()),
            ("outdoor".to_owned(), weather.outdoor.clone()),
        ];
        if cell.plant.has_level() {
            columns.push(("inflow".to_owned(), weather.inflow.clone()));
        }
        if cell.plant == Plant::Inventory {
            columns.push(("demand".to_owned(), path.demand.clone()));
            columns.push(("order".to_owned(), path.order.clone()));
        } else {
            columns.push(("power".to_owned(), path.power.clone()));
        }
        for i in 0..cell.extra {
            let series = autoregressive(key.fold(5).fold(i as u64), STEPS, 0.9, 1.0);
            columns.push((extra_name(i), series));
        }
        Self { cell: *cell, weather, path, columns }
    }

    /// The expected saving of the case against the baseline, according to the plant itself: both cases are simulated
    /// with the logged disturbances and without noise.
    pub fn true_saving(&self) -> f64 {
        let [baseline, case] = operations(self.cell.plant).map(|operation| self.true_cost(operation));
        baseline - case
    }

    fn true_cost(&self, operation: Operation) -> f64 {
        let Cell { plant, effect, .. } = self.cell;
        let weather = self.weather.without_noise(SCENARIO_START, SCENARIO_DAYS * STEPS_PER_DAY);
        let start = self.path.memory[SCENARIO_START];
        let path = plant.simulate(effect, start, &weather, |_, x| operation.control(x));
        if plant == Plant::Inventory {
            let stock: f64 = path.memory.iter().map(|m| m.state).sum();
            return ORDER_COST * path.order.iter().sum::<f64>() + STORAGE_COST * stock;
        }
        energy_cost(path.power.iter().sum())
    }
}

/// Cost of the energy, given the sum of the power in W over all steps.
pub fn energy_cost(sum: f64) -> f64 {
    let hours = 24.0 / STEPS_PER_DAY as f64;
    sum * hours / 1e6 * PRICE
}

/// Name of an extra signal.
pub fn extra_name(i: usize) -> String {
    format!("extra_{i}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::movement::Movement;

    fn saving(plant: Plant, effect: f64) -> f64 {
        History::new(&Cell::new(plant, Movement::Hand, effect), 3).true_saving()
    }

    /// W × 168 h × 100 EUR/MWh.
    const WEEK: f64 = 168.0 * 100.0 / 1e6;

    #[test]
    fn true_savings_have_their_closed_forms() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1.0);
        for plant in [Plant::Static, Plant::Curved, Plant::OnOff] {
            assert!(close(saving(plant, -60.0), 120.0 * WEEK), "{plant:?}: {}", saving(plant, -60.0));
            assert_eq!(saving(plant, 0.0), 0.0);
        }
        assert!(close(saving(Plant::Saturating, 60.0), -60.0 * 3.0 * (1.0f64 / 1.5).tanh() * WEEK));
        // From the same start, the temperatures of the two cases differ by 2 × 0.6 × (1 − 0.8^t) after t steps.
        let steps = (SCENARIO_DAYS * STEPS_PER_DAY) as f64;
        let lag = |delay: i32| 1.0 - (0..steps as i32).map(|t| 0.8f64.powi((t - delay).max(0))).sum::<f64>() / steps;
        assert!(close(saving(Plant::FirstOrder, -60.0), 120.0 * WEEK * lag(0)));
        assert!(close(saving(Plant::DeadTime, -60.0), 120.0 * WEEK * lag(6)));
        // The levels differ by 4 × (1 − 0.95^t) after t steps.
        let lag = 1.0 - (0..steps as i32).map(|t| 0.95f64.powi(t)).sum::<f64>() / steps;
        assert!(close(saving(Plant::KnownLevel, -60.0), 120.0 * WEEK * lag));
        // The controls of the two cases differ by 2 units. Because of the dead-band, the positions of the valve differ
        // by only 1 to 2 units.
        let part = saving(Plant::DeadBand, -60.0) / (120.0 * WEEK);
        assert!((0.5..=1.0).contains(&part), "{part}");
        // Each additional item of demand in a step lowers the stock by one item in the next step, in which the item is
        // reordered.
        let fewer = 1.2 * (steps - 1.0);
        assert!(close(saving(Plant::Inventory, -60.0), fewer * (ORDER_COST - STORAGE_COST)));
    }

    #[test]
    fn the_saving_of_an_interaction_depends_on_the_weather_of_the_scenario() {
        let cell = Cell::new(Plant::Interaction, Movement::Hand, -60.0);
        let [a, b] = [1, 2].map(|seed| History::new(&cell, seed));
        let expected = |h: &History| {
            let week = &h.weather.outdoor[SCENARIO_START..SCENARIO_START + SCENARIO_DAYS * STEPS_PER_DAY];
            120.0 * WEEK * week.iter().map(|d| 1.0 + 0.1 * (d - 15.0)).sum::<f64>() / week.len() as f64
        };
        assert!((a.true_saving() - expected(&a)).abs() < 1e-6 && (b.true_saving() - expected(&b)).abs() < 1e-6);
        assert!((a.true_saving() - b.true_saving()).abs() > 1e-3);
    }
}
