//! The driver: selects the instance for a request, and begins the response.

use super::lanes::{Common, Factories, Lane, Lanes};
use super::live::{Event, Grant, Live};
use crate::answers::{Applied, OwnAnswers, ResponseBody, too_slow};
use crate::budget::{Pool, Room, Rooms};
use crate::exchange::{Message, Next, PathHash, PathHasher, Request, ResponseContext, StepError};
use crate::outbound::Outbound;
use crate::store::Store;
use crate::worker::{Alarm, Answered};
use http::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use metrics::Histogram;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Reason why there is no response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The connection must be reset.
    #[error("the exchange was reset")]
    Aborted,
    /// The answer needs this many bytes, and there is no room for them. The caller retries once
    /// there is.
    #[error("there is no room for {0} bytes")]
    NoRoom(usize),
}

/// Drives exchanges on a fixed number of instances.
pub(crate) struct Driver {
    lanes: Lanes,
    hasher: PathHasher,
    draining: watch::Sender<bool>,
    own: Arc<OwnAnswers>,
    alarm: Arc<Alarm>,
}

impl Driver {
    /// A driver with one worker for each factory. `wake` gets the times to serve readers after a
    /// change.
    #[must_use]
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        factories: Factories,
        outbound: &Arc<Outbound>,
        own: &Arc<OwnAnswers>,
        pool: &Arc<Pool>,
        wake: &Histogram,
    ) -> Arc<Self> {
        let alarm = Arc::new(Alarm::default());
        let draining = watch::Sender::new(false);
        let common = Common {
            store,
            outbound,
            alarm: &alarm,
            draining: &draining,
            pool,
            wake,
        };
        Arc::new(Self {
            lanes: Lanes::new(&common, factories, own.base_path()),
            hasher: PathHasher::default(),
            draining,
            own: Arc::clone(own),
            alarm,
        })
    }

    /// Starts all instances.
    ///
    /// # Errors
    ///
    /// When there is no room for one of them.
    pub(crate) fn warm_up(&self) -> Result<(), StepError> {
        self.lanes.warm_up()
    }

    /// Hash of a raw path. The hash decides which instance serves the path.
    #[must_use]
    pub(crate) fn hash(&self, path: &str) -> PathHash {
        self.hasher.hash(path)
    }

    /// Budgets for the body of a request to this path.
    #[must_use]
    pub(crate) fn rooms(&self, request: &Parts, path: PathHash) -> Rooms {
        self.lanes.rooms(request, path)
    }

    /// Number of keys that readers wait for.
    #[cfg(test)]
    pub(super) fn waited_keys(&self) -> usize {
        self.lanes.waited_keys()
    }

    /// Ends every read that waits for more, now and from now on.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Waits until background work is due, but no longer than `most`.
    pub(crate) async fn wait_until_due(&self, most: Duration) {
        self.alarm.wait(most).await;
    }

    /// Number of calls that wait for the instances for short requests, and for the others.
    pub(crate) fn queued(&self) -> [usize; 2] {
        self.lanes.queued()
    }

    /// Whether an instance is idle.
    pub(crate) fn has_idle_instance(&self) -> bool {
        self.lanes.has_idle()
    }

    /// Does one piece of background work. Returns whether there may be more.
    pub(crate) async fn work(&self, round: u64) -> bool {
        self.lanes.work(round).await
    }

    /// Answer to a request with a body that arrives too slowly.
    #[must_use]
    pub(crate) fn too_slow(&self, request: &Parts) -> Response<ResponseBody> {
        let request_origin =
            self.own
                .request_origin(&request.method, &request.uri, &request.headers);
        self.own.problem(&too_slow(), &request_origin)
    }

    /// Serves a request. With a grant, the bytes of the response keep its room.
    ///
    /// # Errors
    ///
    /// [`Unanswered::Aborted`] when bytes of the response can't be read, and [`Unanswered::NoRoom`]
    /// when the grant's room is too small for a read.
    pub(crate) async fn handle(
        &self,
        mut request: Request,
        mut grant: Option<Grant>,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let lane = self.lanes.of(request.path_hash);
        let parts = &request.parts;
        let request_origin = self
            .own
            .request_origin(&parts.method, &parts.uri, &parts.headers);
        let failed = |error: &StepError| {
            let applied = Applied::of_failed(&request_origin.method, error);
            self.own.unavailable(applied, &request_origin)
        };
        let worker = self.lanes.worker(&mut request);
        let answered = match worker.start(request).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Ok(failed(&error)),
            Err(_) => {
                return Ok(failed(&StepError::Broken(
                    "the step was dropped".to_owned(),
                )));
            }
        };
        let size = answered.answer.message.size();
        if grant.as_mut().is_some_and(|grant| !grant.room.keep(size)) {
            return Err(Unanswered::NoRoom(size));
        }
        if answered.answer.next == Next::Done && answered.answer.message.head.is_some() {
            return whole(answered.answer.message, grant.map(|grant| grant.room));
        }
        let mut live = self.live(lane, answered, grant);
        match std::future::poll_fn(|context| live.poll_event(context)).await {
            Event::Head(head) => {
                let mut response = Response::new(ResponseBody::streamed(live));
                *response.status_mut() = head.status;
                *response.headers_mut() = head.headers;
                Ok(response)
            }
            Event::Failed(error) => Ok(failed(&error)),
            Event::Bytes(_) | Event::End | Event::Reset => Err(Unanswered::Aborted),
        }
    }

    fn live(&self, lane: &Lane, answered: Answered, grant: Option<Grant>) -> Box<Live> {
        let (worker, topics) = (Arc::clone(&lane.worker), Arc::clone(&lane.topics));
        Box::new(Live::new(worker, topics, answered, grant))
    }
}

/// Response of an exchange that ends with its first answer.
fn whole(mut message: Message, room: Option<Room>) -> Result<Response<ResponseBody>, Unanswered> {
    let held = ResponseContext::default();
    let head = message.take_head(&held).ok_or(Unanswered::Aborted)?;
    let bytes = message.bytes_for(&held);
    let bytes = match room {
        Some(room) => room.charge(bytes),
        None => bytes,
    };
    // If the component announces no length, neither does the host: even a short event stream.
    let body = match head.headers.contains_key(CONTENT_LENGTH) {
        true => ResponseBody::whole(bytes),
        false => ResponseBody::unannounced(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}
