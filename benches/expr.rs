//! Measures the number of expression nodes evaluated per second on batches of 1,024 rows.
//!
//! A node evaluation is one operation (arithmetic operation, comparison or function call) on one row. Reads of signals
//! and constants are not counted.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use twinopt::Window;
use twinopt::bench::{Program, Registers, Scope, Unit};

const ROWS: usize = 1024;
const CASES: [(&str, &str); 3] = [
    (
        "mixed",
        "max(0, a + b * c - 2) * 0.5 + min(d, 3 * (a - b)) / (1 + c * c) - if(b > a, a, c) + exp(-0.1 * d) * clip(c, 0.1, 0.9)",
    ),
    ("arithmetic", "(a + b) * (c - d) + 2 * a - b * d + a * c"),
    ("exp", "exp(a)"),
];

fn main() {
    let names = ["a", "b", "c", "d"];
    let signals = names.iter().enumerate().map(|(i, n)| ((*n).to_owned(), (i, Unit::one()))).collect();
    let scope = Scope { signals, dt: 600.0, ..Scope::default() };
    let mut window = Window::new(names.len(), 1, ROWS, Timestamp::UNIX_EPOCH, 600_000);
    for s in 0..names.len() {
        for (r, v) in window.column_mut(s, 0).iter_mut().enumerate() {
            *v = 1.0 + ((r * (s + 3)) as f64 * 0.7).sin();
        }
    }
    for (name, text) in CASES {
        let Ok(program) = Program::compile(text, &scope) else { panic!("`{text}` does not compile") };
        let (mut registers, mut out) = (Registers::default(), vec![0.0; ROWS]);
        let nodes = (program.operations() * ROWS) as f64;
        let rate = || {
            let (start, mut runs) = (Instant::now(), 0.0);
            while start.elapsed() < Duration::from_millis(300) {
                for _ in 0..100 {
                    program.eval(black_box(&window), &mut registers, black_box(&mut out));
                }
                runs += 100.0;
            }
            runs * nodes / start.elapsed().as_secs_f64() / 1e6
        };
        let best = std::iter::repeat_with(rate).take(5).fold(0.0, f64::max);
        println!(
            "{name}: {} operations per row, {best:.0} M node evaluations per second, best of 5",
            program.operations()
        );
    }
}
