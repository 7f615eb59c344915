//! What a line does besides polling: writes and identifications, one at a time, between two requests of polls.

use tokio::time::{Instant, sleep};

use super::Line;
use crate::modbus::frame::Read;
use crate::modbus::identity::Gathering;
use crate::modbus::job::{Job, Task};
use crate::modbus::order::{Order, WriteDone, WriteRefused};
use crate::modbus::pdu::Reply;
use crate::modbus::status::count;
use crate::modbus::wire::Failed;

impl Line {
    /// Does all jobs that wait.
    pub(super) async fn do_jobs(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            self.perform(job).await;
        }
    }

    pub(super) async fn perform(&mut self, job: Job) {
        if job.task.is_given_up() {
            return;
        }
        match job.task {
            Task::Write(order, reply) => {
                let done = self.write(job.place, &order).await;
                let fine = done.as_ref().is_ok_and(|done| done.answered);
                count(if fine {
                    &self.counters.writes
                } else {
                    &self.counters.write_failures
                });
                // Whoever asked may have given up; the write is in the audit either way.
                let _gone = reply.send(done);
            }
            Task::Identify(reply) => {
                let mut gathering = Gathering::default();
                let mut end = Ok(());
                while end.is_ok()
                    && let Some(request) = gathering.next()
                {
                    end = gathering.take(self.ask(job.place, &request).await);
                }
                let _gone = reply.send(end.map(|()| gathering.identity));
            }
        }
    }

    /// Writes once: a write that may have arrived is never repeated. Then reads back.
    async fn write(&mut self, place: usize, order: &Order) -> Result<WriteDone, WriteRefused> {
        if !self.is_beyond_doubt(place).await {
            return Err(WriteRefused::Unreachable);
        }
        let mut reply = self.ask(place, &order.request).await;
        if reply == Err(Failed::Stale) {
            reply = self.ask(place, &order.request).await; // Nothing was sent on the old connection.
        }
        let answered = match reply {
            Ok(Reply::Exception(code)) => return Err(WriteRefused::Exception(code)),
            Err(Failed::Unreachable | Failed::Stale) => return Err(WriteRefused::Unreachable),
            Ok(Reply::Done) => true,
            Ok(Reply::Words(_) | Reply::Bits(_) | Reply::Objects(..))
            | Err(Failed::Silent | Failed::Lost | Failed::Nonsense(_)) => false,
        };
        let block = order.read_back;
        let read = self.read(place, block).await.ok();
        if let Some(answer) = &read {
            let answer = answer.clone();
            self.deliver(place, &[Read { block, answer }]).await;
        }
        Ok(order.done(answered, read.as_ref()))
    }

    /// Whether what is read back could be nothing else. Over RTU, after a failure, the failed read must be
    /// answered first.
    async fn is_beyond_doubt(&mut self, place: usize) -> bool {
        let doubt = |line: &Self| line.units.get(place).map(|unit| unit.doubt);
        for _ in 0..2 {
            let Some(doubt) = doubt(self) else {
                return false;
            };
            sleep(doubt.hold(Instant::now())).await;
            let Some(block) = doubt.only() else {
                return true;
            };
            if self.read(place, block).await.is_err() {
                return false;
            }
        }
        doubt(self).is_some_and(|doubt| doubt.only().is_none() && doubt.hold(Instant::now()).is_zero())
    }
}
