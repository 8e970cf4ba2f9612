//! Stores the samples of a signal between the stages of reading a log.

use std::borrow::Cow;
use std::sync::Arc;

use super::clock::typical_interval;
use super::packed::Packed;
use super::samples::Samples;

/// The samples of a column or tag. The samples of logs in long format are compressed, because tags do not share their
/// times.
#[derive(Debug)]
pub(super) enum Store {
    Plain(Samples),
    Packed { time: Packed<i64>, value: Packed<f64>, length: Packed<i64> },
}

impl Default for Store {
    fn default() -> Self {
        Self::Plain(Samples::default())
    }
}

impl Store {
    pub fn packed(s: &Samples) -> Self {
        Self::Packed { time: Packed::new(&s.time), value: Packed::new(&s.value), length: Packed::new(&s.length) }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Plain(s) => s.time.len(),
            Self::Packed { time, .. } => time.len(),
        }
    }

    pub fn time(&self) -> Arc<Vec<i64>> {
        match self {
            Self::Plain(s) => Arc::clone(&s.time),
            Self::Packed { time, .. } => Arc::new(time.unpack()),
        }
    }

    pub fn samples(&self) -> Cow<'_, Samples> {
        match self {
            Self::Plain(s) => Cow::Borrowed(s),
            Self::Packed { time, value, length } => {
                let length = length.unpack();
                Cow::Owned(Samples { time: Arc::new(time.unpack()), value: value.unpack(), length })
            }
        }
    }

    /// Replaces the times.
    pub fn set_time(&mut self, new: &Arc<Vec<i64>>) {
        match self {
            Self::Plain(s) => s.time = Arc::clone(new),
            Self::Packed { time, .. } => *time = Packed::new(new),
        }
    }
}

/// The clean samples of a signal, and facts that are needed before the samples are resampled.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub store: Store,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// The time (µs) of the last sample, or the end of its interval.
    pub end: Option<i64>,
    /// The result of [`typical_interval`].
    pub typical: Option<(i64, f64)>,
    /// Whether the samples have lengths.
    pub has_lengths: bool,
}

impl Kept {
    /// Stores the samples, compressed if `pack` is true.
    pub fn new(s: Samples, pack: bool) -> Self {
        Self {
            first: s.time.first().copied(),
            last: s.time.last().copied(),
            end: s.end(),
            typical: typical_interval(&s.time),
            has_lengths: !s.length.is_empty(),
            store: if pack { Store::packed(&s) } else { Store::Plain(s) },
        }
    }

    pub fn len(&self) -> usize {
        self.store.len()
    }
}
