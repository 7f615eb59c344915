//! The pages for people, in both languages: HTML made on the server from templates that escape every text.
//!
//! `shell` is what stands around every page; each other file is one page. Parts that follow the live feed
//! are also served alone under `/fragments/…`.

pub(crate) mod alarm_item;
pub(crate) mod alarms;
pub(crate) mod card;
pub(crate) mod case;
pub(crate) mod cases;
pub(crate) mod charts;
pub(crate) mod county;
pub(crate) mod course;
pub(crate) mod dead_letters;
pub(crate) mod figure_rows;
pub(crate) mod figures;
pub(crate) mod latest;
pub(crate) mod login;
pub(crate) mod shell;
pub(crate) mod site;
pub(crate) mod sites;

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

use crate::problem::Problem;

/// A template as text.
pub(crate) fn text(template: &impl Template) -> Result<String, Problem> {
    template
        .render()
        .map_err(|error| Problem::internal("writing a page", &error))
}

/// A template as an answer. A language that was chosen by name is remembered in a cookie.
pub(crate) fn page(template: &impl Template, chosen: Option<crate::text::Lang>) -> Result<Response, Problem> {
    let mut response = Html(text(template)?).into_response();
    if let Some(lang) = chosen {
        let cookie = format!(
            "{}={}; Path=/; Max-Age=31536000; SameSite=Lax",
            crate::text::COOKIE,
            lang.code()
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}
