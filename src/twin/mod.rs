//! The digital twin: the dynamics of a learned plant, with noise, ensemble members and an envelope of support.
//!
//! | file | content |
//! |---|---|
//! | `dynamics` | the interface through which controllers and simulations use a plant |
//! | `learned` | the twin: a plant with a fitted model |
//! | `envelope`, `marginal` | whether a point is close to the training data: jointly, and signal by signal |
//! | `carry` | replacement of missing states by predictions |
//! | `guaranteed` | the range of values that the equation of a state guarantees |
//! | `shapes` | test whether a twin is linear or piecewise linear |
//! | `recorded` | a twin with recorded noise: the errors of the model over a logged period |
//! | `artefact`, `provenance` | the file of a twin, and the data and configuration with which the twin was fitted |

mod artefact;
mod carry;
mod dynamics;
mod envelope;
mod guaranteed;
mod learned;
mod marginal;
mod provenance;
mod recorded;
mod shapes;

pub use artefact::MODEL_FILE;
pub use dynamics::{Batch, Dynamics, Support};
pub use guaranteed::guaranteed;
pub use learned::Twin;
pub use provenance::{Provenance, config_hash};
pub use recorded::RecordedTwin;
pub use shapes::Shapes;
