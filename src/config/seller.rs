//! Settings of who sells here, as receipts name them.

use super::{ConfigError, Sources, wrong};
use crate::base::EmailAddress;
use crate::topups::billing::Seller;

const NAME: &str = "FAREBOX_SELLER_NAME";
const ADDRESS: &str = "FAREBOX_SELLER_ADDRESS";
const TAX_ID: &str = "FAREBOX_SELLER_TAX_ID";
const EMAIL: &str = "FAREBOX_SELLER_EMAIL";
/// Of a line; receipts break longer ones, but nothing on a receipt is longer by intent.
const MAX_LINE: usize = 120;
const MAX_LINES: usize = 8;

pub fn is_described(name: &str) -> bool {
    name.starts_with("FAREBOX_SELLER_")
}

/// The effective value of a setting.
pub fn describe(name: &str, seller: &Seller) -> String {
    match name {
        NAME => seller.name.clone(),
        ADDRESS => seller.address.replace('\n', "\\n"),
        TAX_ID => seller.tax_id.clone(),
        EMAIL => seller.email.clone(),
        _ => String::new(),
    }
}

/// Who sells; without a name, the host of the public address.
///
/// # Errors
/// Names the setting, what is wrong with it, and what it must be.
pub fn read(sources: &Sources, public_url: &url::Url) -> Result<Seller, ConfigError> {
    let host = public_url.host_str().unwrap_or_default();
    let email = sources.get(EMAIL).unwrap_or_default();
    if !email.is_empty() && EmailAddress::parse(email).is_err() {
        return Err(wrong(EMAIL, "must be an e-mail address, like billing@example.com"));
    }
    Ok(Seller {
        name: line(sources, NAME)?.unwrap_or_else(|| host.to_owned()),
        address: address(sources)?,
        tax_id: line(sources, TAX_ID)?.unwrap_or_default(),
        email: email.to_owned(),
        site: public_url.to_string(),
    })
}

fn line(sources: &Sources, name: &'static str) -> Result<Option<String>, ConfigError> {
    let Some(text) = sources.get(name) else { return Ok(None) };
    if !fits(text) {
        return Err(wrong(name, format!("must be one line of at most {MAX_LINE} characters")));
    }
    Ok(Some(text.trim().to_owned()))
}

fn fits(text: &str) -> bool {
    text.chars().count() <= MAX_LINE && !text.chars().any(char::is_control)
}

/// Lines with `\n` between, as environment files have it, or with real line ends, as a file has.
fn address(sources: &Sources) -> Result<String, ConfigError> {
    let text = sources.get(ADDRESS).unwrap_or_default().replace("\\n", "\n");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_LINES || !lines.iter().all(|line| fits(line)) {
        return Err(wrong(
            ADDRESS,
            format!("must be at most {MAX_LINES} lines of {MAX_LINE} characters, with \\n between them"),
        ));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Seller, ConfigError> {
        let pairs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = "https://ai.example.com/".parse().unwrap_or_else(|_| panic!("an address"));
        read(&Sources::from_map(pairs)?, &url)
    }

    #[test]
    fn an_address_has_lines_and_a_name_is_the_host_where_none_is_set() {
        let seller = load(&[(ADDRESS, "12 St James's Square\\nLondon\\n"), (TAX_ID, "GB 1")]);
        let seller = seller.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            seller.lines(),
            ["ai.example.com", "12 St James's Square", "London", "Tax id GB 1", "https://ai.example.com/"]
        );
        assert_eq!(describe(ADDRESS, &seller), "12 St James's Square\\nLondon");
    }

    #[test]
    fn what_would_not_fit_on_a_receipt_is_refused() {
        let (long, many) = ("x".repeat(121), "x\\n".repeat(9));
        for (name, value) in
            [(NAME, long.as_str()), (NAME, "two\nlines"), (ADDRESS, &long), (ADDRESS, &many), (EMAIL, "nobody")]
        {
            let error = load(&[(name, value)]).err();
            assert!(error.is_some_and(|error| error.to_string().starts_with(name)), "{name}={value}");
        }
    }
}
