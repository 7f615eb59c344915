//! Lines of `/metrics` about cases.

use alarms::CaseService;

use super::Page;

/// Lines about cases; without them where they cannot be counted, which the storage's own lines tell.
pub(super) fn lines(page: &mut Page, cases: &CaseService) {
    let Ok((open, overdue)) = cases.counts() else {
        return;
    };
    page.line(
        "cases_open",
        "gauge",
        "cases that somebody has still to do with",
        open as f64,
    );
    page.line(
        "cases_overdue",
        "gauge",
        "open cases past a deadline",
        overdue as f64,
    );
}
