//! The values of a column that distinguishes entities, such as products, for messages about `--where`.

use std::collections::BTreeMap;

use polars::prelude::*;

use crate::error::list;
use crate::filter::Condition;
use crate::frame::FileFrame;

/// Maximum number of values that a message lists.
const SHOWN: usize = 5;
/// Maximum number of distinct values that are counted (not tuned).
const MAX_DISTINCT: usize = 20_000;

/// The values of a column, with the most frequent first.
pub struct Choices {
    /// Each value, the number of its rows, and the number of values other than 0 in the other columns of these rows.
    values: Vec<(String, usize, usize)>,
}

impl Choices {
    /// Counts the values of `column` in all files.
    pub fn new(frames: &[FileFrame], column: &str) -> Self {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for frame in frames {
            let active = active_values(&frame.frame, column);
            let Ok(texts) = frame.frame.column(column).and_then(|c| c.cast(&DataType::String)) else { continue };
            let Ok(texts) = texts.str() else { continue };
            for (row, text) in texts.iter().enumerate() {
                let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { continue };
                if !counts.contains_key(text) && counts.len() >= MAX_DISTINCT {
                    continue;
                }
                let count = counts.entry(text.to_owned()).or_default();
                *count = (count.0 + 1, count.1 + active[row]);
            }
        }
        let mut values: Vec<(String, usize, usize)> = counts.into_iter().map(|(text, (n, a))| (text, n, a)).collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.cmp(&a.2)));
        Self { values }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The value whose rows contain most values other than 0. Values that `--where` cannot quote are left out.
    pub fn most_active(&self) -> Option<&str> {
        let quotable = self.values.iter().filter(|v| !v.0.contains(['\'', '"', '`', '$', '\\']));
        quotable.rev().max_by_key(|v| v.2).map(|v| v.0.as_str())
    }

    /// Lists the most active values except `named`.
    pub fn others(&self, named: &str) -> String {
        let mut others: Vec<&(String, usize, usize)> = self.values.iter().filter(|v| v.0 != named).collect();
        others.sort_by_key(|v| std::cmp::Reverse(v.2));
        let texts: Vec<String> = others.iter().map(|v| format!("`{}`", v.0)).collect();
        list(&texts, 3)
    }

    /// Lists the values that are most similar to `asked` or, if none is similar, the most frequent ones. Each value is
    /// followed by the number of its rows.
    fn near(&self, asked: &str) -> String {
        let mut near: Vec<(usize, &(String, usize, usize))> =
            self.values.iter().filter_map(|v| Some((distance(&v.0, asked)?, v))).collect();
        near.sort_by_key(|(d, _)| *d);
        let row = |v: &(String, usize, usize)| format!("`{}` ({})", v.0, crate::error::plural(v.1, "row", "rows"));
        match near.is_empty() {
            false => {
                let texts: Vec<String> = near.iter().map(|(_, v)| row(v)).collect();
                format!("similar values are {}", list(&texts, SHOWN))
            }
            true => {
                let texts: Vec<String> = self.values.iter().map(row).collect();
                format!("the most frequent values are {}", list(&texts, SHOWN))
            }
        }
    }
}

/// For each row, the number of values other than 0 in the columns other than `key`.
fn active_values(frame: &DataFrame, key: &str) -> Vec<usize> {
    let mut active = vec![0; frame.height()];
    for column in frame.columns().iter().filter(|c| c.name() != key) {
        if column.dtype().is_primitive_numeric() {
            let Ok(numbers) = column.cast(&DataType::Float64) else { continue };
            let Ok(numbers) = numbers.f64() else { continue };
            numbers.iter().zip(&mut active).for_each(|(v, n)| *n += usize::from(v.is_some_and(|v| v != 0.0)));
        } else if let Ok(texts) = column.str() {
            let is_active = |t: &str| t.contains(|c: char| ('1'..='9').contains(&c));
            texts.iter().zip(&mut active).for_each(|(t, n)| *n += usize::from(t.is_some_and(is_active)));
        }
    }
    active
}

/// Dissimilarity of two texts, ignoring case, spaces and punctuation; `None` if they are not similar.
fn distance(text: &str, asked: &str) -> Option<usize> {
    let plain = |t: &str| t.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (plain(text), plain(asked));
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if short.is_empty() {
        return None;
    }
    if short == long {
        return Some(0);
    }
    if short.len() >= 3 && long.windows(short.len()).any(|w| w == short.as_slice()) {
        return Some(1 + long.len() - short.len());
    }
    let edits = edit_distance(&a, &b);
    (edits * 3 <= long.len()).then_some(1000 + edits)
}

/// Number of insertions, deletions and replacements that turn `a` into `b`.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Why no row satisfies the conditions. `frames` contain all rows.
pub fn unmet(frames: &[FileFrame], conditions: &[Condition]) -> String {
    for condition in conditions {
        let met = frames.iter().any(|f| condition.rows(&f.frame).is_ok_and(|rows| rows.contains(&true)));
        if met {
            continue;
        }
        let column = &condition.column;
        return match condition.asked_text() {
            Some(asked) => {
                let near = Choices::new(frames, column).near(asked);
                format!("no row satisfies `--where`: `{column}` has no value `{asked}`; {near}")
            }
            None => format!(
                "no row satisfies `--where`: the comparison with `{column}` is never true; {}",
                range(frames, column).unwrap_or_else(|| Choices::new(frames, column).near(""))
            ),
        };
    }
    "no row satisfies all comparisons in `--where`, although some rows satisfy each of them".into()
}

/// The range of a column of numbers.
fn range(frames: &[FileFrame], column: &str) -> Option<String> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for frame in frames {
        let column = frame.frame.column(column).ok().filter(|c| c.dtype().is_primitive_numeric())?;
        let numbers = column.cast(&DataType::Float64).ok()?;
        numbers.f64().ok()?.iter().flatten().for_each(|v| (low, high) = (low.min(v), high.max(v)));
    }
    (low <= high).then(|| format!("its values are between {low} and {high}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_texts_have_a_small_distance() {
        assert_eq!(distance("JUMBO BAG", "jumbo  bag"), Some(0));
        assert_eq!(distance("JUMBO BAG RED", "jumbo bag"), Some(4));
        assert_eq!(distance("JUMBO BAG", "jumpo bag"), Some(1001));
        assert_eq!(distance("CANDLE", "jumbo bag"), None);
        assert_eq!(edit_distance(&['a', 'b', 'c'], &['a', 'c', 'd']), 2);
    }
}
