//! Looks after the certificates while the gate runs: takes new files, keeps the old on a mistake.

use std::sync::Arc;
use std::time::Duration;

use telemetry::{Clock, with_causes};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::tls::{Fingerprint, TlsSite};
use crate::counters::Tally;

/// What the looking after needs.
pub(crate) struct Watch {
    pub(crate) sites: Vec<Arc<TlsSite>>,
    /// From one look at the files to the next.
    pub(crate) every: Duration,
    /// Asks for a look now, whether the files seem to have changed or not.
    pub(crate) asked: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tally: Arc<Tally>,
}

/// Looks until the gate stops. Files that change are read when they have looked the same twice, since a
/// certificate and its key are not replaced in one moment.
pub(crate) async fn watch(watch: Watch, stopping: CancellationToken) {
    let watch = Arc::new(watch);
    let mut seen: Vec<Option<Fingerprint>> = vec![None; watch.sites.len()];
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(watch.every) => false,
            () = watch.asked.notified() => true,
            () = stopping.cancelled() => return,
        };
        let looking = Arc::clone(&watch);
        let looked = tokio::task::spawn_blocking(move || {
            looking.look(asked, &mut seen);
            seen
        });
        match looked.await {
            Ok(now) => seen = now,
            Err(error) => {
                tracing::error!(%error, "certificates are not looked after any more");
                return;
            }
        }
    }
}

impl Watch {
    fn look(&self, asked: bool, seen: &mut [Option<Fingerprint>]) {
        for (site, before) in self.sites.iter().zip(seen) {
            let changed = site.changed();
            let settled = changed.is_some() && changed == *before;
            *before = changed;
            if asked || settled {
                *before = None;
                self.reload(site);
            }
        }
    }

    fn reload(&self, site: &TlsSite) {
        match site.reload(self.clock.now()) {
            Ok(()) => {
                self.tally.certificate_reloads.one();
                let (facts, _) = site.facts();
                tracing::info!(subject = %facts.subject, not_after = %facts.not_after, "certificate read anew");
            }
            Err(error) => {
                self.tally.certificate_reload_failures.one();
                let why = with_causes(&error);
                tracing::error!(%why, "new certificate not taken; the old one stays in use");
            }
        }
    }
}
