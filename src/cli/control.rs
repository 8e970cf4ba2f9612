//! `twinopt control`: the twin drives its plant, one JSON line each way.

use std::io::{BufRead, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::output::{SCHEMA_VERSION, note, plain};
use super::project::Project;
use super::{Globals, clock, interrupt, progress};
use crate::check;
use crate::error::{Error, Result};
use crate::live::{Flag, FlagKind, LONGEST_LINE, Reply, Session, Settings, Tally};
use crate::ops::{Registry, plant};

/// Drive a plant in closed loop: JSON lines on standard input and output.
///
/// Reads `{"describe": …}` first, then one `{"k": …, "obs": {…}}` per step of the plant, and answers each with
/// `{"u": {…}, "decided_by": …, "support": …, "predicted": {…}, "ms": …}` until `{"end": …}`. Names are those of the log's
/// columns. No line ends the loop: what is wrong is flagged in the answer, and the plan, the rest of the last plan, the
/// safe policy or the controls in force decide, in this order. A summary goes to standard error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt control data/plant1 --shadow --log seen.parquet\n  twinopt control data/plant1 --log seen.parquet"
)]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Compute and log, but answer with the plant's own controls
    #[arg(long)]
    pub shadow: bool,
    /// Write what was seen, planned and predicted to this Parquet file, which must be new
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Follow plans that leave what the model has seen
    #[arg(long)]
    pub allow_extrapolation: bool,
}

/// How often a silent plant is asked whether the user wants an end.
const PULSE: Duration = Duration::from_millis(50);

/// How long a plan and the writing of a long log may take when an end is wanted.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an interrupted loop leaves, once it is written.
const KEPT: &str = "; the log of the loop is whole up to here";

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (spec, _) = check::load_twin(&args.dir)?;
    let name = spec.value.name.value.clone();
    let registry = Registry::open(Project::find(&args.dir)?.model_dir(&name));
    let compute = globals.device.compute()?;
    let plant = progress::told(globals, &name, |tell, note| {
        plant::published(plant::read(spec, compute, tell)?, &registry, note)
    })?;
    let clock = clock::start();
    let settings = Settings {
        shadow: args.shadow,
        extrapolate: args.allow_extrapolation,
        log: args.log.as_deref(),
        seed: globals.seed,
        clock: Some(&clock),
    };
    let mut session = Session::new(&plant, &plant.compiled, &settings)?;
    let watch = interrupt::watch(PATIENCE);
    let lines = lines();
    let ended = converse(&mut session, &lines, &watch, globals);
    // whatever ended the loop: what was seen is kept
    let written = session.write();
    if args.log.is_some() && written.is_ok() {
        watch.leaves(KEPT);
    }
    tell(session.tally(), globals);
    ended.and(written)?;
    if watch.asked() { Err(Error::Interrupted) } else { Ok(()) }
}

/// A line as it came: its bytes, and whether it was too long to be kept.
type Came = (Vec<u8>, bool);

/// Lines of standard input, read on a thread of their own: a plant may be silent for long.
fn lines() -> Receiver<Came> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(came) = next_line(&mut input) {
            if sender.send(came).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line without its end, of which no more than [`LONGEST_LINE`] bytes are kept in memory; `None` at the end of input,
/// or when it cannot be read on.
fn next_line(input: &mut impl BufRead) -> Option<Came> {
    let (mut bytes, mut long, mut any) = (Vec::new(), false, false);
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        if buffer.is_empty() {
            return any.then_some((bytes, long));
        }
        any = true;
        let end = buffer.iter().position(|b| *b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if bytes.len() + part.len() > LONGEST_LINE {
            (long, bytes) = (true, Vec::new());
        } else if !long {
            bytes.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |e| e + 1);
        input.consume(used);
        if end.is_some() {
            return Some((bytes, long));
        }
    }
}

fn converse(session: &mut Session, lines: &Receiver<Came>, watch: &interrupt::Watch, globals: &Globals) -> Result<()> {
    let mut out = std::io::stdout().lock();
    while !watch.asked() {
        let (bytes, long) = match lines.recv_timeout(PULSE) {
            Ok(came) => came,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let began = Instant::now();
        let flags = if long { vec![Flag::line(FlagKind::TooLong)] } else { Vec::new() };
        let reply = session.take(&bytes, flags)?;
        session.notes().iter().for_each(|text| note(globals, text));
        match reply {
            Reply::Nothing => {}
            Reply::End => break,
            Reply::Answer(answer) => {
                let ms = began.elapsed().as_secs_f64() * 1e3;
                session.count(&answer, ms);
                let line = answer.line(ms) + "\n";
                match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
                    Ok(()) => {}
                    // who read there has gone
                    Err(e) if e.kind() == ErrorKind::BrokenPipe => break,
                    Err(e) => return Err(Error::write(Path::new("standard output"), e)),
                }
            }
        }
    }
    Ok(())
}

/// The summary, on standard error: standard output belongs to the plant.
fn tell(tally: &Tally, globals: &Globals) {
    let text = if globals.json {
        let mut summary = tally.json();
        summary["schema_version"] = SCHEMA_VERSION.into();
        summary.to_string() + "\n"
    } else if globals.quiet {
        return;
    } else {
        plain(&tally.text())
    };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; LONGEST_LINE + 5];
        bytes.extend_from_slice(b"\nshort\n\nlast");
        let mut input = std::io::BufReader::with_capacity(64, bytes.as_slice());
        let came: Vec<Came> = std::iter::from_fn(|| next_line(&mut input)).collect();
        let short = |text: &[u8]| (text.to_vec(), false);
        assert_eq!(came, [(Vec::new(), true), short(b"short"), short(b""), short(b"last")]);
    }
}
