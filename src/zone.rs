//! Looks up time zones in the time-zone data of the machine.

use std::path::{Path, PathBuf};

use jiff::tz::{Offset, TimeZone};

/// The reason why a time zone cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneFault {
    /// There is no time zone with this name.
    Unknown,
    /// The machine has no time-zone data.
    NoData,
    /// The data of the time zone cannot be read.
    Unreadable(String),
}

impl ZoneFault {
    /// What is wrong with the time zone `name`, and how to correct it.
    pub fn explain(&self, name: &str) -> (String, &'static str) {
        match self {
            Self::Unknown => (
                format!("`{name}` is not a time zone"),
                "use an IANA name, such as `Europe/Berlin` or `UTC`, or an offset, such as `+01:00`",
            ),
            Self::NoData => (
                format!("the time zone `{name}` cannot be looked up, because this machine has no time-zone data"),
                "install the package `tzdata`, or use `UTC`",
            ),
            Self::Unreadable(why) => (
                format!("the data of the time zone `{name}` cannot be read: {why}"),
                "check the disk, or install the package `tzdata` again",
            ),
        }
    }
}

/// The folders that may contain time-zone data, in order of preference.
fn folders() -> Vec<PathBuf> {
    let own = std::env::var_os("TZDIR").map(PathBuf::from);
    let usual = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"].map(PathBuf::from);
    own.into_iter().chain(usual).collect()
}

/// The time zone with the IANA name `name`, or with a fixed offset from UTC, such as `+01:00`.
pub fn zone(name: &str) -> Result<TimeZone, ZoneFault> {
    zone_in(&folders(), name)
}

fn zone_in(folders: &[PathBuf], name: &str) -> Result<TimeZone, ZoneFault> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        return offset(name).map(TimeZone::fixed).ok_or(ZoneFault::Unknown);
    }
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "+-_".contains(c))
    };
    if !name.split('/').all(is_name) {
        return Err(ZoneFault::Unknown);
    }
    let mut found = false;
    for folder in folders {
        let path = folder.join(name);
        match crate::disk::read_if_present(&path) {
            Ok(Some(data)) => {
                return TimeZone::tzif(name, &data).map_err(|e| unreadable(&path, &e.to_string()));
            }
            Ok(None) => found |= folder.is_dir(),
            Err(e) => return Err(unreadable(&path, &e.to_string())),
        }
    }
    if !found {
        return Err(ZoneFault::NoData);
    }
    // if only the case of the letters in a name is wrong, a search of all names finds the correct name
    let search = || names().into_iter().find(|n| n.eq_ignore_ascii_case(name) && n != name);
    search().map_or(Err(ZoneFault::Unknown), |n| zone_in(folders, &n))
}

/// Parses an offset such as `+01:00`, `-0330` or `+2`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let number = |text: &str, end: i32| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i32>().ok().filter(|n| is_number && *n < end)
    };
    Offset::from_seconds(sign * (3_600 * number(hours, 24)? + 60 * number(minutes, 60)?)).ok()
}

fn unreadable(path: &Path, why: &str) -> ZoneFault {
    ZoneFault::Unreadable(format!("{}: {why}", path.display()))
}

/// The names of all time zones, or an empty list if the data cannot be read.
pub fn names() -> Vec<String> {
    let all = || jiff::tz::db().available().map(|n| n.as_str().to_owned()).collect();
    crate::caught::catch(all).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_in_any_case_and_every_fault_is_told_apart() {
        assert_eq!(zone("utc"), Ok(TimeZone::UTC));
        assert_eq!(zone("Europe/Berlin"), Ok(TimeZone::get("Europe/Berlin").unwrap()));
        assert_eq!(zone("europe/berlin").unwrap().iana_name(), Some("Europe/Berlin"));
        for (text, seconds) in [("+01:00", 3_600), ("-0330", -12_600), ("+2", 7_200), ("+05:30", 19_800)] {
            assert_eq!(zone(text), Ok(TimeZone::fixed(Offset::from_seconds(seconds).unwrap())), "{text}");
        }
        for name in ["+", "+1:2", "-25", "+01:60", "+ä1", "+1:00:00"] {
            assert_eq!(zone(name), Err(ZoneFault::Unknown), "{name}");
        }
        for name in ["Europe/Berln", "", "../../../etc/passwd", "/etc/localtime", "Europe/.", "Europe"] {
            assert_eq!(zone(name), Err(ZoneFault::Unknown), "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().to_path_buf()];
        std::fs::write(dir.path().join("Broken"), "TZif").unwrap();
        assert!(matches!(zone_in(&folders, "Broken"), Err(ZoneFault::Unreadable(_))));
        assert_eq!(zone_in(&[dir.path().join("none")], "Europe/Berlin"), Err(ZoneFault::NoData));
        // UTC needs no data
        assert_eq!(zone_in(&[], "UTC"), Ok(TimeZone::UTC));
    }
}
