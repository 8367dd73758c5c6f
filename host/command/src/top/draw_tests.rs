//! Contents of the screen.

use super::*;
use crate::top::figures::tests::sample as figures;
use crate::top::poll::Sample;
use crate::top::screen::Input;
use crate::top::state::tests::listed;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

fn state(sample: Sample) -> State {
    let mut state = State::new("http://127.0.0.1:4438".to_owned());
    state.take(sample);
    state
}

fn full() -> State {
    let usage = serde_json::json!([{
        "prefix": "acme", "streams": {"used": 12, "limit": 100}, "bytes": {"used": 2048},
        "readers": {"used": 3},
    }]);
    state(Sample {
        figures: Some(figures()),
        prefixes: Some(serde_json::from_value(usage).unwrap()),
        listed: Some(listed(&["a", "b", "chats/\u{1b}[31m"])),
        problems: Vec::new(),
    })
}

fn drawn(state: &State, palette: Palette, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, palette)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width);
    rows.map(|row| {
        row.iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect::<String>()
    })
    .map(|line| line.trim_end().to_owned())
    .collect()
}

fn text(state: &State) -> String {
    lines(&drawn(state, Palette::new(true), 100, 30)).join("\n")
}

#[test]
fn load_store_prefixes_and_streams_are_on_one_screen() {
    let text = text(&full());
    for part in [
        "durable-streams 1.2.3 http://127.0.0.1:4438, up 60.0 s",
        "load        12 requests/s, 2.0 errors/s",
        "readers     3 by SSE, 0 by long-poll; 5 of 1024 connections",
        "store       refuses writes",
        "background  backlog for 12.0 s",
        "append       12        2.0",
        "acme",
        "12 of 100",
        "3 of 3 streams",
        "2.00 KiB   open    text/plain",
        "closed",
        "q quits",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn control_characters_of_names_never_reach_the_terminal() {
    let text = text(&full());
    assert!(text.contains("chats/\\u{1b}[31m"), "{text}");
}

#[test]
fn a_server_without_metrics_is_named_and_its_streams_are_shown() {
    let text = text(&state(Sample {
        listed: Some(listed(&["a"])),
        problems: vec!["http://h has no metrics".to_owned()],
        ..Sample::default()
    }));
    assert!(
        text.contains("problem     http://h has no metrics"),
        "{text}"
    );
    assert!(text.contains("1 of 1 streams"), "{text}");
    assert!(!text.contains("operation"), "{text}");
}

#[test]
fn the_selected_row_stays_on_the_screen() {
    let names: Vec<String> = (0..500).map(|number| format!("s{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut state = state(Sample {
        listed: Some(listed(&names)),
        ..Sample::default()
    });
    state.press(Input::End);
    let buffer = drawn(&state, Palette::new(false), 80, 24);
    let lines = lines(&buffer);
    let row = lines.iter().position(|line| line.starts_with("s499"));
    let row = u16::try_from(row.expect("the last row is shown")).unwrap();
    assert!(buffer[(0, row)].modifier.contains(Modifier::REVERSED));
}

#[test]
fn without_colours_weight_tells_the_same() {
    let buffer = drawn(&full(), Palette::new(false), 100, 30);
    let cells = &buffer.content;
    assert!(
        cells
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(
        cells
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::BOLD))
    );
    let coloured = drawn(&full(), Palette::new(true), 100, 30);
    assert!(coloured.content.iter().any(|cell| cell.fg == Color::Red));
}

#[test]
fn every_size_of_the_terminal_is_drawn() {
    let mut state = full();
    state.press(Input::Character('/'));
    for width in [1, 2, 20, 60, 300] {
        for height in [1, 2, 5, 10, 100] {
            drawn(&state, Palette::new(true), width, height);
        }
    }
}
