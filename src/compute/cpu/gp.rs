//! Gaussian processes on the processor.

use crate::compute::{Evidence, GpFunctions, Kernel, Points, Solve};
use crate::error::Result;

pub fn kernel(_kernel: &Kernel, _a: Points, _b: Points, _out: &mut [f64]) -> Result<()> {
    todo!()
}

pub fn cholesky(_a: &mut [f64], _n: usize) -> Result<bool> {
    todo!()
}

pub fn solve(_l: &[f64], _n: usize, _b: &mut [f64], _which: Solve) -> Result<()> {
    todo!()
}

pub fn evidence(_kernel: &Kernel, _noise: f64, _x: Points, _y: &[f64]) -> Result<Option<Evidence>> {
    todo!()
}

pub fn predict(_gp: &GpFunctions, _x: Points, _out: &mut [f64], _variance: Option<&mut [f64]>) -> Result<()> {
    todo!()
}
