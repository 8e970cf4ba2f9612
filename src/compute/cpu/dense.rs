//! Dense networks on the processor.

use crate::compute::{Net, Tape};
use crate::error::Result;

pub fn forward(_net: &Net, _x: &[f32], _rows: usize, _tape: &mut Tape, _out: &mut [f32]) -> Result<()> {
    todo!()
}

pub fn backward(
    _net: &Net,
    _x: &[f32],
    _rows: usize,
    _tape: &mut Tape,
    _out_grad: &[f32],
    _weight_grad: &mut [f32],
    _x_grad: Option<&mut [f32]>,
) -> Result<()> {
    todo!()
}
