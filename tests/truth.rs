//! Part of the table in docs/truth.md: savings that the compiled binary promises for plants with known effects.
//! The unit tests in the modules of the example also run here.
#![allow(dead_code, reason = "this test does not use all items of the included modules")]

#[path = "../examples/truth/cell.rs"]
mod cell;
#[path = "../examples/truth/history.rs"]
mod history;
#[path = "../examples/truth/movement.rs"]
mod movement;
#[path = "../examples/truth/noise.rs"]
mod noise;
#[path = "../examples/truth/plant.rs"]
mod plant;
#[path = "../examples/truth/project.rs"]
mod project;
#[path = "../examples/truth/score.rs"]
mod score;

use std::path::Path;

use cell::{Cell, cells};
use movement::Movement;
use plant::Plant;
use project::{Answer, Promise};

const BINARY: &str = env!("CARGO_BIN_EXE_twinopt");

/// The savings that `linear` promises for the static plant, with the seeds 0 to `seeds` − 1.
fn promises(movement: Movement, effect: f64, seeds: u64) -> Vec<Promise> {
    let cell = Cell::new(Plant::Static, movement, effect);
    let promise = |seed| project::promise(Path::new(BINARY), &cell, "linear", seed);
    (0..seeds).map(|seed| promise(seed).unwrap_or_else(|why| panic!("{}, seed {seed}: {why}", cell.name()))).collect()
}

#[test]
fn an_identified_effect_is_found_with_its_size_and_its_sign() {
    for (effect, answers, seeds) in [(-300.0, [Answer::Do, Answer::Try], 3), (300.0, [Answer::Dont; 2], 1)] {
        let promises = promises(Movement::Hand, effect, seeds);
        for p in &promises {
            // 2 units × 168 h × 100 EUR/MWh
            let truth = -effect * 2.0 * 168.0 * 100.0 / 1e6;
            assert!((p.truth - truth).abs() < 1e-9 && truth.abs() > 10.0, "{p:?}");
            assert!(p.finds_the_sign(), "{p:?}");
            assert!(answers.contains(&p.answer) && p.level == "identified", "{p:?}");
            assert!((p.saving / p.truth - 1.0).abs() < 0.25, "{p:?}");
            assert!(p.low < p.saving && p.saving < p.high, "{p:?}");
        }
        let covered = promises.iter().filter(|p| p.covers()).count() as u64;
        assert!(covered + 1 >= seeds.max(2), "{promises:?}");
    }
}

#[test]
fn a_control_without_effect_is_not_recommended() {
    let promises = promises(Movement::Hand, 0.0, 2);
    for p in &promises {
        assert_eq!((p.truth, p.answer, p.level.as_str()), (0.0, Answer::Dont, "identified"), "{p:?}");
    }
    assert!(promises.iter().any(Promise::covers), "{promises:?}");
}

#[test]
fn the_effect_of_a_control_that_never_moved_independently_is_unknown() {
    // Even a large true effect of the control cannot be separated from the effect of the weather.
    let kinds = [(Movement::Weather, 0.0), (Movement::Weather, -300.0), (Movement::Clock, 0.0), (Movement::Never, 0.0)];
    for (movement, effect) in kinds {
        for p in promises(movement, effect, 1) {
            assert_eq!((p.answer, p.level.as_str()), (Answer::Unknown, "not_identified"), "{movement:?}: {p:?}");
        }
    }
}

#[test]
fn the_names_of_all_cells_differ_and_every_plant_has_a_cell() {
    let cells = cells();
    let mut names: Vec<String> = cells.iter().map(Cell::name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cells.len());
    assert!(Plant::ALL.iter().all(|plant| cells.iter().any(|c| c.plant == *plant)));
}
