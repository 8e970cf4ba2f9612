//! The frame that a simulated step completes.

use jiff::Timestamp;

use crate::trajectory::{Frame, Window};

/// The frame before the current one of a window, read as if it were the current one. All its signals are known, and the
/// window's current frame already has the next states.
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
