//! What can be wrong with `[remote]`.

use std::ops::Range;

use telemetry::time::Span;

use super::{Finding, Source};
use crate::config::Remote;
use crate::config::remote::EngineName;

/// Tags that every point has already.
const TAKEN: [&str; 6] = ["device", "profile", "quality", "signal", "site", "unit"];

/// A place in the file, what is wrong there, and what to do.
type Wrong = (Range<usize>, String, &'static str);

pub(super) fn findings(remote: &Remote, here: &Source<'_>, findings: &mut Vec<Finding>) {
    let mut wrong = Vec::new();
    keys_of_engine(remote, &mut wrong);
    credentials(remote, &mut wrong);
    ranges(remote, &mut wrong);
    names(remote, &mut wrong);
    if let Some(ca) = &remote.ca
        && let Err(error) = std::fs::read(ca.get_ref())
    {
        let what = format!("{} cannot be read: {error}", ca.get_ref().display());
        wrong.push((ca.span(), what, "mend the path, or take the line out"));
    }
    if wrong.is_empty()
        && let Ok(settings) = remote.settings()
        && let Err(error) = store::remote::Remote::check(&settings)
    {
        wrong.push((
            remote.url.span(),
            format!("remote: {}", telemetry::with_causes(&error)),
            "\"http://127.0.0.1:8086\"",
        ));
    }
    let found = wrong
        .into_iter()
        .map(|(span, what, suggestion)| here.at(span, what, suggestion));
    findings.extend(found);
}

fn keys_of_engine(remote: &Remote, wrong: &mut Vec<Wrong>) {
    let influx = [("organisation", &remote.organisation), ("bucket", &remote.bucket)];
    let victoria = [("query_url", &remote.query_url), ("tenant", &remote.tenant)];
    match remote.engine.get_ref() {
        EngineName::InfluxDb2 => {
            for (key, value) in influx {
                if value.as_ref().is_none_or(|value| value.get_ref().is_empty()) {
                    let what = format!("remote.{key} is missing: InfluxDB needs it");
                    wrong.push((remote.engine.span(), what, "add it"));
                }
            }
            for (key, value) in victoria {
                if let Some(value) = value {
                    let what = format!("remote.{key} is of VictoriaMetrics");
                    wrong.push((value.span(), what, "take the line out"));
                }
            }
            if let Some(page) = remote.watch.first() {
                wrong.push((
                    page.span(),
                    "remote.watch is of VictoriaMetrics".to_owned(),
                    "take the line out",
                ));
            }
        }
        EngineName::VictoriaMetrics => {
            for (key, value) in influx {
                if let Some(value) = value {
                    wrong.push((
                        value.span(),
                        format!("remote.{key} is of InfluxDB"),
                        "take the line out",
                    ));
                }
            }
            if let Some(tenant) = &remote.tenant
                && !is_tenant(tenant.get_ref())
            {
                let what = format!("remote.tenant = {:?}", tenant.get_ref());
                wrong.push((tenant.span(), what, "\"0\", or \"0:1\" with a project"));
            }
        }
    }
}

/// Source: VictoriaMetrics, "Multitenancy": `accountID` or `accountID:projectID`, 32 bits each.
fn is_tenant(text: &str) -> bool {
    let mut parts = text.split(':');
    let number = |part: &str| part.parse::<u32>().is_ok();
    parts.next().is_some_and(number) && parts.next().is_none_or(number) && parts.next().is_none()
}

fn credentials(remote: &Remote, wrong: &mut Vec<Wrong>) {
    match (&remote.token, &remote.user, &remote.password) {
        (Some(_), Some(user), _) => wrong.push((
            user.span(),
            "remote: token and user exclude each other".to_owned(),
            "take one out",
        )),
        (_, None, Some(password)) => wrong.push((
            password.span(),
            "remote.password without remote.user".to_owned(),
            "add the user",
        )),
        _ => {}
    }
}

fn ranges(remote: &Remote, wrong: &mut Vec<Wrong>) {
    let timeout = &remote.timeout;
    if !(Span::from_secs(1)..=Span::from_secs(600)).contains(timeout.get_ref()) {
        let what = format!("remote.timeout = {}", timeout.get_ref());
        wrong.push((timeout.span(), what, "\"1s\" to \"10min\""));
    }
    let lines_max = &remote.lines_max;
    if !(1..=100_000).contains(lines_max.get_ref()) {
        let what = format!("remote.lines_max = {}", lines_max.get_ref());
        wrong.push((lines_max.span(), what, "1 to 100000"));
    }
    let gather = &remote.gather;
    if *gather.get_ref() > Span::from_secs(60) {
        let what = format!("remote.gather = {}", gather.get_ref());
        wrong.push((gather.span(), what, "at most \"1min\""));
    }
}

/// Measurement and tags become names of metrics and labels: letters, digits and underscores are understood by all.
fn names(remote: &Remote, wrong: &mut Vec<Wrong>) {
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let measurement = &remote.measurement;
    if !is_name(measurement.get_ref()) {
        let what = format!("remote.measurement = {:?}", measurement.get_ref());
        wrong.push((
            measurement.span(),
            what,
            "a letter, then letters, digits and underscores",
        ));
    }
    for name in remote.tags.keys() {
        let (what, suggestion) = if TAKEN.contains(&name.as_str()) {
            (
                format!("remote.tags: every point has a tag {name:?} already"),
                "another name",
            )
        } else if is_name(name) {
            continue;
        } else {
            (
                format!("remote.tags: {name:?}"),
                "a letter, then letters, digits and underscores",
            )
        };
        wrong.push((remote.engine.span(), what, suggestion));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn an_engine_that_cannot_be_is_found() {
        let with = |lines: &str| {
            let section = format!("[remote]\n{lines}\n\n[web]");
            check(move |text| text.replacen("[web]", &section, 1))
        };
        let influx = "engine = \"influxdb2\"\nurl = \"http://h\"\norganisation = \"o\"\nbucket = \"b\"\n";
        let victoria = "engine = \"victoriametrics\"\nurl = \"https://h/vm\"\n";
        for good in [
            influx.to_owned(),
            victoria.to_owned(),
            format!("{influx}token = \"t\"\nread = true\ntags = {{ county = \"庆元\" }}"),
            format!("{victoria}tenant = \"1:2\"\nquery_url = \"http://q\"\nuser = \"u\"\npassword = \"p\""),
        ] {
            let config = with(&good).unwrap().config;
            assert!(config.remote.unwrap().settings().is_ok(), "{good}");
        }
        for (engine, lines, word) in [
            (
                "engine = \"influxdb2\"\nurl = \"http://h\"\nbucket = \"b\"\n",
                "",
                "organisation is missing",
            ),
            (
                "engine = \"influxdb2\"\nurl = \"h:8086\"\norganisation = \"o\"\nbucket = \"b\"\n",
                "",
                "h:8086",
            ),
            (influx, "tenant = \"0\"", "of VictoriaMetrics"),
            (influx, "watch = [\"http://h\"]", "of VictoriaMetrics"),
            (victoria, "bucket = \"b\"", "of InfluxDB"),
            (victoria, "tenant = \"a\"", "tenant"),
            (victoria, "tenant = \"1:2:3\"", "tenant"),
            (victoria, "token = \"t\"\nuser = \"u\"", "exclude"),
            (victoria, "password = \"p\"", "without remote.user"),
            (victoria, "token = \"a\\nb\"", "token holds"),
            (victoria, "timeout = \"0s\"", "timeout"),
            (victoria, "lines_max = 0", "lines_max"),
            (victoria, "gather = \"2min\"", "gather"),
            (victoria, "measurement = \"a b\"", "measurement"),
            (victoria, "tags = { device = \"x\" }", "already"),
            (victoria, "ca = \"nowhere.pem\"", "cannot be read"),
            (victoria, "ca = \"county.json\"", "client of the remote engine"),
        ] {
            let findings = with(&format!("{engine}{lines}")).unwrap_err();
            assert_eq!(findings.len(), 1, "{engine}{lines}: {findings:#?}");
            assert!(findings[0].what.contains(word), "{findings:#?}");
            assert!(findings[0].line.is_some());
        }
    }
}
