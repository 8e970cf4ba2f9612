//! Runs a twin alongside the plant, either in closed loop or to give advice based on the newest rows of the log.
//!
//! `session` passes each line through the four parts of the loop. `protocol` finds the step that
//! the line belongs to and reads the values in the line. `estimator` adds the values of the line to
//! the history of the run and replaces missing values. `fallback` chooses the controls within their
//! `limits`, and reduces moves that the model does not support. `journal` writes the log and counts
//! decisions and flags. `advise` makes one plan from the newest rows of the log.

mod advise;
mod decision;
mod estimator;
mod fallback;
mod journal;
mod limits;
mod protocol;
mod session;

pub use advise::advice::Advice;
pub use advise::advise;
pub use decision::FallbackLevel;
pub use journal::tally::Tally;
pub use protocol::answer::Answer;
pub use protocol::flag::{Flag, FlagKind};
pub use protocol::line::MAX_LINE_BYTES;
pub use session::{Reply, Session, Settings};
