//! Types for measured or simulated signals on a regular time grid. All parts of the crate exchange data in the form of
//! trajectories and windows.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::schema::Schema;

/// The values that an expression, KPI or model can read at one step: the present and past values of every signal, for
/// all rows of a batch.
pub trait Frame {
    /// Number of rows in the batch: the number of particles, or candidates × particles during planning.
    fn rows(&self) -> usize;
    /// Values of `signal` at `lag` steps before the current step: `[rows]`. If the lag reaches back
    /// beyond the first step, the values at the first step are returned.
    fn column(&self, signal: usize, lag: usize) -> &[f64];
    /// UTC time at the start of the step.
    fn time(&self) -> Timestamp;
    /// Time of every row in seconds since 1970, `[rows]`; `None` if all rows have the same time.
    fn row_seconds(&self) -> Option<&[f64]> {
        None
    }
}

/// Relative difference that is considered a rounding error.
const ROUNDING: f64 = 1e-9;

/// The values of all signals at all steps of a regular time grid, for one or more particles. Times are UTC. Missing
/// values are NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    pub schema: Arc<Schema>,
    pub start: Timestamp,
    /// Sample time in milliseconds.
    pub step_ms: i64,
    /// Number of steps of the grid.
    pub steps: usize,
    pub particles: usize,
    /// `[signals][steps * particles]`; the particles of one step are contiguous.
    pub columns: Vec<Vec<f64>>,
    /// Ranges of steps without gaps, each within one episode. The ranges are in ascending order. The change from one
    /// segment to the next is not a transition of the plant.
    pub segments: Vec<Range<usize>>,
    /// For steps in local time, the start of each step and the end of the last step, in ms since 1970. Otherwise empty.
    bounds: Vec<i64>,
}

impl Trajectory {
    /// Whether the values of `signal` in this trajectory and in `other` differ by more than a
    /// rounding error.
    pub fn differs(&self, other: &Self, signal: usize) -> bool {
        let differs = |(a, b): (&f64, &f64)| (a - b).abs() > ROUNDING * a.abs().max(b.abs());
        self.columns[signal].iter().zip(&other.columns[signal]).any(differs)
    }

    /// A trajectory with one segment, in which all values are NaN.
    pub fn empty(schema: Arc<Schema>, start: Timestamp, step_ms: i64, steps: usize, particles: usize) -> Self {
        let columns = vec![vec![f64::NAN; steps * particles]; schema.len()];
        Self { schema, start, step_ms, steps, particles, columns, segments: vec![0..steps], bounds: Vec::new() }
    }

    /// Sets the start of each step and the end of the last step, in ms since 1970.
    pub fn set_bounds(&mut self, bounds: Vec<i64>) {
        self.bounds = bounds;
    }

    /// Copies the times of the steps of `other`, starting at step `first`, to the steps of this trajectory.
    pub fn copy_times(&mut self, other: &Self, first: usize) {
        self.start = other.time(first);
        self.bounds = other.bounds.iter().skip(first).take(self.steps + 1).copied().collect();
    }

    /// Returns the steps `rows` of the trajectory.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let k = self.particles;
        let cut = |column: &Vec<f64>| column[rows.start * k..rows.end * k].to_vec();
        let overlapping = self.segments.iter().filter(|s| s.start < rows.end && rows.start < s.end);
        Self {
            schema: self.schema.clone(),
            start: self.time(rows.start),
            step_ms: self.step_ms,
            steps: rows.len(),
            particles: k,
            columns: self.columns.iter().map(cut).collect(),
            segments: overlapping
                .map(|s| s.start.max(rows.start) - rows.start..s.end.min(rows.end) - rows.start)
                .collect(),
            bounds: self.bounds.get(rows.start..=rows.end).unwrap_or_default().to_vec(),
        }
    }

    /// Returns the steps `rows`, which must be in ascending order. Steps that are not adjacent in
    /// this trajectory, or that belong to different segments of this trajectory, belong to
    /// different segments of the result.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return self.part(0..0) };
        if last - first + 1 == rows.len() {
            return self.part(*first..last + 1);
        }
        let k = self.particles;
        let cut = |column: &Vec<f64>| rows.iter().flat_map(|r| &column[r * k..(r + 1) * k]).copied().collect();
        let segment = |r: usize| self.segment_at(r).map(|s| s.start);
        let mut segments: Vec<Range<usize>> = Vec::new();
        for (t, r) in rows.iter().enumerate().filter(|(_, r)| segment(**r).is_some()) {
            let continues = t > 0 && rows[t - 1] + 1 == *r && segment(rows[t - 1]) == segment(*r);
            match segments.last_mut().filter(|_| continues) {
                Some(s) => s.end = t + 1,
                None => segments.push(t..t + 1),
            }
        }
        Self {
            schema: self.schema.clone(),
            start: self.time(*first),
            step_ms: self.step_ms,
            steps: rows.len(),
            particles: k,
            columns: self.columns.iter().map(cut).collect(),
            segments,
            bounds: rows.iter().copied().chain([last + 1]).map(|r| self.time(r).as_millisecond()).collect(),
        }
    }

    /// Number of steps in 24 hours, at least 1.
    pub fn steps_per_day(&self) -> usize {
        (86_400_000 / self.step_ms.max(1)).max(1) as usize
    }

    /// UTC time at the start of step `t`.
    pub fn time(&self, t: usize) -> Timestamp {
        let bound = self.bounds.get(t).and_then(|ms| Timestamp::from_millisecond(*ms).ok());
        bound.unwrap_or_else(|| time_after(self.start, self.step_ms, t))
    }

    /// The step whose interval contains `time`; `None` if `time` is outside the grid. If steps are whole days, a time
    /// up to one hour before the start of a step belongs to that step. The tolerance is needed because local midnight
    /// is one hour earlier in UTC during daylight saving time.
    pub fn step_at(&self, time: Timestamp) -> Option<usize> {
        let early = if self.step_ms % 86_400_000 == 0 { 3_600_000 } else { 0 };
        let ms = time.as_millisecond() + early;
        let t = if self.bounds.is_empty() {
            usize::try_from((ms - self.start.as_millisecond()).div_euclid(self.step_ms)).ok()?
        } else {
            self.bounds.partition_point(|b| *b <= ms).checked_sub(1)?
        };
        (t < self.steps).then_some(t)
    }

    /// The segment that contains step `t`.
    pub fn segment_at(&self, t: usize) -> Option<&Range<usize>> {
        let after = self.segments.partition_point(|s| s.start <= t);
        self.segments[..after].last().filter(|s| s.contains(&t))
    }

    /// Sample time in seconds.
    pub fn step_seconds(&self) -> f64 {
        self.step_ms as f64 / 1e3
    }

    /// Values of `signal` at step `t`: `[particles]`.
    pub fn at(&self, signal: usize, t: usize) -> &[f64] {
        &self.columns[signal][t * self.particles..(t + 1) * self.particles]
    }

    pub fn at_mut(&mut self, signal: usize, t: usize) -> &mut [f64] {
        &mut self.columns[signal][t * self.particles..(t + 1) * self.particles]
    }

    /// The frame at step `t`. Lags can reach back at most to step `first`, the start of the segment or of the
    /// simulation.
    pub fn frame(&self, t: usize, first: usize) -> TrajectoryFrame<'_> {
        TrajectoryFrame { trajectory: self, t, first }
    }
}

fn time_after(start: Timestamp, step_ms: i64, t: usize) -> Timestamp {
    let ms = start.as_millisecond().saturating_add(step_ms.saturating_mul(t as i64));
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// One step of a [`Trajectory`], as a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub struct TrajectoryFrame<'a> {
    trajectory: &'a Trajectory,
    t: usize,
    first: usize,
}

impl Frame for TrajectoryFrame<'_> {
    fn rows(&self) -> usize {
        self.trajectory.particles
    }

    fn column(&self, signal: usize, lag: usize) -> &[f64] {
        self.trajectory.at(signal, self.t.saturating_sub(lag).max(self.first))
    }

    fn time(&self) -> Timestamp {
        self.trajectory.time(self.t)
    }
}

/// The last `depth` frames of a batch, stored in a ring buffer that rollouts read and write in place.
///
/// The layout is `[depth][signals][rows]`, and the current frame has lag 0.
#[derive(Debug, Clone)]
pub struct Window {
    signals: usize,
    depth: usize,
    rows: usize,
    data: Vec<f64>,
    /// Index of the current frame in the ring buffer.
    head: usize,
    start: Timestamp,
    step_ms: i64,
    steps: usize,
    /// Time of the current frame in seconds since 1970, `[rows]`; empty if all rows have the same time.
    seconds: Vec<f64>,
    /// Number of distinct frames, including the current frame. All older frames are copies of the
    /// oldest distinct frame.
    known: usize,
}

impl Window {
    /// A window in which all values are NaN; `start` is the time of the current frame.
    pub fn new(signals: usize, depth: usize, rows: usize, start: Timestamp, step_ms: i64) -> Self {
        let depth = depth.max(1);
        Self {
            signals,
            depth,
            rows,
            data: vec![f64::NAN; signals * depth * rows],
            head: 0,
            start,
            step_ms,
            steps: 0,
            seconds: Vec::new(),
            known: depth,
        }
    }

    /// A window whose current frame is step `t` of `past`. Each particle `p` is repeated in k = `rows / particles`
    /// consecutive rows, starting at row `p * k`. Lags that reach back before `first` repeat the oldest frame.
    pub fn from_trajectory(past: &Trajectory, t: usize, first: usize, depth: usize, rows: usize) -> Self {
        let mut w = Self::new(past.schema.len(), depth, rows, past.time(t), past.step_ms);
        w.known = w.depth.min((t + 1).saturating_sub(first));
        let copies = rows / past.particles.max(1);
        for lag in 0..w.depth {
            let frame = past.frame(t, first);
            for s in 0..w.signals {
                let src = frame.column(s, lag);
                let dst = w.column_mut(s, lag);
                for (p, v) in src.iter().enumerate() {
                    dst[p * copies..(p + 1) * copies].fill(*v);
                }
            }
        }
        w
    }

    /// Copies row `row` of `other`, which has the same signals, into all rows. Lags beyond the depth of `other` repeat
    /// its oldest frame.
    pub fn broadcast_from(&mut self, other: &Self, row: usize) {
        self.start = other.time();
        self.steps = 0;
        self.seconds.clear();
        self.known = self.depth.min(other.known);
        self.step_ms = other.step_ms;
        for lag in 0..self.depth {
            for s in 0..self.signals {
                let v = other.column(s, lag.min(other.depth - 1))[row];
                self.column_mut(s, lag).fill(v);
            }
        }
    }

    /// Selects rows of the window: the new row `i` is the previous row `rows[i]`.
    pub fn select(&mut self, rows: &[usize]) {
        let columns = self.data.chunks_exact(self.rows.max(1));
        self.data = columns.flat_map(|column| rows.iter().map(|&r| column[r])).collect();
        if !self.seconds.is_empty() {
            self.seconds = rows.iter().map(|&r| self.seconds[r]).collect();
        }
        self.rows = rows.len();
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Number of distinct frames, including the current frame. All older frames are copies of the
    /// oldest distinct frame.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Sets the time of each row of the current frame, in seconds since 1970: `[rows]`.
    pub fn set_row_seconds(&mut self, seconds: Vec<f64>) {
        self.seconds = seconds;
    }

    /// Number of times that [`Window::advance`] was called.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Sample time in seconds.
    pub fn step_seconds(&self) -> f64 {
        self.step_ms as f64 / 1e3
    }

    /// Sets the time of the current frame, for a run that continues after a gap.
    pub fn set_time(&mut self, time: Timestamp) {
        let passed = i64::try_from(self.steps).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
        self.start = Timestamp::from_millisecond(time.as_millisecond().saturating_sub(passed)).unwrap_or(time);
    }

    /// Advances to the next frame: lag 0 becomes lag 1. The new current frame contains old values until the caller
    /// overwrites them.
    pub fn advance(&mut self) {
        self.head = (self.head + 1) % self.depth;
        self.steps += 1;
        self.known = self.depth.min(self.known + 1);
        let step = self.step_seconds();
        self.seconds.iter_mut().for_each(|s| *s += step);
    }

    #[inline]
    fn offset(&self, signal: usize, lag: usize) -> usize {
        debug_assert!(lag < self.depth && signal < self.signals);
        let slot = (self.head + self.depth - lag) % self.depth;
        (slot * self.signals + signal) * self.rows
    }

    #[inline]
    pub fn column_mut(&mut self, signal: usize, lag: usize) -> &mut [f64] {
        let at = self.offset(signal, lag);
        &mut self.data[at..at + self.rows]
    }
}

impl Frame for Window {
    fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    fn column(&self, signal: usize, lag: usize) -> &[f64] {
        let at = self.offset(signal, lag.min(self.depth - 1));
        &self.data[at..at + self.rows]
    }

    fn time(&self) -> Timestamp {
        time_after(self.start, self.step_ms, self.steps)
    }

    fn row_seconds(&self) -> Option<&[f64]> {
        (!self.seconds.is_empty()).then_some(&self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four steps of eight hours each in local time; during the first step, the clocks were set forward in Berlin.
    #[test]
    fn steps_in_local_time_have_their_own_starts() {
        let times = ["30T23", "31T06", "31T14", "31T22", "32T06"].map(|t| {
            let t = t.replace("32T", "04-01T").replace("31T", "03-31T").replace("30T", "03-30T");
            format!("2024-{t}:00:00Z").parse::<Timestamp>().unwrap()
        });
        let mut shifts = Trajectory::empty(Arc::new(Schema::new(Vec::new())), times[0], 8 * 3_600_000, 4, 1);
        shifts.set_bounds(times.iter().map(|t| t.as_millisecond()).collect());
        let at = |t: &str| shifts.step_at(t.parse().unwrap());
        assert_eq!(at("2024-03-31T06:00:00Z"), Some(1));
        assert_eq!(
            [at("2024-03-31T05:59:00Z"), at("2024-04-01T05:59:00Z"), at("2024-04-01T06:00:00Z")],
            [Some(0), Some(3), None]
        );
        assert_eq!((0..5).map(|t| shifts.time(t)).collect::<Vec<_>>(), times);
        let part = shifts.part(1..3);
        assert_eq!([part.time(0), part.time(2)], [times[1], times[3]]);
        let mut run = Trajectory::empty(shifts.schema.clone(), times[0], shifts.step_ms, 2, 1);
        run.copy_times(&shifts, 2);
        assert_eq!([run.time(0), run.time(1)], [times[2], times[3]]);
    }

    #[test]
    fn selected_steps_keep_their_times_and_segments() {
        let mut all =
            Trajectory::empty(Arc::new(Schema::new(Vec::new())), Timestamp::from_second(10).unwrap(), 1000, 10, 1);
        all.segments = vec![0..4, 6..10];
        let some = all.select(&[1, 2, 3, 6, 7, 9]);
        assert_eq!(some.segments, [0..3, 3..5, 5..6]);
        let seconds: Vec<i64> = (0..=6).map(|t| some.time(t).as_second()).collect();
        assert_eq!(seconds, [11, 12, 13, 16, 17, 19, 20]);
        assert_eq!(all.select(&[6, 7, 8]), all.part(6..9));
        let mut w = Window::new(0, 2, 1, all.time(0), 1000);
        w.advance();
        w.set_time(all.time(7));
        w.advance();
        assert_eq!(w.time(), all.time(8));
    }

    #[test]
    fn a_window_counts_its_distinct_frames() {
        let schema = Arc::new(Schema::new(Vec::new()));
        let past = Trajectory::empty(schema, Timestamp::UNIX_EPOCH, 1000, 9, 1);
        let known = |t| Window::from_trajectory(&past, t, 4, 3, 1).known();
        assert_eq!([4, 5, 6, 8].map(known), [1, 2, 3, 3]);
        let mut w = Window::new(0, 5, 1, Timestamp::UNIX_EPOCH, 1000);
        assert_eq!(w.known(), 5);
        w.broadcast_from(&Window::from_trajectory(&past, 4, 4, 3, 1), 0);
        w.advance();
        assert_eq!(w.known(), 2);
    }

    #[test]
    fn a_window_keeps_the_last_frames() {
        let mut w = Window::new(2, 3, 1, Timestamp::UNIX_EPOCH, 1000);
        for v in 0..5 {
            if v > 0 {
                w.advance();
            }
            w.column_mut(0, 0)[0] = f64::from(v);
            w.column_mut(1, 0)[0] = f64::from(10 * v);
        }
        assert_eq!([w.column(0, 0)[0], w.column(0, 1)[0], w.column(1, 2)[0]], [4.0, 3.0, 20.0]);
        assert_eq!(w.time(), Timestamp::from_second(4).unwrap());
    }
}
