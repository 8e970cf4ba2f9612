//! From the logs of a running plant to decisions that its staff act on.

#![forbid(unsafe_code)]

pub mod error;
pub mod rng;
pub mod schema;
pub mod spec;
pub mod trajectory;
pub mod units;

pub mod expr;
pub mod log;

pub mod learn;
pub mod value;

pub mod twin;

pub mod check;

pub mod control;

pub mod simulate;

pub mod report;
pub mod scenario;

pub mod ops;

pub mod cli;
