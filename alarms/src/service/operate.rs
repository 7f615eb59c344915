//! What people do beside acknowledging: reset, shelve, maintenance, test. On disk when the answer comes, as an acknowledgement is.

use telemetry::time::Span;

use super::{ACKNOWLEDGE_PATIENCE, AlarmError, AlarmService, Inner, check_lengths};
use crate::engine::{Operator, Refusal, Transition};
use crate::view::{AlarmView, parse_id};

/// What is done to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmAct {
    /// Lets go of a latch.
    Reset,
    /// Sets it aside for a time; refused where a life may be at stake, because one person alone may not.
    Shelve(Span),
    /// Takes it off the shelf.
    Unshelve,
}

/// What is done to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAct {
    /// Its alarms go to testers only for a time.
    Test(Span),
    /// No longer.
    EndTest,
    /// Its alarms are set aside for a time, by a permit.
    TakeOutOfService(Span),
    /// No longer.
    ReturnToService,
}

impl AlarmService {
    /// Does something to an alarm in the name of `by`; `remark` is the reason.
    ///
    /// # Errors
    /// [`AlarmError::Unknown`], [`AlarmError::Refused`] or [`AlarmError::Length`]; nothing has changed then.
    pub fn act_on_alarm(
        &self,
        id: &str,
        act: AlarmAct,
        by: &str,
        remark: &str,
    ) -> Result<AlarmView, AlarmError> {
        let unknown = || AlarmError::Unknown { id: id.to_owned() };
        let (rule, _) = parse_id(id).ok_or_else(unknown)?;
        let place = |inner: &Inner| inner.by_rule.get(rule.as_str()).copied().ok_or_else(unknown);
        self.act(by, remark, |inner, operator, out| {
            let place = place(inner)?;
            let engine = &mut inner.engine;
            let done = match act {
                AlarmAct::Reset => engine.reset(place, operator, out),
                AlarmAct::Shelve(time) => engine.shelve(place, time, operator, out),
                AlarmAct::Unshelve => engine.unshelve(place, operator, out),
            };
            done.map_err(|refusal| refused(id, &refusal))
        })?;
        let inner = self.lock();
        self.view(&inner, place(&inner)?).ok_or_else(unknown)
    }

    /// Does something to a device in the name of `by`; `remark` is the reason, or the permit.
    ///
    /// # Errors
    /// As [`Self::act_on_alarm`].
    pub fn act_on_device(
        &self,
        device: &str,
        act: DeviceAct,
        by: &str,
        remark: &str,
    ) -> Result<(), AlarmError> {
        let place = self.shared.catalogue.device_index(device);
        let place = place.ok_or_else(|| AlarmError::Unknown {
            id: device.to_owned(),
        })?;
        self.act(by, remark, |inner, operator, out| {
            let engine = &mut inner.engine;
            let done = match act {
                DeviceAct::Test(time) => engine.test(place, time, operator, out),
                DeviceAct::EndTest => engine.end_test(place, operator, out),
                DeviceAct::TakeOutOfService(time) => engine.take_out_of_service(place, time, operator, out),
                DeviceAct::ReturnToService => engine.return_to_service(place, operator, out),
            };
            done.map_err(|refusal| refused(device, &refusal))
        })
    }

    fn act(
        &self,
        by: &str,
        remark: &str,
        act: impl FnOnce(&mut Inner, Operator<'_>, &mut Vec<Transition>) -> Result<(), AlarmError>,
    ) -> Result<(), AlarmError> {
        check_lengths(by, remark)?;
        let mut inner = self.lock();
        let mut out = Vec::new();
        // The name of a second person can be typed by the first: what needs two is not done from here.
        let operator = Operator {
            by,
            reason: Some(remark),
            second: None,
        };
        let done = act(&mut inner, operator, &mut out);
        let inner = self.write(inner, &out, true);
        drop(self.settle(inner, ACKNOWLEDGE_PATIENCE));
        done
    }
}

fn refused(what: &str, refusal: &Refusal) -> AlarmError {
    AlarmError::Refused {
        what: what.to_owned(),
        why: refusal.to_string(),
    }
}
