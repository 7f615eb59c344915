//! What the program says of itself: `/metrics` and `/readyz`.

mod cases;
mod remote;

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use broker::Gate;
use ingest::modbus::{FieldAccess, Reach};

use super::sources::Sources;

impl Sources {
    /// Lines in Prometheus' text form.
    pub(super) fn metrics(&self) -> String {
        let mut page = Page::default();
        self.journal_lines(&mut page);
        self.kept_lines(&mut page);
        self.store_lines(&mut page);
        self.early_lines(&mut page);
        self.backlog_lines(&mut page);
        cases::lines(&mut page, &self.cases);
        let gate = self.gate.as_ref().map(Gate::counters);
        for (name, value) in gate.iter().flat_map(broker::Counters::iter) {
            page.line(&format!("gate_{name}"), "gauge", "see docs/api.md", value as f64);
        }
        self.certificate_lines(&mut page);
        for (name, value) in self.doors.counters() {
            let kind = if name.ends_with("_total") {
                "counter"
            } else {
                "gauge"
            };
            page.line(&name, kind, "see docs/sources.md", value as f64);
        }
        for (worker, value) in self.doors.by_worker().into_iter().enumerate() {
            if worker == 0 {
                let help = "messages acknowledged by each worker";
                page.head("external_worker_acknowledged_total", "counter", help);
            }
            let name = format!("external_worker_acknowledged_total{{worker=\"{worker}\"}}");
            page.value(&name, value as f64);
        }
        page.head(
            "consumer_behind_messages",
            "gauge",
            "messages of the journal that a consumer has not taken",
        );
        for progress in self.pipeline.progress() {
            let behind = self.journal.newest().0.saturating_sub(progress.taken.0);
            page.value(
                &format!("consumer_behind_messages{{consumer=\"{}\"}}", progress.name),
                behind as f64,
            );
        }
        if let Some(remote) = &self.remote {
            remote::lines(&mut page, remote, &self.journal, self.clock.now());
        }
        page.0
    }

    fn journal_lines(&self, page: &mut Page) {
        let journal = self.journal.stats();
        for (name, help, value) in [
            (
                "journal_messages_total",
                "messages made durable",
                journal.messages,
            ),
            (
                "journal_commits_total",
                "transactions of the journal, each with one fsync",
                journal.commits,
            ),
            (
                "journal_refused_full_total",
                "appends refused at the journal's bound",
                journal.refused_full,
            ),
            (
                "journal_refused_disk_full_total",
                "appends refused on a full disk",
                journal.refused_disk_full,
            ),
        ] {
            page.line(name, "counter", help, value as f64);
        }
        page.line(
            "journal_stored_bytes",
            "gauge",
            "bytes of messages in the journal",
            journal.stored_bytes as f64,
        );
    }

    fn kept_lines(&self, page: &mut Page) {
        let kept = self.kept.stats();
        for (name, help, value) in [
            (
                "mqtt_kept_calls_total",
                "changes of sessions and their messages made durable",
                kept.calls,
            ),
            (
                "mqtt_kept_commits_total",
                "transactions of sessions, each with one fsync",
                kept.commits,
            ),
            (
                "mqtt_kept_refused_total",
                "changes of sessions refused for want of room",
                kept.refused_full + kept.refused_busy + kept.refused_disk_full,
            ),
        ] {
            page.line(name, "counter", help, value as f64);
        }
        for (name, help, value) in [
            (
                "mqtt_kept_rows",
                "sessions, subscriptions and messages on disk",
                kept.rows,
            ),
            ("mqtt_kept_bytes", "their bytes", kept.stored_bytes),
        ] {
            page.line(name, "gauge", help, value as f64);
        }
    }

    fn backlog_lines(&self, page: &mut Page) {
        let backlog = &self.intake.backlog;
        let age = backlog.age().duration().as_secs_f64();
        let help = "for how long the oldest message that the alarms have not judged has been in the journal";
        page.line("alarms_behind_seconds", "gauge", help, age);
        let help =
            "batches of messages that were durable and acknowledged later, because the alarms were behind";
        page.line(
            "acknowledgements_held_total",
            "counter",
            help,
            backlog.held() as f64,
        );
    }

    fn early_lines(&self, page: &mut Page) {
        let early = &self.intake.early;
        for (name, help, value) in [
            (
                "early_judged_total",
                "messages judged from memory because the journal was slow, full or had stopped, or its reader was behind",
                early.judged(),
            ),
            (
                "early_left_out_total",
                "messages that found no place in the line for that",
                early.left_out(),
            ),
        ] {
            page.line(name, "counter", help, value as f64);
        }
        let counts = self.service.counts();
        let open = counts.not_durable + counts.not_journaled;
        page.line(
            "alarms_not_durable",
            "gauge",
            "transitions that are not on disk, and open alarms whose readings are not",
            open as f64,
        );
    }

    fn store_lines(&self, page: &mut Page) {
        let counters = &self.counters;
        for (name, help, value) in [
            (
                "points_stored_total",
                "points given to the series store since the start",
                &counters.stored,
            ),
            (
                "points_duplicate_total",
                "points that were there before",
                &counters.duplicates,
            ),
            (
                "points_replaced_total",
                "points that took the place of another",
                &counters.replaced,
            ),
        ] {
            page.line(name, "counter", help, value.load(Ordering::Relaxed) as f64);
        }
        match self.series.stats() {
            Ok(series) => {
                page.line(
                    "series_head_points",
                    "gauge",
                    "points in memory, not yet in a block",
                    series.head_points as f64,
                );
                page.line(
                    "series_block_points",
                    "gauge",
                    "points in blocks",
                    series.block_points as f64,
                );
                page.line(
                    "series",
                    "gauge",
                    "series that have a sample",
                    series.series as f64,
                );
                page.line(
                    "series_refused_total",
                    "counter",
                    "points refused because their series would have been one too many (data.series_max)",
                    series.refused as f64,
                );
                page.line("series_blocks", "gauge", "blocks on disk", series.blocks as f64);
                page.line(
                    "series_bytes",
                    "gauge",
                    "bytes of the partitions on disk",
                    series.disk_bytes as f64,
                );
            }
            Err(error) => tracing::warn!(%error, "the series store cannot be counted"),
        }
    }

    fn certificate_lines(&self, page: &mut Page) {
        let certificates = self.gate.as_ref().map(Gate::certificates).unwrap_or_default();
        if certificates.is_empty() {
            return;
        }
        let head = [
            (
                "gate_certificate_days_left",
                "days until the certificate of a listener expires",
            ),
            (
                "gate_certificate_refused",
                "1 while the files that lie there now cannot be used",
            ),
        ];
        let now = self.clock.now();
        for (name, help) in head {
            page.head(name, "gauge", help);
            for certificate in &certificates {
                let value = if name == "gate_certificate_refused" {
                    f64::from(u8::from(certificate.refused.is_some()))
                } else {
                    certificate.not_after.millis_since(now) as f64 / 86_400_000.0
                };
                let subject = certificate.subject.replace('\\', "\\\\").replace('"', "\\\"");
                let subject = subject.replace('\n', "\\n");
                let labels = format!("listener=\"{}\",subject=\"{subject}\"", certificate.listener);
                page.value(&format!("{name}{{{labels}}}"), value);
            }
        }
    }

    /// Why the program is not ready; none when it is.
    pub(super) fn why_not_ready(&self) -> Option<String> {
        if let Some(why) = self.why_storage_failed().or_else(|| self.doors.why_not_ready()) {
            return Some(why);
        }
        let why = "the disk or the journal is full: nothing is acknowledged until there is room";
        let refusing = self.journal.stats().refusing || self.kept.stats().refusing;
        let in_reserve = self.reserve.as_ref().is_some_and(|reserve| !reserve.is_held());
        (refusing || in_reserve).then(|| why.to_owned())
    }
}

/// Lines about the polled units.
pub(super) fn of_field(field: &FieldAccess) -> String {
    let mut page = Page::default();
    let stats = field.stats();
    for (name, help, value) in [
        ("polls", "units asked, each with one scan class", stats.polls),
        ("answers", "reads that brought data", stats.answers),
        (
            "exceptions",
            "reads that were answered by an exception",
            stats.exceptions,
        ),
        (
            "no_answers",
            "reads that brought nothing, or no answer to the question",
            stats.no_answers,
        ),
        (
            "skipped_cycles",
            "polls left out because their line was busy",
            stats.skipped_cycles,
        ),
        ("connections", "connections made, ports opened", stats.connections),
        (
            "sink_failures",
            "polls that the journal did not take",
            stats.sink_failures,
        ),
        (
            "splits",
            "reads cut into smaller ones because the unit refused them",
            stats.splits,
        ),
        ("writes", "values written to units", stats.writes),
        (
            "write_failures",
            "writes that a unit refused or did not confirm",
            stats.write_failures,
        ),
    ] {
        page.line(&format!("modbus_{name}_total"), "counter", help, value as f64);
    }
    let mut units = [0u64; Reach::ALL.len()];
    for status in field.statuses() {
        if let Some((_, count)) =
            (Reach::ALL.iter().zip(&mut units)).find(|(reach, _)| **reach == status.reach)
        {
            *count += 1;
        }
    }
    page.head("modbus_units", "gauge", "polled units by the state of their link");
    for (reach, count) in Reach::ALL.iter().zip(units) {
        page.value(
            &format!("modbus_units{{state=\"{}\"}}", reach.name()),
            count as f64,
        );
    }
    page.0
}

/// A page of metrics in Prometheus' text form.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.value(name, value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            self.0,
            "# HELP townwatch_{name} {help}\n# TYPE townwatch_{name} {kind}"
        );
    }

    fn value(&mut self, name: &str, value: f64) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "townwatch_{name} {value}");
    }
}
