//! What is due without a packet of anybody: wills, the end of sessions, expired retained messages, sessions of
//! those who may not come back.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Shared;
use crate::connection::closing::publish_will;

/// How often it is looked whether something is due. Times on the wire are whole seconds.
const TICK: Duration = Duration::from_millis(250);
/// Retained messages are looked through at every so many ticks: once a minute.
const TICKS_PER_LOOK: u32 = 240;

/// Runs until the gate stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rules = shared.authenticator.changes();
    // They may have changed while the gate was down.
    rules.mark_changed();
    let mut tick = 0u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shared.stopping.cancelled() => return,
        }
        tick = tick.wrapping_add(1);
        let now = shared.clock.now();
        if rules.has_changed().unwrap_or(false) {
            rules.mark_unchanged();
            let is_welcome = |key: &str| shared.authenticator.permissions_of(key).is_some();
            drop(shared.exchange.prune(&is_welcome));
        }
        let (wills, kept) = shared.exchange.sweep(now);
        // Nobody waits for it: should it be lost, the next start does the same again.
        drop(kept);
        for will in wills {
            let sender = will.will.sender.clone();
            publish_will(&shared, will, sender.as_str()).await;
        }
        if tick.is_multiple_of(TICKS_PER_LOOK) {
            drop(shared.exchange.sweep_retained(now));
        }
    }
}
