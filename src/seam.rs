//! What our own host tells by the text of an error of `wasi:keyvalue`, which has no error for it.

/// A value is not in memory (`exchange.wit`): the step will be done again, and what this one says
/// goes nowhere.
pub const NOT_RESIDENT: &str = "not-resident";

/// How an error begins that means: there is no room for the write, which was not applied.
pub const FULL: &str = "insufficient-storage";

/// How an error begins that means: the store takes no writes now, and this one was not applied.
pub const REFUSED: &str = "write-refused";
