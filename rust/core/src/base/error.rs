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
    /// There is not enough memory for an array as long as the data make it.
    #[error("{0}")]
    OutOfMemory(String),
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

/// Refuse what is not finite or is negative.
pub(crate) fn check_non_negative(name: &str, value: f64) -> Result<()> {
    check(name, value, value >= 0.0, "at least 0")
}

/// Refuse what is not finite or is not positive.
pub(crate) fn check_positive(name: &str, value: f64) -> Result<()> {
    check(name, value, value > 0.0, "greater than 0")
}

fn check(name: &str, value: f64, is_inside: bool, domain: &str) -> Result<()> {
    if value.is_finite() && is_inside {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name} must be finite and {domain}, not {value}"
    )))
}

/// `FromStr` for an enum by the words that its variants have as values of an argument.
macro_rules! from_word {
    ($type:ty, $argument:literal, $choices:literal, { $($word:literal => $variant:ident,)+ }) => {
        impl std::str::FromStr for $type {
            type Err = $crate::base::Error;

            fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Self::Err::invalid(format!(
                        "{} must be {}, not {word:?}", $argument, $choices
                    ))),
                }
            }
        }
    };
}
pub(crate) use from_word;
