//! Configurations for systemd, cron and Kubernetes that run `retrain` every night.

use crate::log::OUTSIDE;

/// The commands to run and their start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Absolute path of the twin's folder.
    pub twin: String,
    /// Absolute path of the project's folder.
    pub root: String,
    pub plant: String,
    /// Absolute path of the binary.
    pub binary: String,
    pub hour: u8,
    pub minute: u8,
    /// Scenario folder to run after the retraining.
    pub run: Option<String>,
    /// Absolute path of the program that the retraining runs when an alert opens or clears.
    pub notify: Option<String>,
    /// Global flags to add to the commands.
    pub flags: Vec<String>,
    /// Value of the environment variable [`OUTSIDE`], which lists folders outside the project that may contain logs.
    /// The value of the variable may be empty.
    pub outside: String,
}

impl Job {
    fn commands(&self, binary: &str) -> Vec<String> {
        let mut binary = quote(binary);
        if !self.outside.is_empty() {
            binary = format!("/usr/bin/env {} {binary}", quote(&format!("{OUTSIDE}={}", self.outside)));
        }
        let flags: String = self.flags.iter().map(|f| format!(" {f}")).collect();
        let notify = self.notify.as_ref().map_or_else(String::new, |n| format!(" --notify {}", quote(n)));
        let mut commands = vec![format!("{binary} retrain {} --quiet{flags}{notify}", quote(&self.twin))];
        commands.extend(self.run.as_ref().map(|run| format!("{binary} run {} --quiet{flags}", quote(run))));
        commands
    }

    /// Returns three systemd files as one string: a service, its timer, and a service that reports failures.
    pub fn systemd(&self) -> String {
        let unit = format!("twinopt-{}", self.plant);
        // escapes systemd specifiers (%) and variables ($)
        let exec_start = |c: &String| format!("ExecStart={}", c.replace('%', "%%").replace('$', "$$"));
        let exec: Vec<String> = self.commands(&self.binary).iter().map(exec_start).collect();
        format!(
            "# {unit}.service\n\
             [Unit]\n\
             Description=Retrain the twin of {plant}\n\
             OnFailure=twinopt-failed@%n.service\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             WorkingDirectory={root}\n\
             # another process uses the plant\n\
             SuccessExitStatus=75\n\
             {exec}\n\
             TimeoutStartSec=2h\n\
             MemoryMax=4G\n\
             Nice=10\n\
             \n\
             # {unit}.timer\n\
             [Unit]\n\
             Description=Nightly retraining of {plant}\n\
             \n\
             [Timer]\n\
             OnCalendar=*-*-* {h:02}:{m:02}:00 UTC\n\
             Persistent=true\n\
             \n\
             [Install]\n\
             WantedBy=timers.target\n\
             \n\
             # twinopt-failed@.service (once per machine; replace the command by your mail or pager)\n\
             [Unit]\n\
             Description=Report that %i failed\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             ExecStart=/usr/bin/logger -p daemon.err -t twinopt \"%i failed; see journalctl -u %i\"\n",
            plant = self.plant,
            root = self.root.replace('%', "%%"),
            exec = exec.join("\n"),
            h = self.hour,
            m = self.minute,
        )
    }

    /// A crontab entry. Cron uses the local time zone. Because `%` has a special meaning in a crontab, it is escaped.
    pub fn cron(&self) -> String {
        let line = format!("cd {} && {{ {}; }}", quote(&self.root), self.commands(&self.binary).join("; "));
        format!("{} {} * * * {}\n", self.minute, self.hour, line.replace('%', "\\%"))
    }

    /// A Kubernetes CronJob, with placeholders for the volume claim and for the container image, which must have
    /// `twinopt` on its path.
    pub fn kubernetes(&self) -> String {
        // the name of a CronJob may have at most 52 characters, which must be letters, digits or `-`
        let name: String = self.plant.to_lowercase().chars().take(40).collect();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let name = name.trim_matches('-');
        // exit code 75 (another process uses the plant) does not mean that the job failed
        let tolerate = |c: String| format!("{c} || {{ c=$?; [ $c = 75 ] || exit $c; }}");
        let script: Vec<String> = self.commands("twinopt").into_iter().map(tolerate).collect();
        let script = serde_json::Value::from(script.join("; ")).to_string();
        let root = serde_json::Value::from(self.root.as_str()).to_string();
        format!(
            "apiVersion: batch/v1\n\
             kind: CronJob\n\
             metadata:\n\
             \x20 name: twinopt-{name}\n\
             spec:\n\
             \x20 schedule: \"{m} {h} * * *\"\n\
             \x20 timeZone: Etc/UTC\n\
             \x20 concurrencyPolicy: Forbid\n\
             \x20 startingDeadlineSeconds: 3600\n\
             \x20 jobTemplate:\n\
             \x20   spec:\n\
             \x20     activeDeadlineSeconds: 7200\n\
             \x20     backoffLimit: 0\n\
             \x20     template:\n\
             \x20       spec:\n\
             \x20         restartPolicy: Never\n\
             \x20         containers:\n\
             \x20           - name: retrain\n\
             \x20             image: twinopt:latest  # your image, with twinopt on its path\n\
             \x20             workingDir: {root}\n\
             \x20             command: [\"/bin/sh\", \"-c\", {script}]\n\
             \x20             resources:\n\
             \x20               limits:\n\
             \x20                 memory: 4Gi\n\
             \x20             volumeMounts:\n\
             \x20               - name: project\n\
             \x20                 mountPath: {root}\n\
             \x20         volumes:\n\
             \x20           - name: project\n\
             \x20             persistentVolumeClaim:\n\
             \x20               claimName: twinopt  # your claim\n",
            m = self.minute,
            h = self.hour,
        )
    }
}

/// Quotes `text` as one word for a POSIX shell and for systemd.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            twin: "/srv/my plant/data/dc".into(),
            root: "/srv/my plant".into(),
            plant: "dc".into(),
            binary: "/usr/bin/twinopt".into(),
            hour: 2,
            minute: 30,
            run: Some("/srv/my plant/scenarios/dc".into()),
            notify: Some("/usr/local/bin/mail it".into()),
            flags: vec!["--seed 7".into()],
            outside: String::new(),
        }
    }

    #[test]
    fn cron_line_has_five_fields_and_quotes_spaces() {
        let line = job().cron();
        assert!(
            line.starts_with("30 2 * * * cd '/srv/my plant' && { /usr/bin/twinopt retrain '/srv/my plant/data/dc'"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn folders_outside_the_project_are_passed_on() {
        let job = Job { outside: "/mnt/a b:/c".into(), run: None, ..job() };
        for text in [job.systemd(), job.cron(), job.kubernetes()] {
            assert_eq!(text.matches("/usr/bin/env 'TWINOPT_LOG_FOLDERS=/mnt/a b:/c' ").count(), 1, "{text}");
        }
        assert!(!super::tests::job().cron().contains("env"));
    }

    #[test]
    fn every_command_has_the_requested_flags() {
        for text in [job().systemd(), job().cron(), job().kubernetes()] {
            assert_eq!(text.matches("--quiet --seed 7").count(), 2, "{text}");
            assert_eq!(text.matches("--notify '/usr/local/bin/mail it'").count(), 1, "{text}");
        }
    }

    #[test]
    fn systemd_sections_are_complete() {
        let text = job().systemd();
        for section in
            ["[Unit]", "[Service]", "[Timer]", "[Install]", "OnCalendar=*-*-* 02:30:00 UTC", "TimeoutStartSec"]
        {
            assert!(text.contains(section), "{section}");
        }
        assert_eq!(text.matches("ExecStart=/usr/bin/twinopt").count(), 2);
    }

    #[test]
    fn kubernetes_indents_by_two_and_forbids_overlap() {
        let text = job().kubernetes();
        assert!(text.lines().all(|l| (l.len() - l.trim_start().len()) % 2 == 0));
        assert!(text.contains("concurrencyPolicy: Forbid") && text.contains("schedule: \"30 2 * * *\""));
    }
}
