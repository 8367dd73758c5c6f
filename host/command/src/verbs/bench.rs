//! `bench`.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;
use durable_streams_edge_client::{
    Client, CreateOptions, Error, FollowOptions, Format, ProducerOptions, ProducerState, Start,
    Stream,
};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Most microseconds that the histograms tell apart, with three digits.
const LONGEST: u64 = 600_000_000;

/// Bytes of a message beside its padding.
const ENVELOPE: usize = 25;

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Streams to create, each with one writer. They are deleted at the end
    #[arg(long, short, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    streams: u16,
    /// Readers that follow each stream
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    readers: u16,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(40..=1_000_000))]
    size: u32,
    /// Seconds of load
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3_600))]
    seconds: u16,
    /// Name below which the streams are created
    #[arg(long, value_name = "NAME", default_value = "bench")]
    below: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Times of one kind, in microseconds.
#[derive(Debug, Serialize)]
struct Times {
    count: u64,
    per_second: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    max_us: u64,
}

#[derive(Debug, Serialize)]
struct Document {
    seconds: f64,
    streams: u16,
    readers: u16,
    size: u32,
    /// From the call to the acknowledgement.
    appends: Times,
    /// From the call of the append to the reader.
    deliveries: Times,
}

impl Times {
    fn of(histogram: &Histogram<u64>, seconds: f64) -> Self {
        let count = histogram.len();
        // Counts above 2^32 would take days.
        let whole = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Self {
            count,
            per_second: (whole / seconds).round(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }

    fn line(&self, kind: &str) -> String {
        format!(
            "{kind:<10} {:>9} {:>9}/s   p50 {:>7} us   p90 {:>7} us   p99 {:>7} us   max {:>8} us",
            self.count, self.per_second, self.p50_us, self.p90_us, self.p99_us, self.max_us
        )
    }
}

impl Bench {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client(None)?;
        let streams = self.create(&client).await?;
        let measured = self.measure(&streams).await;
        // The streams are deleted after a failure as well.
        for stream in &streams {
            stream.delete().await?;
        }
        let document = measured?;
        let mut output = Output::new();
        match self.json {
            true => output.json(&document)?,
            false => {
                output.line(&document.appends.line("appends"))?;
                output.line(&document.deliveries.line("deliveries"))?;
            }
        }
        output.flush()
    }

    /// Creates streams with names that no other run has.
    async fn create(&self, client: &Client) -> Result<Vec<Stream>, Failure> {
        let run = ProducerState::fresh(None).id;
        let mut streams = Vec::new();
        for number in 0..self.streams {
            let stream = client.stream(&format!("{}/{run}/{number}", self.below))?;
            stream
                .create(&CreateOptions::of_type("application/json"))
                .await?;
            streams.push(stream);
        }
        Ok(streams)
    }

    async fn measure(&self, streams: &[Stream]) -> Result<Document, Failure> {
        let begun = Instant::now();
        let length = Duration::from_secs(u64::from(self.seconds));
        let padding: Arc<str> = "x"
            .repeat(usize::try_from(self.size).map_or(0, |size| size.saturating_sub(ENVELOPE)))
            .into();
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for stream in streams {
            for _ in 0..self.readers {
                readers.spawn(read(stream.clone(), begun));
            }
            writers.spawn(write(stream.clone(), Arc::clone(&padding), begun, length));
        }
        let appends = gather(&mut writers).await?;
        let seconds = begun.elapsed().as_secs_f64();
        for stream in streams {
            stream.close(None).await?;
        }
        let deliveries = gather(&mut readers).await?;
        Ok(Document {
            seconds,
            streams: self.streams,
            readers: self.readers,
            size: self.size,
            appends: Times::of(&appends, seconds),
            deliveries: Times::of(&deliveries, seconds),
        })
    }
}

/// Appends one message after another, and returns the times.
async fn write(
    stream: Stream,
    padding: Arc<str>,
    begun: Instant,
    length: Duration,
) -> Result<Histogram<u64>, Failure> {
    let options = ProducerOptions {
        content_type: Some("application/json".to_owned()),
        ..ProducerOptions::default()
    };
    let mut producer = stream.producer(options).await?;
    let mut times = histogram()?;
    while begun.elapsed() < length {
        let sent = begun.elapsed();
        let message = format!("{{\"t\":{:>12},\"p\":\"{padding}\"}}", sent.as_micros());
        producer.send(message).await?.acknowledged().await?;
        record(&mut times, begun.elapsed().saturating_sub(sent));
    }
    Ok(times)
}

/// Time of a message, in microseconds since the begin of the load.
#[derive(serde::Deserialize)]
struct Sent {
    t: u64,
}

/// Follows a stream to its end, and returns the times.
async fn read(stream: Stream, begun: Instant) -> Result<Histogram<u64>, Failure> {
    let mut times = histogram()?;
    let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
    while let Some(batch) = follow.next().await {
        let batch = batch?;
        if batch.format != Format::Json {
            continue;
        }
        let messages: Vec<&RawValue> = batch.messages()?;
        let now = begun.elapsed();
        for message in messages {
            let sent: Sent = serde_json::from_str(message.get())?;
            record(
                &mut times,
                now.saturating_sub(Duration::from_micros(sent.t)),
            );
        }
    }
    Ok(times)
}

fn histogram() -> Result<Histogram<u64>, Failure> {
    let made = Histogram::new_with_bounds(1, LONGEST, 3);
    made.map_err(|error| Failure::Invalid(error.to_string()))
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// Waits for all tasks, and adds their times.
async fn gather(
    tasks: &mut JoinSet<Result<Histogram<u64>, Failure>>,
) -> Result<Histogram<u64>, Failure> {
    let mut sum = histogram()?;
    while let Some(done) = tasks.join_next().await {
        let done = done.map_err(|error| Failure::Invalid(error.to_string()))?;
        let times = match done {
            // The reason is the failure before it.
            Err(Failure::Call(error)) => return Err(Error::root(&error).clone().into()),
            done => done?,
        };
        sum.add(times)
            .map_err(|error| Failure::Invalid(error.to_string()))?;
    }
    Ok(sum)
}
