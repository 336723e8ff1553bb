//! What the address of the activity page asks for. All of it lives there, so that a page can be sent on, saved, and gone
//! back to.

use std::str::FromStr as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;

use crate::activity::{self, Group, LogFilter, MAX_DAYS, Period, Range};
use crate::base::Viewer;
use crate::base::ids::{CallId, PersonId};
use crate::web::PageError;

pub const GROUPS: [Group; 5] = [Group::Model, Group::Key, Group::Member, Group::Provider, Group::App];

/// Columns of the log that somebody may choose, in their order; time and model are always there.
pub const COLUMNS: [(&str, &str); 12] = [
    ("key", "Key and app"),
    ("member", "Member"),
    ("tokens", "Tokens in → out"),
    ("cached", "Cached"),
    ("cost", "Cost"),
    ("own", "Own provider"),
    ("speed", "Speed"),
    ("first", "First token"),
    ("duration", "Duration"),
    ("finish", "Finish"),
    ("status", "Status"),
    ("id", "Call id"),
];
pub const DEFAULT_COLUMNS: [&str; 5] = ["key", "tokens", "cost", "speed", "status"];

/// Names in the address that say how it is shown.
const VIEW: [&str; 7] = ["period", "from", "to", "group", "tz", "compare", "col"];

/// Fields in which people write what an address says; all else is chosen.
const WRITTEN: [&str; 4] = ["asked", "min", "max", "id"];

/// What somebody wrote into a field and nobody can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    pub field: &'static str,
    /// As it was typed.
    pub value: String,
    /// What is wrong with it, for the field.
    pub told: String,
}

/// The address, read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `None` for a stretch that was chosen.
    pub period: Option<Period>,
    pub range: Range,
    /// A chosen stretch as it was typed.
    pub typed: (String, String),
    pub group: Group,
    /// The time and place are apart: `from` and `to` are those of the range.
    pub filter: LogFilter,
    pub columns: Vec<&'static str>,
    pub compare: bool,
    /// The zone of the address; `None` for the person's own.
    pub zone: Option<Tz>,
    pub viewer: Viewer,
}

impl Asked {
    /// # Errors
    /// `Invalid` names what cannot be read and says what it must be.
    pub fn parse(query: &str, viewer: Viewer) -> Result<Asked, PageError> {
        Asked::of(&pairs(query), viewer)
    }

    /// The same for the page itself, which comes again with what was typed: fields that cannot be read are left out and told of.
    ///
    /// # Errors
    /// `Invalid` for what stands in no field, and so was not typed into one.
    pub fn of_fields(query: &str, viewer: Viewer) -> Result<(Asked, Vec<Unread>), PageError> {
        let mut pairs = pairs(query);
        let mut unread: Vec<Unread> = WRITTEN.into_iter().filter_map(|field| unread_filter(&pairs, field)).collect();
        pairs.retain(|(name, _)| unread.iter().all(|one| one.field != name));
        if word(&pairs, "period") != "custom" {
            return Ok((Asked::of(&pairs, viewer)?, unread));
        }
        let typed = (word(&pairs, "from").to_owned(), word(&pairs, "to").to_owned());
        // With another time, so that everything else is read.
        let other: Vec<_> = pairs.iter().filter(|(name, _)| name != "period").cloned().collect();
        let asked = Asked::of(&other, viewer)?;
        if activity::chosen(&typed.0, &typed.1, asked.viewer.zone).is_some() {
            return Ok((Asked::of(&pairs, viewer)?, unread));
        }
        unread.push(unread_stretch(&typed));
        Ok((Asked { period: None, typed, ..asked }, unread))
    }

    /// The same for an export, which is taken away and believed: what a page passes over, such as a filter with a typing
    /// mistake in its name, is refused. `more` are names that the export itself reads.
    ///
    /// # Errors
    /// `Invalid` names what is not known or cannot be read.
    pub fn strictly(pairs: &[(String, String)], more: &[&str], viewer: Viewer) -> Result<Asked, PageError> {
        let known = |name: &str| VIEW.contains(&name) || LogFilter::NAMES.contains(&name) || more.contains(&name);
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known(name)) {
            return Err(PageError::Invalid(format!(
                "In the address, {name:?} is no filter, so the file would not be what was meant. Nothing was exported."
            )));
        }
        let asked = Asked::of(pairs, viewer)?;
        let odd = |name: &str, is_odd: bool| is_odd.then(|| format!("In the address, {name} cannot be read."));
        let period = word(pairs, "period");
        let problem = odd("period", !matches!(period, "" | "custom") && Period::parse(period).is_none());
        match problem {
            Some(problem) => Err(PageError::Invalid(format!("{problem} Nothing was exported."))),
            None => Ok(asked),
        }
    }

    /// The same from names and values.
    ///
    /// # Errors
    /// `Invalid` names what cannot be read and says what it must be.
    pub fn of(pairs: &[(String, String)], viewer: Viewer) -> Result<Asked, PageError> {
        let word = |name: &str| word(pairs, name);
        let zone = match word("tz") {
            "" => None,
            text => Some(Tz::from_str(text).map_err(|_| {
                PageError::Invalid(format!("In the address, tz is {text:?}, which is no time zone like Europe/Berlin."))
            })?),
        };
        let viewer = Viewer { zone: zone.unwrap_or(viewer.zone), ..viewer };
        let period = match word("period") {
            "custom" => None,
            text => Some(Period::parse(text).unwrap_or(Period::Week)),
        };
        let typed = (word("from").to_owned(), word("to").to_owned());
        let range = match period {
            Some(period) => Range::Last(period),
            None => Range::Between(activity::chosen(&typed.0, &typed.1, viewer.zone).ok_or_else(|| {
                PageError::Invalid(format!(
                    "A stretch of time begins before it ends, has at most {MAX_DAYS} days, and is written like \
                     2026-11-01 or 2026-11-01T09:30."
                ))
            })?),
        };
        // The range alone says which time is shown, so that charts, sums and rows are of the same calls.
        let filters: Vec<_> = pairs.iter().filter(|(name, _)| name != "from" && name != "to").cloned().collect();
        let filter =
            LogFilter::of(&filters).map_err(|error| PageError::Invalid(format!("In the address, {error}.")))?;
        let wanted = |column: &str| pairs.iter().any(|(name, value)| name == "col" && value == column);
        let mut columns: Vec<&'static str> =
            COLUMNS.iter().map(|(column, _)| *column).filter(|column| wanted(column)).collect();
        if columns.is_empty() {
            columns = DEFAULT_COLUMNS.to_vec();
        }
        Ok(Asked {
            period,
            range,
            typed,
            group: Group::parse(word("group")).unwrap_or(Group::Model),
            filter,
            columns,
            compare: word("compare") == "1",
            zone,
            viewer,
        })
    }

    /// Whoever sees only their own calls asks for nobody else's.
    pub fn within(&mut self, own: Option<PersonId>) {
        if own.is_some() {
            self.filter.member = None;
        }
    }

    /// The filter with the time that is shown, for one who sees `own` calls only.
    pub fn shown(&self, own: Option<PersonId>, now: DateTime<Utc>) -> LogFilter {
        let span = self.range.buckets(now, self.viewer.zone).span();
        let member = own.or(self.filter.member);
        LogFilter { member, from: Some(span.from), to: Some(span.to), ..self.filter.clone() }
    }

    pub fn period_word(&self) -> &'static str {
        self.period.map_or("custom", Period::as_str)
    }

    /// How it is shown, without the filters and without the place in the list.
    pub fn view_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("period", self.period_word().to_owned())];
        if self.period.is_none() {
            pairs.extend([("from", self.typed.0.clone()), ("to", self.typed.1.clone())]);
        }
        pairs.push(("group", self.group.as_str().to_owned()));
        if let Some(zone) = self.zone {
            pairs.push(("tz", zone.name().to_owned()));
        }
        if self.compare {
            pairs.push(("compare", "1".to_owned()));
        }
        if self.columns != DEFAULT_COLUMNS {
            pairs.extend(self.columns.iter().map(|column| ("col", (*column).to_owned())));
        }
        pairs
    }

    /// Everything, as it is saved.
    pub fn query(&self) -> String {
        self.query_with(&self.filter, None)
    }

    fn query_with(&self, filter: &LogFilter, before: Option<CallId>) -> String {
        let mut pairs = self.view_pairs();
        pairs.extend(filter.pairs().into_iter().filter(|(name, _)| !matches!(*name, "from" | "to")));
        if let Some(before) = before {
            pairs.push(("before", before.to_string()));
        }
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// The address of this page, at the top of its list.
    pub fn here(&self) -> String {
        format!("/activity?{}", self.query())
    }

    /// The same with other filters.
    pub fn with(&self, filter: LogFilter) -> String {
        format!("/activity?{}", self.query_with(&filter, None))
    }

    /// The same without one filter.
    pub fn without(&self, field: &str) -> String {
        let filter = &self.filter;
        let mut pairs = self.view_pairs();
        pairs.extend(filter.pairs().into_iter().filter(|(name, _)| !matches!(*name, "from" | "to") && *name != field));
        format!("/activity?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    /// The rows that are older than a call.
    pub fn older(&self, before: CallId) -> String {
        format!("/activity?{}", self.query_with(&self.filter, Some(before)))
    }

    /// Another part of this page, such as its export.
    pub fn part(&self, path: &str, more: &[(&str, &str)]) -> String {
        let more = serde_urlencoded::to_string(more).unwrap_or_default();
        format!("/activity/{path}?{}&{more}", self.query())
    }

    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }
}

/// The kind of field that shows a moment of a stretch as it was typed: a day, a moment, or what is neither.
pub fn moment_kind(text: &str) -> &'static str {
    let moment = |format| NaiveDateTime::parse_from_str(text, format).is_ok();
    let day = text.parse::<NaiveDate>().is_ok_and(|day| day.to_string() == text);
    if text.is_empty() || day {
        "date"
    } else if moment("%Y-%m-%dT%H:%M") || moment("%Y-%m-%dT%H:%M:%S") {
        "datetime-local"
    } else {
        "text"
    }
}

fn unread_filter(pairs: &[(String, String)], field: &'static str) -> Option<Unread> {
    let values: Vec<_> = pairs.iter().filter(|(name, _)| name == field).cloned().collect();
    LogFilter::of(&values).err()?;
    let told = match field {
        "min" | "max" => "Write an amount of dollars with a point, such as 0.01.",
        "id" => "This is no call id. It begins with gen- and stands on the call’s own page.",
        _ => "The name of a model has at most 200 letters.",
    };
    Some(Unread { field, value: word(&values, field).to_owned(), told: told.to_owned() })
}

fn unread_stretch((from, to): &(String, String)) -> Unread {
    let odd = |text: &str| text.is_empty() || moment_kind(text) == "text";
    let shape = "Write a day like 2026-11-01, or a day and a time like 2026-11-01T09:30.";
    let (field, value, told) = match (odd(from), odd(to)) {
        (true, _) => ("from", from, shape.to_owned()),
        (_, true) => ("to", to, shape.to_owned()),
        _ => ("to", to, format!("A stretch of time begins before it ends, and has at most {MAX_DAYS} days.")),
    };
    Unread { field, value: value.clone(), told }
}

/// The names and values of an address.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// What an address says last under a name; empty where it says nothing.
pub fn word<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_passes_over_nothing() {
        let strictly = |query: &str| Asked::strictly(&pairs(query), &["format"], Viewer::ANYBODY);
        for good in ["", "format=csv&period=7d&model=a%2Fb&col=cost&group=key&compare=1&tz=UTC", "status=&from=&to="] {
            assert!(strictly(good).is_ok(), "{good}");
        }
        for bad in ["modle=a%2Fb", "period=fortnight", "status=odd", "after=x"] {
            assert!(strictly(bad).is_err(), "{bad}");
        }
        assert!(read("modle=a%2Fb&period=fortnight").is_ok(), "a page that is linked to from elsewhere opens");
    }

    fn read(query: &str) -> Result<Asked, PageError> {
        Asked::parse(query, Viewer::ANYBODY)
    }

    #[test]
    fn an_address_reads_back_what_it_says() {
        let query = "period=custom&from=2026-11-01&to=2026-11-03&group=key&tz=Asia%2FKathmandu&compare=1&col=cost&col=id&model=a%2Fb";
        let asked = read(query).expect("all of it can be read");
        assert_eq!(asked.query(), query);
        assert_eq!(asked.filter.from, None, "the range says it");
        let shown = asked.shown(None, "2026-11-26T00:00:00Z".parse().expect("a time"));
        assert_eq!(shown.from.map(|at| at.to_rfc3339()).as_deref(), Some("2026-10-31T18:15:00+00:00"));
        assert!(!asked.without("model").contains("model"));
        assert_eq!(read("").expect("nothing at all").query(), "period=7d&group=model");
    }

    #[test]
    fn what_was_typed_into_a_field_is_told_of_there() {
        let of = |query: &str| Asked::of_fields(query, Viewer::ANYBODY).expect(query);
        for (query, field, value, word) in [
            ("min=0%2C01&group=key", "min", "0,01", "point"),
            ("max=-1", "max", "-1", "point"),
            ("id=mine&group=key", "id", "mine", "gen-"),
            ("asked=%00", "asked", "\0", "200"),
            ("period=custom&from=11%2F01%2F2026&to=2026-11-30", "from", "11/01/2026", "2026-11-01T09:30"),
            ("period=custom&from=2026-11-01&to=", "to", "", "2026-11-01T09:30"),
            ("period=custom&from=2026-11-03&to=2026-11-01", "to", "2026-11-01", "begins before it ends"),
        ] {
            let (_, unread) = of(query);
            assert_eq!(unread.len(), 1, "{query}");
            assert_eq!((unread[0].field, unread[0].value.as_str()), (field, value), "{query}");
            assert!(unread[0].told.contains(word), "{query}: {}", unread[0].told);
        }
        let (asked, unread) = of("period=custom&from=x&to=y&min=lots&model=a%2Fb&group=key");
        assert_eq!(unread.iter().map(|one| one.field).collect::<Vec<_>>(), ["min", "from"]);
        assert_eq!(asked.query(), "period=custom&from=x&to=y&group=key&model=a%2Fb", "all else stays");
        let (asked, unread) = of("period=custom&from=2026-11-01&to=2026-11-03T10%3A00&min=0.5");
        assert!(unread.is_empty() && asked.period.is_none() && matches!(asked.range, Range::Between(_)));
        for odd in ["tz=Mars", "key=1", "status=odd", "period=custom&from=x&to=y&key=1"] {
            assert!(Asked::of_fields(odd, Viewer::ANYBODY).is_err(), "{odd} was typed into no field");
        }
        let kinds = ["", "2026-11-01", "2026-11-01T09:30", "11/01/2026"].map(moment_kind);
        assert_eq!(kinds, ["date", "date", "datetime-local", "text"]);
    }

    #[test]
    fn what_cannot_be_read_says_what_it_must_be() {
        for (query, word) in [
            ("tz=Mars%2FBase", "time zone"),
            ("period=custom&from=2026-11-03&to=2026-11-01", "begins before it ends"),
            ("period=custom", "begins before it ends"),
            ("status=odd", "\"status\""),
        ] {
            assert!(read(query).err().is_some_and(|error| error.to_string().contains(word)), "{query}");
        }
    }
}
