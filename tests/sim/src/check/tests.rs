//! The checker on histories that are written by hand.
