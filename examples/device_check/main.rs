//! Checks and times the numerical operations on every device in this machine. The command is `cargo run --release
//! --example device_check -- [--quick] [OPERATION]`.
//!
//! First, the results of every operation on the processor and on the GPU are compared with plain loops in f64. Unless
//! `--quick` is given, both devices are then timed at realistic sizes. In the table of times, the error is the distance
//! between the results of the GPU and those of the processor. Without a GPU, the table of times contains no errors. The
//! exit status is 1 if an error exceeds its tolerance. The binary can be copied to another machine and run there
//! without the repository.

mod conformance;
mod timing;

use std::process::ExitCode;

use conformance::distance;
use twinopt::compute::{Backend, Cpu, Cuda, Result};

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let quick = flags.iter().any(|f| f == "--quick");
    let selected = |operation: &str| names.is_empty() || names.iter().any(|n| operation.contains(n.as_str()));
    let cuda = Cuda::open().map(Cuda::at_any_size);
    if let Err(why) = &cuda {
        println!("{why}\n");
    }
    let cuda = cuda.as_ref().ok().map(|c| c as &dyn Backend);
    let mut table = Table::default();
    table.head();
    for check in conformance::checks(true).iter().filter(|c| selected(c.operation)) {
        for device in std::iter::once(&Cpu as &dyn Backend).chain(cuda) {
            let error = check.error(device).map(Some);
            table.row(check.operation, &check.size, device, error, check.tolerance, None);
        }
    }
    if !quick {
        println!();
        table.head();
        for timing in timing::timings().iter().filter(|t| selected(t.operation)) {
            compare(&mut table, timing, cuda);
        }
    }
    println!("\n{} of {} comparisons failed", table.wrong, table.compared);
    if table.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints how long an operation takes on the CPU. If there is a GPU, also prints the time on the GPU and the distance
/// between the two results.
fn compare(table: &mut Table, timing: &timing::Timing, cuda: Option<&dyn Backend>) {
    let best = |device: &dyn Backend| timing.best(device);
    let cpu = match best(&Cpu) {
        Ok(cpu) => cpu,
        Err(why) => return table.row(timing.operation, &timing.size, &Cpu, Err(why), timing.tolerance, None),
    };
    let Some(cuda) = cuda else {
        return table.row(timing.operation, &timing.size, &Cpu, Ok(None), timing.tolerance, Some((cpu.0, None)));
    };
    match best(cuda) {
        Ok((ms, out)) => {
            let (error, times) = (distance(&out, &cpu.1), Some((cpu.0, Some(ms))));
            table.row(timing.operation, &timing.size, cuda, Ok(Some(error)), timing.tolerance, times);
        }
        Err(why) => table.row(timing.operation, &timing.size, cuda, Err(why), timing.tolerance, Some((cpu.0, None))),
    }
}

#[derive(Default)]
struct Table {
    compared: usize,
    wrong: usize,
}

impl Table {
    fn head(&self) {
        println!("| operation | size | device | error | tolerance | | cpu ms | device ms | cpu / device |");
        println!("|---|---|---|--:|--:|---|--:|--:|--:|");
    }

    /// Prints a row of the table. `error` is `None` if no results were compared. `times` contains the times on the
    /// processor and on the device, in milliseconds.
    fn row(
        &mut self,
        operation: &str,
        size: &str,
        device: &dyn Backend,
        error: Result<Option<f64>>,
        tolerance: f64,
        times: Option<(f64, Option<f64>)>,
    ) {
        let (found, outcome) = match &error {
            Ok(None) => (String::new(), ""),
            Ok(Some(error)) => (format!("{error:.1e}"), if *error <= tolerance { "pass" } else { "FAIL" }),
            Err(_) => ("none".to_owned(), "FAIL"),
        };
        self.compared += usize::from(!outcome.is_empty());
        self.wrong += usize::from(outcome == "FAIL");
        let number = |ms: Option<f64>| ms.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let (cpu, own) = (times.map(|t| t.0), times.and_then(|t| t.1));
        let ratio = cpu.zip(own).map(|(cpu, own)| cpu / own);
        println!(
            "| {operation} | {size} | {} | {found} | {tolerance:.0e} | {outcome} | {} | {} | {} |",
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
