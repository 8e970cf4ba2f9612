//! A twin beside the running plant: the closed loop line by line, and advice.
//!
//! `description` is what the plant says of itself, `line` reads what it says later, `order` finds the step that it belongs to, `tags` the signals and units, `collected`
//! makes one step of the twin of several lines, `past` keeps what was seen, `ladder` decides,
//! `support` says how much of a move the model knows, `answer` is what goes back;
//! `account`, `record` and `tally` keep account, and `session` is the line through all of them.
//! `advice` plans once from the log's end: `follow` does as advised, `reason` says what speaks for each control, `newest`
//! whether the rows to start from can be.

mod account;
mod advice;
mod answer;
mod collected;
mod description;
mod fallback;
mod follow;
mod line;
mod newest;
mod order;
mod past;
mod reason;
mod record;
mod session;
mod support;
mod tags;
mod tally;

pub use advice::{Advice, KpiChange, Undo, advise};
pub use answer::Answer;
pub use fallback::FallbackLevel;
pub use line::{Flag, LONGEST};
pub use reason::Advised;
pub use session::{Reply, Session, Settings};
pub use tally::Tally;
