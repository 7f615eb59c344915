//! `/login`: a browser trades its token for a cookie that scripts cannot read and other sites cannot use.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::shell::Ask;
use crate::access::{self, COOKIE};
use crate::api::Shared;
use crate::problem::Problem;
use crate::text::{Lang, Texts};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    lang: Lang,
    t: &'static Texts,
    wrong: bool,
}

/// `GET /login`.
pub(crate) async fn form(ask: Ask) -> Result<Response, Problem> {
    show(ask.lang, false)
}

fn show(lang: Lang, wrong: bool) -> Result<Response, Problem> {
    let page = Html(super::text(&LoginPage {
        lang,
        t: lang.texts(),
        wrong,
    })?);
    let status = if wrong {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    Ok((status, page).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Given {
    token: String,
}

/// `POST /login`.
pub(crate) async fn sign_in(
    State(app): Shared,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    access::same_origin(&headers)?;
    let is_cookie_text = given
        .token
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"'));
    if !is_cookie_text || !app.web.access.knows(&given.token) {
        tracing::warn!("a sign-in with an unknown token was refused");
        return show(Lang::choose(None, &headers), true);
    }
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", given.token);
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
