//! `twinopt init`: drafts a first twin and scenario from the log of a plant.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::globals::Globals;
use super::imported::Imported;
use super::progress::Stages;
use super::{output, render};
use crate::check::{self, Plant};
use crate::config;
use crate::draft::{Draft, LogSource};
use crate::error::{Error, Result, plural};
use crate::log;
use crate::ops::project::Project;

/// Write a commented twin.toml and a first scenario from a Parquet log.
///
/// Guesses the role and unit of every column from its name and values, and marks every guess with `# guess`. Columns
/// that are constant or incomplete, or that cannot be predicted, are listed with the reason. Copies the log to
/// `DIR/log`; without `--log`, the files in `DIR/log` are used. Existing files are never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt init data/plant1 --log export.parquet\n  twinopt init --demo")]
pub struct Args {
    /// Folder of the new twin, `data/<plant>` (default with `--demo`: `data/demo`)
    #[arg(required_unless_present = "demo", default_value_if("demo", "true", "data/demo"), required = false)]
    pub dir: PathBuf,
    /// Parquet file with the log of the plant (default: the files in `DIR/log`, written by `twinopt import`)
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    /// Time zone of the plant, such as Europe/Berlin or +01:00, which also applies to times without a zone
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub timezone: Option<String>,
    /// Write a complete example plant: a simulated supply chain with its log, twin and scenarios
    #[arg(long, conflicts_with_all = ["log", "timezone"])]
    pub demo: bool,
}

/// The log of the example plant.
const DEMO_LOG: &[u8] = include_bytes!("../../data/inventory/log/serial_inventory.parquet");
/// The twin of the example plant.
const DEMO_TWIN: &str = include_str!("../../data/inventory/twin.toml");
/// Name and text of each scenario of the example plant.
const DEMO_SCENARIOS: [(&str, &str); 4] = [
    ("demand_up.toml", include_str!("../../scenarios/inventory/demand_up.toml")),
    ("long_lead.toml", include_str!("../../scenarios/inventory/long_lead.toml")),
    ("normal.toml", include_str!("../../scenarios/inventory/normal.toml")),
    ("supplier_cap.toml", include_str!("../../scenarios/inventory/supplier_cap.toml")),
];
/// The name that the example files use for the example plant.
const DEMO_NAME: &str = "\"inventory\"";

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (root, name) = root_and_plant(&args.dir)?;
    let project = Project { root };
    if args.demo {
        return demo(args, &project, &name, globals);
    }
    let log_dir = args.dir.join("log");
    let twin_file = args.dir.join("twin.toml");
    let scenario_file = project.scenario_dir(&name).join("first.toml");
    let mut written = vec![&twin_file, &scenario_file];
    let given = match &args.log[..] {
        [] => None,
        [file] => Some(file),
        files => {
            let from: String = files.iter().map(|file| format!(" --from {}", file.display())).collect();
            let dir = args.dir.display();
            return Err(Error::Usage(format!(
                "--log accepts one file; join several logs by time with `twinopt import {dir}{from}`, and then run `twinopt init \
                 {dir}`"
            )));
        }
    };
    let (sources, pattern, log_file) = match given {
        Some(file) => {
            require_parquet(file, &args.dir)?;
            let file_name = file.file_name().ok_or_else(|| Error::no_input(file, "it is not a file"))?;
            (vec![file.clone()], file_name.to_string_lossy().into_owned(), Some(log_dir.join(file_name)))
        }
        None => (log_files(&log_dir)?, "*.parquet".to_owned(), None),
    };
    written.extend(log_file.as_ref());
    require_absent(written)?;
    let stages = Stages::new(globals, &name);
    stages.show(&format!("reading {}", given.unwrap_or(&log_dir).display()), 0, 0);
    let imported = if given.is_none() { Imported::load(&args.dir) } else { Imported::default() };
    let unit = |column: &str| imported.unit(column);
    if let Some(zone) = &args.timezone {
        crate::zone::zone(zone).map_err(|fault| {
            let (what, help) = fault.explain(zone);
            Error::Usage(format!("{what}; {help}"))
        })?;
    }
    let timezone = args.timezone.as_deref().or(imported.timezone());
    let source = LogSource { files: &sources, pattern: &pattern, timezone, unit: &unit };
    let described = log::describe(&sources)?;
    stages.show("choosing roles, step and lags", 0, 0);
    let draft = Draft::new(&name, source, &described)?;
    let (twin, scenario) = (draft.twin(&pattern)?, draft.scenario()?);
    if let Some(log_file) = &log_file {
        let mut from = std::fs::File::open(&sources[0]).map_err(|e| Error::no_input(&sources[0], e))?;
        write(log_file, &mut from)?;
    }
    write(&twin_file, &mut twin.as_bytes())?;
    write(&scenario_file, &mut scenario.as_bytes())?;

    stages.show("checking the drafts", 0, 0);
    let loaded = config::load_twin(&args.dir)?;
    let plant = Plant::new(&loaded);
    let mut faults = check::twin(&plant);
    faults.extend(check::scenario(&config::load_scenario(&scenario_file)?, &plant));
    if faults.iter().all(|f| f.warning) {
        faults.extend(check::contents(&plant));
    }
    faults.retain(|f| !f.warning);
    let errors = faults.len();
    drop(stages);
    if globals.json {
        return output::json(&json!({
            "schema_version": output::SCHEMA_VERSION,
            "twin": twin_file,
            "log": log_file.as_ref().unwrap_or(&log_dir),
            "scenario": scenario_file,
            "signals": draft.signals(),
            "remarks": draft.remarks(),
            "left_out": draft.left_out().iter().map(|(column, reason)| json!({ "column": column, "reason": reason })).collect::<Vec<_>>(),
            "faults": errors,
        }));
    }
    let dir = args.dir.display();
    let signals = plural(draft.signals(), "signal", "signals");
    let mut text = match &log_file {
        Some(file) => format!("log copied to   {}\n", file.display()),
        None => format!("log             {}/{pattern}\n", log_dir.display()),
    };
    let _ = writeln!(text, "twin            {}, {signals}", twin_file.display());
    let _ = writeln!(text, "first scenario  {}", scenario_file.display());
    text += &draft.remark();
    if errors > 0 {
        let _ = write!(text, "\n{} to correct:\n{}", plural(errors, "fault", "faults"), render::text(&faults, false));
    }
    let _ = writeln!(text, "\nNext: check the lines marked `# guess` in twin.toml, then run");
    let _ = writeln!(text, "  twinopt check {dir}");
    let _ = writeln!(text, "  twinopt inspect {dir}");
    let _ = writeln!(text, "  twinopt run {}", project.scenario_dir(&name).display());
    if globals.quiet { Ok(()) } else { output::print(&text) }
}

/// # Errors
/// [`Error::Data`] with a command for converting the file if it is not a Parquet file.
fn require_parquet(file: &Path, dir: &Path) -> Result<()> {
    // opening a pipe would wait forever; the reader refuses it
    if !file.is_file() {
        return Ok(());
    }
    let mut start = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut start));
    if read.is_err() || start.starts_with(b"PAR") {
        return Ok(());
    }
    let (file, dir) = (file.display(), dir.display());
    Err(Error::Data(format!(
        "{file}: this is not a Parquet file; convert it with `twinopt import {dir} --from {file}`, and then run \
         `twinopt init {dir}`"
    )))
}

/// The Parquet files in the folder of the log, sorted by name.
fn log_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let names = crate::disk::names_in(dir).map_err(|e| Error::no_input(dir, e))?;
    let mut files: Vec<PathBuf> =
        names.iter().filter(|n| n.ends_with(".parquet") && !n.starts_with('.')).map(|n| dir.join(n)).collect();
    files.sort();
    if files.is_empty() {
        let plant = dir.parent().unwrap_or(dir).display();
        let text = format!(
            "it contains no Parquet file; convert an export with `twinopt import {plant} --from FILES`, or give the log with \
             `--log FILE`"
        );
        return Err(Error::no_input(dir, text));
    }
    Ok(files)
}

/// The project root and the plant name of `dir`, which is `<root>/data/<plant>`.
fn root_and_plant(dir: &Path) -> Result<(PathBuf, String)> {
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or("");
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !valid {
        let text =
            format!("`{}` is not a valid folder name for a plant; use letters, digits, `_` and `-`", dir.display());
        return Err(Error::Usage(text));
    }
    let data = dir.parent().filter(|p| p.file_name().is_some_and(|n| n == "data"));
    match data {
        Some(data) => {
            let root = data.parent().unwrap_or(Path::new(""));
            Ok((root.to_path_buf(), name.to_owned()))
        }
        None => Err(Error::Usage(format!(
            "the folder of a plant must be inside a folder named `data`; use `twinopt init {} …`",
            dir.parent().unwrap_or(Path::new("")).join("data").join(name).display()
        ))),
    }
}

/// Writes the example plant.
fn demo(args: &Args, project: &Project, name: &str, globals: &Globals) -> Result<()> {
    let named = |text: &str| text.replace(DEMO_NAME, &format!("\"{name}\""));
    let (dir, scenarios) = (&args.dir, project.scenario_dir(name));
    let mut files = vec![
        (dir.join("twin.toml"), named(DEMO_TWIN).into_bytes()),
        (dir.join("log").join("serial_inventory.parquet"), DEMO_LOG.to_vec()),
    ];
    files.extend(DEMO_SCENARIOS.map(|(file, text)| (scenarios.join(file), named(text).into_bytes())));
    require_absent(files.iter().map(|(file, _)| file))?;
    for (file, bytes) in &files {
        write(file, &mut bytes.as_slice())?;
    }
    if globals.json {
        let written: Vec<&PathBuf> = files.iter().map(|(file, _)| file).collect();
        return output::json(&json!({ "schema_version": output::SCHEMA_VERSION, "files": written }));
    }
    let text = format!(
        "example plant   {}: a simulated supply chain, 3,000 days\nscenarios       {}\n\nNext:\n  twinopt check {}\n  twinopt run {}\n",
        dir.display(),
        scenarios.display(),
        dir.display(),
        scenarios.display()
    );
    if globals.quiet { Ok(()) } else { output::print(&text) }
}

/// # Errors
/// [`Error::Usage`] if one of the files exists.
fn require_absent<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    match files.into_iter().find(|file| file.exists()) {
        None => Ok(()),
        Some(file) => {
            let text = format!(
                "{} already exists, so nothing was written; remove it or choose another folder",
                file.display()
            );
            Err(Error::Usage(text))
        }
    }
}

/// Writes the bytes of `from` to a new file.
fn write(file: &Path, from: &mut impl std::io::Read) -> Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
    }
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(|e| Error::write(file, e))?;
    std::io::copy(from, &mut out).map(|_| ()).map_err(|e| Error::write(file, e))
}
