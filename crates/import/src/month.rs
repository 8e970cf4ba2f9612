//! Names of months in dates.

/// The first letters of the names of each month in English, German, French, Italian, Spanish, Portuguese, Dutch, Polish,
/// Czech and Russian. Letters that denote different months in two languages, such as `lis`, are left out.
const NAMES: [&str; 12] = [
    "jan gen ene sty led янв",
    "feb fév fev lut úno фев",
    "mar mär mrz mrt bře мар",
    "apr avr abr kwi dub апр",
    "may mai mei mag maj kvě май мая",
    "jun juin giu cze čvn июн",
    "jul juil lug čvc июл",
    "aug aoû aou ago sie авг",
    "sep set wrz zář сен",
    "oct okt ott out paź říj окт",
    "nov ноя",
    "dec dez déc dic gru pro дек",
];

/// Parses the name of a month at the start of a text. Returns the month and the rest of the text.
pub fn parse(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let word = text[..end].to_lowercase();
    let is_named = |names: &&str| names.split(' ').any(|name| word.starts_with(name));
    let month = (1..).zip(NAMES).find(|(_, names)| is_named(names))?.0;
    Some((month, text[end..].trim_start_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_in_several_languages() {
        for (text, month) in [
            ("Mai", 5),
            ("mars", 3),
            ("juillet", 7),
            ("juin", 6),
            ("févr.", 2),
            ("Dezember", 12),
            ("agosto", 8),
            ("марта", 3),
        ] {
            assert_eq!(parse(text), Some((month, "")), "{text}");
        }
        assert_eq!(parse("Okt. 2024"), Some((10, " 2024")));
        assert_eq!((parse("ja"), parse("listopad"), parse("")), (None, None, None));
    }
}
