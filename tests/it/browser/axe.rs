//! What axe finds on a page: rules of WCAG that a program can check.

use serde_json::{Value, json};

use super::chromium::Browser;

const RUN: &str = "const done = arguments[arguments.length - 1], rules = arguments[0];
    const some = rules.length ? { runOnly: { type: 'rule', values: rules } } : {};
    axe.run(document, { resultTypes: ['violations'], ...some }).then(
        (found) => done(found.violations
            .filter((v) => v.impact === 'serious' || v.impact === 'critical')
            .map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).slice(0, 4).join(' | ')}`)),
        (error) => done([`axe: ${error}`]));";

/// The source of axe-core, read once for all pages.
pub fn source() -> String {
    let path = super::target().join("clients/node/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run script/bootstrap test", path.display()))
}

/// Loads axe into the page that is open.
pub async fn load(browser: &Browser, source: &str) {
    browser.web.execute(source, Vec::new()).await.expect("axe loads");
}

/// Violations of these rules, or of all where none is named, that are serious or critical, one sentence each.
pub async fn violations(browser: &Browser, rules: &[&str]) -> Vec<String> {
    let found = browser.web.execute_async(RUN, vec![json!(rules)]).await.expect("axe runs");
    let found = found.json().as_array().cloned().unwrap_or_default();
    found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
