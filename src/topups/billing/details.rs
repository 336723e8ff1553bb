//! What an organization wants to read on its receipts.

use super::countries::country;
use crate::base::EmailAddress;

const MAX_NAME: usize = 120;
const MAX_TAX_ID: usize = 40;
const MAX_ADDRESS_LINES: usize = 6;
const MAX_ADDRESS_LINE: usize = 100;

/// All of it may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    pub name: String,
    /// Lines, with line ends between.
    pub address: String,
    /// A code of two letters.
    pub country: String,
    pub tax_id: String,
    /// Where receipts are mailed to, besides standing on their page.
    pub email: String,
}

/// What is wrong with each field; empty where nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems {
    pub name: String,
    pub address: String,
    pub country: String,
    pub tax_id: String,
    pub email: String,
}

impl Details {
    /// Cleans what somebody typed: outer spaces and empty lines are dropped.
    ///
    /// # Errors
    /// Says beside each field what is wrong with it.
    pub fn parse(typed: &Details) -> Result<Details, Problems> {
        let lines: Vec<&str> = typed.address.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let email = typed.email.trim();
        let parsed = Details {
            name: typed.name.trim().to_owned(),
            address: lines.join("\n"),
            country: typed.country.trim().to_owned(),
            tax_id: typed.tax_id.trim().to_owned(),
            email: EmailAddress::parse(email).map_or_else(|_| email.to_owned(), |email| email.to_string()),
        };
        let problems = parsed.problems(&lines);
        if problems == Problems::default() { Ok(parsed) } else { Err(problems) }
    }

    fn problems(&self, lines: &[&str]) -> Problems {
        let long_line = lines.iter().any(|line| line.chars().count() > MAX_ADDRESS_LINE);
        let address = if lines.len() > MAX_ADDRESS_LINES || long_line {
            format!("An address has at most {MAX_ADDRESS_LINES} lines of {MAX_ADDRESS_LINE} characters.")
        } else if lines.iter().any(|line| has_controls(line)) {
            CONTROLS.to_owned()
        } else {
            String::new()
        };
        let email = if self.email.is_empty() {
            String::new()
        } else {
            EmailAddress::parse(&self.email).err().map(|error| format!("This {error}.")).unwrap_or_default()
        };
        let known = self.country.is_empty() || country(&self.country).is_some();
        Problems {
            name: short(&self.name, MAX_NAME),
            address,
            country: if known { String::new() } else { "Choose a country of the list.".to_owned() },
            tax_id: short(&self.tax_id, MAX_TAX_ID),
            email,
        }
    }

    /// Names of the fields in which two differ, for the log, which keeps no values.
    #[must_use]
    pub fn differences(&self, other: &Details) -> Vec<&'static str> {
        let fields = [
            ("name", &self.name, &other.name),
            ("address", &self.address, &other.address),
            ("country", &self.country, &other.country),
            ("tax_id", &self.tax_id, &other.tax_id),
            ("email", &self.email, &other.email),
        ];
        fields.into_iter().filter(|(_, one, two)| one != two).map(|(name, ..)| name).collect()
    }
}

const CONTROLS: &str = "This has characters that cannot be printed.";

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() > most {
        format!("At most {most} characters.")
    } else if has_controls(text) {
        CONTROLS.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(address: &str, country: &str, email: &str) -> Details {
        let (address, country, email) = (address.to_owned(), country.to_owned(), email.to_owned());
        Details { name: " Analytical Engines ".into(), address, country, tax_id: " GB 1 ".into(), email }
    }

    #[test]
    fn spaces_and_empty_lines_are_dropped_and_nothing_is_needed() {
        let parsed = Details::parse(&typed(" 12 St James's\r\n\r\n  London \r\n", "GB", " bills@Example.com "));
        let parsed = parsed.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!((parsed.name.as_str(), parsed.tax_id.as_str()), ("Analytical Engines", "GB 1"));
        assert_eq!((parsed.address.as_str(), parsed.email.as_str()), ("12 St James's\nLondon", "bills@example.com"));
        assert_eq!(Details::parse(&Details::default()), Ok(Details::default()));
        assert_eq!(parsed.differences(&Details::default()), ["name", "address", "country", "tax_id", "email"]);
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        let long = "x".repeat(101);
        for address in ["1\n2\n3\n4\n5\n6\n7", long.as_str(), "a\tb"] {
            let problems = Details::parse(&typed(address, "", "")).expect_err(address);
            assert!(!problems.address.is_empty() && problems.name.is_empty(), "{problems:?}");
        }
        let problems = Details::parse(&typed("", "XX", "nobody")).expect_err("wrong");
        assert!(!problems.country.is_empty() && problems.email.contains("name@example.com"), "{problems:?}");
        let problems = Details::parse(&Details { name: "x".repeat(121), ..Details::default() }).expect_err("long");
        assert!(problems.name.contains("120"));
    }
}
