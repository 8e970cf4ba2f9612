//! Names of tags in the style of process control systems: an instrument with ISA 5.1 letters, such as `TIC-101`, and an
//! attribute, such as `PV`.

use crate::schema::Role;
use crate::units::ending::exported;

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
        let name = without_value(name);
        let (stem, last) = if ends_with_unit(name) { (name, "") } else { split(name) };
        let letters = letters(stem);
        let dotted = name[stem.len()..].starts_with(PATH);
        let is_tag = dotted || !letters.is_empty();
        let attribute = attribute(last).filter(|a| match a {
            Attribute::Alarm(_) | Attribute::Mode | Attribute::Measurement(_) | Attribute::Output(_) => is_tag,
            Attribute::Setpoint(_) => true,
        });
        let attribute = attribute.map(|a| match a {
            // the output of a function block for an analogue input
            Attribute::Output(text) if is_sensor(letters) => Attribute::Measurement(text),
            other => other,
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

/// Separators between the parts of a path, such as `UNIT1.AREA2.FIC-101` or `\\server\unit1\FIC-101|OP`.
const PATH: [char; 6] = ['.', '/', ':', '|', '\\', '!'];
/// Separators inside a part of a path.
const WORDS: [char; 3] = ['_', '-', ' '];
/// Endings that denote the value of the preceding tag or attribute.
const VALUES: [&str; 5] = [".F_CV", ".CV", ".VALUE", ".VAL", "/VALUE"];

/// Whether the last word of a name is a unit with a denominator, such as `m³/h`.
fn ends_with_unit(name: &str) -> bool {
    let word = name.rsplit(char::is_whitespace).next().unwrap_or(name);
    word.len() < name.len() && word.contains('/') && exported(word.trim_matches(['[', ']', '(', ')'])).is_some()
}

/// Splits a name before its last part.
fn split(name: &str) -> (&str, &str) {
    match name.rfind(|c| PATH.contains(&c) || WORDS.contains(&c)) {
        Some(at) if at > 0 && at + 1 < name.len() => (&name[..at], &name[at + 1..]),
        _ => (name, ""),
    }
}

/// Removes an ending such as the `.CV` of `FIC-101/PID1/PV.CV`. If no other attribute precedes it, `.CV` denotes the
/// output of a controller.
fn without_value(name: &str) -> &str {
    let end = |ending: &str| name.len().checked_sub(ending.len()).filter(|end| name.is_char_boundary(*end));
    let found = VALUES.iter().find_map(|v| end(v).filter(|e| name[*e..].eq_ignore_ascii_case(v)).map(|e| (*v, e)));
    match found {
        Some((".CV", end)) if attribute(split(&name[..end]).1).is_none() => name,
        Some((_, end)) if end > 0 => &name[..end],
        _ => name,
    }
}

/// Whether ISA letters denote an indicator or a transmitter.
fn is_sensor(letters: &str) -> bool {
    letters.starts_with(['F', 'L', 'T', 'P', 'A', 'S', 'W', 'J', 'I', 'E', 'D'])
        && letters.ends_with(['I', 'T'])
        && letters.chars().skip(1).all(|c| "DIRT".contains(c))
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

/// The ISA letters of the last instrument in a name such as `TIC-101`, `11FCV_0042` or `UNIT1.AREA_FIC101`; empty if
/// there is none.
fn letters(name: &str) -> &str {
    let part = name.rsplit(PATH).next().unwrap_or(name);
    let starts = part.match_indices(WORDS).map(|(at, _)| at + 1).rev().chain([0]);
    let found = starts.map(|at| instrument(&part[at..])).find(|letters| !letters.is_empty());
    match (found, part.len() < name.len()) {
        (Some(letters), _) => letters,
        // the instrument can be followed by a block, as in `FIC-101/PID1`
        (None, true) => letters(&name[..name.len() - part.len() - 1]),
        (None, false) => "",
    }
}

/// The ISA letters at the start of a text; empty if the text is not the name of an instrument.
fn instrument(name: &str) -> &str {
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
        for (name, stem, attribute, letters) in [
            ("UNIT1.AREA.FIC101.OP", "UNIT1.AREA.FIC101", Attribute::Output("OP"), "FIC"),
            ("UNIT1_AREA_FIC101_OP", "UNIT1_AREA_FIC101", Attribute::Output("OP"), "FIC"),
            ("AREA_FIC-101_OUT", "AREA_FIC-101", Attribute::Output("OUT"), "FIC"),
            (r"\\srv\unit 1\FIC101|OP", r"\\srv\unit 1\FIC101", Attribute::Output("OP"), "FIC"),
            ("plant!reactor:TC7.out", "plant!reactor:TC7", Attribute::Output("out"), "TC"),
            ("U1/FIC-101/PID1/OUT.CV", "U1/FIC-101/PID1", Attribute::Output("OUT"), "PID"),
            ("U1/FIC-101/PID1/PV.CV", "U1/FIC-101/PID1", Attribute::Measurement("PV"), "PID"),
            ("FIC-101/LOOP/SP.CV", "FIC-101/LOOP", Attribute::Setpoint("SP"), "FIC"),
            ("FIC-101.OP.Value", "FIC-101", Attribute::Output("OP"), "FIC"),
            ("FIC101.CV", "FIC101", Attribute::Output("CV"), "FIC"),
            ("LIT-3.OUT", "LIT-3", Attribute::Measurement("OUT"), "LIT"),
        ] {
            assert_eq!(parse(name), (stem, Some(attribute), letters));
        }
        assert_eq!(parse("UNIT1.AREA.TI300"), ("UNIT1.AREA.TI300", None, "TI"));
        assert_eq!(parse("TI300.F_CV"), ("TI300", None, "TI"));
        assert_eq!(parse("LI-7.HH"), ("LI-7", Some(Attribute::Alarm(true)), "LI"));
        assert_eq!(parse("Durchfluss m³/h").1, None);
        assert_eq!(parse("level_l"), ("level_l", None, ""), "`l` denotes litres, not a lower limit");
        assert_eq!(parse("room_temp_c"), ("room_temp_c", None, ""));
        for (name, role) in [
            ("TI-101", Some(Role::State)),
            ("FCV-3", Some(Role::Control)),
            ("JI-2", Some(Role::Output)),
            ("UNIT1.AREA2.HV204", Some(Role::Control)),
            ("SITE_7.AREA_2.JI-2", Some(Role::Output)),
            ("XS-1", None),
            ("SKU-1", None),
        ] {
            assert_eq!(Tag::parse(name).isa_role(), role, "{name}");
        }
    }
}
