//! Quality flags of the samples of a historian.

use std::collections::BTreeMap;

use crate::error::{Error, Result, list};

/// The flags that mark a sample as good.
pub struct Good {
    texts: Vec<String>,
    /// A single number is a range with equal ends.
    ranges: Vec<(f64, f64)>,
}

impl Good {
    /// `flags` are words, numbers and ranges such as `192..255`. If `flags` is empty, the usual OPC flags apply.
    /// `yes_means_good`: what the answer yes means if the flags answer a question; see [`crate::layout::question`].
    pub fn new(flags: &[String], yes_means_good: Option<bool>) -> Self {
        const USUAL: [&str; 7] = ["good", "valid", "ok", "gut", "gültig", "gueltig", "bon"];
        const CODES: [&str; 2] = ["true", "192..255"];
        const YES: [&str; 11] = ["1", "yes", "y", "ja", "j", "oui", "si", "sí", "sim", "wahr", "vrai"];
        const NO: [&str; 11] = ["0", "no", "n", "nein", "non", "nee", "não", "false", "falsch", "faux", "falso"];
        let others: &[&[&str]] = match yes_means_good {
            None => &[&CODES],
            Some(true) => &[&CODES, &YES],
            Some(false) => &[&NO],
        };
        let usual = || USUAL.iter().chain(others.iter().copied().flatten()).map(|f| (*f).to_owned()).collect();
        let flags: Vec<String> = if flags.is_empty() { usual() } else { flags.to_vec() };
        let range = |text: &String| {
            let (from, to) = text.split_once("..").unwrap_or((text, text));
            from.trim().parse().ok().zip(to.trim().parse().ok())
        };
        Self {
            texts: flags.iter().map(|f| f.trim().to_lowercase()).collect(),
            ranges: flags.iter().filter_map(range).collect(),
        }
    }

    /// Whether `flag` is good. A good flag may be followed by a detail, as in `Good, local override`.
    pub fn contains(&self, flag: &str) -> bool {
        let flag = flag.trim().to_lowercase();
        let prefix = |good: &String| {
            flag.strip_prefix(good.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        };
        if let Ok(number) = flag.parse::<f64>() {
            return self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&number));
        }
        self.texts.iter().any(prefix)
    }
}

/// The flags of all samples.
#[derive(Default)]
pub struct Flags {
    /// Each flag, and whether it is good. The first entry represents a missing flag, which is not good.
    pub known: Vec<(String, bool)>,
    codes: BTreeMap<String, u32>,
}

impl Flags {
    pub fn new() -> Self {
        Self { known: vec![("(empty)".into(), false)], codes: BTreeMap::new() }
    }

    /// The code of a flag.
    pub fn code(&mut self, flag: Option<&str>, good: &Good) -> u32 {
        let Some(flag) = flag.map(str::trim).filter(|f| !f.is_empty()) else { return 0 };
        if let Some(code) = self.codes.get(flag) {
            return *code;
        }
        let code = self.known.len() as u32;
        self.known.push((flag.to_owned(), good.contains(flag)));
        self.codes.insert(flag.to_owned(), code);
        code
    }

    pub fn is_good(&self, code: u32) -> bool {
        self.known.get(code as usize).is_some_and(|(_, good)| *good)
    }

    /// Describes the bad flags of one tag. `codes` are the flags of the samples of this tag.
    ///
    /// # Errors
    /// [`Error::Data`] if no sample is good.
    pub fn describe(
        &self,
        source: &str,
        tag: &str,
        column: &str,
        codes: impl Iterator<Item = u32>,
    ) -> Result<Option<String>> {
        let (mut bad, mut samples): (BTreeMap<u32, usize>, usize) = (BTreeMap::new(), 0);
        for code in codes {
            samples += 1;
            if !self.is_good(code) {
                *bad.entry(code).or_default() += 1;
            }
        }
        let name = |code: &u32| self.known.get(*code as usize).map_or("", |(flag, _)| flag.as_str());
        let mut all: Vec<(u32, usize)> = bad.into_iter().collect();
        all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let texts: Vec<String> = all.iter().map(|(code, n)| format!("{n} × `{}`", name(code))).collect();
        match all.first() {
            None => Ok(None),
            Some((code, _)) if all.iter().map(|(_, n)| n).sum::<usize>() == samples => Err(Error::Data(format!(
                "{source}: no sample of `{tag}` has a quality flag in `{column}` that means good: {}; if one of these flags does mean \
                 good, add it, such as `--good {}`",
                list(&texts, 6),
                name(code)
            ))),
            Some(_) => Ok(Some(format!(
                "`{tag}`: {} of {samples} samples are not good and read as missing values: {}; the flags are in `{tag}.quality`",
                all.iter().map(|(_, n)| n).sum::<usize>(),
                list(&texts, 6)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_flags() {
        let good = Good::new(&[], None);
        for flag in ["Good", "192", "216.0", "good, local override", "Good NonSpecific", "TRUE"] {
            assert!(good.contains(flag), "{flag}");
        }
        let valid = Good::new(&[], Some(true));
        assert!(["1", "1.0", "Ja", "true", "192"].iter().all(|flag| valid.contains(flag)));
        assert!(!["0", "nein", "false"].iter().any(|flag| valid.contains(flag)));
        let invalid = Good::new(&[], Some(false));
        assert!(["0", "0.0", "No", "false", "valid"].iter().all(|flag| invalid.contains(flag)));
        assert!(!["1", "yes", "true", "192", "not checked"].iter().any(|flag| invalid.contains(flag)));
        for flag in ["0", "Bad", "goods", "100", "", "Uncertain", "1", "yes"] {
            assert!(!good.contains(flag), "{flag}");
        }
        let given = Good::new(&["100".into()], Some(true));
        assert!(given.contains("100") && !given.contains("192") && !given.contains("1"));
    }
}
