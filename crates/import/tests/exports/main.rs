//! Imports small exports with the binary, and compares the log with values that are computed here.

mod formats;
mod historians;
mod logs;
mod plant;
mod refusals;
mod stores;
mod times;
mod workbooks;
