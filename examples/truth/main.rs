//! Compares promised and true savings for small plants whose effects are known. The command is `cargo run
//! --release --example truth -- [--seeds N] [--models linear,gp:5] [--plants static,on_off]`.
//!
//! For every cell (a plant, the way its control moved, and its noise) and seed, the program simulates a log, runs the
//! binary `twinopt` in a temporary folder as a user would, and compares the promised saving, its 90 % interval and the
//! answer on the first page with the true saving of the simulated plant. The environment variable `TWINOPT` names the
//! binary. By default, the binary in the folder above this program is used.

mod arguments;
mod cell;
mod document;
mod history;
mod machine;
mod movement;
mod noise;
mod plant;
mod project;
mod score;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;

use arguments::Arguments;
use cell::Cell;
use plant::Plant;
use project::Promise;
use score::{Outcome, Score};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cells = match selected(&arguments) {
        Ok(cells) => cells,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let binary = project::binary();
    let workers = arguments.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut fails = false;
    for model in &arguments.models {
        let seeds = model.seeds.unwrap_or(arguments.seeds);
        let (start, cpu) = (Instant::now(), machine::cpu_seconds());
        println!("\n{} with {seeds} seeds\n\n{}", model.name, table::HEAD.trim_end());
        let run = |cell: &Cell, seed: u64| run(&binary, cell, &model.name, seed, arguments.each);
        let seeds_of_cell = arguments.first_seed..arguments.first_seed + seeds;
        let scores: Vec<Score> = cells
            .iter()
            .map(|cell| {
                let score = Score::new(*cell, in_parallel(workers, seeds_of_cell.clone(), |seed| run(cell, seed)));
                print!("{}", table::row(&score));
                score
            })
            .collect();
        let cpu = machine::cpu_seconds().zip(cpu).map(|(now, then)| (now - then) / 60.0);
        let cpu = cpu.map_or_else(|| "unknown".to_owned(), |minutes| format!("{minutes:.1} min"));
        let machine = machine::machine();
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        let summary = format!(
            "{seeds} seeds per cell, {machine}, CPU time {cpu}, elapsed time {minutes:.1} min. {}",
            table::summary(&model.name, &scores)
        );
        println!("\n{summary}");
        fails |= scores.iter().any(|s| s.outcome() == Outcome::Fails);
        let rows: String = scores.iter().map(table::row).collect();
        let section = format!("{summary}\n{}{rows}", table::HEAD);
        if arguments.write
            && let Err(why) = document::write(&model.name, &section)
        {
            eprintln!("error: {}: {why}", document::FILE);
            return ExitCode::from(2);
        }
    }
    if arguments.strict && fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The cells that the arguments select.
fn selected(arguments: &Arguments) -> Result<Vec<Cell>, String> {
    let known = Plant::ALL.map(Plant::name);
    if let Some(unknown) = arguments.plants.iter().find(|p| !known.contains(&p.as_str())) {
        return Err(format!("there is no plant `{unknown}`; the plants are {}", known.join(", ")));
    }
    let mut cells = cell::cells();
    cells.retain(|c| arguments.plants.is_empty() || arguments.plants.iter().any(|p| p == c.plant.name()));
    cells.retain(|c| c.name().contains(&arguments.cells));
    if cells.is_empty() { Err("no cell is selected".to_owned()) } else { Ok(cells) }
}

fn run(binary: &Path, cell: &Cell, model: &str, seed: u64, print: bool) -> Result<Promise, String> {
    let promise = project::promise(binary, cell, model, seed).map_err(|why| why.to_string());
    if print {
        match &promise {
            Ok(p) => eprintln!(
                "{} seed {seed}: {:+.3} [{:+.3}, {:+.3}], true {:+.3}, {:?}, {}, {}",
                cell.name(),
                p.saving,
                p.low,
                p.high,
                p.truth,
                p.answer,
                p.level,
                p.model
            ),
            Err(why) => eprintln!("{} seed {seed}: {why}", cell.name()),
        }
    }
    promise
}

/// Calls `job` with every seed on `workers` threads, and returns the results in the order of the seeds.
fn in_parallel<T: Send>(workers: usize, seeds: std::ops::Range<u64>, job: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let seeds: Vec<u64> = seeds.collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(u64, T)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = job(seed);
                    done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((seed, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, result)| result).collect()
}
