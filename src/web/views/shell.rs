//! What stands around every page.

use askama::Template;
use askama::filters::HtmlSafe;

use super::filters;

/// A notice at the top of a page: what has just happened, or what is wrong.
#[derive(Clone, Debug, Template)]
#[template(path = "components/flash.html")]
pub struct Flash {
    /// `good`, `warn`, `bad` or `info`.
    pub kind: &'static str,
    pub text: String,
}

impl HtmlSafe for Flash {}

impl Flash {
    /// Something was done.
    pub fn good(text: impl Into<String>) -> Self {
        Self { kind: "good", text: text.into() }
    }

    /// Something was not done, and why.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { kind: "bad", text: text.into() }
    }

    fn icon(&self) -> &'static str {
        match self.kind {
            "good" => "circle-check",
            "warn" => "triangle-alert",
            "bad" => "circle-x",
            _ => "info",
        }
    }
}

/// The frame of a page for a signed-in person.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// The page's name: its `<title>` and `<h1>`.
    pub title: String,
    /// One sentence of what the page is for.
    pub description: String,
    /// The navigation item that is marked: `overview`, `activity`, `keys`, `credits`, `models`, `chat`, `profile`, `sign-in`,
    /// `security`,
    /// `organization`, `preferences`, `integrations`, `notifications`, `webhooks`, `privacy`, `presets`, `members`, `audit`, `api`
    /// or empty.
    pub section: &'static str,
    pub org_name: String,
    /// One or two letters.
    pub org_initials: String,
    /// Where the organization's picture is; empty when the initials stand for it.
    pub org_picture: String,
    /// Every organization of this person, for the switcher.
    pub orgs: Vec<OrgLink>,
    /// What of the navigation this member may use.
    pub menu: Menu,
    /// Set while the organization waits for its deletion.
    pub closing: Option<Closing>,
    /// Set while all keys of the organization are stopped.
    pub stopped: Option<Stopped>,
    /// Since when the organization is frozen, in the reader's zone.
    pub frozen: Option<String>,
    /// An operator looks at the organization and can change nothing.
    pub looking: bool,
    /// What the operators tell everybody.
    pub announced: Vec<Announced>,
    /// Available credits, such as `$12.40`, and the full value.
    pub balance: String,
    pub balance_exact: String,
    pub person_name: String,
    pub person_email: String,
    pub person_initials: String,
    /// Where the person's picture is; empty when the initials stand for it.
    pub person_picture: String,
    /// The token every form sends back as `csrf_token`.
    pub csrf: String,
    pub flash: Option<Flash>,
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// The language tag of the page.
    pub lang: &'static str,
    /// True outside production: shows the development mark and the link to the mailbox.
    pub dev: bool,
}

/// A page of the settings.
#[derive(Clone, Copy, Debug)]
pub struct SettingsLink {
    pub section: &'static str,
    pub label: &'static str,
    pub icon: &'static str,
    pub href: &'static str,
}

impl SettingsLink {
    fn of(section: &'static str, label: &'static str, icon: &'static str, href: &'static str) -> SettingsLink {
        SettingsLink { section, label, icon, href }
    }
}

impl Shell {
    /// The settings of the person, for the sidebar and for the menu that stands in for it on narrow screens.
    #[must_use]
    pub fn own_settings(&self) -> Vec<SettingsLink> {
        vec![
            SettingsLink::of("profile", "Profile", "user", "/settings/profile"),
            SettingsLink::of("sign-in", "Ways to sign in", "lock", "/settings/sign-in"),
            SettingsLink::of("security", "Security", "shield", "/settings/security"),
            SettingsLink::of("notifications", "Notifications", "mail", "/settings/notifications"),
        ]
    }

    /// Those of the organization that this member may see.
    #[must_use]
    pub fn org_settings(&self) -> Vec<SettingsLink> {
        let (menu, of) = (self.menu, SettingsLink::of);
        let all = [
            (true, of("organization", "Organization", "building-2", "/settings/organization")),
            (menu.provisioning, of("provisioning", "Provisioning keys", "key-round", "/settings/provisioning")),
            (menu.keys, of("preferences", "Preferences", "route", "/settings/preferences")),
            (menu.keys, of("integrations", "Integrations", "plug", "/settings/integrations")),
            (menu.settings, of("webhooks", "Webhooks", "send", "/settings/webhooks")),
            (true, of("privacy", "Privacy", "eye-off", "/settings/privacy")),
            (menu.keys, of("presets", "Presets", "sliders-horizontal", "/settings/presets")),
            (menu.members, of("members", "Members", "users", "/settings/members")),
            (menu.audit, of("audit", "Audit log", "scroll-text", "/settings/audit")),
        ];
        all.into_iter().filter(|(may, _)| *may).map(|(_, link)| link).collect()
    }
}

/// An organization in the switcher.
#[derive(Clone, Debug, Default)]
pub struct OrgLink {
    pub id: String,
    pub name: String,
    pub initials: String,
    /// `Personal`, or the role in it.
    pub note: String,
    pub current: bool,
}

/// The parts of the navigation that not every role has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Menu {
    pub keys: bool,
    pub provisioning: bool,
    pub credits: bool,
    pub members: bool,
    pub audit: bool,
    /// What only those see who change settings.
    pub settings: bool,
    /// The console of the instance, for its operators.
    pub console: bool,
}

/// What every page says of an organization that will be deleted.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// The moment, in the reader's zone.
    pub on: String,
    pub may_undo: bool,
}

/// What every page says while all keys are stopped.
#[derive(Clone, Debug, Default)]
pub struct Stopped {
    /// The moment, in the reader's zone.
    pub since: String,
    pub may_resume: bool,
}

/// What the operators tell everybody, until somebody puts it away.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    pub id: String,
    pub text: String,
    /// `info` or `warn`.
    pub tone: String,
}

/// The frame of a page that needs nobody to be signed in.
#[derive(Clone, Debug, Default)]
pub struct PublicPage {
    pub title: String,
    pub csrf: String,
    pub flash: Option<Flash>,
    /// True outside production.
    pub dev: bool,
    /// `system`, `light` or `dark`.
    pub theme: String,
}

/// A page that goes on to another site by itself; the link is for browsers that do not.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/away.html")]
pub struct Away {
    pub page: PublicPage,
    pub label: String,
    pub host: String,
    pub url: String,
    pub explanation: String,
    pub back_href: String,
    pub back_label: String,
}
