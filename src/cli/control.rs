//! `twinopt control`: closed-loop control over JSON lines on standard input and output.

use std::io::{BufRead, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::globals::Globals;
use super::output::{SCHEMA_VERSION, note};
use super::plant::PlantFolder;
use super::{clock, interrupt, progress};
use crate::error::{Error, Result};
use crate::live::{Flag, FlagKind, MAX_LINE_BYTES, Reply, Session, Settings, Tally};
use crate::ops::{plant, publish};
use crate::terminal::printable;

/// Control a plant in closed loop, with JSON lines on standard input and output.
///
/// Reads `{"describe": …}` first, then one `{"k": …, "obs": {…}}` per step of the plant. Replies to each step with
/// `{"u": {…}, "decided_by": …, "support": …, "predicted": {…}, "ms": …}` until `{"end": …}`. Signals are named like
/// their columns in the log. An invalid input line does not stop the loop. Missing, late and implausible values are
/// flagged in the reply. If no new plan is available, the loop uses the rest of the last plan, then the safe policy,
/// and finally the present controls. Prints a summary on standard error at the end.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt control data/plant1 --shadow --log loop.parquet\n  twinopt control data/plant1 --log loop.parquet"
)]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Compute and log plans, but reply with the present controls of the plant
    #[arg(long)]
    pub shadow: bool,
    /// Write observations, plans and predictions to this Parquet file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Follow plans even if they leave the range of the training data
    #[arg(long)]
    pub allow_extrapolation: bool,
}

/// Interval between checks for an interrupt while no line arrives.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Time after an interrupt at which the process is forced to end, even if a plan or the log is unfinished (not tuned).
const GRACE_PERIOD: Duration = Duration::from_secs(10);
/// Message about the log, printed after an interrupted loop.
const LOG_WRITTEN: &str = "; the log of the loop is complete up to this point";

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
    let plant = progress::with_spinner(globals, &name, |progress, note| {
        publish::open_published(plant::read(spec, compute, progress)?, &registry, note)
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
    let guard = interrupt::guard(GRACE_PERIOD);
    let lines = read_lines();
    let ended = serve(&mut session, &lines, &guard, globals);
    // the log is written even if the loop ended with an error
    let written = session.write();
    if args.log.is_some() && written.is_ok() {
        guard.set_message(LOG_WRITTEN);
    }
    print_summary(session.tally(), globals);
    ended.and(written)?;
    if guard.is_interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The bytes of a line, and whether the line was too long. The bytes of a line that is too long are discarded.
type InputLine = (Vec<u8>, bool);

/// Reads the lines of standard input on a separate thread, so that the program handles interrupts even while it waits
/// for a line.
fn read_lines() -> Receiver<InputLine> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(line) = next_line(&mut input) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line, without its line ending. At most [`MAX_LINE_BYTES`] bytes of a line are kept in memory. `None` at the
/// end of the input or after a read error.
fn next_line(input: &mut impl BufRead) -> Option<InputLine> {
    let (mut bytes, mut too_long, mut any) = (Vec::new(), false, false);
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        if buffer.is_empty() {
            return any.then_some((bytes, too_long));
        }
        any = true;
        let end = buffer.iter().position(|b| *b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if bytes.len() + part.len() > MAX_LINE_BYTES {
            (too_long, bytes) = (true, Vec::new());
        } else if !too_long {
            bytes.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |e| e + 1);
        input.consume(used);
        if end.is_some() {
            return Some((bytes, too_long));
        }
    }
}

/// Replies to every line until the end of the input, an end message or an interrupt.
fn serve(
    session: &mut Session,
    lines: &Receiver<InputLine>,
    guard: &interrupt::InterruptGuard,
    globals: &Globals,
) -> Result<()> {
    let mut out = std::io::stdout().lock();
    while !guard.is_interrupted() {
        let (bytes, too_long) = match lines.recv_timeout(POLL_INTERVAL) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let start = Instant::now();
        let flags = if too_long { vec![Flag::line(FlagKind::TooLong)] } else { Vec::new() };
        let reply = session.take(&bytes, flags)?;
        session.notes().iter().for_each(|text| note(globals, text));
        match reply {
            Reply::Nothing => {}
            Reply::End => break,
            Reply::Answer(answer) => {
                let ms = start.elapsed().as_secs_f64() * 1e3;
                session.count(&answer, ms);
                let line = answer.line(ms) + "\n";
                match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
                    Ok(()) => {}
                    // the reader has closed the pipe
                    Err(e) if e.kind() == ErrorKind::BrokenPipe => break,
                    Err(e) => return Err(Error::write(Path::new("standard output"), e)),
                }
            }
        }
    }
    Ok(())
}

/// Prints the summary on standard error, because standard output is reserved for replies to the plant.
fn print_summary(tally: &Tally, globals: &Globals) {
    let text = if globals.json {
        let mut summary = tally.json();
        summary["schema_version"] = SCHEMA_VERSION.into();
        summary.to_string() + "\n"
    } else if globals.quiet {
        return;
    } else {
        printable(&tally.text())
    };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_does_not_affect_the_next_one() {
        let mut bytes = vec![b'x'; MAX_LINE_BYTES + 5];
        bytes.extend_from_slice(b"\nshort\n\nlast");
        let mut input = std::io::BufReader::with_capacity(64, bytes.as_slice());
        let lines: Vec<InputLine> = std::iter::from_fn(|| next_line(&mut input)).collect();
        let short = |text: &[u8]| (text.to_vec(), false);
        assert_eq!(lines, [(Vec::new(), true), short(b"short"), short(b""), short(b"last")]);
    }
}
