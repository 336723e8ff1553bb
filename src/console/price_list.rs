//! A provider's price list, as a file of comma-separated values.

use std::collections::HashMap;

use rust_decimal::{Decimal, RoundingStrategy};

use super::margin::Charged;
use crate::base::money::SCALE;
use crate::catalog::UnitPrice;

/// Rows of a list; longer ones are a mistake.
const MAX_ROWS: usize = 20_000;
/// The columns that are read; others may be there.
pub const COLUMNS: [&str; 5] =
    ["provider", "model", "input_usd_per_million", "output_usd_per_million", "cache_read_usd_per_million"];

/// What providers charge, by provider and by what they call the model.
pub type PriceList = HashMap<(String, String), Listed>;

/// A line of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its number, from one on.
    pub line: usize,
    pub prompt: UnitPrice,
    /// `None` where the list leaves it out.
    pub completion: Option<UnitPrice>,
    pub cache_read: Option<UnitPrice>,
}

impl Listed {
    /// What a model costs by it. Only one that writes nothing, for it `embeds_or_ranks`, has no price for its output.
    ///
    /// # Errors
    /// `Output` where that price is missing: it would be taken for nothing.
    pub fn charged(&self, embeds_or_ranks: bool) -> Result<Charged, ListError> {
        let completion = match self.completion {
            Some(price) => price,
            None if embeds_or_ranks => UnitPrice::ZERO,
            None => return Err(ListError::Output(self.line)),
        };
        Ok(Charged { prompt: self.prompt, completion, cache_read: self.cache_read })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("The first line must name the columns; {0} is missing.")]
    Column(&'static str),
    #[error("Line {0}: {1} is not a price per million tokens.")]
    Price(usize, String),
    #[error("Line {0} has no price for the output of a model that writes.")]
    Output(usize),
    #[error("The list has more than {MAX_ROWS} lines.")]
    TooLong,
    #[error("The list has no line with a provider and a model.")]
    Empty,
}

/// The fields of a line; quotes may stand around one.
fn fields(line: &str) -> Vec<String> {
    let (mut out, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut field).trim().to_owned()),
            letter => field.push(letter),
        }
    }
    out.push(field.trim().to_owned());
    out
}

/// Reads a list. Lines without a price are left out: a list has models that are not sold by the token.
///
/// # Errors
/// Names the column or the line.
pub fn parse(text: &str) -> Result<PriceList, ListError> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head = fields(lines.next().unwrap_or_default());
    let place = |name: &'static str| head.iter().position(|one| one == name).ok_or(ListError::Column(name));
    let [provider, model, input, output, cached] = COLUMNS;
    let (provider, model, input, output) = (place(provider)?, place(model)?, place(input)?, place(output)?);
    let cached = place(cached).ok();
    let mut list = PriceList::new();
    for (at, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if at >= MAX_ROWS {
            return Err(ListError::TooLong);
        }
        let fields = fields(line);
        let field = |place: usize| fields.get(place).map_or("", String::as_str);
        let price =
            |text: &str| UnitPrice::parse_per_million(text).map_err(|_| ListError::Price(at + 2, text.to_owned()));
        if field(provider).is_empty() || field(model).is_empty() || field(input).is_empty() {
            continue;
        }
        let some = |text: &str| if text.is_empty() { Ok(None) } else { price(text).map(Some) };
        let listed = Listed {
            line: at + 2,
            prompt: price(field(input))?,
            completion: some(field(output))?,
            cache_read: cached.map(field).map_or(Ok(None), some)?,
        };
        list.insert((field(provider).to_owned(), field(model).to_owned()), listed);
    }
    if list.is_empty() { Err(ListError::Empty) } else { Ok(list) }
}

/// A price with so many percent on top, rounded up to the precision of the books.
#[must_use]
pub fn with_markup(price: UnitPrice, percent: Decimal) -> Option<UnitPrice> {
    let raised = price.amount() * (Decimal::ONE_HUNDRED + percent) / Decimal::ONE_HUNDRED;
    let rounded = raised.round_dp_with_strategy(SCALE, RoundingStrategy::AwayFromZero);
    UnitPrice::parse(&rounded.normalize().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_its_columns() {
        let text = "provider,model,mode,input_usd_per_million,output_usd_per_million,cache_read_usd_per_million,x\n\
            openai,gpt-4o,chat,2.5,10,1.25,\n\"openai\",\"embed, small\",embedding,0.02,,,\nai21,image,image,,,,\n";
        let list = parse(text).expect("a list");
        assert_eq!(list.len(), 2);
        let chat = list[&("openai".to_owned(), "gpt-4o".to_owned())];
        assert_eq!(chat.prompt.per_million().to_string(), "2.5");
        assert_eq!(chat.cache_read.map(|price| price.per_million().to_string()), Some("1.25".into()));
        let embed = list[&("openai".to_owned(), "embed, small".to_owned())];
        assert_eq!((embed.line, embed.completion), (3, None));
    }

    #[test]
    fn only_a_model_that_writes_nothing_has_no_price_for_its_output() {
        let text = "provider,model,input_usd_per_million,output_usd_per_million\na,b,1,\na,c,1,0\n";
        let list = parse(text).expect("a list");
        let [blank, free] = ["b", "c"].map(|model| list[&("a".to_owned(), model.to_owned())]);
        assert_eq!(blank.charged(false), Err(ListError::Output(2)));
        assert_eq!(blank.charged(true).map(|charged| charged.completion), Ok(UnitPrice::ZERO));
        assert_eq!(free.charged(false).map(|charged| charged.completion), Ok(UnitPrice::ZERO));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(parse("a,b\n"), Err(ListError::Column("provider")));
        let head = "provider,model,input_usd_per_million,output_usd_per_million\n";
        assert_eq!(parse(&format!("{head}a,b,cheap,1\n")), Err(ListError::Price(2, "cheap".into())));
        assert_eq!(parse(head), Err(ListError::Empty));
    }

    #[test]
    fn a_markup_never_loses_a_digit_to_the_customer() {
        let price = UnitPrice::parse_per_million("2.5").expect("a price");
        let raised =
            |percent: i64| with_markup(price, Decimal::from(percent)).map(|price| price.per_million().to_string());
        assert_eq!(raised(10), Some("2.75".into()));
        assert_eq!(raised(0), Some("2.5".into()));
        let third = UnitPrice::parse("0.000000000001").expect("a price");
        assert_eq!(with_markup(third, Decimal::ONE).map(|price| price.to_string()), Some("0.000000000002".into()));
    }
}
