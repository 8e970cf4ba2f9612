//! Looks up time zones in the time-zone data of the machine.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

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
            Self::Unknown => {
                (format!("`{name}` is not a time zone"), "use an IANA name, like `Europe/Berlin` or `UTC`")
            }
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

/// The time zone with the IANA name `name`.
pub fn zone(name: &str) -> Result<TimeZone, ZoneFault> {
    zone_in(&folders(), name)
}

fn zone_in(folders: &[PathBuf], name: &str) -> Result<TimeZone, ZoneFault> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
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
