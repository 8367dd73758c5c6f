//! The clients of a run: small programs that write down what they asked and what they were told.

mod follower;
mod judge;
mod reader;
mod sse;
mod writer;

pub(crate) use judge::judge;

use crate::driver::{Connection, Part, Request, send};
use crate::env::Instance;
use crate::faults::Fault;
use crate::history::{Ask, Body, Call, Ends, Event, From, Place, Told, message};
use crate::plan::Topic;
use crate::planted::Planted;
use crate::sim::{NEW_YEAR_MS, Sim};
use crate::tasks::{Cx, spawn};
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::time;
use durable_streams_edge::service::Service;
use std::rc::Rc;

/// Longest wait of a patient client, in microseconds.
const PATIENCE_US: u64 = 120_000_000;

/// Begins the clients of a run.
pub(crate) fn begin(sim: &Rc<Sim>) {
    for number in 0..sim.plan.clients {
        sim.busy.set(sim.busy.get() + 1);
        let after_us = sim.range((0, 20_000));
        let writes = !matches!(number % 5, 2 | 3);
        sim.writers.set(sim.writers.get() + usize::from(writes));
        spawn(sim, after_us, move |cx| {
            let client = Client { cx, number };
            match number % 5 {
                0 => writer::produce(&client),
                3 => reader::read(&client),
                2 => follower::follow(&client, cx.sim.chance(500)),
                _ => writer::write(&client),
            }
            cx.sim.busy.set(cx.sim.busy.get() - 1);
            cx.sim
                .writers
                .set(cx.sim.writers.get() - usize::from(writes));
        });
    }
}

/// Makes the streams and puts something there, before anything goes wrong.
pub(crate) fn set_up(sim: &Rc<Sim>) {
    sim.busy.set(1);
    spawn(sim, 0, |cx| {
        let client = Client { cx, number: 0 };
        for topic in &cx.sim.plan.topics {
            if topic.prefill == 0 && cx.sim.chance(300) {
                // Whoever comes first creates it.
                continue;
            }
            client.create(topic, Ends::Never, false);
            for _ in 0..topic.prefill {
                let append = client.append(topic);
                client.ask(topic, append);
            }
        }
        cx.sim.busy.set(0);
    });
}

/// Does background work while the run goes on.
pub(crate) fn work(cx: &Cx<'_>, any_node: impl Fn(&Cx<'_>) -> usize) {
    let mut round = 0;
    while !cx.sim.ending.get() {
        cx.sleep_ms(cx.sim.range((50, 500)));
        work_once(cx, any_node(cx), round);
        round += 1;
    }
}

fn work_once(cx: &Cx<'_>, node: usize, round: u64) {
    if cx.sim.nodes.borrow()[node].up {
        let server = Service::new(Instance::new(cx, node));
        server.env().begin();
        server.work(round);
    }
}

/// A whole response.
#[derive(Debug, Clone, Default)]
struct Response {
    status: u16,
    headers: Fields,
    body: Vec<u8>,
    /// Whether it came to its end.
    whole: bool,
    /// Nobody took the request, or the host has no answer of its instance.
    none: Option<&'static str>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?).ok()
    }

    fn tail(&self) -> Option<Place> {
        Place::parse(self.header("stream-next-offset")?)
    }

    fn closed(&self) -> bool {
        self.header("stream-closed") == Some("true")
    }

    fn up_to_date(&self) -> bool {
        self.header("stream-up-to-date") == Some("true")
    }

    /// The code of a problem document.
    fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    fn told(&self) -> Told {
        match (self.none, self.status) {
            (Some("NO_CONNECTION"), _) => Told::Refused(0, "NO_CONNECTION".to_owned()),
            (Some(why), _) => Told::Unknown(why.to_owned()),
            (None, 200..=299) if self.whole => Told::Done {
                status: self.status,
                tail: self.tail(),
                closed: self.closed(),
            },
            (None, 0..=299) => Told::Unknown("DISCONNECTED".to_owned()),
            (None, status) => match &*self.code() {
                // The answer to a HEAD has no document.
                "" if status < 500 => Told::Refused(status, String::new()),
                code @ ("OUTCOME_UNKNOWN" | "INTERNAL" | "") => Told::Unknown(code.to_owned()),
                code => Told::Refused(status, code.to_owned()),
            },
        }
    }
}

/// A client.
struct Client<'c> {
    cx: &'c Cx<'c>,
    number: usize,
}

impl Client<'_> {
    fn sim(&self) -> &Rc<Sim> {
        &self.cx.sim
    }

    fn range(&self, least: u64, most: u64) -> u64 {
        self.sim().range((least, most))
    }

    fn chance(&self, per_mille: u64) -> bool {
        self.sim().chance(per_mille)
    }

    fn think(&self) {
        self.cx.sleep_ms(self.range(0, self.sim().plan.think_ms));
    }

    fn any_topic(&self) -> &Topic {
        let topics = &self.sim().plan.topics;
        &topics[self.range(0, topics.len() as u64 - 1) as usize]
    }

    /// Sends a request to any instance.
    fn connect(&self, request: Request) -> Rc<Connection> {
        let node = self.range(0, self.sim().plan.nodes as u64 - 1);
        send(self.sim(), node as usize, request)
    }

    /// Sends a request and takes the whole response.
    fn exchange(&self, request: Request, patience_us: u64) -> Response {
        let rates = self.sim().rates.get();
        let patience_us = match self.sim().strikes(Fault::ClientTimeout, rates.timeout) {
            true => self.range(100, 1_000_000),
            false => patience_us,
        };
        let until = self.cx.now_us() + patience_us;
        let connection = self.connect(request);
        let mut response = Response::default();
        loop {
            match connection.next(self.cx, until) {
                Some(Part::Head(status, headers)) => {
                    assert_eq!(response.status, 0, "driver: a second head");
                    response.status = status;
                    response.headers = headers;
                }
                Some(Part::Bytes(bytes)) => response.body.extend(bytes),
                Some(Part::NoConnection) => response.none = Some("NO_CONNECTION"),
                Some(Part::Lost) => response.none = Some("LOST"),
                Some(Part::End) => {
                    let length = response.header("content-length");
                    let length = length.and_then(|length| length.parse::<usize>().ok());
                    let fits = length.is_none_or(|length| length == response.body.len());
                    response.whole = response.status != 0 && (fits || response.body.is_empty());
                    return response;
                }
                Some(Part::Reset) => return response,
                None => {
                    connection.leave();
                    response.whole = false;
                    response.none = Some("TIMEOUT");
                    return response;
                }
            }
            if response.none.is_some() {
                return response;
            }
        }
    }

    /// A new body, which no other append has.
    fn body(&self, topic: &Topic) -> Body {
        let messages = match self.chance(150) {
            true => self.range(2, 5) as u32,
            false => 1,
        };
        let _ = topic;
        Body {
            id: self.sim().next_id(),
            messages,
        }
    }

    /// A plain append of something new.
    fn append(&self, topic: &Topic) -> Ask {
        Ask::Append {
            body: Some(self.body(topic)),
            mark: None,
            seq: None,
            close: false,
        }
    }

    /// Asks for something that is answered at once, and writes it down.
    fn ask(&self, topic: &Topic, ask: Ask) -> (Told, Response) {
        let began = self.cx.now_us();
        let response = self.exchange(self.request(topic, &ask), PATIENCE_US);
        let mut told = response.told();
        if let (Ask::Append { body: Some(_), .. }, Told::Done { .. }) = (&ask, &told)
            && self.sim().plants(Planted::RefusedThoughDone, 30)
        {
            told = Told::Refused(503, "UNAVAILABLE".to_owned());
        }
        self.sim().record(Event::Call(Call {
            client: self.number,
            name: topic.name.clone(),
            ask,
            began,
            ended: self.cx.now_us(),
            told: told.clone(),
        }));
        (told, response)
    }

    fn create(&self, topic: &Topic, ends: Ends, close: bool) -> Told {
        let body = self.chance(600).then(|| self.body(topic));
        self.ask(topic, Ask::Create { body, ends, close }).0
    }

    /// A request as it goes over the wire.
    fn request(&self, topic: &Topic, ask: &Ask) -> Request {
        let mut headers = Fields::default();
        let mut request = Request {
            method: "GET",
            name: topic.name.clone(),
            query: String::new(),
            headers: Fields::default(),
            body: Vec::new(),
            at: None,
        };
        match ask {
            Ask::Create { body, ends, close } => {
                request.method = "PUT";
                headers.push("content-type", topic.content_type);
                match *ends {
                    Ends::Never => {}
                    Ends::Idle(ms) => headers.push("stream-ttl", (ms / 1000).to_string()),
                    Ends::At(ms) => {
                        headers.push("stream-expires-at", time::format(NEW_YEAR_MS + ms));
                    }
                }
                if *close {
                    headers.push("stream-closed", "true");
                }
                request.body = self.bytes(topic, *body);
            }
            Ask::Append {
                body,
                mark,
                seq,
                close,
            } => {
                request.method = "POST";
                request.body = self.bytes(topic, *body);
                if body.is_some() {
                    headers.push("content-type", topic.content_type);
                }
                let known = !self.sim().plants(Planted::ProducerNotKnown, 300);
                if let (Some(mark), true) = (mark, known) {
                    headers.push("producer-id", &mark.producer);
                    headers.push("producer-epoch", mark.epoch.to_string());
                    headers.push("producer-seq", mark.seq.to_string());
                }
                if let Some(seq) = seq {
                    headers.push("stream-seq", format!("{seq:08}"));
                }
                let alone = body.is_none();
                if *close && (alone || !self.sim().plants(Planted::CloseForgotten, 500)) {
                    headers.push("stream-closed", "true");
                }
            }
            Ask::Delete => request.method = "DELETE",
            Ask::Head => request.method = "HEAD",
            Ask::Read { from, live } => {
                request.at = match from {
                    From::At(place) => Some(*place),
                    From::Start => Some(Place::ZERO),
                    From::Now => None,
                };
                request.query = reader::query(*from, *live);
            }
        }
        request.headers = headers;
        request
    }

    fn bytes(&self, topic: &Topic, body: Option<Body>) -> Vec<u8> {
        let Some(body) = body else { return Vec::new() };
        // The same for each retry.
        let fill = (body.id.wrapping_mul(0x9e37_79b9) >> 8) % (topic.fill + 1);
        let messages = (0..body.messages).map(|part| {
            let fill = if part == 0 { fill as usize } else { 0 };
            message(body, part, fill, topic.is_json())
        });
        let messages: Vec<String> = messages.collect();
        match topic.is_json() {
            true => format!("[{}]", messages.join(",")).into_bytes(),
            false => messages.concat().into_bytes(),
        }
    }
}
