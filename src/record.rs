//! `townwatch record`: what the server of a data folder judged, as a file of rules and a file of input for `townwatch replay`;
//! beside a running server or without one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alarms::replay::record::{Lighting, Recorded, Recorder};
use ingest::Decoder;
use serde::Serialize;
use store::journal::tail;
use store::state::State;
use store::state::alarms::LogRow;
use telemetry::time::SystemClock;
use telemetry::{Batch, Clock, Lsn, RawMessage, Timestamp};

use crate::arguments::Record;
use crate::exit::Failure;
use crate::export::folder::{Folder, means};
use crate::export::moment;

/// Rows of the log that are read at once.
const ROWS_AT_ONCE: usize = 10_000;

#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    recorded: Recorded,
    rules: &'a Path,
    input: &'a Path,
}

/// `townwatch record`.
pub(crate) fn run(options: &Record) -> Result<ExitCode, Failure> {
    let means = means(&options.place)?;
    let folder = Folder::with(&means)?;
    let due = means.policy()?.lighting_rate;
    let lighting = Lighting {
        after_sunset: due.on_after_sunset,
        before_sunrise: due.off_before_sunrise,
    };
    let now = SystemClock::new().now();
    let recorder = Recorder::new(&folder.catalogue, &means.alarms, lighting, now)
        .map_err(|error| Failure::Input(telemetry::with_causes(&error)))?;
    for what in recorder.left_out() {
        tracing::warn!(what, "is left out: the form of replay has no words for it");
    }
    let zone = folder.zone()?;
    let read = |option: &str, text: &Option<String>| {
        let time = text.as_deref().map(|text| moment::read(text, &zone));
        time.transpose()
            .map_err(|why| Failure::Input(format!("{option}: {why}")))
    };
    let from = read("--from", &options.from)?.unwrap_or(Timestamp::MIN);
    let to = read("--to", &options.to)?.unwrap_or(Timestamp::MAX);
    if from >= to {
        return Err(Failure::Input("--from is not before --to".to_owned()));
    }
    let rules = Target::open(&options.rules)?;
    rules.write(|file| file.write_all(recorder.rules().as_bytes()))?;
    let input = Target::open(&options.input)?;
    let recorded = Tape::new(&folder, recorder, from, to).run(&input)?;
    rules.settle()?;
    input.settle()?;
    say(options, recorded)?;
    Ok(ExitCode::SUCCESS)
}

/// Plays the journal into the recorder.
struct Tape<'a> {
    folder: &'a Folder,
    recorder: Recorder,
    decoder: Decoder,
    from: Timestamp,
    to: Timestamp,
    /// The message that comes next, unless the journal was trimmed meanwhile.
    next: Option<Lsn>,
    first: Option<Lsn>,
    outcome: Result<(), Failure>,
}

impl<'a> Tape<'a> {
    fn new(folder: &'a Folder, recorder: Recorder, from: Timestamp, to: Timestamp) -> Self {
        Self {
            folder,
            recorder,
            decoder: Decoder::new(std::sync::Arc::clone(&folder.catalogue), folder.decode),
            from,
            to,
            next: None,
            first: None,
            outcome: Ok(()),
        }
    }

    fn run(mut self, target: &Target) -> Result<Recorded, Failure> {
        let begin = self.begin()?;
        let state = |error| Failure::data("the alarms cannot be read", &error);
        for start in self.folder.state.alarm_starts().map_err(state)? {
            if (begin.max(self.from)..self.to).contains(&start.at) {
                self.recorder.start(start);
            }
        }
        for row in acts(&self.folder.state, begin.max(self.from)).map_err(state)? {
            if row.at < self.to {
                self.recorder.log(&row);
            }
        }
        let mut out = BufWriter::new(&target.file);
        let written = |error| Failure::other(format!("{} cannot be written", target.part.display()), error);
        let folder = self.folder;
        tail(&folder.path, Lsn::ZERO, |messages| {
            self.take(messages);
            if self.outcome.is_ok()
                && let Err(error) = self.recorder.write(&mut out)
            {
                self.outcome = Err(written(error));
            }
            if self.outcome.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .map_err(|error| Failure::data("the journal cannot be read", &error))?;
        self.outcome?;
        let recorded = self.recorder.finish(&mut out).map_err(written)?;
        out.flush().map_err(written)?;
        Ok(recorded)
    }

    /// Where the journal begins: what the server did before its first message is told by nobody, unless that was the first
    /// ever.
    fn begin(&mut self) -> Result<Timestamp, Failure> {
        let mut begin = Timestamp::MIN;
        tail(&self.folder.path, Lsn::ZERO, |messages| {
            if let Some((lsn, message)) = messages.first() {
                self.first = Some(*lsn);
                if *lsn > Lsn(1) {
                    begin = message.arrived;
                }
            }
            ControlFlow::Break(())
        })
        .map_err(|error| Failure::data("the journal cannot be read", &error))?;
        Ok(begin)
    }

    fn take(&mut self, messages: &[(Lsn, RawMessage)]) {
        let Some((first, _)) = messages.first() else {
            return;
        };
        if self.next.or(self.first).is_some_and(|next| *first > next) {
            let text = "the journal let go of messages while it was read; try again".to_owned();
            self.outcome = Err(Failure::plain(text));
            return;
        }
        // One by one, so that each message by which a device was heard is seen.
        for message in messages {
            let mut batch = self.decoder.decode(std::slice::from_ref(message));
            let (from, to) = (self.from, self.to);
            batch.points.retain(|point| (from..to).contains(&point.arrived));
            batch.heard.retain(|(_, arrived)| (from..to).contains(arrived));
            self.next = Some(batch.last.next());
            self.recorder.batch(&Batch {
                points: batch.points,
                heard: batch.heard,
                ..Batch::default()
            });
        }
    }
}

/// What people did since `from`, in order.
fn acts(state: &State, from: Timestamp) -> Result<Vec<LogRow>, store::state::StateError> {
    let (mut acts, mut before) = (Vec::new(), u64::MAX);
    loop {
        let rows = state.alarm_log(before, ROWS_AT_ONCE)?;
        let Some(last) = rows.last() else { break };
        before = last.seq;
        let old = last.at < from;
        acts.extend(rows.into_iter().filter(|row| row.by.is_some() && row.at >= from));
        if old {
            break;
        }
    }
    acts.reverse();
    Ok(acts)
}

/// A file that gets its name when it is whole.
struct Target {
    file: File,
    part: PathBuf,
    whole: PathBuf,
}

impl Target {
    fn open(whole: &Path) -> Result<Self, Failure> {
        let mut part = OsString::from(whole);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)
            .map_err(|error| Failure::other(format!("{} cannot be written", part.display()), error))?;
        let whole = whole.to_owned();
        Ok(Self { file, part, whole })
    }

    fn write(&self, write: impl FnOnce(&mut &File) -> std::io::Result<()>) -> Result<(), Failure> {
        write(&mut &self.file).map_err(|error| self.failed(error))
    }

    fn settle(&self) -> Result<(), Failure> {
        let settled = self.file.sync_all();
        settled
            .and_then(|()| std::fs::rename(&self.part, &self.whole))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::other(format!("{} cannot be written", self.part.display()), error)
    }
}

fn say(options: &Record, recorded: Recorded) -> Result<(), Failure> {
    let printed = |error| Failure::other("cannot write to standard output", error);
    let (rules, input) = (&options.rules, &options.input);
    if options.place.json {
        let said = Said {
            recorded,
            rules,
            input,
        };
        let text = serde_json::to_string(&said).map_err(|error| printed(error.into()))?;
        return writeln!(std::io::stdout(), "{text}").map_err(printed);
    }
    let Recorded {
        readings,
        heard,
        acts,
        starts,
        moved,
    } = recorded;
    let mut line = format!(
        "{readings} readings, {heard} messages, {acts} acts of people and {starts} starts are in {}; the rules in {}",
        input.display(),
        rules.display()
    );
    if moved > 0 {
        line.push_str(&format!(
            "; the clock stepped back: {moved} lines stand at the time of the line before them"
        ));
    }
    writeln!(std::io::stdout(), "{line}").map_err(printed)
}
