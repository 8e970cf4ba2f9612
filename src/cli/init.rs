//! `twinopt init`.
use super::Globals;
use crate::error::{Error, Result};
use std::path::PathBuf;
/// x
#[derive(Debug, clap::Args)]
pub struct Args {
    pub dir: PathBuf,
}
pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`status` is being built".into()))
}
