//! Every template renders, and none breaks a rule that the content security policy or a screen reader relies on.

use std::collections::HashSet;

use super::samples::{Sample, samples};
use crate::web::assets;

fn all() -> Vec<Sample> {
    samples("system").expect("every sample renders")
}

fn pages() -> Vec<Sample> {
    all().into_iter().filter(|sample| !sample.name.starts_with("mail_")).collect()
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_sample_renders_under_its_own_name() {
    let names: HashSet<_> = all().iter().map(|sample| sample.name).collect();
    assert_eq!(names.len(), all().len());
}

#[test]
fn nothing_is_inline_that_the_policy_forbids() {
    for Sample { name, html } in all() {
        assert!(!html.contains(" style=\""), "{name} has a style attribute");
        assert!(!html.contains("javascript:"), "{name} has a script address");
        for event in [" onclick=", " onload=", " onsubmit=", " onchange=", " hx-on"] {
            assert!(!html.contains(event), "{name} has {event}");
        }
        for script in html.split("<script").skip(1) {
            assert!(script.split('>').next().is_some_and(|tag| tag.contains("src=")), "{name} has an inline script");
        }
    }
    for Sample { name, html } in pages() {
        assert!(!html.contains("<style"), "{name} has an inline style sheet");
    }
}

#[test]
fn every_static_address_leads_to_a_file() {
    for Sample { name, html } in pages() {
        let links = values(&html, "href").into_iter().chain(values(&html, "src"));
        for link in links.filter_map(|link| link.strip_prefix("/static/")) {
            let (path, version) = link.split_once("?v=").map_or((link, None), |(path, version)| (path, Some(version)));
            let asset = assets::get(path).unwrap_or_else(|| panic!("{name} links to {path}"));
            assert!(version.is_none() || asset.is_version(version), "{name} links to an old {path}");
        }
    }
}

#[test]
fn every_page_has_its_landmarks_and_no_id_twice() {
    for Sample { name, html } in pages() {
        // Of whoever reads it, or English of no place in particular.
        for part in ["· Farebox</title>", "<main ", "<h1>", "class=\"skip-link\"", "<html lang=\"en"] {
            assert_eq!(html.matches(part).count(), 1, "{name} and {part}");
        }
        let ids = values(&html, "id");
        let unique: HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{name} has an id twice");
        for target in ["aria-labelledby", "aria-describedby", "for"] {
            for id in values(&html, target).into_iter().flat_map(str::split_whitespace) {
                assert!(ids.contains(&id), "{name}: {target} names {id}");
            }
        }
    }
}

#[test]
fn each_setting_is_in_the_sidebar_and_in_the_menu_of_narrow_screens() {
    let mut of_members = 0;
    for Sample { name, html } in pages() {
        let Some((_, rest)) = html.split_once("<details class=\"person menu\">") else { continue };
        let menu = rest.split("</details>").next().unwrap_or_default();
        let links = values(&html, "class=\"nav-extra\" href");
        for link in &links {
            assert!(menu.contains(&format!("href=\"{link}\"")), "{name}: {link} cannot be reached on a phone");
        }
        of_members += usize::from(links.contains(&"/settings/notifications"));
    }
    assert!(of_members > 0, "a sample has the links");
}

#[test]
fn every_form_that_posts_carries_its_token() {
    for Sample { name, html } in pages() {
        for form in
            html.split("<form").skip(1).filter(|form| form.split('>').next().is_some_and(|tag| tag.contains("post")))
        {
            let body = form.split("</form>").next().unwrap_or_default();
            assert!(body.contains("name=\"csrf_token\" value=\"sample-token\""), "{name} has a form without its token");
        }
    }
}

#[test]
fn what_people_typed_is_escaped() {
    let page =
        super::accounts::SignIn { email: super::Field::of("\"><script>alert(1)</script>"), ..Default::default() };
    let html = askama::Template::render(&page).expect("renders");
    assert!(!html.contains("<script>alert"));
}
