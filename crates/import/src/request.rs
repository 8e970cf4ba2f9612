//! The options of an import, and the source to which each of them belongs.

use clap::ArgMatches;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::recipe::Source;

/// An import as requested by the user.
pub struct Request {
    pub options: Options,
    /// The sources in the order of `--from`, with their options. Paths are as the user wrote them.
    pub sources: Vec<Source>,
    /// Names of the options that follow the last `--from` and were not given for any earlier source.
    pub only_last: Vec<&'static str>,
}

impl Request {
    /// Assigns each option to a `--from`. `given` contains the positions of the options on the command line.
    ///
    /// # Errors
    /// [`Error::Usage`] if a source has an option twice, or has no `--from`.
    pub fn new(options: Options, given: &ArgMatches) -> Result<Self> {
        let places = Places::new(given);
        let time = places.one(given, "time")?;
        let time_unit = places.one(given, "time_unit")?;
        let timezone = places.one(given, "timezone")?;
        let date_order = places.one(given, "date_order")?;
        let decimal = places.one(given, "decimal")?;
        let delimiter = places.one(given, "delimiter")?;
        let encoding = places.one(given, "encoding")?;
        let sheet = places.one(given, "sheet")?;
        let condition = places.one(given, "condition")?;
        let prefix = places.own(given, "prefix");
        let (long, good) = (places.all(given, "long"), places.all(given, "good"));
        let (select, rename) = (places.all(given, "select"), places.all(given, "rename"));
        if !prefix.before.is_empty() || prefix.own.iter().any(|own| own.len() > 1) {
            return Err(Error::Usage("--as: write one `--as` after the `--from` to which it belongs".into()));
        }
        if long.iter().any(|long| !matches!(long.len(), 0 | 2 | 3)) {
            return Err(Error::Usage(
                "--long: name the tag and value columns, and the quality column if there is one: `--long TAG,VALUE,QUALITY`"
                    .into(),
            ));
        }
        let source = |(i, from): (usize, &String)| Source {
            from: from.clone(),
            prefix: prefix.own[i].first().cloned(),
            time: time[i].clone(),
            time_unit: time_unit[i].clone(),
            timezone: timezone[i].clone(),
            date_order: date_order[i].clone(),
            decimal: decimal[i].clone(),
            delimiter: delimiter[i].clone(),
            encoding: encoding[i].clone(),
            sheet: sheet[i].clone(),
            long: long[i].clone(),
            wide: options.wide,
            good: good[i].clone(),
            condition: condition[i].clone(),
            select: select[i].clone(),
            rename: rename[i].clone(),
        };
        let sources = options.from.iter().enumerate().map(source).collect();
        let only_last = [("where", "condition"), ("good", "good")];
        let only_last = only_last.into_iter().filter(|(_, id)| places.is_only_last(given, id));
        Ok(Self { only_last: only_last.map(|(name, _)| name).collect(), sources, options })
    }
}

/// The positions of all `--from` on the command line.
struct Places {
    from: Vec<usize>,
}

/// The values of one option.
struct Values {
    /// Values before the first `--from`.
    before: Vec<String>,
    /// Values after each `--from`.
    own: Vec<Vec<String>>,
}

impl Places {
    fn new(given: &ArgMatches) -> Self {
        Self { from: given.indices_of("from").map(Iterator::collect).unwrap_or_default() }
    }

    /// The values of the option `id`, grouped by the `--from` that they follow.
    fn own(&self, given: &ArgMatches, id: &str) -> Values {
        let mut values = Values { before: Vec::new(), own: vec![Vec::new(); self.from.len()] };
        let texts = given.get_many::<String>(id).into_iter().flatten();
        for (at, text) in given.indices_of(id).into_iter().flatten().zip(texts) {
            match self.from.iter().rposition(|from| *from < at) {
                Some(i) => values.own[i].push(text.clone()),
                None => values.before.push(text.clone()),
            }
        }
        values
    }

    /// The values of the option `id` for each source.
    fn all(&self, given: &ArgMatches, id: &str) -> Vec<Vec<String>> {
        let Values { before, own } = self.own(given, id);
        own.into_iter().map(|own| if own.is_empty() { before.clone() } else { own }).collect()
    }

    /// The value of the option `id` for each source.
    ///
    /// # Errors
    /// [`Error::Usage`] if the option has two values for one source.
    fn one(&self, given: &ArgMatches, id: &str) -> Result<Vec<Option<String>>> {
        let single = |values: Vec<String>| match &values[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, second, ..] => {
                let name = if id == "condition" { "where".into() } else { id.replace('_', "-") };
                let joined = if id == "condition" { "; join conditions by `and`" } else { "" };
                Err(Error::Usage(format!("--{name}: both `{first}` and `{second}` apply to one `--from`{joined}")))
            }
        };
        self.all(given, id).into_iter().map(single).collect()
    }

    /// Whether the option `id` is given only after the last of several `--from`.
    fn is_only_last(&self, given: &ArgMatches, id: &str) -> bool {
        let Values { before, own } = self.own(given, id);
        let (last, others) = own.split_last().map_or((false, &[][..]), |(last, others)| (!last.is_empty(), others));
        last && before.is_empty() && !others.is_empty() && others.iter().all(Vec::is_empty)
    }
}
