//! Detects the encoding of a text file, and converts the text to UTF-8.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding as Web, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;

use crate::error::{Error, Result};

/// Number of bytes from which an encoding is guessed (not tuned).
const SAMPLE: usize = 1 << 22;
/// Minimum number of words with characters outside ASCII from which the language of a text is recognised (not tuned).
const MIN_WORDS: usize = 4;

/// An encoding of text.
#[derive(Debug, Clone, Copy)]
pub enum Encoding {
    /// An encoding of the WHATWG standard.
    Web(&'static Web),
    /// A code page of DOS, such as 850.
    Dos(u16),
}

impl Encoding {
    /// Reads a name such as `windows-1250`, `latin1`, `shift_jis` or `cp850`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name is unknown.
    pub fn parse(name: &str) -> Result<Self> {
        let lower = name.trim().to_lowercase();
        let digits = ["cp", "ibm", "dos-"].iter().find_map(|prefix| lower.strip_prefix(prefix)).unwrap_or(&lower);
        if let Some(page) = digits.parse().ok().filter(|page| DECODING_TABLE_CP_MAP.contains_key(page)) {
            return Ok(Self::Dos(page));
        }
        Web::for_label(lower.as_bytes()).map(Self::Web).ok_or_else(|| {
            Error::Usage(format!(
                "--encoding: `{name}` is unknown; examples are utf-8, windows-1250, windows-1251, shift_jis, gb18030 and cp850"
            ))
        })
    }

    pub fn name(self) -> String {
        match self {
            Self::Web(web) if web == WINDOWS_1252 => "Windows-1252".into(),
            Self::Web(web) if web == UTF_16LE => "UTF-16 LE".into(),
            Self::Web(web) if web == UTF_16BE => "UTF-16 BE".into(),
            Self::Web(web) => web.name().into(),
            Self::Dos(page) => format!("CP{page}"),
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Web(web) if web == WINDOWS_1252 => web.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Web(web) => web.decode_with_bom_removal(bytes).0.into_owned(),
            Self::Dos(page) => DECODING_TABLE_CP_MAP
                .get(&page)
                .map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |table| table.decode_string_lossy(bytes)),
        }
    }
}

/// A text with the name of its encoding.
#[derive(Debug)]
pub struct Decoded {
    pub text: String,
    pub encoding: String,
    /// Whether the encoding was guessed from the characters, and is not the usual one.
    pub guessed: bool,
}

/// Converts the bytes of a text file to UTF-8. `given` is the encoding that the user specified.
pub fn decode(bytes: Vec<u8>, given: Option<Encoding>) -> Decoded {
    if let Some(encoding) = given {
        return Decoded { text: encoding.decode(&bytes), encoding: encoding.name(), guessed: false };
    }
    let certain =
        |encoding: Encoding| Decoded { text: encoding.decode(&bytes), encoding: encoding.name(), guessed: false };
    if bytes.starts_with(&[0xff, 0xfe]) {
        return certain(Encoding::Web(UTF_16LE));
    }
    if bytes.starts_with(&[0xfe, 0xff]) {
        return certain(Encoding::Web(UTF_16BE));
    }
    if let Some(encoding) = without_mark(&bytes) {
        return certain(Encoding::Web(encoding));
    }
    let mark = bytes.starts_with(&[0xef, 0xbb, 0xbf]);
    if std::str::from_utf8(&bytes).is_ok() {
        let encoding = if mark {
            "UTF-8 with BOM"
        } else if bytes.is_ascii() {
            "ASCII"
        } else {
            "UTF-8"
        };
        return Decoded { encoding: encoding.into(), ..certain(Encoding::Web(UTF_8)) };
    }
    let encoding = guess(&bytes[..bytes.len().min(SAMPLE)]);
    let usual = matches!(encoding, Encoding::Web(web) if web == WINDOWS_1252);
    Decoded { guessed: !usual, ..certain(encoding) }
}

/// Recognises UTF-16 without a byte order mark: in an export, most characters are ASCII, so every second byte is zero.
fn without_mark(bytes: &[u8]) -> Option<&'static Web> {
    let head = &bytes[..bytes.len().min(4096) / 2 * 2];
    let zeros = |start: usize| head.iter().skip(start).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    if half == 0 {
        None
    } else if odd * 10 > half * 8 && even * 10 < half {
        Some(UTF_16LE)
    } else if even * 10 > half * 8 && odd * 10 < half {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The encoding of a text that is not UTF-8. The candidates are Windows-1252, the encoding that browsers would guess,
/// and the code pages of DOS. The first candidate with the fewest implausible words is selected. If the text is long
/// enough to recognise its language, the guess of a browser comes first.
fn guess(bytes: &[u8]) -> Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let browser = Encoding::Web(detector.guess(None, Utf8Detection::Deny));
    let windows = Encoding::Web(WINDOWS_1252);
    let first =
        if words(&windows.decode(bytes)).count() >= MIN_WORDS { [browser, windows] } else { [windows, browser] };
    let candidates = first.into_iter().chain([850, 852, 866].map(Encoding::Dos));
    let implausible = |encoding: &Encoding| words(&encoding.decode(bytes)).filter(|word| !is_plausible(word)).count();
    // `min_by_key` returns the first of several minima
    candidates.min_by_key(implausible).unwrap_or(windows)
}

/// The words that contain characters outside ASCII.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_ascii_digit() || c.is_ascii_whitespace() || ",;|\"'/()[]{}<>=+*:_.-".contains(c);
    text.split(ends).filter(|word| !word.is_ascii())
}

/// Whether a word with characters outside ASCII can be part of a name or a unit.
fn is_plausible(word: &str) -> bool {
    const SYMBOLS: &str = "°²³µμΩΔ%€£№·±~‰º";
    if word.chars().any(|c| !c.is_alphabetic() && !c.is_ascii() && !SYMBOLS.contains(c)) {
        return false;
    }
    let letters = || word.chars().filter(|c| c.is_alphabetic() && !SYMBOLS.contains(*c));
    // symbols of units stand at the start or at the end of a word, such as in `°C` and `m³`
    let inside = word.trim_matches(|c: char| !c.is_alphabetic() || SYMBOLS.contains(c));
    if inside.chars().any(|c| SYMBOLS.contains(c)) {
        return false;
    }
    let latin = |c: char| c.is_ascii() || ('\u{c0}'..'\u{250}').contains(&c);
    let (all, accented) = (letters().count(), letters().filter(|c| !c.is_ascii()).count());
    let in_latin = letters().filter(|c| latin(*c)).count();
    // in a European language, most letters of a longer word have no accent, and capitals do not follow small letters
    let mixed_case = letters()
        .zip(letters().skip(1))
        .any(|(a, b)| a.is_lowercase() && b.is_uppercase() && !(a.is_ascii() && b.is_ascii()));
    match in_latin {
        0 => true,
        n if n == all => !mixed_case && (all <= 2 || accented * 2 <= all),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes a text with the code page or the encoding of the given name.
    fn encoded(text: &str, name: &str) -> Vec<u8> {
        match Encoding::parse(name).unwrap() {
            Encoding::Web(web) => web.encode(text).0.into_owned(),
            Encoding::Dos(page) => text
                .chars()
                .map(|c| (0..=255u8).find(|b| Encoding::Dos(page).decode(&[*b]).starts_with(c)).unwrap())
                .collect(),
        }
    }

    #[test]
    fn encodings_are_recognised() {
        let text = "Zeit;Außentemperatur °C\n1;2\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, name) in [
            ([&[0xff, 0xfe], &le[..]].concat(), "UTF-16 LE"),
            (le, "UTF-16 LE"),
            ([&[0xfe, 0xff], &be[..]].concat(), "UTF-16 BE"),
            (be, "UTF-16 BE"),
            (encoded(text, "latin1"), "Windows-1252"),
            (encoded(text, "cp850"), "CP850"),
            ([&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(), "UTF-8 with BOM"),
            (text.as_bytes().to_vec(), "UTF-8"),
        ] {
            let decoded = decode(bytes, None);
            assert_eq!((decoded.text.as_str(), decoded.encoding.as_str()), (text, name));
        }
    }

    #[test]
    fn languages_are_recognised() {
        for (text, name) in [
            ("Czas;Ciśnienie wejściowe [bar];Przepływ powietrza;Temperatura wody zasilającej\n", "windows-1250"),
            ("Čas;Teplota přívodu;Příkon čerpadla;Průtok vody;Žádaná hodnota\n", "windows-1250"),
            ("Время;Температура подачи °C;Расход воды;Мощность насоса\n", "windows-1251"),
            ("Χρόνος;Θερμοκρασία;Παροχή νερού;Ισχύς αντλίας\n", "windows-1253"),
            ("日時;外気温度;冷水流量;消費電力;設定温度\n", "Shift_JIS"),
            ("时间;室外温度;冷水流量;功率;设定温度\n", "GBK"),
            ("Tid;Utomhustemperatur °C;Börvärde;Tilluftsflöde m³/s;Återluft\n", "Windows-1252"),
            ("Heure;Température extérieure °C;Débit;Énergie;Été\n", "Windows-1252"),
            ("Fecha;Presión;Señal;Año;Consigna °C\n", "Windows-1252"),
            ("Temp °C\n", "Windows-1252"),
            ("Zeit;Kühlwasser;Öl;Größe;Rücklauf °C;Menge m³\n", "CP850"),
        ] {
            let decoded = decode(encoded(text, name), None);
            assert_eq!((decoded.text.as_str(), decoded.encoding.as_str()), (text, name));
        }
    }

    #[test]
    fn the_given_encoding_is_used() {
        let bytes = encoded("Přívod\n", "cp852");
        assert_eq!(decode(bytes, Some(Encoding::parse("CP852").unwrap())).text, "Přívod\n");
        assert!(Encoding::parse("klingon").is_err());
    }
}
