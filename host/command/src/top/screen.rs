//! The terminal: taken for the view, and given back on every exit.

use crate::failure::Failure;
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::{Once, OnceLock};
use termion::event::Key;
use termion::input::TermRead;
use tokio::sync::mpsc;

/// Settings of the terminal before the view.
static BEFORE: OnceLock<Termios> = OnceLock::new();
static HOOK: Once = Once::new();

/// Enters the alternate screen, and hides the cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
/// Leaves the alternate screen, and shows the cursor.
const LEAVE: &[u8] = b"\x1b[?1049l\x1b[?25h";

/// The terminal of the view. Dropping this value gives the terminal back.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<TermionBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal of standard input and standard output.
    pub(crate) fn take() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "top needs a terminal for its input and output. Print one sample by --once, or by \
                 --once --json"
                    .to_owned(),
            ));
        }
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = BEFORE.get_or_init(|| before).clone();
        // A panic of a build that does not unwind drops nothing.
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        // From here on, every exit has to restore the terminal.
        let guard = Restore;
        let mut out = io::stdout();
        out.write_all(ENTER)
            .and_then(|()| out.flush())
            .map_err(Failure::output)?;
        let terminal = Terminal::new(TermionBackend::new(out)).map_err(Failure::output)?;
        std::mem::forget(guard);
        Ok(Self { terminal })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal when dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        restore();
    }
}

fn failed(error: rustix::io::Errno) -> Failure {
    Failure::Output(error.into())
}

/// Gives the terminal back. It may be gone, and then there is nothing to restore.
fn restore() {
    let mut out = io::stdout();
    let _ = out.write_all(LEAVE).and_then(|()| out.flush());
    if let Some(before) = BEFORE.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}

/// A key, as far as the view knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Character(char),
    Backspace,
    Enter,
    Escape,
    /// Ctrl-C: a raw terminal sends it as a key.
    Interrupt,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

fn input(key: Key) -> Option<Input> {
    Some(match key {
        Key::Char('\n' | '\r') => Input::Enter,
        Key::Char(character) if !character.is_control() => Input::Character(character),
        Key::Backspace | Key::Ctrl('h') => Input::Backspace,
        Key::Esc => Input::Escape,
        Key::Ctrl('c') => Input::Interrupt,
        Key::Up => Input::Up,
        Key::Down => Input::Down,
        Key::PageUp => Input::PageUp,
        Key::PageDown => Input::PageDown,
        Key::Home => Input::Home,
        Key::End => Input::End,
        _ => return None,
    })
}

/// Reads keys on a thread of its own, which waits for standard input until the process ends. The
/// channel closes when the terminal is gone.
pub(crate) fn inputs() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        for key in io::stdin().keys().map_while(Result::ok) {
            if let Some(input) = input(key)
                && sender.blocking_send(input).is_err()
            {
                return;
            }
        }
    });
    receiver
}
