//! Service accounts: other programs that listen, and where it is listed, speak.

use serde::Serialize;
use store::state::access::{AccessRow, AuditEntry, Holder, Password};
use telemetry::{DeviceId, Timestamp};

use super::{ACCOUNTS_MAX, FILTERS_MAX, Issued, Known, Office, OfficeError, make, pristine};

/// An account as `list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    pub name: DeviceId,
    pub enabled: bool,
    /// What it may publish; nothing when it is empty.
    pub publish: Vec<Box<str>>,
    /// What it may hear.
    pub subscribe: Vec<Box<str>>,
    /// `own`, or `none` (revoked).
    pub password: &'static str,
    pub revision: u64,
    pub changed_at: String,
    pub changed_by: Box<str>,
    pub rotated_at: Option<String>,
    pub old_until: Option<String>,
}

impl From<&AccessRow> for Account {
    fn from(row: &AccessRow) -> Self {
        Self {
            name: row.name.clone(),
            enabled: row.enabled,
            publish: row.publish.clone(),
            subscribe: row.subscribe.clone(),
            password: row.password.name(),
            revision: row.revision,
            changed_at: row.changed_at.to_rfc3339(),
            changed_by: row.changed_by.clone(),
            rotated_at: row.rotated_at.map(Timestamp::to_rfc3339),
            old_until: row.old.as_ref().map(|old| old.until.to_rfc3339()),
        }
    }
}

impl Office {
    /// Adds an account that may hear what `subscribe` lists and publish what `publish` lists.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn add_account(
        &self,
        name: &str,
        publish: Vec<Box<str>>,
        subscribe: Vec<Box<str>>,
        chosen: Option<&str>,
        by: &str,
    ) -> Result<Issued, OfficeError> {
        let name = DeviceId::new(name).map_err(|error| OfficeError::Refused(error.to_string()))?;
        check(&publish, broker::check_publish)?;
        check(&subscribe, broker::check_subscribe)?;
        if publish.is_empty() && subscribe.is_empty() {
            let text = "an account without filters may nothing: give it --subscribe, e.g. tw/v1/+/telemetry";
            return Err(OfficeError::Refused(text.to_owned()));
        }
        let made = make(chosen)?;
        let now = self.clock.now();
        self.state.change_access(|change| {
            self.is_free(change, &name)?;
            let accounts = change.rows()?.into_iter();
            if accounts.filter(|row| row.holder == Holder::Account).count() >= ACCOUNTS_MAX {
                return Err(OfficeError::Refused(format!("more than {ACCOUNTS_MAX} accounts")));
            }
            let row = AccessRow {
                holder: Holder::Account,
                password: Password::Own(made.hash.clone()),
                revision: 1,
                changed_at: now,
                changed_by: by.into(),
                rotated_at: Some(now),
                publish: publish.clone(),
                subscribe: subscribe.clone(),
                ..pristine(name.clone())
            };
            change.put(&row)?;
            change.audit(AuditEntry {
                at: now,
                by,
                what: "account added",
                subject: name.as_str(),
                detail: &format!(
                    "publish [{}], subscribe [{}]",
                    publish.join(", "),
                    subscribe.join(", ")
                ),
            })?;
            Ok(Issued {
                row,
                secret: made.told,
                next_start: false,
            })
        })
    }

    /// Removes an account.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn remove_account(&self, name: &str, by: &str) -> Result<(), OfficeError> {
        let at = self.clock.now();
        self.state.change_access(|change| {
            self.find(&Known::of(change)?, Holder::Account, name)?;
            change.forget(name)?;
            change.audit(AuditEntry {
                at,
                by,
                what: "account removed",
                subject: name,
                detail: "",
            })?;
            Ok(())
        })
    }

    /// The accounts, in order of their names.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn accounts(&self) -> Result<Vec<Account>, OfficeError> {
        Ok(self.account_rows()?.iter().map(Account::from).collect())
    }

    /// The same, as they are written down.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn account_rows(&self) -> Result<Vec<AccessRow>, OfficeError> {
        let mut rows = self.state.access_rows()?;
        rows.retain(|row| row.holder == Holder::Account);
        Ok(rows)
    }
}

fn check(filters: &[Box<str>], check: impl Fn(&str) -> Result<(), &'static str>) -> Result<(), OfficeError> {
    if filters.len() > FILTERS_MAX {
        return Err(OfficeError::Refused(format!("more than {FILTERS_MAX} filters")));
    }
    for filter in filters {
        check(filter).map_err(|why| OfficeError::Refused(format!("the filter {filter:?}: {why}")))?;
    }
    Ok(())
}
