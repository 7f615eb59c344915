//! A receiver of Standard Webhooks. Pure.

use reqwest::header::HeaderName;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use telemetry::Timestamp;

use super::attempt::Outcome;
use super::digest::Parcel;
use super::http::{Answer, Ask};
use super::signature;

/// The request for a message: the notice as it is stored, or a digest with all of them.
pub(super) fn ask(url: &Url, key: Option<&[u8]>, parcel: &Parcel, now: Timestamp) -> Ask {
    let body = body(parcel);
    let timestamp_s = now.millis().div_euclid(1000);
    let signature = key.map(|key| signature::sign(key, &parcel.key, timestamp_s, &body));
    let ask = Ask::json(url.clone(), body)
        .with(HeaderName::from_static("webhook-id"), &parcel.key)
        .with(
            HeaderName::from_static("webhook-timestamp"),
            &timestamp_s.to_string(),
        );
    match signature {
        Some(signature) => ask.with(HeaderName::from_static("webhook-signature"), &signature),
        None => ask,
    }
}

/// The JSON of a message.
pub(super) fn body(parcel: &Parcel) -> String {
    match parcel.members.as_slice() {
        [one] => one.payload.clone(),
        all => {
            let notices: Vec<Value> = all
                .iter()
                .map(|notice| serde_json::from_str(&notice.payload).unwrap_or_default())
                .collect();
            json!({ "type": "alarm.digest", "key": parcel.key, "notices": notices }).to_string()
        }
    }
}

/// What the answer says.
pub(super) fn verdict(answer: &Answer) -> Outcome {
    // Standard Webhooks: 410 means that the receiver is gone for good.
    if answer.status == StatusCode::GONE {
        return Outcome::Hopeless("the receiver answered 410 gone".to_owned());
    }
    answer.failure().unwrap_or(Outcome::Delivered)
}
