//! A twin beside the running plant: the closed loop line by line, and advice.
//!
//! `description` is what the plant says of itself, `line` reads what it says later, `order` finds the step that it belongs to, `tags` the signals and units, `collected`
//! makes one step of the twin of several lines, `past` keeps what was seen, `ladder` decides, `answer` is what goes back;
//! `account`, `record` and `tally` keep account, and `session` is the line through all of them.

mod account;
mod advice;
mod answer;
mod collected;
mod description;
mod ladder;
mod line;
mod order;
mod past;
mod record;
mod session;
mod tags;
mod tally;

pub use advice::{Advice, Advised, KpiChange, Undo, advise};
pub use answer::Answer;
pub use ladder::Rung;
pub use line::{Flag, LONGEST};
pub use session::{Reply, Session, Settings};
pub use tally::Tally;
