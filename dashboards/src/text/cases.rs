//! The texts of the pages about cases.

use alarms::cases::deadlines::{Amount, DeadlineKind};
use alarms::cases::{CaseEvent, CaseState};

use super::Lang;

texts! {
    open_cases: "在办案卷", "open cases";
    all_cases: "全部案卷", "all cases";
    overdue_cases: "超期案卷", "overdue cases";
    no_cases: "没有案卷", "no cases";
    number: "案卷号", "No.";
    title: "事由", "About";
    filed: "立案时间", "filed";
    filed_by: "立案人", "filed by";
    handle_by: "处置时限", "work due";
    close_by: "结案时限", "closing due";
    left: "剩余", "left";
    overdue: "超期", "overdue";
    stopped: "挂账，停止计时", "suspended, the clock stands";
    not_known: "时限不明：工作日历缺少该年", "deadline not known: the calendar of working days lacks the year";
    unconfirmed: "按未经核对的工作日历计算", "counted with a calendar that nobody has confirmed";
    asked: "申请挂账", "asks to put it off:";
    events: "处置过程", "What happened";
    alarms_of: "关联报警", "Alarms";
    occurrences: "次", "times";
    active: "未消除", "stands";
    over: "已消除", "over";
    gone: "规则已删除", "rule gone";
    merged_into: "并入案卷", "merged into case";
    detail: "附注", "Details";
    file: "立案", "File a case";
    file_free: "立案（非报警）", "File a case about something else";
    what: "事由", "What is to be done";
    organisation: "承办单位", "Organisation";
    into: "并入案卷号", "Into case";
    photo: "照片编号", "Photo";
    by_alarm: "因报警自动立案", "filed by itself for an alarm";
    alarm_raised: "报警再次发生", "alarm raised again";
    alarm_cleared: "报警消除", "alarm cleared";
    alarm_acknowledged: "报警已确认", "alarm acknowledged";
    alarm_gone: "报警规则已删除", "rule of the alarm gone";
    merged_in: "并入他案", "another case was merged in";
    refused: "未办成", "not done";
}

/// What a state is called.
pub(crate) const fn state_name(state: CaseState, lang: Lang) -> &'static str {
    let (zh, en) = match state {
        CaseState::Filed => ("已立案", "filed"),
        CaseState::Dispatched => ("已派遣", "dispatched"),
        CaseState::Handling => ("处置中", "being handled"),
        CaseState::Handled => ("待核查", "handled, to be verified"),
        CaseState::Verified => ("待结案", "verified, to be closed"),
        CaseState::Suspended => ("挂账", "suspended"),
        CaseState::Closed => ("已结案", "closed"),
        CaseState::Cancelled => ("已作废", "cancelled"),
        CaseState::Merged => ("已并案", "merged"),
    };
    pick(zh, en, lang)
}

/// What a person does, as a button says it.
pub(crate) const fn event_name(event: CaseEvent, lang: Lang) -> &'static str {
    let (zh, en) = match event {
        CaseEvent::Dispatch => ("派遣", "Dispatch"),
        CaseEvent::Start => ("开始处置", "Start"),
        CaseEvent::Handled => ("处置反馈", "Handled"),
        CaseEvent::Verify => ("核查通过", "Verify"),
        CaseEvent::Rework => ("返工", "Send back"),
        CaseEvent::AskSuspension => ("申请挂账", "Ask to suspend"),
        CaseEvent::Suspend => ("批准挂账", "Approve suspension"),
        CaseEvent::DeclineSuspension => ("不予挂账", "Decline suspension"),
        CaseEvent::Resume => ("恢复处置", "Resume"),
        CaseEvent::Cancel => ("作废", "Cancel"),
        CaseEvent::Merge => ("并案", "Merge"),
        CaseEvent::Close => ("结案", "Close"),
    };
    pick(zh, en, lang)
}

/// So much time, in words.
pub(crate) fn amount(amount: Amount, lang: Lang) -> String {
    let (zh, en) = match amount.kind {
        DeadlineKind::UrgentHours => ("紧急工作时", "h, day and night"),
        DeadlineKind::WorkingHours => ("工作时", "working hours"),
        DeadlineKind::WorkingDays => ("工作日", "working days"),
        DeadlineKind::NaturalDays => ("自然日", "days of 24 h"),
    };
    format!("{} {}", amount.amount, pick(zh, en, lang))
}

const fn pick(zh: &'static str, en: &'static str, lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

impl Lang {
    /// The texts of the pages about cases.
    #[must_use]
    pub const fn of_cases(self) -> &'static Texts {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_cases_stand_in_both_languages_and_in_the_embedded_font() {
        super::super::tests::check_pairs(PAIRS);
        for state in CaseState::ALL {
            assert_ne!(state_name(state, Lang::Zh), state_name(state, Lang::En));
        }
    }
}
