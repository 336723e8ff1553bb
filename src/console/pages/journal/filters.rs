//! The filters of the journal.

use uuid::Uuid;

use super::{HERE, JournalQuery};
use crate::base::ids::OrgId;
use crate::books;
use crate::console::pages::choices;
use crate::ledger::Code;
use crate::web::views::Choice;
use crate::web::views::blocks::{Filters, Input};

pub fn filters(query: &JournalQuery, house: &[(Uuid, String, String)]) -> Filters {
    let mut accounts = vec![(books::CREDITS, "credits of all organizations"), ("processors", "all processors")];
    accounts.extend(house.iter().map(|(_, _, name)| (name.as_str(), name.as_str())));
    let known = accounts.iter().any(|(name, _)| *name == query.account.trim());
    let of_org = !known && query.account.trim().trim_start_matches("credit:").parse::<OrgId>().is_ok();
    let mut accounts: Vec<Choice> = choices("Any", &accounts, &query.account);
    if of_org {
        accounts.push(Choice::new(&query.account, &query.account, "", true));
    }
    let codes: Vec<(&str, &str)> = Code::ALL.iter().map(|code| (code.as_str(), code.label())).collect();
    Filters {
        action: HERE.into(),
        fields: vec![
            Input::of("select", "account", "Account").choices(accounts),
            Input::of("select", "code", "What").choices(choices("Anything", &codes, &query.code)),
            Input::of("date", "from", "From").value(query.from.as_str()),
            Input::of("date", "until", "Until").value(query.until.as_str()),
            Input::of("time", "time", "Before, on that day").value(query.time.as_str()),
            Input::of("text", "reference", "Reference or id").value(query.reference.trim()),
        ],
        is_on: query.is_on(),
        ..Filters::default()
    }
}
