//! Tests that involve several modules. These tests are compiled as unit tests of the library, so that they can use its
//! private items.

mod cascaded_tanks;
mod counterfactual;
mod expr;
mod gap;
mod gated;
mod learn;
mod limits;
mod log;
mod models;
mod mpc;
mod planners;
mod plant;
mod report;
mod simulate;
mod table;
mod tune;
mod value;
