//! The completed frame of a simulated step.

use jiff::Timestamp;

use crate::trajectory::{Frame, Window};

/// View of a window shifted back by one step, so that the view's current frame is the window's previous frame. All
/// signals of the previous frame are known, whereas the window's current frame already contains the next states.
pub(super) struct CompletedFrame<'a> {
    pub window: &'a Window,
    pub step_ms: i64,
}

impl Frame for CompletedFrame<'_> {
    fn rows(&self) -> usize {
        self.window.rows()
    }

    #[inline]
    fn column(&self, signal: usize, lag: usize) -> &[f64] {
        self.window.column(signal, lag + 1)
    }

    fn time(&self) -> Timestamp {
        let ms = self.window.time().as_millisecond().saturating_sub(self.step_ms);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
    }
}
