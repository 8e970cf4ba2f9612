//! Flags: what is wrong with a line, or with one value in it.

/// The kind of a flag. Its text is part of the protocol and stays stable.
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
    /// The line has no usable number `k`.
    NoK,
    /// `time` is not an RFC 3339 time stamp.
    Time,
    /// A line with this number has already been answered; the values are ignored.
    OldK,
    /// Lines are missing before this one.
    Gap,
    /// A new run begins with this line.
    Restart,
    /// A description in the middle of a run was ignored.
    Describe,
    /// `time` is not later than that of the previous line; the measurements are ignored.
    Stale,
    /// The line uses a name that belongs to no signal.
    Unknown,
    /// A signal has no value.
    Missing,
    /// A value is not a number, or a table is not a table.
    Type,
    /// A value is far outside the logged range.
    Absurd,
    /// A value lies outside `valid`.
    Invalid,
    /// A value has not changed for longer than `flat`.
    Stuck,
    /// An applied control lies outside the hard limits and cannot have been applied.
    Applied,
}

impl FlagKind {
    /// The text of the protocol.
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

/// Something that is wrong with a line or with a value in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flag {
    pub kind: FlagKind,
    /// The signal or table, as the line names it. Empty for the line as a whole.
    pub name: String,
}

impl Flag {
    /// A flag of the line as a whole.
    pub fn line(kind: FlagKind) -> Self {
        Self { kind, name: String::new() }
    }

    /// A flag of the signal or table `name`.
    pub fn value(kind: FlagKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// `kind` or `kind:name`.
    pub fn text(&self) -> String {
        let kind = self.kind.as_str();
        if self.name.is_empty() { kind.to_owned() } else { format!("{kind}:{}", self.name) }
    }
}
