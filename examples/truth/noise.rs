//! Random series of the simulated plants.

use twinopt::rng::Key;

/// A stationary AR(1) process with mean 0 and standard deviation `sd`, in which successive values have correlation
/// `phi`. With `phi` = 0, the process is white noise.
pub fn autoregressive(key: Key, steps: usize, phi: f64, sd: f64) -> Vec<f64> {
    let mut value = 0.0;
    let mut series = Vec::with_capacity(steps);
    for t in 0..steps {
        let draw = sd * key.normal(t as u64);
        value = if t == 0 { draw } else { phi * value + (1.0 - phi * phi).sqrt() * draw };
        series.push(value);
    }
    series
}

/// A series that changes every `hold` steps to a new value, uniformly distributed in [−`range`, `range`].
pub fn piecewise_constant(key: Key, steps: usize, hold: usize, range: f64) -> Vec<f64> {
    (0..steps).map(|t| range * (2.0 * key.uniform((t / hold) as u64) - 1.0)).collect()
}
