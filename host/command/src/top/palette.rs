//! Styles of the view.

use ratatui::style::{Color, Modifier, Style};

/// The styles. Without colours, weight and inversion tell the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    has_colours: bool,
}

impl Palette {
    /// Styles for a terminal. `NO_COLOR` with any text turns colours off (<https://no-color.org>).
    pub(crate) fn of_environment() -> Self {
        let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            has_colours: !is_off,
        }
    }

    #[cfg(test)]
    pub(crate) const fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    fn with(self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    /// Titles of lines and columns.
    pub(crate) fn title(self) -> Style {
        self.with(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// A state that an operator has to see.
    pub(crate) fn alarm(self) -> Style {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The selected row, and the field for the filter.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
