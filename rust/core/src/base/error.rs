//! The one error type of the crate.
//!
//! Every message is one sentence that names the argument and the offending value, because the
//! bindings show it to the user as it stands.

use thiserror::Error;

/// What can go wrong in a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// An argument is outside its domain, or two arguments do not fit together.
    #[error("{0}")]
    InvalidArgument(String),
    /// A score, weight or factor is NaN or infinite where an order is needed.
    #[error("{0}")]
    NonFinite(String),
    /// The caller raised the cancel flag of [`Progress`](crate::base::progress::Progress).
    #[error("cancelled")]
    Cancelled,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::InvalidArgument`] from anything printable.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidArgument(message.into())
    }
}
