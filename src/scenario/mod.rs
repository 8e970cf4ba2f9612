//! Scenarios: simulate what-if cases of a plant and compare their KPIs.

mod annual;
mod batch;
mod card;
mod case;
mod closed_loop;
mod compiled;
mod conditions;
mod delay;
mod describe;
pub mod effect;
mod experience;
mod identification;
mod imitation;
mod measured;
mod noise;
mod parts;
mod plant;
mod progress;
mod replay;
pub mod results;
mod runs;
mod setting;
mod stop;
mod summary;

pub use annual::annual;
pub use batch::{Batch, ScenarioOutcome, failed, run, unreadable};
pub use card::model_card;
pub use case::cash_definition;
pub use closed_loop::run_figures;
pub use conditions::changed_inputs;
pub use delay::{Delay, Sight};
pub use noise::{REPLAY_HELP, few};
pub use parts::{folder as parts_folder, join};
pub use plant::{Compiled, HISTORY, Plant};
pub use progress::Progress;
pub use replay::replay_checks;
