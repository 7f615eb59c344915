//! The office as the API sees it.

use std::sync::Arc;

use dashboards::book::Moment;
use dashboards::registrar::{Changed, Credential, CredentialAction, Registrar, RegistrarError};
use store::state::access::{AccessRow, Holder, Password};

use super::office::{Action, Issued, Office, OfficeError};

/// Joins the web to the office.
pub(crate) struct OfficeDesk(pub Arc<Office>);

impl Registrar for OfficeDesk {
    fn credential(&self, holder: Holder, name: &str) -> Result<Credential, RegistrarError> {
        let (row, has_initial) = self.0.look_up(holder, name).map_err(of)?;
        Ok(shown(&row, has_initial))
    }

    fn accounts(&self) -> Result<Vec<Credential>, RegistrarError> {
        let rows = self.0.account_rows().map_err(of)?;
        Ok(rows.iter().map(|row| shown(row, false)).collect())
    }

    fn change(
        &self,
        holder: Holder,
        name: &str,
        action: CredentialAction,
        by: &str,
    ) -> Result<Changed, RegistrarError> {
        let action = match action {
            CredentialAction::Disable => Action::Disable,
            CredentialAction::Enable => Action::Enable,
            CredentialAction::Revoke => Action::Revoke,
            CredentialAction::Rotate { grace } => Action::Rotate { grace, chosen: None },
        };
        let issued = self.0.change(holder, name, &action, by).map_err(of)?;
        let (_, has_initial) = self.0.look_up(holder, name).map_err(of)?;
        Ok(changed(&issued, has_initial))
    }

    fn provision(&self, token: &str, device: &str) -> Result<Changed, RegistrarError> {
        self.0
            .provision(token, device)
            .map(|issued| changed(&issued, false))
            .map_err(of)
    }
}

fn changed(issued: &Issued, has_initial: bool) -> Changed {
    Changed {
        credential: shown(&issued.row, has_initial),
        password: issued.secret.clone(),
        takes_effect: if issued.next_start { "next_start" } else { "now" },
    }
}

fn shown(row: &AccessRow, has_initial: bool) -> Credential {
    let was_changed = row.revision > 0;
    let is_account = row.holder == Holder::Account;
    let filters = |filters: &[Box<str>]| filters.iter().map(ToString::to_string).collect();
    Credential {
        name: row.name.to_string(),
        kind: row.holder.name(),
        enabled: row.enabled,
        password_of: match &row.password {
            Password::Registry if !has_initial => "missing",
            password => password.name(),
        },
        revision: row.revision,
        changed_at: was_changed.then(|| Moment::from(row.changed_at)),
        changed_by: was_changed.then(|| row.changed_by.to_string()),
        rotated_at: row.rotated_at.map(Moment::from),
        old_until: row.old.as_ref().map(|old| Moment::from(old.until)),
        publish: is_account.then(|| filters(&row.publish)),
        subscribe: is_account.then(|| filters(&row.subscribe)),
    }
}

fn of(error: OfficeError) -> RegistrarError {
    match error {
        OfficeError::Unknown { what, name, .. } => RegistrarError::Unknown(format!("{what} {name}")),
        OfficeError::Token => RegistrarError::Token,
        OfficeError::Taken { .. } | OfficeError::Conflict(_) => RegistrarError::Conflict(error.to_string()),
        OfficeError::Refused(_) => RegistrarError::Refused(error.to_string()),
        error @ (OfficeError::State(_)
        | OfficeError::Secret(_)
        | OfficeError::File(_)
        | OfficeError::DryRun) => RegistrarError::Failed(error.into()),
    }
}
