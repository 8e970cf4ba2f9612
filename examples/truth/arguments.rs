//! Command-line arguments.

use clap::Parser;

/// Compares promised and true savings for plants whose effects are known.
#[derive(Debug, Parser)]
#[command(name = "truth")]
pub struct Arguments {
    /// Number of seeds per cell and model.
    #[arg(long, default_value_t = 20)]
    pub seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    pub first_seed: u64,
    /// Models, each optionally with its own number of seeds: `linear,gp:5`.
    #[arg(long, value_delimiter = ',', default_value = "linear", value_parser = parse_model)]
    pub models: Vec<Model>,
    /// Plants (default: all).
    #[arg(long, value_delimiter = ',')]
    pub plants: Vec<String>,
    /// Only cells whose name contains this text.
    #[arg(long, default_value = "")]
    pub cells: String,
    /// Number of processes that run at the same time (default: number of CPUs).
    #[arg(long)]
    pub workers: Option<usize>,
    /// Print the promised and the true saving for every seed.
    #[arg(long)]
    pub each: bool,
    /// Write the tables to docs/truth.md, and keep the tables of other models.
    #[arg(long)]
    pub write: bool,
    /// Exit with status 1 if a cell fails.
    #[arg(long)]
    pub strict: bool,
}

/// A model and its number of seeds.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    /// Number of seeds; `None` if the number given by `--seeds` applies.
    pub seeds: Option<u64>,
}

fn parse_model(text: &str) -> Result<Model, String> {
    let Some((name, seeds)) = text.split_once(':') else {
        return Ok(Model { name: text.to_owned(), seeds: None });
    };
    let seeds = seeds.parse().map_err(|_| format!("`{seeds}` is not a number of seeds"))?;
    Ok(Model { name: name.to_owned(), seeds: Some(seeds) })
}
