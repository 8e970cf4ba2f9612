//! Tests of behaviour that needs several modules, compiled into the unit tests of the library so that they reach its
//! private items.

mod cascaded_tanks;
mod expr;
mod gap;
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
