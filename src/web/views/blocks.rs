//! Pages that are put together from a few parts: figures, facts, tables, forms. The console and the books are made of them.

use askama::Template;
use askama::filters::HtmlSafe;

use super::common::{Amount, Badge, Choice, Pager, When};
use super::filters;

/// A column of a table.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub label: &'static str,
    pub right: bool,
    /// Gives way on narrower screens.
    pub far: bool,
}

impl Column {
    #[must_use]
    pub const fn of(label: &'static str) -> Column {
        Column { label, right: false, far: false }
    }

    /// For figures.
    #[must_use]
    pub const fn right(label: &'static str) -> Column {
        Column { label, right: true, far: false }
    }

    #[must_use]
    pub const fn far(label: &'static str) -> Column {
        Column { label, right: false, far: true }
    }
}

/// A cell: text, or a badge, or a moment; perhaps a link, perhaps with a line below.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub text: String,
    /// The full value, on hover; empty when the text says it all.
    pub exact: String,
    pub sub: String,
    pub href: String,
    pub badge: Option<Badge>,
    pub when: Option<When>,
    pub mono: bool,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }

    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Cell {
        Cell { text: text.into(), href: href.into(), ..Cell::default() }
    }

    /// For ids and code.
    pub fn mono(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), mono: true, ..Cell::default() }
    }

    #[must_use]
    pub fn amount(amount: Amount) -> Cell {
        let exact = if amount.exact == amount.text { String::new() } else { amount.exact };
        Cell { text: amount.text, exact, ..Cell::default() }
    }

    #[must_use]
    pub fn when(when: When) -> Cell {
        Cell { when: Some(when), ..Cell::default() }
    }

    #[must_use]
    pub fn badge(badge: Badge) -> Cell {
        Cell { badge: Some(badge), ..Cell::default() }
    }

    #[must_use]
    pub fn to(mut self, href: impl Into<String>) -> Cell {
        self.href = href.into();
        self
    }

    #[must_use]
    pub fn under(mut self, sub: impl Into<String>) -> Cell {
        self.sub = sub.into();
        self
    }
}

/// Rows under a title.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/table.html")]
pub struct Table {
    /// Unique on the page; names its title.
    pub id: &'static str,
    /// Empty when the page's own title says it.
    pub title: String,
    pub note: String,
    pub columns: Vec<Column>,
    /// The first cell names its row.
    pub rows: Vec<Vec<Cell>>,
    /// Sums below the rows; empty for none.
    pub foot: Vec<Cell>,
    /// What is said where there are no rows.
    pub empty: String,
    pub empty_note: String,
    pub pager: Option<Pager>,
}

impl HtmlSafe for Table {}

/// A figure in a row of them.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    pub label: String,
    pub value: String,
    pub exact: String,
    pub note: String,
    pub href: String,
}

impl Figure {
    #[must_use]
    pub fn amount(label: &str, amount: Amount, href: &str) -> Figure {
        let exact = if amount.exact == amount.text { String::new() } else { amount.exact };
        Figure { label: label.into(), value: amount.text, exact, note: String::new(), href: href.into() }
    }

    #[must_use]
    pub fn count(label: &str, value: impl Into<String>, href: &str) -> Figure {
        Figure { label: label.into(), value: value.into(), href: href.into(), ..Figure::default() }
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Figure {
        self.note = note.into();
        self
    }
}

/// Figures beside each other.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/figures.html")]
pub struct Figures {
    pub id: &'static str,
    pub title: String,
    pub note: String,
    pub figures: Vec<Figure>,
}

impl HtmlSafe for Figures {}

/// Names and values.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/facts.html")]
pub struct Facts {
    pub id: &'static str,
    pub title: String,
    pub facts: Vec<(String, Cell)>,
}

impl HtmlSafe for Facts {}

impl Facts {
    #[must_use]
    pub fn of(id: &'static str, title: &str, facts: Vec<(&str, Cell)>) -> Facts {
        let facts = facts.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect();
        Facts { id, title: title.to_owned(), facts }
    }
}

/// A field of a form.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub name: &'static str,
    pub label: &'static str,
    /// `text`, `email`, `date`, `month`, `number`, `password`, `dollars`, `area`, `select`, `check` or `file`; or `heading`,
    /// which is no field and begins a part of the form.
    pub kind: &'static str,
    pub value: String,
    pub error: String,
    pub hint: String,
    pub choices: Vec<Choice>,
    pub required: bool,
    /// Letters at least, of a text; zero for any number.
    pub min: u16,
    pub max: u16,
    /// Its longest choice is read whole; other fields of a filter get more room.
    pub wide: bool,
}

impl Input {
    #[must_use]
    pub fn of(kind: &'static str, name: &'static str, label: &'static str) -> Input {
        Input { kind, name, label, max: 200, ..Input::default() }
    }

    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Input {
        self.value = value.into();
        self
    }

    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Input {
        self.error = error.into();
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Input {
        self.hint = hint.into();
        self
    }

    #[must_use]
    pub fn choices(mut self, choices: Vec<Choice>) -> Input {
        self.choices = choices;
        self
    }

    #[must_use]
    pub fn required(mut self) -> Input {
        self.required = true;
        self
    }

    #[must_use]
    pub fn wide(mut self) -> Input {
        self.wide = true;
        self
    }

    #[must_use]
    pub fn min(mut self, min: u16) -> Input {
        self.min = min;
        self
    }

    #[must_use]
    pub fn max(mut self, max: u16) -> Input {
        self.max = max;
        self
    }
}

/// Something that changes something.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/form.html")]
pub struct Form {
    /// Unique on the page; begins the ids of its fields.
    pub id: &'static str,
    pub title: String,
    /// What happens, in a sentence.
    pub note: String,
    pub action: String,
    pub csrf: String,
    pub hidden: Vec<(&'static str, String)>,
    pub fields: Vec<Input>,
    pub button: String,
    pub danger: bool,
    /// What was wrong with all of it.
    pub problem: String,
    /// Sends a file.
    pub file: bool,
    /// Two fields beside each other where there is room.
    pub pairs: bool,
}

impl HtmlSafe for Form {}

impl Form {
    /// The form with what was typed into it, and what was wrong with that.
    pub fn refill(&mut self, typed: &[(&str, &str)], problem: &str) {
        problem.clone_into(&mut self.problem);
        let of = |name: &str| typed.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        for (name, value) in &mut self.hidden {
            if let Some(typed) = of(name) {
                typed.clone_into(value);
            }
        }
        for field in &mut self.fields {
            let Some(typed) = of(field.name) else { continue };
            typed.clone_into(&mut field.value);
            let offered = field.choices.iter().any(|choice| choice.value == typed);
            for choice in field.choices.iter_mut().filter(|_| offered) {
                choice.selected = choice.value == typed;
            }
        }
    }
}

/// What narrows a list down; it stands in the address.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/filters.html")]
pub struct Filters {
    pub action: String,
    pub fields: Vec<Input>,
    pub is_on: bool,
    /// What its button does, where it does not narrow a list down.
    pub button: &'static str,
}

impl HtmlSafe for Filters {}

/// Words of their own.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/note.html")]
pub struct Note {
    /// `info`, `warn`, `bad`, `good`.
    pub tone: &'static str,
    pub icon: &'static str,
    pub text: String,
    pub href: String,
    pub link: String,
}

impl HtmlSafe for Note {}

/// What is shown once, or is code.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/code.html")]
pub struct Code {
    pub id: &'static str,
    pub title: String,
    pub note: String,
    pub text: String,
}

impl HtmlSafe for Code {}

/// A part of a page.
#[derive(Clone, Debug)]
pub enum Block {
    Table(Table),
    Figures(Figures),
    Facts(Facts),
    Form(Form),
    Filters(Filters),
    Note(Note),
    Code(Code),
}

/// A link at the right of a page's title.
#[derive(Clone, Debug, Default)]
pub struct ActionLink {
    pub href: String,
    pub label: String,
    pub icon: &'static str,
    pub download: bool,
    pub primary: bool,
}

impl ActionLink {
    #[must_use]
    pub fn of(label: &str, href: impl Into<String>, icon: &'static str) -> ActionLink {
        ActionLink { href: href.into(), label: label.into(), icon, ..ActionLink::default() }
    }

    #[must_use]
    pub fn download(label: &str, href: impl Into<String>) -> ActionLink {
        ActionLink { href: href.into(), label: label.into(), icon: "download", download: true, primary: false }
    }

    #[must_use]
    pub fn primary(label: &str, href: impl Into<String>, icon: &'static str) -> ActionLink {
        ActionLink { primary: true, ..ActionLink::of(label, href, icon) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_comes_again_has_what_was_typed() {
        let choices = || vec![Choice::new("a", "A", "", true), Choice::new("b", "B", "", false)];
        let mut form = Form {
            hidden: vec![("form", "new".into()), ("seen", "2".into())],
            fields: vec![
                Input::of("text", "reason", "Reason"),
                Input::of("select", "kind", "Kind").choices(choices()),
                Input::of("select", "other", "Other").choices(choices()),
                Input::of("number", "days", "Days").value("7"),
            ],
            ..Form::default()
        };
        form.refill(&[("reason", "x"), ("kind", "b"), ("other", "not offered"), ("seen", "1")], "Too short.");
        assert_eq!((form.problem.as_str(), form.fields[0].value.as_str()), ("Too short.", "x"));
        let chosen = |at: usize| form.fields[at].choices.iter().find(|one| one.selected).map(|one| one.value.as_str());
        assert_eq!((chosen(1), chosen(2)), (Some("b"), Some("a")));
        assert_eq!(form.fields[3].value, "7", "what was not sent stays");
        assert_eq!(form.hidden, [("form", "new".to_owned()), ("seen", "1".to_owned())]);
    }
}
