//! The options of `twinopt import`. The program `twinopt-import` in `crates/import` compiles this file too, so that
//! both programs have the same options.

use std::path::PathBuf;

/// Convert exports (CSV, workbooks, NDJSON, Arrow, Parquet) into the Parquet log of a plant.
///
/// Detects delimiter, encoding, header, decimal separator, dates and the layout of the files, prints what was detected,
/// and writes `DIR/log/YYYY-MM.parquet` with times in UTC, and the recipe `DIR/import.toml`. Without `--from`, the
/// sources in the recipe are read again. If the input can be read in two ways, the import stops with a message that
/// names the option for this choice.
///
/// With several `--from`, an option that controls how files are read applies to the preceding `--from`. Options before
/// the first `--from` apply to all sources that have no such option of their own.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  twinopt import data/plant1 --from 'export/**/*.csv' --timezone Europe/Berlin
  twinopt import data/plant1 --from plant.csv.gz --from weather.parquet --as weather
  twinopt import data/plant1 --from trace.csv --time-unit 'hours since 2024-01-01T00:00Z'
  twinopt import data/plant1 --from s3://bucket/site=7/
  twinopt import data/plant1                      read the sources in import.toml again

Read more in docs/import.md.")]
pub struct Options {
    /// Folder of the plant, `data/<plant>`
    pub dir: PathBuf,
    /// File, folder or pattern such as 'export/**/*.csv', or an address such as s3://bucket/site=7/; several sources
    /// are joined by time
    #[arg(long, value_name = "FILES")]
    pub from: Vec<String>,
    /// Prefix for the columns of the preceding `--from`
    #[arg(long = "as", value_name = "NAME")]
    pub prefix: Vec<String>,
    /// Time column; two columns are written like `Date+Time`
    #[arg(long, value_name = "COLUMN")]
    pub time: Vec<String>,
    /// Unit and origin of times that are numbers, such as 'hours since 2024-01-01T00:00Z'
    #[arg(long, value_name = "UNIT since TIME")]
    pub time_unit: Vec<String>,
    /// Time zone of times without one, such as Europe/Berlin, UTC or +01:00
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub timezone: Vec<String>,
    /// Order of day and month in dates such as 03/04/2024
    #[arg(long, value_name = "dmy|mdy|ymd", value_parser = ["dmy", "mdy", "ymd"])]
    pub date_order: Vec<String>,
    /// Decimal sign of numbers such as 1.234 and 1,234
    #[arg(long, value_name = "point|comma", value_parser = ["point", "comma"])]
    pub decimal: Vec<String>,
    /// Delimiter of CSV files: `,`, `;`, `|` or `tab`
    #[arg(long, value_name = "CHAR", value_parser = [",", ";", "|", "tab"])]
    pub delimiter: Vec<String>,
    /// Encoding of text files, such as utf-8, windows-1250, shift_jis or cp850 (default: detected)
    #[arg(long, value_name = "NAME")]
    pub encoding: Vec<String>,
    /// Sheet of a workbook, or a pattern such as '2024-*' (default: the longest sheet, and those with the same header)
    #[arg(long, value_name = "NAME")]
    pub sheet: Vec<String>,
    /// Columns of an export with one sample per row: tag, value and, if there is one, quality. If TAG is `file`, the
    /// name of the file is the tag
    #[arg(long, value_name = "TAG,VALUE[,QUALITY]", value_delimiter = ',', num_args = 1)]
    pub long: Vec<String>,
    /// Do not pivot, even if the columns look like tag and value
    #[arg(long, conflicts_with = "long")]
    pub wide: bool,
    /// Quality flag of good samples, or a range (default: good, 192..255)
    #[arg(long, value_name = "FLAG")]
    pub good: Vec<String>,
    /// Read only rows that satisfy comparisons joined by `and`, e.g. "sku == 'A12' and line == 2"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Vec<String>,
    /// Leave out samples before this time, e.g. 2024-01-01 or 2024-01-01T06:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Read only these columns or tags
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Rename a column or tag
    #[arg(long, value_name = "OLD=NEW")]
    pub rename: Vec<String>,
    /// What to do if two rows with the same time differ (default: stop with an error)
    #[arg(long, value_name = "last|first|mean|sum", value_parser = ["last", "first", "mean", "sum"])]
    pub keep: Option<String>,
    /// Average the samples over steps of this length, e.g. 10min
    #[arg(long, value_name = "SPAN")]
    pub every: Option<String>,
    /// Maximum age of a joined value (default: twice the step of its source)
    #[arg(long, value_name = "SPAN")]
    pub tolerance: Option<String>,
    /// Replace an existing import.toml and log that were made with other options
    #[arg(long)]
    pub replace: bool,
    /// Print what was detected; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Limit of the address space in MiB (default: 1024 plus 12 times the size of the input)
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u64>,
}
