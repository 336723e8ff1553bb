//! The calls that a filter lets through, all of them, read a piece at a time.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgConnection;

use super::filter::LogFilter;
use super::store;
use super::walk::Walk;
use crate::base::Usd;
use crate::base::csv::cell;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId, TransferId};

/// Calls that are read, and in memory, at a time; twice as many where as many are written meanwhile.
pub const PIECE: i64 = 1_000;

/// A call as files tell it.
#[derive(Clone, Debug)]
pub struct ExportRow {
    pub call: CallId,
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub app: String,
    pub request_id: String,
    pub model_asked: String,
    pub model: String,
    pub provider: String,
    pub streamed: bool,
    pub status: String,
    pub cancelled: bool,
    pub http_status: i16,
    pub error: String,
    pub finish_reason: String,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    pub cache_write_tokens: i64,
    pub reasoning_tokens: i64,
    pub counted_by: String,
    pub cost: Usd,
    /// What the operator bore.
    pub overrun: Usd,
    pub hold: Usd,
    /// The transfer that the cost is a part of; `None` exactly when nothing was charged.
    pub transfer: Option<TransferId>,
    pub is_byok: bool,
    /// These three say nothing of a call on the operator's account.
    pub upstream_cost: Usd,
    pub byok_free: Usd,
    pub byok_rate: Decimal,
    /// Taken off the cost already.
    pub discount: Usd,
    pub first_token_ms: Option<i32>,
    pub duration_ms: i32,
    /// What else is charged for, where there is any.
    pub images: Option<i64>,
    pub audio_tokens: Option<i64>,
    pub audio_output_tokens: Option<i64>,
    pub search_units: Option<i64>,
}

/// The way through the calls: from the newest to the oldest, and never over one twice.
#[derive(Clone, Debug)]
pub struct Export(Walk);

impl Export {
    /// Of everything that the filter lets through and that began before `now`.
    #[must_use]
    pub fn new(org: OrgId, filter: &LogFilter, now: DateTime<Utc>) -> Export {
        Export(Walk::new(org, filter, now))
    }

    /// The next calls, of about [`PIECE`] those that fit; `None` at the end. Nothing stays open between two pieces, so a
    /// slow reader costs the database nothing.
    ///
    /// # Errors
    /// Database errors only; asked again it goes on where it was.
    pub async fn next(&mut self, conn: &mut PgConnection) -> Result<Option<Vec<ExportRow>>, sqlx::Error> {
        let Some(piece) = self.0.cut(conn, PIECE).await? else { return Ok(None) };
        let rows = store::export_rows(conn, self.0.org, &self.0.filter, piece.ids, piece.most).await?;
        self.0.pass(piece);
        Ok(Some(rows))
    }
}

/// The first line of a CSV file.
pub const CSV_HEAD: &str = "time,id,status,http_status,error,model,model_asked,provider,app,key,key_id,member_id,\
    streamed,cancelled,finish_reason,prompt_tokens,completion_tokens,cached_tokens,cache_write_tokens,reasoning_tokens,\
    cost_usd,own_provider_key,first_token_ms,duration_ms,request_id,upstream_cost_usd,byok_free_usd,byok_fee_rate,\
    discount_usd,overrun_usd,hold_usd,transfer_id,images,audio_tokens,audio_output_tokens,\
    search_units\r\n";

/// A moment in UTC, to the microsecond.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl ExportRow {
    /// Where nobody counted there is no number, not even zero.
    fn tokens(&self, count: i64) -> Option<i64> {
        (self.counted_by != "nobody" || count > 0).then_some(count)
    }

    /// On the operator's account there is no bill of the provider to tell, which is not a bill of zero.
    fn own<T>(&self, value: T) -> Option<T> {
        self.is_byok.then_some(value)
    }

    /// A line of a CSV file.
    pub fn write_csv(&self, keys: &HashMap<KeyId, String>, out: &mut String) {
        let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        let tokens = |count| number(self.tokens(count));
        let fields = [
            moment(self.created_at),
            self.call.to_string(),
            self.status.clone(),
            self.http_status.to_string(),
            self.error.clone(),
            self.model.clone(),
            self.model_asked.clone(),
            self.provider.clone(),
            self.app.clone(),
            keys.get(&self.key).cloned().unwrap_or_default(),
            self.key.to_string(),
            self.member.map(|member| member.to_string()).unwrap_or_default(),
            self.streamed.to_string(),
            self.cancelled.to_string(),
            self.finish_reason.clone(),
            tokens(self.prompt_tokens),
            tokens(self.completion_tokens),
            tokens(self.cached_tokens),
            tokens(self.cache_write_tokens),
            tokens(self.reasoning_tokens),
            self.cost.exact(),
            self.is_byok.to_string(),
            number(self.first_token_ms.map(i64::from)),
            self.duration_ms.to_string(),
            self.request_id.clone(),
            self.own(self.upstream_cost).map(Usd::exact).unwrap_or_default(),
            self.own(self.byok_free).map(Usd::exact).unwrap_or_default(),
            self.own(self.byok_rate).map(|rate| rate.normalize().to_string()).unwrap_or_default(),
            self.discount.exact(),
            self.overrun.exact(),
            self.hold.exact(),
            self.transfer.map(|transfer| transfer.to_string()).unwrap_or_default(),
            number(self.images),
            number(self.audio_tokens),
            number(self.audio_output_tokens),
            number(self.search_units),
        ];
        for (at, field) in fields.iter().enumerate() {
            let _ = write!(out, "{}{}", if at == 0 { "" } else { "," }, cell(field));
        }
        out.push_str("\r\n");
    }

    /// A line of a file of JSON objects.
    pub fn write_json(&self, keys: &HashMap<KeyId, String>, out: &mut String) {
        let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let line = JsonLine {
            time: moment(self.created_at),
            id: self.call,
            status: &self.status,
            http_status: self.http_status,
            error: some(&self.error),
            model: some(&self.model),
            model_asked: &self.model_asked,
            provider: some(&self.provider),
            app: some(&self.app),
            key: keys.get(&self.key).map(String::as_str),
            key_id: self.key,
            member_id: self.member,
            streamed: self.streamed,
            cancelled: self.cancelled,
            finish_reason: some(&self.finish_reason),
            prompt_tokens: self.tokens(self.prompt_tokens),
            completion_tokens: self.tokens(self.completion_tokens),
            cached_tokens: self.tokens(self.cached_tokens),
            cache_write_tokens: self.tokens(self.cache_write_tokens),
            reasoning_tokens: self.tokens(self.reasoning_tokens),
            cost_usd: self.cost.exact(),
            own_provider_key: self.is_byok,
            first_token_ms: self.first_token_ms,
            duration_ms: self.duration_ms,
            request_id: some(&self.request_id),
            upstream_cost_usd: self.own(self.upstream_cost).map(Usd::exact),
            byok_free_usd: self.own(self.byok_free).map(Usd::exact),
            byok_fee_rate: self.own(self.byok_rate).map(|rate| rate.normalize().to_string()),
            discount_usd: self.discount.exact(),
            overrun_usd: self.overrun.exact(),
            hold_usd: self.hold.exact(),
            transfer_id: self.transfer,
            images: self.images,
            audio_tokens: self.audio_tokens,
            audio_output_tokens: self.audio_output_tokens,
            search_units: self.search_units,
        };
        if let Ok(text) = serde_json::to_string(&line) {
            out.push_str(&text);
            out.push('\n');
        }
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    id: CallId,
    status: &'a str,
    http_status: i16,
    error: Option<String>,
    model: Option<String>,
    model_asked: &'a str,
    provider: Option<String>,
    app: Option<String>,
    key: Option<&'a str>,
    key_id: KeyId,
    member_id: Option<PersonId>,
    streamed: bool,
    cancelled: bool,
    finish_reason: Option<String>,
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    /// Exact, so a text: no reader makes a float of it.
    cost_usd: String,
    own_provider_key: bool,
    first_token_ms: Option<i32>,
    duration_ms: i32,
    request_id: Option<String>,
    upstream_cost_usd: Option<String>,
    byok_free_usd: Option<String>,
    byok_fee_rate: Option<String>,
    discount_usd: String,
    overrun_usd: String,
    hold_usd: String,
    transfer_id: Option<TransferId>,
    images: Option<i64>,
    audio_tokens: Option<i64>,
    audio_output_tokens: Option<i64>,
    search_units: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ExportRow {
        ExportRow {
            call: CallId::floor(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            key: KeyId::floor(DateTime::UNIX_EPOCH),
            member: None,
            app: "=HYPERLINK(\"x\")".into(),
            request_id: "req".into(),
            model_asked: "a/b".into(),
            model: String::new(),
            provider: String::new(),
            streamed: false,
            status: "rejected".into(),
            cancelled: false,
            http_status: 402,
            error: "no, nothing".into(),
            finish_reason: String::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            cached_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            counted_by: "nobody".into(),
            cost: Usd::ZERO,
            overrun: Usd::ZERO,
            hold: Usd::ZERO,
            transfer: None,
            is_byok: false,
            upstream_cost: Usd::ZERO,
            byok_free: Usd::ZERO,
            byok_rate: Decimal::ZERO,
            discount: Usd::ZERO,
            first_token_ms: None,
            duration_ms: 3,
            images: None,
            audio_tokens: None,
            audio_output_tokens: None,
            search_units: None,
        }
    }

    #[test]
    fn a_line_has_a_field_for_each_name_and_computes_nothing() {
        let mut line = String::new();
        row().write_csv(&HashMap::new(), &mut line);
        assert_eq!(CSV_HEAD.trim_end().split(',').count(), 36);
        assert!(line.starts_with("1970-01-01T00:00:00.000000Z,gen-"), "{line}");
        assert!(line.contains(",\"no, nothing\",,a/b,,\"'=HYPERLINK(\"\"x\"\")\",,key_"), "{line}");
        assert!(line.ends_with(",false,false,,,,,,,0,false,,3,req,,,,0,0,0,,,,,\r\n"), "no data is not zero: {line}");
    }

    #[test]
    fn a_line_of_json_says_null_where_nobody_counted() {
        let mut line = String::new();
        row().write_json(&HashMap::new(), &mut line);
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(value["upstream_cost_usd"].is_null() && value["hold_usd"] == "0", "{value}");
        assert!(value["prompt_tokens"].is_null() && value["cost_usd"] == "0" && line.ends_with('\n'));
    }
}
