//! Detects the delimiter and the header of a CSV file.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout;
use crate::number::{self, Class};
use crate::stamp::{self, Order};

/// Delimiters in the order in which they are tried. The comma is last, because it can also be a decimal separator.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];
/// Number of bytes that are examined (not tuned).
const SAMPLE: usize = 1 << 18;
/// Number of records that are examined (not tuned).
const RECORDS: usize = 400;
/// Minimum fraction of the records that must have the same number of fields (not tuned).
const CONSISTENT: f64 = 0.8;

/// The dialect of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    pub names: Vec<String>,
    /// New names of the columns whose header name is not unique.
    pub repeated: Vec<String>,
    /// Whether the column names come from a header.
    pub header: bool,
    /// Units in a row below the header.
    pub units: Vec<String>,
    /// Number of records before the data, not counting the header and the row with units.
    pub skipped: usize,
    /// Position of the first record with data.
    pub start: usize,
}

impl Dialect {
    /// The delimiter as shown to the user.
    pub fn delimiter_name(&self) -> &'static str {
        match self.delimiter {
            b'\t' => "tab",
            b';' => "`;`",
            b'|' => "`|`",
            _ => "`,`",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Empty,
    Number,
    Time,
    Text,
}

fn kind(cell: &str) -> Kind {
    if number::is_missing(cell) {
        return Kind::Empty;
    }
    // `12.30` and `20240131` are numbers, although they could be times
    match number::classify(cell) {
        Class::Other if is_time(cell) => Kind::Time,
        Class::Other => Kind::Text,
        _ => Kind::Number,
    }
}

fn is_time(cell: &str) -> bool {
    let in_order = |order| stamp::parse(cell, Some(order)).is_some();
    in_order(Order::Dmy) || in_order(Order::Mdy) || stamp::parse_clock(cell).is_some()
}

/// The records of a text with their positions. A line break inside quotes does not end a record.
fn records(text: &str) -> Vec<(usize, &str)> {
    let (mut out, mut start, mut quoted) = (Vec::new(), 0, false);
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                out.push((start, text[start..i].trim_end_matches('\r')));
                start = i + 1;
                if out.len() == RECORDS {
                    return out;
                }
            }
            _ => {}
        }
    }
    if start < text.len() {
        out.push((start, text[start..].trim_end_matches('\r')));
    }
    out
}

/// Splits a record into its fields, and removes quotes.
fn fields(record: &str, delimiter: u8) -> Vec<String> {
    let (mut out, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in record.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if c == char::from(delimiter) && !quoted {
            out.push(std::mem::take(&mut field));
        } else {
            field.push(c);
        }
    }
    out.push(field);
    out.iter().map(|f| f.trim().to_owned()).collect()
}

/// The most frequent number, and its relative frequency.
fn mode(counts: &[usize]) -> (usize, f64) {
    let mut n: BTreeMap<usize, usize> = BTreeMap::new();
    counts.iter().for_each(|c| *n.entry(*c).or_default() += 1);
    let best = n.iter().max_by_key(|(value, n)| (**n, **value)).map_or((0, 0), |(value, n)| (*value, *n));
    (best.0, best.1 as f64 / counts.len().max(1) as f64)
}

/// Detects the dialect of a CSV text. `delimiter` is `Some` if the user specified it.
///
/// # Errors
/// Returns a description of what could not be found.
pub fn detect(text: &str, delimiter: Option<u8>) -> Result<Dialect, String> {
    let mut end = text.len().min(SAMPLE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut all = records(&text[..end]);
    if end < text.len() && all.len() < RECORDS {
        // the last record of the sample is incomplete
        all.pop();
    }
    all.retain(|(_, r)| !r.trim().is_empty());
    if all.is_empty() {
        return Err("the file has no line with data".into());
    }
    // the file may begin with a preamble
    let body = &all[all.len() / 2..];
    let consistent = |d: u8| {
        let counts: Vec<usize> = body.iter().map(|(_, r)| fields(r, d).len()).collect();
        let (width, share) = mode(&counts);
        (width > 1 && share >= CONSISTENT).then_some((d, width))
    };
    let tried: Vec<u8> = delimiter.map_or(DELIMITERS.to_vec(), |d| vec![d]);
    let Some((delimiter, width)) = tried.into_iter().find_map(consistent) else {
        let first = body.first().map_or("", |(_, r)| r);
        let shown: String = first.chars().take(60).collect();
        return Err(format!(
            "no delimiter (tab `;` `|` `,`) gives lines with the same number of fields, e.g. in `{shown}`; is this a CSV \
             file? `--delimiter` names the delimiter"
        ));
    };
    let split: Vec<Vec<String>> = all.iter().map(|(_, r)| fields(r, delimiter)).collect();
    let first = first_data(&split, width);
    let Some(first) = first else {
        return Err("no line looks like data: no column contains times or numbers".into());
    };
    let (header, units) = header(&split[..first], width);
    if let Some(found) =
        header.map_or_else(|| short_header(&split[..first]), |h| Some(&split[h])).filter(|h| h.len() < width)
        && !split[first..].iter().all(|r| r.len() < width || r[found.len()..].iter().all(String::is_empty))
    {
        return Err(format!(
            "the header has {} names, but the lines below it have {width} fields; if the numbers have decimal commas, export \
             them with another delimiter or in quotes",
            found.len()
        ));
    }
    let group = header.and_then(|h| Some((h, subheader(&split[h..first], units.map(|u| u - h))? + h)));
    let header_cells = match (group, header) {
        (Some((group, sub)), _) => Some(joined(&split[group], &split[sub])),
        (None, header) => header.map(|h| split[h].clone()),
    };
    let names = header_cells
        .as_ref()
        .map_or_else(|| (1..=width).map(|i| format!("column_{i}")).collect(), |cells| names(cells, width));
    let cell = |i: usize| header_cells.as_ref().and_then(|h| h.get(i)).map_or("", String::as_str);
    let repeated = names.iter().enumerate().filter(|(i, name)| !cell(*i).is_empty() && cell(*i) != *name);
    let repeated = repeated.map(|(_, name)| format!("`{name}`")).collect();
    Ok(Dialect {
        delimiter,
        repeated,
        names,
        header: header.is_some(),
        units: units.map(|i| split[i].clone()).unwrap_or_default(),
        skipped: first - usize::from(header.is_some()) - usize::from(units.is_some()) - usize::from(group.is_some()),
        start: all[first].0,
    })
}

/// The first record whose cells have the same types as the cells in the second half of the sample.
fn first_data(split: &[Vec<String>], width: usize) -> Option<usize> {
    let body: Vec<&Vec<String>> = split[split.len() / 2..].iter().filter(|r| r.len() == width).collect();
    let usual: Vec<Kind> = (0..width)
        .map(|c| {
            let kinds = body.iter().map(|r| kind(&r[c])).filter(|k| *k != Kind::Empty);
            let mut n: BTreeMap<Kind, usize> = BTreeMap::new();
            kinds.for_each(|k| *n.entry(k).or_default() += 1);
            n.into_iter().max_by_key(|(_, n)| *n).map_or(Kind::Empty, |(k, _)| k)
        })
        .collect();
    let has_times = usual.contains(&Kind::Time);
    let has_numbers = usual.contains(&Kind::Number);
    if !has_times && !has_numbers {
        return None;
    }
    split.iter().position(|record| {
        if record.len() != width {
            return false;
        }
        let columns = || record.iter().zip(&usual);
        if has_times {
            return columns()
                .all(|(cell, usual)| *usual != Kind::Time || matches!(kind(cell), Kind::Time | Kind::Number));
        }
        let numeric = || columns().filter(|(_, usual)| **usual == Kind::Number);
        let fitting = numeric().filter(|(cell, _)| matches!(kind(cell), Kind::Number)).count();
        fitting * 10 >= numeric().count() * 6
    })
}

/// Finds the header and the row with units among the records before the data. Returns the index of each.
fn header(head: &[Vec<String>], width: usize) -> (Option<usize>, Option<usize>) {
    let fits = |r: &Vec<String>| r.len() == width || r.len() + 1 == width;
    let block = head.iter().rev().take_while(|r| fits(r)).count();
    let first = head.len() - block;
    // a title may be followed by empty fields
    let full = |i: usize| {
        let cells: Vec<&String> = head[i].iter().filter(|c| !c.is_empty()).collect();
        cells.len() * 2 > width && cells.iter().collect::<BTreeSet<_>>().len() == cells.len()
    };
    let mut candidates = (first..head.len()).filter(|i| full(*i) && !is_units(&head[*i]));
    // in a file with two columns, lines of a preamble can have the same number of fields as the header
    let header = if width <= 2 { candidates.next_back() } else { candidates.next() };
    let units = header.and_then(|h| (h + 1..head.len()).find(|i| is_units(&head[*i])));
    (header.or_else(|| (block > 0).then(|| head.len() - 1)), units)
}

/// The index of a second row of names, below a header with the names of groups of columns. `head` begins with the header,
/// and `units` is the index of the row with units.
fn subheader(head: &[Vec<String>], units: Option<usize>) -> Option<usize> {
    let groups = &head[0];
    (1..head.len()).filter(|i| Some(*i) != units).find(|i| {
        let named: Vec<usize> = (0..head[*i].len()).filter(|c| !head[*i][*c].is_empty()).collect();
        let is_text = named.iter().all(|c| kind(&head[*i][*c]) == Kind::Text);
        // a name of a group stands above its first column only
        let below_gap = named.iter().any(|c| groups.get(*c).is_none_or(String::is_empty));
        named.len() >= 2 && is_text && below_gap
    })
}

/// The names of groups of columns, joined with the names of the columns below them.
fn joined(groups: &[String], names: &[String]) -> Vec<String> {
    let mut group = "";
    let width = groups.len().max(names.len());
    (0..width)
        .map(|c| {
            let (own, name) = (groups.get(c).map_or("", String::as_str), names.get(c).map_or("", String::as_str));
            if !own.is_empty() {
                group = own;
            }
            // a column without a second name, such as the time, is not part of a group
            match (own.is_empty(), name.is_empty()) {
                (_, true) => own.to_owned(),
                _ if group.is_empty() => name.to_owned(),
                _ => format!("{group} {name}"),
            }
        })
        .collect()
}

/// The record above the data, if it contains names and one of them is that of a time column.
fn short_header(head: &[Vec<String>]) -> Option<&Vec<String>> {
    let last = head.last()?;
    let names = last.len() >= 2 && last.iter().all(|c| kind(c) == Kind::Text);
    (names && last.iter().any(|c| layout::time_rank(c).is_some())).then_some(last)
}

/// Whether the text is a common unit, in any case.
pub fn is_unit(text: &str) -> bool {
    const UNITS: &str = " °c c degc k f °f bar mbar pa kpa hpa mpa w kw mw gw wh kwh mwh % - m3/h m³/h m3 m³ l l/s l/min \
        l/h kg/h kg/s t/h kg g t m mm cm km s min h a ma v kv mv hz rpm 1/min m/s eur eur/mwh ct/kwh ppm ppb g/kg j kj mj \
        gj lx w/m2 w/m² nm3/h nm³/h mg/m3 mg/m³ mg/l ph µs/cm deg ° nm n kn kwh/h psi psig barg bara mmhg inh2o inhg gpm \
        cfm btu btu/h ton lb lb/h klb/h ";
    UNITS.contains(&format!(" {} ", text.to_lowercase()))
}

fn is_units(record: &[String]) -> bool {
    let cells: Vec<&String> = record.iter().skip(1).filter(|c| !c.is_empty()).collect();
    // a row with units contains no unit for the time
    let no_name = record.first().is_some_and(String::is_empty);
    let unit = |cell: &str| {
        let bracketed =
            (cell.starts_with('[') && cell.ends_with(']')) || (cell.starts_with('(') && cell.ends_with(')'));
        // a single letter is more likely to be the name of a column than a unit
        bracketed || (cell.len() > 1 || no_name || "%-°".contains(cell)) && is_unit(cell)
    };
    !cells.is_empty() && cells.iter().filter(|c| unit(c)).count() * 10 >= cells.len() * 6
}

/// Column names: the cells of the header, made unique.
fn names(header: &[String], width: usize) -> Vec<String> {
    let mut used = BTreeSet::new();
    (0..width)
        .map(|i| {
            let name = header.get(i).map_or("", String::as_str);
            let name = if name.is_empty() { format!("column_{}", i + 1) } else { name.to_owned() };
            let mut unique = name.clone();
            let mut n = 2;
            while !used.insert(unique.clone()) {
                unique = format!("{name}_{n}");
                n += 1;
            }
            unique
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Dialect {
        detect(text, None).unwrap()
    }

    #[test]
    fn a_decimal_comma_is_not_a_delimiter() {
        let d = read("Zeit;T1;T2\n01.02.2024 00:00;1,5;2,5\n01.02.2024 00:10;1,25;2,5\n");
        assert_eq!((d.delimiter, d.names.join("|"), d.skipped), (b';', "Zeit|T1|T2".to_owned(), 0));
    }

    #[test]
    fn preamble_title_with_empty_fields_and_units_are_skipped() {
        let text = "Report of plant 7;;\nCreated: 2024-05-01;;\n# comment\n\nDatum;TI101;Pumpe\n[d];[°C];[-]\n\
                    01.01.2024;5,5;1\n02.01.2024;6;0\n03.01.2024;;1\n";
        let d = read(text);
        assert_eq!(d.names.join("|"), "Datum|TI101|Pumpe");
        assert_eq!((d.units.join("|"), d.skipped), ("[d]|[°C]|[-]".to_owned(), 3));
        assert!(text[d.start..].starts_with("01.01.2024"), "{d:?}");
    }

    #[test]
    fn names_may_be_numbers_and_may_be_absent() {
        let d = read("time,101,102\n2024-01-01,1,2\n2024-01-02,1,2\n");
        assert_eq!((d.names.join("|"), d.header), ("time|101|102".to_owned(), true));
        let d = read("TI101,2024-01-01 00:00,1\nTI101,2024-01-01 00:10,2\n");
        assert_eq!((d.names.join("|"), d.header, d.start), ("column_1|column_2|column_3".to_owned(), false, 0));
        let d = read("t,x,x,\n45292.0,1,2,\n45292.5,1,2,\n45293.0,1,2,\n");
        assert_eq!(d.names.join("|"), "t|x|x_2|column_4");
    }

    #[test]
    fn names_of_groups_are_joined_with_the_names_below_them() {
        let d = read(
            "Time;Boiler 1;;Grid;\n;Supply;Load;Power;Price\n;[°C];[%];[kW];\n2024-01-01;70;1;2;3\n2024-01-02;71;1;2;3\n",
        );
        assert_eq!(d.names.join("|"), "Time|Boiler 1 Supply|Boiler 1 Load|Grid Power|Grid Price");
        assert_eq!((d.units.join("|"), d.skipped), ("|[°C]|[%]|[kW]|".to_owned(), 0));
    }

    #[test]
    fn two_columns_below_a_preamble_with_two_columns() {
        let d = read(
            "Station,Berlin\nLogger,AB-12\nDate,Level\n2024-01-01,1.5\n2024-01-02,1.6\n2024-01-03,1.7\n2024-01-04,1\n",
        );
        assert_eq!((d.names.join("|"), d.skipped), ("Date|Level".to_owned(), 2));
    }

    #[test]
    fn quotes_may_contain_delimiters_and_line_breaks() {
        let d = read("\"a;b\";\"t\"\n\"x\ny\";2024-01-01\n\"z\";2024-01-02\n");
        assert_eq!((d.names.join("|"), d.delimiter), ("a;b|t".to_owned(), b';'));
        assert!(detect("no data here\nat all\n", None).is_err());
    }

    #[test]
    fn decimal_commas_without_quotes_are_refused() {
        for text in ["time,a,b\n2024-01-01,1,5,2,5\n2024-01-02,1,5,2,5\n", "time,a\n2024-01-01,1,5\n2024-01-02,2,5\n"] {
            let error = detect(text, None).unwrap_err();
            assert!(error.contains("fields; if the numbers have decimal commas"), "{error}");
        }
        let d = read("time,a\n2024-01-01,1,\n2024-01-02,2,\n");
        assert_eq!(d.names.join("|"), "time|a|column_3");
    }
}
