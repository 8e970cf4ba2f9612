//! Values of a column, and the rule for rows with equal times.

use std::collections::BTreeMap;

use crate::error::{Error, Result, list, plural};
use crate::zone::instant;

/// How samples with equal times but different values are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Last,
    First,
    Mean,
    Sum,
}

impl Keep {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "last" => Some(Self::Last),
            "first" => Some(Self::First),
            "mean" => Some(Self::Mean),
            "sum" => Some(Self::Sum),
            _ => None,
        }
    }
}

/// The values of a column. A missing number is NaN; a missing text is code 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Numbers(Vec<f64>),
    Texts { codes: Vec<u32>, texts: Vec<String> },
}

/// Counts of samples that have the same time as another sample of the same column.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// Number of samples with the same time and value as another sample.
    pub equal: usize,
    /// Number of equal samples in each column of numbers.
    pub equal_by_column: BTreeMap<String, usize>,
    /// Number of samples with the same time as another sample but a different value.
    pub different: usize,
    /// Descriptions of the first samples with equal times but different values.
    pub examples: Vec<String>,
    /// For each column, the number of samples that differ from another sample at the same time, and the first of these
    /// values.
    columns: BTreeMap<String, (usize, String)>,
}

impl Duplicates {
    fn note(&mut self, column: &str, time: i64, a: &str, b: &str) {
        self.different += 1;
        self.columns.entry(column.to_owned()).or_insert_with(|| (0, a.trim_matches('`').to_owned())).0 += 1;
        if self.examples.len() < 4 {
            self.examples.push(format!("{} `{column}`: {a} and {b}", instant(time)));
        }
    }

    /// A value of `column` that differs from another value at the same time.
    pub fn example_of(&self, column: &str) -> Option<&str> {
        self.columns.get(column).map(|(_, text)| text.as_str())
    }

    /// # Errors
    /// [`Error::Data`] if samples with the same time differ and the user has not specified which one to keep. `hint` is
    /// a possible cause.
    pub fn require(&self, source: &str, keep: Option<Keep>, hint: &str) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if self.equal > 0 && keep == Some(Keep::Sum) {
            notes.push(format!(
                "{} with the same time and value as another sample; the values are added",
                plural(self.equal, "sample", "samples")
            ));
        } else if self.equal > 0 {
            notes.push(format!(
                "{} dropped (equal time and value)",
                plural(self.equal, "duplicate sample", "duplicate samples")
            ));
        }
        if self.different == 0 {
            return Ok(notes);
        }
        let columns: Vec<String> = self.columns.iter().map(|(name, (n, _))| format!("`{name}` ({n})")).collect();
        let what = format!(
            "{} with the time of another sample but another value, in {}; for example {}",
            plural(self.different, "sample", "samples"),
            list(&columns, 5),
            list(&self.examples, 3)
        );
        match keep {
            Some(keep) => {
                let kept = match keep {
                    Keep::Last => "the last one is kept",
                    Keep::First => "the first one is kept",
                    Keep::Mean => "their mean is kept",
                    Keep::Sum => "their sum is kept",
                };
                notes.push(format!("{what}: {kept}"));
                Ok(notes)
            }
            None => {
                Err(Error::Data(format!("{source}: {what}; {hint}choose with `--keep last`, `first`, `mean` or `sum`")))
            }
        }
    }
}

/// Rows in chronological order, and the position at which each run of equal times starts.
pub struct Runs {
    order: Vec<u32>,
    starts: Vec<usize>,
}

impl Runs {
    /// Sorts `rows` by time. Rows with equal times keep their order.
    pub fn new(mut rows: Vec<u32>, time: &[i64]) -> Self {
        let at = |row: &u32| time[*row as usize];
        if !rows.is_sorted_by_key(at) {
            rows.sort_by_key(at);
        }
        let starts = (0..rows.len()).filter(|i| *i == 0 || at(&rows[*i]) != at(&rows[*i - 1])).collect();
        Self { order: rows, starts }
    }

    pub fn rows(&self) -> &[u32] {
        &self.order
    }

    /// The distinct times.
    pub fn times(&self, time: &[i64]) -> Vec<i64> {
        self.starts.iter().map(|i| time[self.order[*i] as usize]).collect()
    }

    /// The rows of each run.
    fn each(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.order.len()]);
        self.starts.iter().zip(ends).map(|(from, to)| &self.order[*from..to])
    }

    /// Merges the values of all samples that have the same time. Missing values are ignored.
    pub fn merge(
        &self,
        name: &str,
        values: &Values,
        time: &[i64],
        keep: Option<Keep>,
        found: &mut Duplicates,
    ) -> Values {
        match values {
            Values::Numbers(values) => {
                let merged = self.each().map(|run| match run {
                    [row] => values[*row as usize],
                    run => merge_numbers(name, values, run, time, keep, found),
                });
                Values::Numbers(merged.collect())
            }
            Values::Texts { codes, texts } => {
                let merged = self.each().map(|run| match run {
                    [row] => codes[*row as usize],
                    run => merge_texts(name, (codes, texts), run, time, keep, found),
                });
                Values::Texts { codes: merged.collect(), texts: texts.clone() }
            }
        }
    }
}

fn merge_numbers(
    name: &str,
    values: &[f64],
    run: &[u32],
    time: &[i64],
    keep: Option<Keep>,
    found: &mut Duplicates,
) -> f64 {
    let (mut out, mut sum, mut n, mut differ) = (f64::NAN, 0.0, 0_u32, false);
    for row in run {
        let v = values[*row as usize];
        if v.is_nan() {
            continue;
        }
        if n > 0 && v == out {
            found.equal += 1;
            *found.equal_by_column.entry(name.to_owned()).or_default() += 1;
        } else if n > 0 && !differ {
            differ = true;
            found.note(name, time[*row as usize], &out.to_string(), &v.to_string());
        }
        if n == 0 || keep != Some(Keep::First) {
            out = v;
        }
        (sum, n) = (sum + v, n + 1);
    }
    match keep {
        Some(Keep::Mean) if differ => sum / f64::from(n),
        Some(Keep::Sum) if n > 1 => sum,
        _ => out,
    }
}

fn merge_texts(
    name: &str,
    (codes, texts): (&[u32], &[String]),
    run: &[u32],
    time: &[i64],
    keep: Option<Keep>,
    found: &mut Duplicates,
) -> u32 {
    let text = |code: u32| format!("`{}`", texts.get(code as usize).map_or("", String::as_str));
    let (mut out, mut differ) = (0, false);
    for row in run {
        let code = codes[*row as usize];
        if code == 0 {
            continue;
        }
        if code == out {
            found.equal += 1;
        } else if out != 0 && !differ {
            differ = true;
            found.note(name, time[*row as usize], &text(out), &text(code));
        }
        if out == 0 || keep != Some(Keep::First) {
            out = code;
        }
    }
    out
}
