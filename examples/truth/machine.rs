//! The machine, and the CPU time of the processes that this program started.

/// Model and number of the CPUs, as far as the operating system reports them.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    format!("{cores} cores ({})", model.map_or(std::env::consts::ARCH, |m| m.1))
}

/// CPU time in seconds of all finished child processes; `None` if the operating system does not report it.
pub fn cpu_seconds() -> Option<f64> {
    /// Clock ticks per second in `/proc`.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 16 and 17. The name of the program, in parentheses, is field 2.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(|f| f.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? / TICKS)
}
