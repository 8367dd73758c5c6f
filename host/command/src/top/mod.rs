//! The live view `top`.
//!
//! [`poll`] reads the admin listener. [`window`] computes rates and quantiles from two
//! [scrapes](exposition), and [`figures`] are the numbers of one interval. [`state`] is the state of the
//! view, [`draw`] draws it, and [`screen`] is the terminal.

mod draw;
mod exposition;
mod figures;
mod palette;
mod poll;
mod screen;
mod state;
mod units;
mod window;

pub(crate) use draw::draw;
pub(crate) use figures::{Figures, summary};
pub(crate) use palette::Palette;
pub(crate) use poll::{Poll, Sample, Usage};
pub(crate) use screen::{Screen, inputs};
pub(crate) use state::{Next, State};
