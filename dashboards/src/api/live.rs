//! `GET live`: server-sent events of what changes.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt};

use super::Shared;
use crate::params::Params;
use crate::problem::Problem;

/// `GET /api/v1/live`: `alarm`, `case`, `site`, `figures`, `stats`, `resync`. Ends when the server stops.
pub(crate) async fn live(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let place = app.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("too many live streams are open"))?;
    let events = BroadcastStream::new(app.bus.subscribe()).map(move |event| {
        // The place is given back when the stream is dropped.
        let _held = &place;
        Ok::<_, Infallible>(match event {
            Ok(event) => Event::default().event(event.name).data(&*event.data),
            Err(BroadcastStreamRecvError::Lagged(lost)) => Event::default()
                .event("resync")
                .data(format!("{{\"lost\":{lost}}}")),
        })
    });
    let hello = tokio_stream::once(Ok(Event::default().event("hello").data("{}").retry(RETRY)));
    let stream = until(hello.chain(events), app.cancel.clone());
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

/// After how long a browser connects again.
const RETRY: Duration = Duration::from_secs(2);
/// A quiet stream says so, so that proxies keep it and a dead client is found.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The stream until `cancel` is cancelled.
fn until<S: Stream>(stream: S, cancel: tokio_util::sync::CancellationToken) -> impl Stream<Item = S::Item> {
    let end = async move {
        cancel.cancelled().await;
        None
    };
    stream
        .map(Some)
        .merge(Once(Some(Box::pin(end))))
        .map_while(|item| item)
}

/// A stream of the one item that a future answers.
struct Once<F>(Option<std::pin::Pin<Box<F>>>);

impl<F: Future> Stream for Once<F> {
    type Item = F::Output;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<F::Output>> {
        let Some(future) = self.0.as_mut() else {
            return std::task::Poll::Ready(None);
        };
        future.as_mut().poll(context).map(|item| {
            self.0 = None;
            Some(item)
        })
    }
}
