//! A page of the console with every kind of part, and a statement, for tests and for looking at the design.

use super::blocks::{ActionLink, Block, Cell, Code, Column, Facts, Figure, Figures, Filters, Form, Input, Note, Table};
use super::console::{ConsoleShell, MemberPage, Page};
use super::samples::{Sample, push, shell};
use super::{Amount, Badge, Choice, Flash, Pager, When};

pub fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let frame = ConsoleShell {
        title: "Northwind Studio".into(),
        description: "What it has, what it did, and what can be done with it.".into(),
        section: "organizations",
        person_name: "Olive Reed".into(),
        person_email: "olive@farebox.example".into(),
        person_initials: "OR".into(),
        role: "Operator",
        is_operator: true,
        waiting: 2,
        waiting_else: 1,
        csrf: "sample-token".into(),
        flash: Some(Flash::good("Frozen. Every key of it is refused.")),
        theme: theme.into(),
        lang: "en-GB",
        dev: true,
    };
    let page = Page {
        shell: frame,
        back: Some(("/admin/organizations".into(), "Organizations".into())),
        actions: vec![
            ActionLink::download("CSV", "/admin/books/export"),
            ActionLink::primary("Grant or correct", "/admin/adjustments/new", "plus"),
        ],
        blocks: parts(),
    };
    push(out, "console", &page)?;
    let statement = MemberPage {
        shell: shell(theme, "credits", "Statement for November 2026", "Northwind Studio"),
        back: Some(("/credits/statements".into(), "Statements".into())),
        actions: vec![ActionLink::download("PDF", "/credits/statements/file?month=2026-11&form=pdf")],
        blocks: vec![Block::Figures(figures()), Block::Table(table())],
    };
    push(out, "statement", &statement)
}

fn figures() -> Figures {
    Figures {
        id: "money",
        title: "Money".into(),
        note: "Days are days of UTC.".into(),
        figures: vec![
            Figure::amount("Credits", Amount::new("$112.40", "$112.402918250000"), "/admin/books/journal"),
            Figure::count("Keys", "12", "").note("2 of them stopped"),
        ],
    }
}

fn table() -> Table {
    Table {
        id: "rows",
        title: "Journal".into(),
        note: "Newest first.".into(),
        columns: vec![Column::of("Time"), Column::of("What"), Column::right("Amount"), Column::far("Reference")],
        rows: vec![vec![
            Cell::when(When {
                text: "3 min ago".into(),
                exact: "22 Nov 2026".into(),
                iso: "2026-11-22".into(),
                relative: true,
            })
            .to("/admin/books/transfers/tra_1"),
            Cell::badge(Badge::new("good", "circle-check", "Booked")).under("grant"),
            Cell::amount(Amount::new("$20.00", "$20.00")),
            Cell::mono("adj_0190"),
        ]],
        foot: vec![Cell::text("Sum"), Cell::text(""), Cell::text("$20.00"), Cell::text("")],
        empty: "Nothing yet".into(),
        empty_note: String::new(),
        pager: Some(Pager { older_href: Some("/admin/books/journal?before=1".into()), ..Pager::default() }),
    }
}

fn parts() -> Vec<Block> {
    let choices = vec![Choice::new("", "Any", "", true), Choice::new("frozen", "Frozen", "", false)];
    let mut empty = table();
    (empty.id, empty.rows, empty.foot, empty.pager) = ("none", Vec::new(), Vec::new(), None);
    let form = Form {
        id: "freeze",
        title: "Freeze it".into(),
        note: "Every key of it is refused within a second.".into(),
        action: "/admin/organizations/org_1/freeze".into(),
        csrf: "sample-token".into(),
        hidden: vec![("form", "act_1".into())],
        fields: vec![
            Input::of("text", "reason", "Reason").required().hint("Stands in the log for good."),
            Input::of("dollars", "amount", "Amount").value("x").error("This is not an amount of dollars."),
            Input::of("select", "kind", "What").choices(choices.clone()),
            Input::of("heading", "", "What is announced"),
            Input::of("area", "body", "Text").max(400),
            Input::of("check", "prices", "Also change prices"),
        ],
        button: "Freeze".into(),
        danger: true,
        problem: "Nothing was done.".into(),
        file: false,
    };
    let filters = Filters {
        action: "/admin/organizations".into(),
        fields: vec![
            Input::of("text", "q", "Name, address or id").value("north"),
            Input::of("select", "state", "State").choices(choices),
            Input::of("date", "from", "From"),
        ],
        is_on: true,
        ..Filters::default()
    };
    vec![
        Block::Filters(filters),
        Block::Note(Note {
            tone: "warn",
            icon: "triangle-alert",
            text: "2 mails were given up.".into(),
            href: "/admin/mails".into(),
            link: "Mails".into(),
        }),
        Block::Figures(figures()),
        Block::Facts(Facts::of(
            "facts",
            "Facts",
            vec![("Id", Cell::mono("org_1")), ("State", Cell::text("Open").under("since today"))],
        )),
        Block::Table(table()),
        Block::Table(empty),
        Block::Form(form),
        Block::Code(Code {
            id: "codes",
            title: "2 codes".into(),
            note: "Shown only now.".into(),
            text: "FARE-1\nFARE-2".into(),
        }),
    ]
}
