//! The fused rollout on the GPU: all frames stay there, and one loop on the host queues every step.

use super::dense::Layers;
use super::device::{Device, columns, launch};
use crate::compute::NetRollout;
use crate::error::Result;

pub fn rollout(device: &Device, rollout: &NetRollout, states: &mut [f32]) -> Result<()> {
    let NetRollout { net, steps, rows, past, .. } = *rollout;
    let (inputs, targets) = (rollout.inputs.len(), rollout.targets.len());

    // Rows are grouped by member, so that a layer is one batched product: member b mod `batch` of the batch has the
    // rows of block b, `depth` of them at most.
    let block = rollout.block.min(rows);
    let count = rows.div_ceil(block);
    let batch = count.min(net.members);
    let depth = count.div_ceil(batch) * block;

    // Twice the weights, when the batch begins with another member each step: it is then one stretch of them.
    let layers = Layers::new(device, &net, if rollout.switch { 2 } else { 1 })?;
    let mut room = layers.room(device, batch, depth)?;
    // Zeros: places beyond a member's last row are computed too, and must be numbers.
    let mut x = device.zeros::<f32>(batch * inputs * depth)?;

    let mut frames = device.zeros::<f32>((past + steps) * rollout.columns * rows)?;
    device.place(rollout.history, &mut frames, 0)?;
    let future = device.upload(rollout.future)?;
    let exogenous = device.upload_indices(rollout.exogenous.iter().copied())?;
    let input_column = device.upload_indices(rollout.inputs.iter().map(|i| i.0))?;
    let input_lag = device.upload_indices(rollout.inputs.iter().map(|i| i.1))?;
    let (input_mean, input_scale) = (device.upload(rollout.input_mean)?, device.upload(rollout.input_scale)?);
    let column = device.upload_indices(rollout.targets.iter().map(|t| t.0))?;
    let increment = device.upload_indices(rollout.targets.iter().map(|t| usize::from(t.1)))?;
    let (mean, sd) = (device.upload(rollout.target_mean)?, device.upload(rollout.target_sd)?);
    let (least, most) = (device.upload(rollout.least)?, device.upload(rollout.most)?);
    let mut out = device.room::<f32>(steps * targets * rows)?;

    let word = |n: usize| n as u64;
    let (lines, wide, earlier) = (word(rows), word(rollout.columns), word(past));
    let (p, q) = (word(inputs), word(targets));
    let (in_block, in_batch, deep) = (word(block), word(batch), word(depth));
    let (noisy, key) = rollout.key.map_or((0u64, 0u64), |key| (1, key.word()));
    if !rollout.exogenous.is_empty() {
        let (times, given) = (word(steps), word(rollout.exogenous.len()));
        let shape = columns(rows, steps * rollout.exogenous.len())?;
        launch!(
            device,
            place_future,
            shape,
            &lines,
            &times,
            &given,
            &wide,
            &earlier,
            &exogenous,
            &future,
            &mut frames
        )?;
    }
    for step in 0..steps {
        let (t, present) = (word(step), word(past - 1 + step));
        launch!(
            device,
            gather,
            columns(rows, inputs)?,
            &lines,
            &p,
            &wide,
            &present,
            &in_block,
            &in_batch,
            &deep,
            &input_column,
            &input_lag,
            &input_mean,
            &input_scale,
            &frames,
            &mut x,
        )?;
        let first = if rollout.switch { step % net.members } else { 0 };
        layers.forward(device, (first, batch), &x, depth, &mut room)?;
        launch!(
            device,
            sample,
            columns(rows, targets)?,
            &lines,
            &q,
            &wide,
            &present,
            &in_block,
            &in_batch,
            &deep,
            &t,
            &noisy,
            &key,
            &column,
            &increment,
            &mean,
            &sd,
            &least,
            &most,
            &room.out,
            &mut frames,
            &mut out,
        )?;
    }
    device.download(&out, states)?;
    device.finish("rollout")
}
