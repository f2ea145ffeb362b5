//! A request body that is counted and, if asked, taken slowly.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Timers count in milliseconds: shorter waits are gathered.
const SHORT: Duration = Duration::from_millis(4);

/// Hands the frames of a request on.
pub(crate) struct Paced {
    inner: Incoming,
    rate: u64,
    held: Option<(Frame<Bytes>, Pin<Box<Sleep>>)>,
    /// When all bytes so far were due: some browsers send frames so small that each for itself would be slept over.
    due: Instant,
    counter: Arc<AtomicU64>,
    /// So many bytes come before the one that is to be changed.
    flip: Option<u64>,
}

impl Paced {
    pub(crate) fn new(inner: Incoming, rate: u64, flip: bool, counter: Arc<AtomicU64>) -> Self {
        // The middle of a form of one file is the file's.
        let flip = inner.size_hint().exact().filter(|length| flip && *length > 0).map(|length| length / 2);
        Self { inner, rate, held: None, due: Instant::now(), counter, flip }
    }

    /// The frame, with a bit turned over if it is the one.
    fn harmed(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let (Some(at), Some(data)) = (self.flip, frame.data_ref()) else { return frame };
        let length = data.len() as u64;
        if at >= length {
            self.flip = Some(at - length);
            return frame;
        }
        self.flip = None;
        let mut bytes = data.to_vec();
        bytes[at as usize] ^= 1;
        Frame::data(bytes.into())
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.held.is_none() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => self.harmed(frame),
                other => return Poll::Ready(other),
            };
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.counter.fetch_add(length as u64, Ordering::Relaxed);
            if self.rate == 0 {
                return Poll::Ready(Some(Ok(frame)));
            }
            // Held back before it goes on, not after: nobody asks for more than the announced length.
            let took = Duration::from_secs_f64(length as f64 / self.rate as f64);
            self.due = self.due.max(Instant::now()) + took;
            if self.due < Instant::now() + SHORT {
                return Poll::Ready(Some(Ok(frame)));
            }
            let due = self.due;
            self.held = Some((frame, Box::pin(sleep_until(due))));
        }
        if let Some((_, pause)) = &mut self.held {
            ready!(pause.as_mut().poll(cx));
        }
        Poll::Ready(self.held.take().map(|(frame, _)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
