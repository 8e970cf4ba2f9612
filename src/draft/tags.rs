//! Names of tags in the style of process control systems: an instrument with ISA 5.1 letters, such as `TIC-101`, and an
//! attribute, such as `PV`.

use crate::schema::Role;

/// The attribute that the last part of a tag name denotes, with the text of that part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute<'a> {
    Measurement(&'a str),
    Setpoint(&'a str),
    /// The output of a controller.
    Output(&'a str),
    /// An alarm limit; `true` denotes an upper limit.
    Alarm(bool),
    Mode,
}

/// A tag name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// The name without its attribute.
    pub stem: &'a str,
    pub attribute: Option<Attribute<'a>>,
    /// The ISA letters of the instrument; empty if there are none.
    pub letters: &'a str,
    /// Whether the name denotes an attribute of a control loop, such as `TIC-101.SP`.
    pub is_loop: bool,
}

impl<'a> Tag<'a> {
    pub fn parse(name: &'a str) -> Self {
        let name = name.trim();
        let (stem, last) = match name.rfind(['.', '/', ':', '_', '-', ' ']) {
            Some(at) if at > 0 && at + 1 < name.len() => (&name[..at], &name[at + 1..]),
            _ => (name, ""),
        };
        let letters = letters(stem);
        let dotted = name[stem.len()..].starts_with(['.', '/', ':']);
        let is_tag = dotted || !letters.is_empty();
        let attribute = attribute(last).filter(|a| match a {
            Attribute::Alarm(_) | Attribute::Mode | Attribute::Measurement(_) | Attribute::Output(_) => is_tag,
            Attribute::Setpoint(_) => true,
        });
        let stem = if attribute.is_some() { stem } else { name };
        Self { stem, attribute, letters: self::letters(stem), is_loop: is_tag && attribute.is_some() }
    }

    /// The role that the ISA letters suggest; `None` if they suggest no role.
    pub fn isa_role(&self) -> Option<Role> {
        let mut letters = self.letters.chars();
        let first = letters.next()?;
        let rest = letters.as_str();
        if self.letters == "HV" || self.letters == "HIC" || (rest.ends_with('V') && "FLTPXSA".contains(first)) {
            return Some(Role::Control);
        }
        match first {
            'J' | 'I' | 'E' | 'V' | 'Z' if rest.starts_with(['I', 'T']) => Some(Role::Output),
            'A' if rest.starts_with(['I', 'T']) => Some(Role::Output),
            'T' | 'P' | 'F' | 'L' | 'S' | 'W' if rest.starts_with(['I', 'T', 'C', 'R']) => Some(Role::State),
            _ => None,
        }
    }
}

fn attribute(text: &str) -> Option<Attribute<'_>> {
    Some(match text.to_ascii_uppercase().as_str() {
        "PV" | "MEAS" => Attribute::Measurement(text),
        "SP" | "SPT" | "SETPOINT" | "CSP" | "RSP" | "WSP" | "LSP" => Attribute::Setpoint(text),
        "OP" | "OUT" | "MV" | "CO" | "CV" | "OUTPUT" => Attribute::Output(text),
        "HI" | "HH" | "HIHI" | "H" | "PVHI" | "PVHH" | "HIGH" | "HLM" | "HALM" | "HILIM" | "HI_LIM" => {
            Attribute::Alarm(true)
        }
        "LO" | "LL" | "LOLO" | "L" | "PVLO" | "PVLL" | "LOW" | "LLM" | "LALM" | "LOLIM" | "LO_LIM" => {
            Attribute::Alarm(false)
        }
        "MODE" | "AUTO" | "MAN" | "STATUS" | "QUALITY" | "ALM" | "ALARM" => Attribute::Mode,
        _ => return None,
    })
}

/// The ISA letters of an instrument name such as `TIC-101` or `11FCV_0042`; empty if the name is not of this form.
fn letters(name: &str) -> &str {
    let start = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let rest = name[start..].trim_start_matches(['-', '_']);
    let end = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
    let number = rest[end..].trim_start_matches(['-', '_', ' ']);
    let numbered = number.starts_with(|c: char| c.is_ascii_digit());
    if (2..=4).contains(&end) && numbered { &rest[..end] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_split_into_instrument_and_attribute() {
        let parse = |name| {
            let tag = Tag::parse(name);
            (tag.stem, tag.attribute, tag.letters)
        };
        assert_eq!(parse("TIC-101.PV"), ("TIC-101", Some(Attribute::Measurement("PV")), "TIC"));
        assert_eq!(parse("11FIC_0042_SP"), ("11FIC_0042", Some(Attribute::Setpoint("SP")), "FIC"));
        assert_eq!(parse("boiler.OUT"), ("boiler", Some(Attribute::Output("OUT")), ""));
        assert_eq!(parse("LI-7.HH"), ("LI-7", Some(Attribute::Alarm(true)), "LI"));
        assert_eq!(parse("level_l"), ("level_l", None, ""), "litres, not a lower limit");
        assert_eq!(parse("room_temp_c"), ("room_temp_c", None, ""));
        for (name, role) in [
            ("TI-101", Some(Role::State)),
            ("FCV-3", Some(Role::Control)),
            ("JI-2", Some(Role::Output)),
            ("XS-1", None),
            ("SKU-1", None),
        ] {
            assert_eq!(Tag::parse(name).isa_role(), role, "{name}");
        }
    }
}
