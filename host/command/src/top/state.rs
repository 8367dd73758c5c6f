//! State of the view, and how keys change it.

use super::poll::{Listed, Sample};
use super::screen::Input;
use durable_streams_edge_client::StreamEntry;

/// Rows that a page key moves.
const PAGE: usize = 10;

/// Longest filter in characters. Names have at most 1,024 bytes.
const LONGEST_FILTER: usize = 256;

/// State of the view.
#[derive(Debug)]
pub(crate) struct State {
    /// URL of the admin listener.
    pub(crate) admin: String,
    /// The newest sample. Absent until the first one.
    pub(crate) sample: Option<Sample>,
    /// Part of the names to show, in lower case.
    pub(crate) filter: String,
    /// Whether keys go to the filter.
    pub(crate) is_filtering: bool,
    /// Index of the selected row among the shown ones.
    pub(crate) selected: usize,
}

/// Effect of a key on the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Quit,
}

impl State {
    pub(crate) const fn new(admin: String) -> Self {
        Self {
            admin,
            sample: None,
            filter: String::new(),
            is_filtering: false,
            selected: 0,
        }
    }

    /// Takes a new sample. Figures stay on the screen until there are newer ones or a problem. The list
    /// stays while the server is away.
    pub(crate) fn take(&mut self, mut sample: Sample) {
        if let Some(before) = self.sample.take() {
            if sample.problems.is_empty() {
                sample.figures = sample.figures.or(before.figures);
            }
            sample.listed = sample.listed.or(before.listed);
        }
        self.sample = Some(sample);
        self.keep_selection();
    }

    /// Streams whose names have the filter.
    pub(crate) fn shown(&self) -> Vec<&StreamEntry> {
        let streams = self.listed().map_or(&[][..], |listed| &listed.streams);
        let streams = streams.iter();
        streams
            .filter(|entry| {
                self.filter.is_empty() || entry.name.to_lowercase().contains(&self.filter)
            })
            .collect()
    }

    pub(crate) fn listed(&self) -> Option<&Listed> {
        self.sample.as_ref()?.listed.as_ref()
    }

    /// Handles a key.
    pub(crate) fn press(&mut self, input: Input) -> Next {
        match input {
            Input::Interrupt => return Next::Quit,
            Input::Character('q') if !self.is_filtering => return Next::Quit,
            Input::Character('/') if !self.is_filtering => self.is_filtering = true,
            Input::Character(character) if self.is_filtering => {
                if self.filter.chars().count() < LONGEST_FILTER {
                    self.filter.extend(character.to_lowercase());
                }
            }
            Input::Backspace if self.is_filtering => {
                self.filter.pop();
            }
            Input::Enter => self.is_filtering = false,
            Input::Escape => {
                self.is_filtering = false;
                self.filter.clear();
            }
            Input::Up => self.selected = self.selected.saturating_sub(1),
            Input::Down => self.selected = self.selected.saturating_add(1),
            Input::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            Input::PageDown => self.selected = self.selected.saturating_add(PAGE),
            Input::Home => self.selected = 0,
            Input::End => self.selected = usize::MAX,
            Input::Character(_) | Input::Backspace => {}
        }
        self.keep_selection();
        Next::Stay
    }

    /// Keeps the selection within the shown rows.
    fn keep_selection(&mut self) {
        let last = self.shown().len().saturating_sub(1);
        self.selected = self.selected.min(last);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn listed(names: &[&str]) -> Listed {
        let streams = names.iter().map(|name| {
            let entry = serde_json::json!({
                "name": name, "content_type": "text/plain", "bytes": 2048, "closed": *name == "b",
            });
            serde_json::from_value(entry).unwrap()
        });
        Listed {
            streams: streams.collect(),
            is_complete: true,
        }
    }

    fn state(names: &[&str]) -> State {
        let mut state = State::new("http://h".to_owned());
        state.take(Sample {
            listed: Some(listed(names)),
            ..Sample::default()
        });
        state
    }

    fn press(state: &mut State, text: &str) {
        for character in text.chars() {
            assert_eq!(state.press(Input::Character(character)), Next::Stay);
        }
    }

    #[test]
    fn the_filter_selects_by_parts_of_names_in_any_case() {
        let mut state = state(&["chats/Anna", "chats/bob", "logs"]);
        press(&mut state, "/ANN");
        let names: Vec<&str> = state
            .shown()
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(names, ["chats/Anna"]);
        state.press(Input::Backspace);
        state.press(Input::Enter);
        assert_eq!((state.filter.as_str(), state.is_filtering), ("an", false));
        state.press(Input::Escape);
        assert_eq!(state.shown().len(), 3);
    }

    #[test]
    fn q_quits_unless_it_is_part_of_a_filter() {
        let mut state = state(&["q"]);
        press(&mut state, "/q");
        assert_eq!(state.filter, "q");
        assert_eq!(state.press(Input::Interrupt), Next::Quit);
        state.press(Input::Enter);
        assert_eq!(state.press(Input::Character('q')), Next::Quit);
    }

    #[test]
    fn the_selection_stays_within_the_shown_rows() {
        let mut state = state(&["a", "b", "c"]);
        state.press(Input::End);
        assert_eq!(state.selected, 2);
        state.press(Input::Down);
        assert_eq!(state.selected, 2);
        press(&mut state, "/b");
        assert_eq!(state.selected, 0);
        state.press(Input::PageUp);
        assert_eq!(state.selected, 0);
    }
}
