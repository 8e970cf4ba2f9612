//! The digital twin: the dynamics of a learned plant, with noise, ensemble members and an envelope of support.
//!
//! | file | content |
//! |---|---|
//! | `dynamics` | what controllers and the simulation require of a plant |
//! | `learned` | a fitted model as such a plant |
//! | `envelope`, `marginal` | whether a point is close to the training data: jointly, and signal by signal |
//! | `carry` | predictions in place of missing measurements |
//! | `linear` | whether a twin is linear |
//! | `artefact`, `provenance` | a twin as a file, and what it was made from |

mod artefact;
mod carry;
mod dynamics;
mod envelope;
mod learned;
mod linear;
mod marginal;
mod provenance;

pub use artefact::MODEL_FILE;
pub use dynamics::{Batch, Dynamics, Support};
pub use learned::Twin;
pub use provenance::{Provenance, config_hash};
