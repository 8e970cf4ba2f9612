//! Checks every device of this machine and times it: `cargo run --release --example device_check [-- --quick]`.
//!
//! First every operation against plain loops in f64, on the processor and on the GPU, whatever the size. Then, unless
//! `--quick`, both devices at the sizes of real work: errors are then against the processor. Exit status 1 when a device
//! is wrong somewhere. The binary can be copied to another machine and run there alone.

mod conformance;
mod timing;

use std::process::ExitCode;

use conformance::distance;
use twinopt::compute::{Backend, Cpu, Cuda};
use twinopt::error::Result;

fn main() -> ExitCode {
    let quick = std::env::args().any(|a| a == "--quick");
    let cuda = Cuda::open().map(Cuda::everything);
    if let Err(why) = &cuda {
        println!("{why}\n");
    }
    let cuda = cuda.as_ref().ok().map(|c| c as &dyn Backend);
    let mut table = Table::default();
    table.head();
    for check in conformance::checks(true) {
        for device in std::iter::once(&Cpu as &dyn Backend).chain(cuda) {
            let error = check.error(device);
            table.row(check.operation, &check.size, device, error, check.tolerance, None);
        }
    }
    if !quick {
        println!();
        table.head();
        for timing in timing::timings() {
            compare(&mut table, &timing, cuda);
        }
    }
    println!("\n{} of {} rows wrong", table.wrong, table.rows);
    if table.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The processor's time and, where there is a GPU, its time and its distance from the processor.
fn compare(table: &mut Table, timing: &timing::Timing, cuda: Option<&dyn Backend>) {
    let best = |device: &dyn Backend| timing.best(device);
    let cpu = match best(&Cpu) {
        Ok(cpu) => cpu,
        Err(why) => return table.row(timing.operation, &timing.size, &Cpu, Err(why), timing.tolerance, None),
    };
    let Some(cuda) = cuda else {
        return table.row(timing.operation, &timing.size, &Cpu, Ok(0.0), timing.tolerance, Some((cpu.0, None)));
    };
    match best(cuda) {
        Ok((ms, out)) => {
            let (error, times) = (distance(&out, &cpu.1), Some((cpu.0, Some(ms))));
            table.row(timing.operation, &timing.size, cuda, Ok(error), timing.tolerance, times);
        }
        Err(why) => table.row(timing.operation, &timing.size, cuda, Err(why), timing.tolerance, Some((cpu.0, None))),
    }
}

#[derive(Default)]
struct Table {
    rows: usize,
    wrong: usize,
}

impl Table {
    fn head(&self) {
        println!("| operation | size | device | error | tolerance | | cpu ms | device ms | cpu / device |");
        println!("|---|---|---|--:|--:|---|--:|--:|--:|");
    }

    /// `times`: milliseconds on the processor and on the device.
    fn row(
        &mut self,
        operation: &str,
        size: &str,
        device: &dyn Backend,
        error: Result<f64>,
        tolerance: f64,
        times: Option<(f64, Option<f64>)>,
    ) {
        let right = error.as_ref().is_ok_and(|e| *e <= tolerance);
        self.rows += 1;
        self.wrong += usize::from(!right);
        let verdict = if right { "pass" } else { "FAIL" };
        let shown = error.as_ref().map_or_else(|_| "none".to_owned(), |e| format!("{e:.1e}"));
        let number = |ms: Option<f64>| ms.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let (cpu, own) = (times.map(|t| t.0), times.and_then(|t| t.1));
        let ratio = cpu.zip(own).map(|(cpu, own)| cpu / own);
        println!(
            "| {operation} | {size} | {} | {shown} | {tolerance:.0e} | {verdict} | {} | {} | {} |",
            device.name(),
            number(cpu),
            number(own),
            number(ratio)
        );
        if let Err(why) = error {
            println!("\n{why}\n");
        }
    }
}
