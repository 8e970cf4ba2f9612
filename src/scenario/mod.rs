//! Scenarios: from a plant and a folder of what-ifs to results.

mod annual;
mod batch;
mod card;
mod case;
mod parts;
mod plant;
mod replay;
pub mod results;
mod runs;
mod summary;

pub use annual::annual;
pub use batch::{Batch, Outcome, Ticker, failed, run, unread};
pub use card::model_card;
pub use case::figures_of;
pub use parts::{folder as parts_folder, join};
pub use plant::{Compiled, HISTORY, Plant};
pub use replay::replay_checks;
