//! Who may depend on whom, and what may not be written. Adding an arrow means changing the table below.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module may use those of the rows above it. Modules of one row may not use each other, but for
/// the pairs in [`SIDEWAYS`].
const ROWS: &[&[&str]] = &[
    &["base"],
    &["db", "web", "jobs", "stand_ins", "paper", "outgoing", "traces"],
    &["mail", "audit", "pictures", "vault"],
    &["ledger", "catalog"],
    &["routing"],
    &["accounts"],
    &["orgs"],
    &["notices"],
    &["hooks"],
    &["integrations", "privacy"],
    &["activity", "presets"],
    &["keys"],
    &["topups"],
    &["teams"],
    &["leaving"],
    &["gateway"],
    &["books"],
    &["console"],
    &["overview", "reference", "chat", "dev"],
    &["config", "routes", "boot", "cli"],
];
/// `gateway` settles into `activity`; the last row is wired together.
const SIDEWAYS: &[(&str, &str)] = &[
    ("routes", "boot"),
    ("boot", "routes"),
    ("boot", "config"),
    ("cli", "boot"),
    ("cli", "config"),
    ("cli", "routes"),
];

/// A file that speaks HTTP has one of these names; every other file must not know actix.
const HTTP_FILES: &[&str] = &["extract.rs", "pages.rs", "api.rs", "webhook.rs", "routes.rs", "boot.rs"];
/// Whole folders and single files that speak HTTP besides.
const HTTP_PLACES: &[&str] = &[
    "src/web/",
    "src/stand_ins/",
    "src/overview/",
    "src/routes/",
    "src/teams/pages/",
    "src/keys/pages/",
    "src/presets/pages/",
    "src/reference/",
    "src/console/pages/",
    "src/dev/",
    "src/keys/management/",
    "src/chat/told.rs",
    "src/gateway/respond.rs",
    "src/gateway/surface.rs",
    "src/gateway/query_api",
    "src/gateway/error.rs",
];

/// Words that must not stand in the source, and what to do instead.
const BANNED: &[(&str, &str, &[&str])] = &[
    ("style=\"", "use a class; the content security policy blocks inline styles", &["src/web/views/tests.rs"]),
    ("todo!(", "finish it", &[]),
    ("unimplemented!(", "finish it", &[]),
    ("dbg!(", "use tracing", &[]),
    ("PgPoolOptions::new", "use db::pool::of, whose connections carry no transaction over", &["src/db/pool.rs"]),
];

/// No float may touch money.
const MONEY_PLACES: &[&str] =
    &["src/base/money.rs", "src/ledger/", "src/topups/", "src/catalog/", "src/stand_ins/", "src/activity/store"];

const MAX_LINES: usize = 500;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                files.push((path.strip_prefix(root).expect("below the root").to_owned(), text));
            }
        }
    }
    files
}

fn module(path: &Path) -> String {
    let second = path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
    second.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The modules that a text names as `crate::name` or `crate::{name, ...}`.
fn used(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in text.split("crate::").skip(1) {
        let list = match part.strip_prefix('{') {
            Some(rest) => rest.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![part],
        };
        for item in list {
            let name: String = item.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            names.insert(name);
        }
    }
    names
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let from = module(&path);
        if matches!(from.as_str(), "main" | "lib") {
            continue;
        }
        let Some(own) = row(&from) else {
            wrong.push(format!("{}: `{from}` has no row in tests/tidy.rs", path.display()));
            continue;
        };
        for to in used(&text) {
            let Some(other) = row(&to) else { continue };
            let sideways = SIDEWAYS.contains(&(from.as_str(), to.as_str()));
            if to != from && other >= own && !sideways {
                wrong.push(format!(
                    "{}: `{from}` may not use `{to}`; move the code up or the arrow into the table",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_edge_speaks_http() {
    for (path, text) in sources("src") {
        let shown = path.display().to_string();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let may = HTTP_FILES.contains(&name.as_str()) || HTTP_PLACES.iter().any(|place| shown.starts_with(place));
        assert!(may || !text.contains("actix_web"), "{shown}: actix_web belongs into extract.rs, pages.rs or api.rs");
    }
}

#[test]
fn only_stores_speak_sql() {
    for (path, text) in sources("src") {
        let shown = path.display().to_string();
        let store = shown.contains("/store")
            || shown.ends_with("mail/outbox.rs")
            || shown.ends_with("processors/sandbox.rs")
            || shown.starts_with("src/db/")
            || shown.ends_with("gateway/reconcile.rs")
            || shown.ends_with("gateway/reconcile/recent.rs")
            || shown.contains("settle/");
        let checked =
            text.contains("sqlx::query!") || text.contains("sqlx::query_as!") || text.contains("sqlx::query_scalar!");
        assert!(store || !checked, "{shown}: queries belong into the domain's store.rs");
    }
}

#[test]
fn nothing_banned_is_written() {
    for (path, text) in sources("src") {
        let shown = path.display().to_string();
        for (word, instead, allowed) in BANNED {
            assert!(
                allowed.contains(&shown.as_str()) || !text.contains(word),
                "{shown}: `{word}` is banned: {instead}"
            );
        }
        let money = MONEY_PLACES.iter().any(|place| shown.starts_with(place));
        let floats = text.contains("f64") || text.contains("f32");
        assert!(!money || !floats, "{shown}: money never passes through a float");
        let lines = text.lines().count();
        assert!(
            lines <= MAX_LINES || shown.contains("samples") || shown.contains("tests"),
            "{shown}: {lines} lines; split it"
        );
    }
}

#[test]
fn templates_have_nothing_inline() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                // Mail programs know no style sheets, so mails carry their style in them.
                if path.file_name().is_some_and(|name| name != "emails") {
                    folders.push(path);
                }
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            for word in [" style=\"", " onclick=", "javascript:", "<script>"] {
                assert!(!text.contains(word), "{}: `{word}` is blocked by the content security policy", path.display());
            }
        }
    }
}

/// Pages of members take their transactions from the member, behind the wall between tenants. How often a file may
/// go around it, and why.
const AROUND_THE_WALL: &[(&str, usize)] = &[
    // Moving credits concerns two organizations.
    ("src/teams/pages/credits.rs", 2),
    // An organization that is made, and which one is open, are nobody's yet.
    ("src/teams/pages/organization.rs", 3),
    // An invitation comes from an organization that is not open here.
    ("src/overview/pages.rs", 1),
    // Whoever holds a link to a key, or one that stops it, need not be a member.
    ("src/keys/pages/claim.rs", 2),
    ("src/keys/pages/alarm.rs", 2),
    // Whoever is invited is no member yet, and who asks for mails is counted over all organizations.
    ("src/teams/pages/invitations.rs", 5),
];

#[test]
fn pages_of_members_stay_behind_the_wall() {
    for folder in [
        "src/books",
        "src/chat",
        "src/hooks",
        "src/keys",
        "src/overview",
        "src/presets",
        "src/privacy",
        "src/teams",
        "src/topups",
    ] {
        for (path, text) in sources(folder).into_iter().filter(|(path, _)| path.to_string_lossy().contains("pages")) {
            let shown = path.display().to_string();
            let around = text.matches("app.db.acquire()").count() + text.matches("app.db.begin()").count();
            let may = AROUND_THE_WALL.iter().find(|(file, _)| *file == shown).map_or(0, |(_, times)| *times);
            assert_eq!(around, may, "{shown}: take `member.tenant(&app)`, or say in this test why not");
        }
    }
}
