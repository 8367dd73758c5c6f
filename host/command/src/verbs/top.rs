//! `top`.

use crate::connection::admin;
use crate::failure::Failure;
use crate::output::{Output, printable};
use crate::top::{
    Figures, Next, Palette, Poll, Sample, Screen, State, Usage, draw, inputs, summary,
};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Flags of `top`.
#[derive(Debug, clap::Args)]
pub struct Top {
    /// URL of the admin listener
    #[arg(
        long,
        env = "DS_ADMIN",
        value_name = "URL",
        default_value = "http://127.0.0.1:4438"
    )]
    admin: String,
    /// Token, sent as Authorization: Bearer TOKEN to the admin listener only
    #[arg(long, env = "DS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with further root certificates in PEM format, for a server whose certificate is not
    /// from a public authority
    #[arg(long, env = "DS_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Seconds between two samples
    #[arg(long, value_name = "SECS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3_600))]
    interval: u16,
    /// Print the figures of one interval instead of the live view
    #[arg(long)]
    once: bool,
    /// Print one JSON document. Only with --once
    #[arg(long, requires = "once")]
    json: bool,
}

/// One sample as a JSON document.
#[derive(Serialize)]
struct Document<'a> {
    admin: &'a str,
    interval_seconds: u16,
    metrics: Option<&'a Figures>,
    prefixes: Option<&'a [Usage]>,
    streams: Option<Count>,
    problems: &'a [String],
}

/// Streams of the list.
#[derive(Serialize)]
struct Count {
    listed: usize,
    /// Whether these are all streams.
    complete: bool,
}

impl Top {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = admin(&self.admin, self.token.clone(), self.ca.as_deref())?;
        let poll = Poll::new(client, self.admin.clone());
        match self.once {
            true => self.print(poll).await,
            false => self.show(poll).await,
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval))
    }

    /// Prints the figures of one interval.
    async fn print(&self, mut poll: Poll) -> Result<(), Failure> {
        let first = poll.look().await;
        let sample = match first.problems.is_empty() {
            true => {
                tokio::time::sleep(self.pause()).await;
                poll.look().await
            }
            false => first,
        };
        let mut output = Output::new();
        match self.json {
            true => output.json(&self.document(&sample))?,
            false => self.lines(&mut output, &sample)?,
        }
        output.flush()
    }

    fn document<'a>(&'a self, sample: &'a Sample) -> Document<'a> {
        Document {
            admin: &self.admin,
            interval_seconds: self.interval,
            metrics: sample.figures.as_ref(),
            prefixes: sample.prefixes.as_deref(),
            streams: sample.listed.as_ref().map(|listed| Count {
                listed: listed.streams.len(),
                complete: listed.is_complete,
            }),
            problems: &sample.problems,
        }
    }

    fn lines(&self, output: &mut Output, sample: &Sample) -> Result<(), Failure> {
        for problem in &sample.problems {
            output.line(&format!("problem     {}", printable(problem)))?;
        }
        for fact in sample.figures.as_ref().map(summary).unwrap_or_default() {
            output.line(&format!("{:<12}{}", fact.title, fact.text))?;
        }
        if let Some(listed) = &sample.listed {
            let more = if listed.is_complete { "" } else { " or more" };
            output.line(&format!("streams     {}{more}", listed.streams.len()))?;
        }
        Ok(())
    }

    /// Shows the live view until a key or a signal ends it.
    async fn show(&self, poll: Poll) -> Result<(), Failure> {
        let catch = |kind| signal(kind).map_err(Failure::Input);
        let (mut terminated, mut hung_up) = (
            catch(SignalKind::terminate())?,
            catch(SignalKind::hangup())?,
        );
        let mut resized = catch(SignalKind::window_change())?;
        let palette = Palette::of_environment();
        let mut state = State::new(self.admin.clone());
        let mut screen = Screen::take()?;
        let mut keys = inputs();
        let mut samples = sampled(poll, self.pause());
        loop {
            let drawn = screen.terminal.draw(|frame| draw(frame, &state, palette));
            drawn.map_err(Failure::output)?;
            tokio::select! {
                Some(sample) = samples.recv() => state.take(sample),
                key = keys.recv() => match key {
                    Some(key) => {
                        if state.press(key) == Next::Quit {
                            return Ok(());
                        }
                    }
                    // The terminal is gone.
                    None => return Ok(()),
                },
                _ = resized.recv() => {}
                _ = terminated.recv() => return Ok(()),
                _ = hung_up.recv() => return Ok(()),
            }
        }
    }
}

/// Takes samples on a task of its own, so that a slow server does not hold up keys.
fn sampled(mut poll: Poll, pause: Duration) -> mpsc::Receiver<Sample> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(poll.look().await).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    receiver
}
