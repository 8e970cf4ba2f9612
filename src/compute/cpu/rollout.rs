//! The fused rollout on the processor.

use crate::compute::NetRollout;
use crate::error::Result;

pub fn rollout(_rollout: &NetRollout, _states: &mut [f32]) -> Result<()> {
    todo!()
}
