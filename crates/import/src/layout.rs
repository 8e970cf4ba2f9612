//! Recognises the columns of an export by their names.

use crate::error::{Error, Result, list};
use crate::recipe::Source;

const TAGS: [&str; 28] = [
    "tagname",
    "tag",
    "tagid",
    "point",
    "pointname",
    "pointid",
    "pointpath",
    "name",
    "variable",
    "variablename",
    "sensor",
    "sensorid",
    "sensorname",
    "signal",
    "signalname",
    "item",
    "itemid",
    "itemname",
    "channel",
    "metric",
    "parameter",
    "messstelle",
    "kennung",
    "datapoint",
    "series",
    "field",
    "fieldname",
    "attribute",
];
const VALUES: [&str; 13] = [
    "value",
    "val",
    "wert",
    "messwert",
    "reading",
    "valor",
    "valeur",
    "measurementvalue",
    "pointvalue",
    "average",
    "avg",
    "mean",
    "mittelwert",
];
const QUALITIES: [&str; 29] = [
    "dataquality",
    "quality",
    "opcquality",
    "status",
    "statuscode",
    "flag",
    "qualität",
    "qualitaet",
    "valuestatus",
    "qc",
    "qualitycode",
    "qualityflag",
    "qualité",
    "calidad",
    "qualità",
    "kwaliteit",
    "valid",
    "isvalid",
    "validity",
    "good",
    "isgood",
    "ok",
    "isok",
    "gültig",
    "gueltig",
    "valide",
    "valido",
    "válido",
    "geldig",
];
const UNITS: [&str; 9] =
    ["unit", "units", "uom", "engunits", "engineeringunits", "einheit", "unité", "unidad", "measurementunit"];
/// Names of time columns. Earlier names are preferred.
const TIMES: [&str; 26] = [
    "timestamp",
    "datetime",
    "zeitstempel",
    "sourcetimestamp",
    "timestamputc",
    "timeutc",
    "utc",
    "dateandtime",
    "datumuhrzeit",
    "datumzeit",
    "fechahora",
    "time",
    "zeit",
    "ts",
    "tstamp",
    "sampletime",
    "readingtime",
    "logtime",
    "localtime",
    "date",
    "datum",
    "fecha",
    "hora",
    "uhrzeit",
    "index",
    "t",
];

/// Columns of an export with one sample per row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Long {
    pub tag: String,
    pub value: String,
    pub quality: Option<String>,
    /// Column with the unit of each sample.
    pub unit: Option<String>,
}

/// The meaning of 1 and `yes` in a quality column whose name asks a question: `Some(true)` if they mean that a sample is
/// good, as in `valid`, and `Some(false)` if they mean that it is bad, as in `invalid`.
pub fn question(name: &str) -> Option<bool> {
    const BAD: [&str; 7] = ["bad", "fault", "faulty", "error", "invalidity", "nok", "isnok"];
    let name = plain(name);
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_good =
        has(&["valid", "good", "gültig", "gueltig", "válido", "geldig"]) || ["ok", "isok"].contains(&name.as_str());
    let is_negated = has(&["invalid", "inválid", "ungültig", "ungueltig", "ongeldig", "notvalid", "notgood", "notok"]);
    let stem = name.strip_prefix("is").unwrap_or(&name);
    match is_negated || BAD.contains(&stem) {
        true => Some(false),
        false => is_good.then_some(true),
    }
}

/// The letters and digits of a column name, in lower case.
fn plain(name: &str) -> String {
    let name = name.split(['[', '(']).next().unwrap_or(name);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Rank of a column name by how clearly it denotes a time column. A lower rank is better; `None` if the name is not
/// that of a time column.
pub fn time_rank(name: &str) -> Option<usize> {
    let name = plain(name);
    TIMES.iter().position(|t| *t == name).or_else(|| {
        let part = ["time", "date", "zeit", "datum", "stamp"].iter().any(|part| name.contains(part));
        part.then_some(TIMES.len())
    })
}

/// Whether a column name suggests that each row is an event with a quantity, such as a sale.
pub fn counts_events(name: &str) -> bool {
    const PARTS: [&str; 20] = [
        "qty", "quantity", "sold", "sales", "order", "pick", "count", "menge", "anzahl", "stück", "stueck", "stk",
        "items", "pieces", "amount", "revenue", "umsatz", "betrag", "deliver", "scrap",
    ];
    let name = name.to_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// Whether a column name suggests that the column contains the hour of the day.
pub fn is_hour(name: &str) -> bool {
    let name = plain(name);
    ["hour", "stunde", "hora", "heure"].iter().any(|part| name.contains(part)) || name == "he"
}

/// The unit of a column that probably counts time from a start, such as `hour` or `elapsed_s`.
pub fn unit_of_time(name: &str) -> Option<&'static str> {
    if is_hour(name) {
        return Some("hours");
    }
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let unit = |word: &&str| match *word {
        "s" | "sec" | "secs" | "second" | "seconds" | "sekunde" | "sekunden" => Some("seconds"),
        "ms" | "millis" | "milliseconds" => Some("ms"),
        "min" | "mins" | "minute" | "minutes" | "minuten" => Some("minutes"),
        "h" | "hr" | "hrs" => Some("hours"),
        "d" | "day" | "days" | "tag" | "tage" => Some("days"),
        "week" | "weeks" | "woche" => Some("weeks"),
        _ => None,
    };
    let is_time = |word: &&str| matches!(*word, "t" | "time" | "elapsed" | "zeit" | "runtime" | "since" | "dauer");
    match (&words[..], words.iter().any(is_time)) {
        ([one], false) => unit(one),
        (_, true) => Some(words.iter().find_map(unit).unwrap_or("seconds")),
        _ => None,
    }
}

/// The columns of a long export, or `None` if the export is wide.
///
/// # Errors
/// [`Error::Usage`] if `--long` names a column that does not exist.
pub fn long(columns: &[String], source: &Source) -> Result<Option<Long>> {
    if source.wide {
        return Ok(None);
    }
    let find = |names: &[&str]| {
        let ranks = columns.iter().filter_map(|c| names.iter().position(|n| *n == plain(c)).map(|rank| (rank, c)));
        ranks.min().map(|(_, column)| column.clone())
    };
    if let [tag, value, rest @ ..] = &source.long[..] {
        let unit = find(&UNITS).filter(|unit| unit != tag && unit != value && !rest.contains(unit));
        let long = Long { tag: tag.clone(), value: value.clone(), quality: rest.first().cloned(), unit };
        for name in [Some(&long.tag), Some(&long.value), long.quality.as_ref()].into_iter().flatten() {
            require(name, columns, "--long")?;
        }
        return Ok(Some(long));
    }
    let (Some(tag), Some(value)) = (find(&TAGS), find(&VALUES)) else { return Ok(None) };
    Ok(Some(Long { tag, value, quality: find(&QUALITIES), unit: find(&UNITS) }))
}

/// # Errors
/// [`Error::Usage`] if there is no column `name`.
pub fn require(name: &str, columns: &[String], option: &str) -> Result<()> {
    if columns.iter().any(|c| c == name) {
        return Ok(());
    }
    Err(Error::Usage(format!("{option}: there is no column `{name}`; the columns are {}", list(columns, 20))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(columns: &[&str]) -> Option<Long> {
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        long(&columns, &Source::default()).unwrap()
    }

    #[test]
    fn long_exports_are_recognised_by_their_column_names() {
        let long = found(&["Tagname", "TimeStamp", "Value", "DataQuality"]).unwrap();
        assert_eq!((long.tag.as_str(), long.quality.as_deref()), ("Tagname", Some("DataQuality")));
        let valid = found(&["time", "tag", "value", "is_valid"]).unwrap();
        assert_eq!(valid.quality.as_deref(), Some("is_valid"));
        for (name, expected) in [
            ("is_valid", Some(true)),
            ("Gültig", Some(true)),
            ("OK", Some(true)),
            ("invalid", Some(false)),
            ("Ungültig", Some(false)),
            ("is_not_ok", Some(false)),
            ("is_bad", Some(false)),
            ("status", None),
        ] {
            assert_eq!(question(name), expected, "{name}");
        }
        assert!(found(&["Zeit", "Messstelle", "Wert [°C]"]).is_some());
        assert!(found(&["time", "T1", "T2"]).is_none() && found(&["name", "time", "power"]).is_none());
    }

    #[test]
    fn time_columns_are_ranked() {
        assert!(time_rank("TimeStamp") < time_rank("time") && time_rank("Zeit (UTC)") < time_rank("Startzeit"));
        assert_eq!(time_rank("power"), None);
        assert!(is_hour("Hour Ending") && !is_hour("power"));
        let unit = |name| unit_of_time(name).unwrap_or("");
        assert_eq!(
            ["hour", "t", "Time (min)", "elapsed_ms", "day"].map(unit),
            ["hours", "seconds", "minutes", "ms", "days"]
        );
        assert_eq!(["power", "T1", "min_speed", "volume"].map(unit), [""; 4]);
    }
}
