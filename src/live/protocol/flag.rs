//! Flags, which report faults in a line or in one of its values.

/// The kind of a flag. The text of a flag is part of the protocol and must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlagKind {
    /// The line is longer than [`super::line::MAX_LINE_BYTES`] and was not read.
    TooLong,
    /// The line contains bytes that are not UTF-8.
    Utf8,
    /// The line is empty.
    Blank,
    /// The line is not a JSON object.
    Json,
    /// The line has no `obs` table.
    NoObs,
    /// The line has no valid line number `k`.
    NoK,
    /// `time` is not an RFC 3339 time stamp.
    Time,
    /// A line with this number has already been answered, so the values of this line are ignored.
    OldK,
    /// Lines are missing before this line.
    Gap,
    /// A new run begins with this line.
    Restart,
    /// A description that arrived during a run was ignored.
    Describe,
    /// `time` is not later than the `time` of an earlier line, so the measurements are ignored.
    Stale,
    /// The line contains a name that does not belong to a signal.
    Unknown,
    /// A signal has no value.
    Missing,
    /// A value has the wrong type: it must be a number, or a table if the key requires a table.
    Type,
    /// A value is implausibly far outside the logged range.
    Absurd,
    /// A value is outside the range `valid` of its signal.
    Invalid,
    /// A value has been constant for longer than the time `flat` that is set for its signal.
    Stuck,
    /// A control that is reported as applied is outside its hard limits, so it cannot have been applied.
    Applied,
}

impl FlagKind {
    /// Returns the text of the flag in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Utf8 => "utf8",
            Self::Blank => "blank",
            Self::Json => "json",
            Self::NoObs => "no_obs",
            Self::NoK => "no_k",
            Self::Time => "time",
            Self::OldK => "old_k",
            Self::Gap => "gap",
            Self::Restart => "restart",
            Self::Describe => "describe",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Type => "type",
            Self::Absurd => "absurd",
            Self::Invalid => "invalid",
            Self::Stuck => "stuck",
            Self::Applied => "applied",
        }
    }
}

/// A fault in a line or in one of its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flag {
    pub kind: FlagKind,
    /// Name of the faulty signal or table as given in the line, or an empty string if the flag concerns the whole line.
    pub name: String,
}

impl Flag {
    /// Creates a flag for the whole line.
    pub fn line(kind: FlagKind) -> Self {
        Self { kind, name: String::new() }
    }

    /// Creates a flag for the signal or table `name`.
    pub fn value(kind: FlagKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// Returns the text `kind` or `kind:name`.
    pub fn text(&self) -> String {
        let kind = self.kind.as_str();
        if self.name.is_empty() { kind.to_owned() } else { format!("{kind}:{}", self.name) }
    }
}
