//! Errors of the kernels.

/// The reason why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The requested device is unavailable. The error message states what is missing and how to install it.
    #[error("{0}")]
    Unavailable(String),
    /// A slice has the wrong size, or a device failed.
    #[error("{0}")]
    Failed(String),
}

pub type Result<T> = std::result::Result<T, Error>;
