//! Puts the state on the screen.

use super::figures::{Operation, summary};
use super::palette::Palette;
use super::poll::{Amount, Usage};
use super::state::State;
use super::units::{bytes, duration, rate};
use crate::output::printable;
use durable_streams_edge_client::StreamEntry;
use indicatif::BinaryBytes;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

/// Most prefixes on the screen.
const PREFIXES: usize = 5;

/// Width of the titles at the left.
const TITLE: usize = 12;

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, palette: Palette) {
    let sample = state.sample.as_ref();
    let figures = sample.and_then(|sample| sample.figures.as_ref());
    let lines = summary_lines(state, palette);
    let operations = figures.map_or(&[][..], |figures| &figures.operations);
    let prefixes = sample.and_then(|sample| sample.prefixes.as_deref());
    let prefixes = prefixes.map(|all| all.get(..PREFIXES).unwrap_or(all));
    let [head, top, load, busy, streams, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height(lines.len(), 0)),
        Constraint::Length(height(operations.len(), 1)),
        Constraint::Length(prefixes.map_or(0, |prefixes| height(prefixes.len(), 2))),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(state, palette), head);
    frame.render_widget(Paragraph::new(lines), top);
    if !operations.is_empty() {
        frame.render_widget(load_table(operations, palette), load);
    }
    if let Some(prefixes) = prefixes {
        frame.render_widget(prefix_table(prefixes, palette), busy);
    }
    draw_streams(frame, streams, state, palette);
    frame.render_widget(footer(state, palette), foot);
}

/// Height of so many rows and so many lines around them; 0 without rows.
fn height(rows: usize, around: u16) -> u16 {
    match u16::try_from(rows) {
        Ok(0) => 0,
        Ok(rows) => rows.saturating_add(around),
        Err(_) => u16::MAX,
    }
}

fn header(state: &State, palette: Palette) -> Paragraph<'static> {
    let figures = state.sample.as_ref().and_then(|one| one.figures.as_ref());
    let version = figures.and_then(|figures| figures.version.clone());
    let up = figures.and_then(|figures| figures.up_seconds);
    let mut line = vec![Span::styled("durable-streams ", palette.title())];
    line.extend(version.map(|version| Span::raw(format!("{} ", printable(&version)))));
    line.push(Span::raw(printable(&state.admin)));
    line.extend(up.map(|up| Span::raw(format!(", up {}", duration(Some(up))))));
    Paragraph::new(Line::from(line))
}

/// Problems, then the figures that are no table.
fn summary_lines(state: &State, palette: Palette) -> Vec<Line<'static>> {
    let Some(sample) = &state.sample else {
        return vec![Line::raw("waiting for the first sample")];
    };
    let problems = sample.problems.iter().map(|problem| {
        let text = format!("{:<TITLE$}{}", "problem", printable(problem));
        Line::styled(text, palette.alarm())
    });
    let mut lines: Vec<_> = problems.collect();
    match &sample.figures {
        Some(figures) => lines.extend(summary(figures).into_iter().map(|fact| {
            let title = Span::styled(format!("{:<TITLE$}", fact.title), palette.title());
            let text = match fact.is_alarm {
                true => Span::styled(fact.text, palette.alarm()),
                false => Span::raw(fact.text),
            };
            Line::from(vec![title, text])
        })),
        None if sample.problems.is_empty() => lines.push(Line::raw("measuring")),
        None => {}
    }
    lines
}

fn columns<const N: usize>(titles: [&'static str; N], palette: Palette) -> Row<'static> {
    Row::new(titles.map(Cell::from)).style(palette.title())
}

fn load_table(operations: &[Operation], palette: Palette) -> Table<'static> {
    let rows = operations.iter().map(|one| {
        let row = Row::new([
            one.operation.to_owned(),
            rate(one.per_second),
            rate(one.errors_per_second),
            rate(one.refused_per_second),
            duration(one.p50_seconds),
            duration(one.p99_seconds),
        ]);
        match one.errors_per_second > 0.0 {
            true => row.style(palette.alarm()),
            false => row,
        }
    });
    let titles = ["operation", "req/s", "errors/s", "refused/s", "p50", "p99"];
    Table::new(rows, [12, 9, 9, 9, 10, 10].map(Constraint::Length)).header(columns(titles, palette))
}

fn amount(amount: Amount, show: fn(f64) -> String) -> String {
    match amount.limit {
        Some(limit) => format!("{} of {}", show(amount.used), show(limit)),
        None => show(amount.used),
    }
}

fn prefix_table(prefixes: &[Usage], palette: Palette) -> Table<'static> {
    let rows = prefixes.iter().map(|one| {
        Row::new([
            printable(&one.prefix),
            amount(one.streams, rate),
            amount(one.bytes, bytes),
            format!("{}/s", bytes(one.bytes_per_second)),
            amount(one.readers, rate),
        ])
    });
    let titles = ["prefix", "streams", "bytes", "growth", "readers"];
    let widths = [
        Constraint::Min(12),
        Constraint::Length(16),
        Constraint::Length(22),
        Constraint::Length(12),
        Constraint::Length(12),
    ];
    Table::new(rows, widths).header(columns(titles, palette).top_margin(1))
}

fn draw_streams(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let Some(listed) = state.listed() else {
        return;
    };
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let shown = state.shown();
    let all = match listed.is_complete {
        true => listed.streams.len().to_string(),
        false => format!("the first {}; more exist", listed.streams.len()),
    };
    let text = format!("{} of {all} streams", shown.len());
    frame.render_widget(Paragraph::new(text).style(palette.title()), title);
    // Only the rows on the screen are built: there may be thousands.
    let height = usize::from(body.height).saturating_sub(1).max(1);
    let first = state.selected.saturating_sub(height.saturating_sub(1));
    let rows = shown.into_iter().skip(first).take(height).map(stream_row);
    let widths = [
        Constraint::Min(16),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(26),
    ];
    let table = Table::new(rows, widths)
        .header(columns(["name", "size", "state", "type"], palette))
        .row_highlight_style(palette.selected());
    let selected = state.selected.saturating_sub(first);
    let mut position = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, body, &mut position);
}

fn stream_row(entry: &StreamEntry) -> Row<'static> {
    let size = entry.bytes.map(|bytes| BinaryBytes(bytes).to_string());
    let state = if entry.closed { "closed" } else { "open" };
    Row::new([
        printable(&entry.name),
        size.unwrap_or_else(|| "-".to_owned()),
        state.to_owned(),
        printable(entry.content_type.as_deref().unwrap_or("-")),
    ])
}

fn footer(state: &State, palette: Palette) -> Paragraph<'static> {
    let filter = Span::styled(format!("/{}", printable(&state.filter)), palette.selected());
    let line = match (state.is_filtering, state.filter.is_empty()) {
        (true, _) => Line::from(vec![
            Span::raw("filter "),
            filter,
            Span::raw("  Enter keeps it, Esc removes it"),
        ]),
        (false, false) => Line::from(vec![
            Span::raw("filter "),
            filter,
            Span::raw("  / changes it, Esc removes it, q quits"),
        ]),
        (false, true) => Line::raw("q quits   / filters the streams   arrows and pages move"),
    };
    Paragraph::new(line)
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
