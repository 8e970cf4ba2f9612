//! A twin that runs alongside the plant: the closed loop, line by line, and advice from the newest rows of the log.
//!
//! `session` takes a line through the four parts of the loop. `protocol` finds the step that the line belongs to and reads
//! its values. `estimator` completes the past and fills in missing values. `fallback` decides the controls within their
//! `limits`; `support` reduces moves that the model does not support. `journal` records and counts. `advise` plans once from
//! the newest rows of the log.

mod advise;
mod decision;
mod estimator;
mod fallback;
mod journal;
mod limits;
mod protocol;
mod session;
mod support;

pub use advise::advice::Advice;
pub use advise::advise;
pub use decision::FallbackLevel;
pub use journal::tally::Tally;
pub use protocol::answer::Answer;
pub use protocol::flag::{Flag, FlagKind};
pub use protocol::line::MAX_LINE_BYTES;
pub use session::{Reply, Session, Settings};
