//! Pages filled with plausible figures: for tests of every template, and for looking at the design.

use askama::Template;

use super::activity::{Attempt, CallRow, ChartCard, CostLine};
use super::chart::{self, Bucket, Chart, Series};
use super::overview::{FirstCall, KeyNear};
use super::shell::{Flash, Menu, OrgLink, PublicPage, Shell};
use super::topups::{Quote, TopupForm, TopupRow};
use super::{
    Amount, Badge, Chip, Choice, Fact, Field, Link, Meter, Pager, Snippet, Snippets, When, accounts, activity, api,
    catalog, chat, dev, emails, errors, leaving, overview, security, topups,
};

/// A rendered sample and the name of its file.
pub struct Sample {
    pub name: &'static str,
    pub html: String,
}

/// Every page and mail, some in several states. `theme` is `system`, `light` or `dark`.
///
/// # Errors
/// Fails when a template does.
pub fn samples(theme: &str) -> askama::Result<Vec<Sample>> {
    let mut out = Vec::new();
    account_pages(theme, &mut out)?;
    security_pages(theme, &mut out)?;
    overview_pages(theme, &mut out)?;
    credit_pages(theme, &mut out)?;
    super::key_samples::all(theme, &snippets, &mut out)?;
    activity_pages(theme, &mut out)?;
    model_pages(theme, &mut out)?;
    super::team_samples::push_all(theme, &mut out)?;
    super::money_samples::push_all(theme, &mut out)?;
    super::rule_samples::push_all(theme, &mut out)?;
    super::program_samples::push_all(theme, &mut out)?;
    super::own_samples::push_all(theme, &mut out)?;
    super::hook_samples::push_all(theme, &mut out)?;
    super::preset_samples::push_all(theme, &mut out)?;
    super::console_samples::push_all(theme, &mut out)?;
    other_pages(theme, &mut out)?;
    error_pages(theme, &mut out)?;
    mail_samples(&mut out)?;
    Ok(out)
}

pub(super) fn push(out: &mut Vec<Sample>, name: &'static str, page: &impl Template) -> askama::Result<()> {
    out.push(Sample { name, html: page.render()? });
    Ok(())
}

pub(super) fn shell(theme: &str, section: &'static str, title: &str, description: &str) -> Shell {
    Shell {
        title: title.into(),
        description: description.into(),
        section,
        org_name: "Northwind Studio".into(),
        org_initials: "NS".into(),
        org_picture: String::new(),
        orgs: vec![
            OrgLink {
                id: "org_1".into(),
                name: "Ada Martin".into(),
                initials: "AM".into(),
                note: "Personal".into(),
                current: false,
            },
            OrgLink {
                id: "org_2".into(),
                name: "Northwind Studio".into(),
                initials: "NS".into(),
                note: "Owner".into(),
                current: true,
            },
        ],
        menu: Menu {
            keys: true,
            provisioning: true,
            credits: true,
            members: true,
            audit: true,
            settings: true,
            console: false,
        },
        closing: None,
        stopped: None,
        frozen: None,
        looking: false,
        announced: Vec::new(),
        balance: "$112.40".into(),
        balance_exact: "$112.402918250000".into(),
        person_name: "Ada Martin".into(),
        person_email: "ada@northwind.example".into(),
        person_initials: "AM".into(),
        person_picture: String::new(),
        csrf: "sample-token".into(),
        flash: None,
        theme: theme.into(),
        lang: "en-GB",
        dev: true,
    }
}

pub(super) fn public(theme: &str, title: &str) -> PublicPage {
    PublicPage { title: title.into(), csrf: "sample-token".into(), flash: None, dev: true, theme: theme.into() }
}

pub(super) fn usd(text: &str) -> Amount {
    Amount::new(text, text)
}

pub(super) fn rounded(text: &str, exact: &str) -> Amount {
    Amount::new(text, exact)
}

pub(super) fn when(text: &str) -> When {
    When {
        text: text.into(),
        exact: "22 Nov 2026, 14:03:07 UTC".into(),
        iso: "2026-11-22T14:03:07Z".into(),
        relative: text.ends_with("ago"),
    }
}

fn fact(label: &str, value: &str) -> Fact {
    Fact { label: label.into(), value: value.into(), mono: false }
}

fn link(label: &str, current: bool) -> Link {
    Link { href: format!("/activity?period={label}"), label: label.into(), current }
}

fn snippets(key: &str) -> Snippets {
    let curl = format!(
        "curl https://ai.northwind.example/api/v1/chat/completions \\\n  -H \"Authorization: Bearer {key}\" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{{\"model\": \"openai/gpt-5-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"Say hello.\"}}]}}'"
    );
    let python = format!(
        "from openai import OpenAI\n\nclient = OpenAI(base_url=\"https://ai.northwind.example/api/v1\", api_key=\"{key}\")\nanswer = client.chat.completions.create(\n    model=\"openai/gpt-5-mini\",\n    messages=[{{\"role\": \"user\", \"content\": \"Say hello.\"}}],\n)\nprint(answer.choices[0].message.content)"
    );
    let javascript = format!(
        "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{ baseURL: \"https://ai.northwind.example/api/v1\", apiKey: \"{key}\" }});\nconst answer = await client.chat.completions.create({{\n  model: \"openai/gpt-5-mini\",\n  messages: [{{ role: \"user\", content: \"Say hello.\" }}],\n}});\nconsole.log(answer.choices[0].message.content);"
    );
    let item = |id: &str, title: &str, code: String| Snippet { id: id.into(), title: title.into(), code };
    Snippets {
        label: "Language".into(),
        items: vec![
            item("snippet-curl", "curl", curl),
            item("snippet-python", "Python", python),
            item("snippet-javascript", "JavaScript", javascript),
        ],
    }
}

fn account_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    push(out, "sign_up", &accounts::SignUp { page: public(theme, "Create your account"), ..Default::default() })?;
    let mut closed = accounts::SignUp { page: public(theme, "Create your account"), ..Default::default() };
    closed.closed = "Sign-up is closed here. Ask whoever runs this server for an invitation.".into();
    push(out, "sign_up_closed", &closed)?;
    let lasts = || "24 hours".to_owned();
    let email = || "ada@northwind.example".to_owned();
    let page = public(theme, "Check your mail");
    let sent = accounts::SignUpSent { page, email: email(), link_lasts: lasts(), limited: String::new() };
    push(out, "sign_up_sent", &sent)?;
    let mut page = public(theme, "Sign in");
    page.flash = Some(Flash::bad("That e-mail and password do not belong together. Nothing was changed."));
    let sign_in = accounts::SignIn { page, email: Field::of(email()), sign_up_open: true, ..Default::default() };
    push(out, "sign_in", &sign_in)?;
    let page = public(theme, "Recover your account");
    push(
        out,
        "recover",
        &accounts::Recover { page, email: Field::wrong("ada@", "This is not a whole e-mail address.") },
    )?;
    let page = public(theme, "Check your mail");
    push(out, "recover_sent", &accounts::RecoverSent { page, email: email(), link_lasts: "one hour".into() })?;
    let page = public(theme, "Confirm that it is you");
    push(
        out,
        "step_up",
        &accounts::StepUp { page, email: email(), next: "/keys".into(), has_password: true, ..Default::default() },
    )?;
    let kept = accounts::KeptForm {
        page: public(theme, "Go on where you were"),
        shown: vec![("Role".into(), "Admin".into())],
        button: "Save role".into(),
        action: "/settings/members/usr_1/role".into(),
        back: "/settings/members/usr_1".into(),
        fields: vec![("role".into(), "admin".into())],
    };
    push(out, "kept_form", &kept)?;
    identity_pages(theme, out)?;
    let page = public(theme, "Set a new password");
    push(out, "reset_password", &accounts::ResetPassword { page, token: "t".into(), ..Default::default() })?;
    let page = public(theme, "Link no longer works");
    push(out, "reset_expired", &accounts::ResetPassword { page, expired: true, ..Default::default() })?;
    push(out, "verify", &accounts::Verify { page: public(theme, "Confirm your address"), ..Default::default() })?;
    push(
        out,
        "verify_expired",
        &accounts::Verify { page: public(theme, "Link no longer works"), expired: true, ..Default::default() },
    )?;
    let delete = leaving::Delete {
        shell: shell(theme, "profile", "Delete your account", "It can be kept for seven days; then it is erased."),
        credits: rounded("$112.40", "$112.402918250000"),
        keys: 3,
        memberships: 2,
        alone_in: vec!["Analytical Engines".into()],
        pending: vec!["$20.00 by Card, begun 22 Nov 2026, 14:03 UTC".into()],
        email: email(),
        ..Default::default()
    };
    push(out, "account_delete", &delete)?;
    let sole_owner_of = vec!["Northwind Studio".to_owned(), "Fabrikam".to_owned()];
    push(out, "account_delete_owner", &leaving::Delete { sole_owner_of, ..delete.clone() })?;
    push(out, "account_delete_operator", &leaving::Delete { last_operator: true, ..delete })?;
    let page = public(theme, "Your account is closed");
    push(out, "account_leaving", &leaving::Leaving { page, name: "Ada".into(), due: when("30 Nov 2026, 14:03") })?;
    let change = accounts::EmailChange {
        shell: shell(theme, "profile", "Change your e-mail address", "Your old address is told, and can take it back."),
        current: email(),
        link_lasts: "an hour".into(),
        ..Default::default()
    };
    push(out, "email_change", &change)?;
    push(out, "email_change_sent", &accounts::EmailChange { sent: "ada@new.example".into(), ..change })?;
    let link = accounts::EmailLink {
        page: public(theme, "Confirm your new address"),
        action: "/email/confirm",
        text: "From now on you sign in with this address.",
        button: "Use this address",
        ..Default::default()
    };
    push(out, "email_link", &link)?;
    let problem = "This link was used before, is too old, or belongs to another account.".into();
    push(out, "email_link_wrong", &accounts::EmailLink { problem, ..link })?;
    let profile = accounts::Profile {
        shell: shell(theme, "profile", "Profile", "Your name, and how pages look to you."),
        name: Field::of("Ada Martin"),
        picture_error: String::new(),
        email: email(),
        themes: vec![
            Choice::new("system", "System", "As your device", true),
            Choice::new("light", "Light", "", false),
            Choice::new("dark", "Dark", "", false),
        ],
        locales: vec![
            Choice::new("en-US", "English (United States)", "", false),
            Choice::new("en-GB", "English (United Kingdom)", "", true),
        ],
        time_zones: vec![Choice::new("UTC", "UTC", "", true), Choice::new("Europe/Paris", "Europe/Paris", "", false)],
    };
    push(out, "profile", &profile)
}

fn identity_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let button = |name: &str, label: &str| accounts::ProviderButton { name: name.into(), label: label.into() };
    let providers = vec![button("google", "Google"), button("keycloak", "Northwind staff")];
    let page = public(theme, "Sign in");
    let sign_in = accounts::SignIn { page, sign_up_open: true, providers: providers.clone(), ..Default::default() };
    push(out, "sign_in_elsewhere", &sign_in)?;
    let hint = "For addresses that end in @northwind.example.".to_owned();
    let page = public(theme, "Create your account");
    let sign_up = accounts::SignUp { page, hint, providers: providers.clone(), ..Default::default() };
    push(out, "sign_up_elsewhere", &sign_up)?;
    let page = public(theme, "Confirm that it is you");
    let email = || "ada@northwind.example".to_owned();
    let step_up = accounts::StepUp { page, email: email(), providers: providers.clone(), ..Default::default() };
    push(out, "step_up_elsewhere", &step_up)?;
    let anew = accounts::StepUp { providers: Vec::new(), anew: providers.clone(), ..step_up.clone() };
    push(out, "step_up_anew", &anew)?;
    let half = accounts::StepUp { code: Some(Field::default()), half: true, app: true, ..step_up };
    push(out, "step_up_half", &half)?;
    let leaving = super::Away {
        page: public(theme, "On the way to Google"),
        label: "Google".into(),
        host: "accounts.google.com".into(),
        url: "https://accounts.google.com/".into(),
        explanation: "You sign in there and come back here.".into(),
        back_href: "/sign-in".into(),
        back_label: "Back to sign in".into(),
    };
    push(out, "leaving", &leaving)?;
    let problem = accounts::IdentityProblem {
        page: public(theme, "You have an account already"),
        heading: "You have an account already".into(),
        text: "The e-mail address of your account at Google belongs to an account here already.".into(),
        action: "Sign in and link it".into(),
        href: "/sign-in".into(),
    };
    push(out, "identity_problem", &problem)?;
    let claim =
        accounts::ClaimOperator { page: public(theme, "Become the operator"), email: email(), ..Default::default() };
    push(out, "claim_operator", &claim)?;
    let ways = accounts::WaysToSignIn {
        shell: shell(
            theme,
            "sign-in",
            "Ways to sign in",
            "What lets you in. Keep two, so that losing one does not lock you out.",
        ),
        email: email(),
        identities: vec![accounts::LinkedIdentity {
            id: "idn_1".into(),
            label: "Google".into(),
            email: "ada@gmail.example".into(),
            linked: when("12 Nov, 09:14"),
            last_used: Some(when("2 h ago")),
            usable: true,
            only_way: true,
        }],
        linkable: vec![button("keycloak", "Northwind staff")],
        ..Default::default()
    };
    push(out, "ways_to_sign_in", &ways)
}

pub(super) fn meter(used: &str, limit: &str, percent: u8, note: &str) -> Meter {
    Meter { used: usd(used), limit: usd(limit), percent, note: note.into(), label: format!("{used} of {limit} used") }
}

fn calls() -> Vec<CallRow> {
    let rows = [
        ("2 min ago", "openai/gpt-5-mini", "OpenAI", "Blog plugin", "1,204", "318", "$0.000937", "$0.000937000000", ""),
        (
            "6 min ago",
            "anthropic/claude-sonnet-4.5",
            "Anthropic",
            "Laptop",
            "18,420",
            "2,011",
            "$0.085425",
            "$0.085425000000",
            "",
        ),
        ("9 min ago", "google/gemini-2.5-flash", "Google", "Laptop", "640", "95", "$0.00043", "$0.000429500000", ""),
        ("14 min ago", "openai/gpt-5-mini", "OpenAI", "Blog plugin", "1,180", "0", "$0", "$0", "failed"),
        (
            "31 min ago",
            "deepseek/deepseek-chat-v3.1",
            "DeepSeek",
            "Nightly batch",
            "44,910",
            "12,377",
            "$0.02485",
            "$0.024848600000",
            "",
        ),
        ("1 h ago", "openai/gpt-5", "none", "Nightly batch", "", "", "$0", "$0", "rejected"),
        (
            "1 h ago",
            "mistralai/mistral-large-2411",
            "Mistral",
            "Laptop",
            "2,050",
            "540",
            "$0.00734",
            "$0.007340000000",
            "",
        ),
    ];
    rows.into_iter()
        .map(|(time, model, provider, key, tokens_in, tokens_out, cost, exact, state)| CallRow {
            href: "/activity/call_01".into(),
            time: when(time),
            model: model.into(),
            provider: provider.into(),
            app: "Open WebUI".into(),
            key: key.into(),
            tokens_in: tokens_in.into(),
            tokens_out: tokens_out.into(),
            tokens_note: "1,024 cached".into(),
            member: "Ada Martin".into(),
            cached: "1,024".into(),
            first: "640 ms".into(),
            duration: "4.4 s".into(),
            finish: "stop".into(),
            id: "gen-019aa000000070008000000000000001".into(),
            cost: rounded(cost, exact),
            own: (provider == "OpenAI").then(|| rounded("$0.0187", "$0.018740000000")),
            speed: if state.is_empty() { "62 tok/s".into() } else { String::new() },
            status: match state {
                "failed" => Badge::new("bad", "circle-x", "Failed"),
                "rejected" => Badge::new("warn", "ban", "Rejected"),
                _ => Badge::new("good", "check", "Success"),
            },
        })
        .collect()
}

/// Figures that look like days of work, without chance.
fn sample_chart(label: &str, unit: i128, format: fn(i128) -> String) -> Chart {
    let buckets: Vec<Bucket> = (1..=22i128)
        .map(|day| {
            let busy = if day % 7 < 2 { 1 } else { 4 };
            let of = |seed: i128| ((day * seed) % 11 + 3) * busy * unit;
            Bucket {
                label: format!("{day} Nov"),
                span: format!("{day} Nov 2026, UTC"),
                values: vec![of(7), of(5) / 2, of(3) / 3, of(9) / 6],
            }
        })
        .collect();
    let names = ["anthropic/claude-sonnet-4.5", "openai/gpt-5-mini", "google/gemini-2.5-flash", "other"];
    let series: Vec<Series> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let sum = buckets.iter().map(|bucket| bucket.values[at]).sum();
            Series { name: (*name).into(), total: usd(&format(sum)) }
        })
        .collect();
    chart::layout(label, "Day", &buckets, &series, format)
}

fn cents(value: i128) -> String {
    format!("${}.{:02}", value / 100, value % 100)
}

fn count(value: i128) -> String {
    match value {
        1_000_000.. => format!("{}.{}M", value / 1_000_000, value % 1_000_000 / 100_000),
        1_000.. => format!("{}K", value / 1_000),
        _ => value.to_string(),
    }
}

fn security_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let email = || "ada@northwind.example".to_owned();
    let mut second = accounts::Second {
        page: public(theme, "Confirm that it is you"),
        email: email(),
        other_href: "/sign-in/second?with=recovery".into(),
        passkey: true,
        ..Default::default()
    };
    push(out, "second", &second)?;
    second.recovery = true;
    second.code = Field::wrong("", "This is none of your recovery codes, or it was used before. Each works once.");
    push(out, "second_recovery", &second)?;
    let step_up = accounts::StepUp {
        page: public(theme, "Confirm that it is you"),
        email: email(),
        code: Some(Field::default()),
        passkey: true,
        next: "/settings/security".into(),
        ..Default::default()
    };
    push(out, "step_up_code", &step_up)?;
    let shell = |title: &str| shell(theme, "security", title, "");
    let session = |browser: &str, current| security::SessionRow {
        browser: browser.into(),
        ip: "203.0.113.7".into(),
        signed_in: when("14 Nov, 09:12"),
        last_used: when("3 min ago"),
        current,
        end_action: "/settings/security/sessions/ses_1/end".into(),
    };
    let event = |what: &str, how: &str, bad| security::HistoryRow {
        what: what.into(),
        how: how.into(),
        at: when("2 h ago"),
        browser: "Firefox on Linux".into(),
        ip: "203.0.113.7".into(),
        bad,
    };
    let full = security::Security {
        shell: shell("Security"),
        on_since: Some(when("12 Nov, 10:00")),
        with_app: true,
        codes_left: "2 of 10".into(),
        codes_low: true,
        passkeys: vec![security::PasskeyRow {
            name: "Laptop".into(),
            added: when("12 Nov, 10:05"),
            last_used: None,
            remove_href: "/settings/security/passkeys/pky_1/remove".into(),
        }],
        sessions: vec![session("Firefox on Linux", true), session("Safari on iPhone", false)],
        history: vec![event("Signed in", "with a passkey", false), event("Failed to sign in", "", true)],
        unlisted: "12 more failed tries were counted, but not listed.".into(),
        ..Default::default()
    };
    push(out, "security", &full)?;
    push(out, "security_new", &security::Security { shell: shell("Security"), ..Default::default() })?;
    let setup = security::TwoFactorSetup {
        shell: shell("Set up two-factor sign-in"),
        qr_width: 29,
        qr_path: "M4 4h1v1h-1z".into(),
        secret: "JBSW Y3DP EHPK 3PXP".into(),
        ..Default::default()
    };
    push(out, "two_factor_setup", &setup)?;
    let codes = security::RecoveryCodes {
        shell: shell("Two-factor sign-in is on"),
        codes: vec!["ab2c-def3-gh4j-kmn5".into(); 10],
        download_href: "data:text/plain,codes".into(),
        file_name: "recovery-codes.txt".into(),
    };
    push(out, "recovery_codes", &codes)?;
    let confirm = security::Confirm {
        shell: shell("Switch two-factor sign-in off?"),
        text: "Your password alone will sign in.".into(),
        action: "/settings/security/two-factor/off".into(),
        button: "Switch it off".into(),
        danger: true,
        keep: "Keep it on".into(),
    };
    push(out, "security_confirm", &confirm)?;
    let new = security::PasskeyNew {
        shell: shell("Add a passkey"),
        name: Field::of("Firefox on Linux"),
        ..Default::default()
    };
    push(out, "passkey_new", &new)
}

fn overview_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let about = "Your balance, where it goes, and what is close to its limit.";
    let full = overview::Index {
        shell: shell(theme, "overview", "Overview", about),
        available: rounded("$112.40", "$112.402918250000"),
        held: usd("$0.32"),
        today: rounded("$3.18", "$3.184022100000"),
        month: rounded("$61.90", "$61.904410000000"),
        lasts: "Lasts about 36 days at this pace".into(),
        has_keys: true,
        near: vec![KeyNear {
            name: "Nightly batch".into(),
            href: "/activity?key=key_03".into(),
            meter: meter("$4.61", "$5.00", 92, "Starts again Monday, 00:00 UTC"),
        }],
        spend: Some(sample_chart("Spend per day by model", 3, cents)),
        calls: calls(),
        ..Default::default()
    };
    push(out, "overview", &full)?;
    let first = overview::Index {
        shell: shell(theme, "overview", "Overview", about),
        available: usd("$0.00"),
        held: usd("$0.00"),
        today: usd("$0.00"),
        month: usd("$0.00"),
        low: true,
        low_text: "There are no credits, so calls are refused.".into(),
        first_call: Some(FirstCall {
            base_url: "https://ai.northwind.example/api/v1".into(),
            snippets: snippets("$FAREBOX_KEY"),
            ..Default::default()
        }),
        ..Default::default()
    };
    push(out, "overview_first", &first)?;
    let mut waiting = first.clone();
    waiting.available = usd("$25.00");
    waiting.low = false;
    waiting.has_keys = true;
    if let Some(step) = &mut waiting.first_call {
        step.has_credits = true;
        step.has_key = true;
        step.poll = true;
    }
    push(out, "overview_waiting", &waiting)
}

fn topup_form() -> TopupForm {
    TopupForm {
        fees: "0".into(),
        id: "top_01".into(),
        amount: Field::of("25.00"),
        problem: String::new(),
        groups: vec![
            topups::MethodGroup {
                summary: String::new(),
                methods: vec![
                    Choice::new("card", "Card", "Credit or debit card, Apple Pay, Google Pay.", true),
                    Choice::new("us_bank_account", "US bank account", "ACH debit. Arrives in about four days.", false),
                    Choice::new("cashapp", "Cash App Pay", "Confirmed in the Cash App.", false),
                    Choice::new("amazon_pay", "Amazon Pay", "With what your Amazon account holds.", false),
                ],
                open: true,
            },
            topups::MethodGroup {
                summary: "Use crypto".into(),
                methods: vec![Choice::new("btcpay", "Bitcoin", "On-chain or Lightning.", false)],
                open: false,
            },
        ],
        may_save: true,
        save: false,
        range: "Between $5 and $5,000.".into(),
        quote: Some(Quote {
            credits: usd("$25.00"),
            fee: usd("$1.38"),
            fee_note: "5.5%, at least $0.80".into(),
            total: usd("$26.38"),
            button: "Buy $25.00 for $26.38".into(),
        }),
        sandbox: true,
    }
}

fn credit_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let row = |time: &str, amount: &str, fee: &str, state: Badge, paid: bool| TopupRow {
        href: "/credits/topups/top_01".into(),
        time: when(time),
        amount: usd(amount),
        fee: usd(fee),
        method: "Card".into(),
        state,
        by: "Ada Martin".into(),
        receipt_href: paid.then(|| "/credits/topups/top_01/receipt".into()),
    };
    let paid = || Badge::new("good", "check", "Paid");
    let index = topups::Index {
        shell: shell(theme, "credits", "Credits", "What is available, what was paid, and more of it."),
        available: rounded("$112.40", "$112.402918250000"),
        held: usd("$0.32"),
        today: rounded("$3.18", "$3.184022100000"),
        month: rounded("$61.90", "$61.904410000000"),
        lasts: "Lasts about 36 days at this pace".into(),
        form: topup_form(),
        history: vec![
            row("4 min ago", "$25.00", "$1.38", Badge::new("warn", "clock", "Pending"), false),
            row("3 days ago", "$100.00", "$5.50", paid(), true),
            row("11 Nov", "$50.00", "$2.75", Badge::new("bad", "circle-x", "Failed"), false),
            row("2 Nov", "$1,000.00", "$55.00", paid(), true),
        ],
        pager: Pager {
            older_href: Some("/credits?before=top_00".into()),
            newest_href: None,
            note: "4 of 19 payments".into(),
            ..Pager::default()
        },
        moves: vec![topups::MoveRow {
            time: when("2 days ago"),
            what: "From Ada Martin".into(),
            amount: usd("$40.00"),
        }],
        may_move: true,
        redeemed: vec![topups::RedeemedRow { time: when("yesterday"), amount: usd("$10.00"), by: "Ada Martin".into() }],
        rules: vec![
            topups::RuleLine {
                title: "Auto top-up".into(),
                state: Badge::new("good", "circle-check", "On"),
                text: "When credits fall below $10.00, buy $50.00 with Visa ending in 4242.".into(),
                href: "/credits/auto".into(),
            },
            topups::RuleLine {
                title: "Low-balance alert".into(),
                state: Badge::new("", "ban", "Off"),
                text: "Nobody is told when credits run low.".into(),
                href: "/settings/balance".into(),
            },
        ],
        methods: vec![
            topups::MethodRow {
                id: "pay_01".into(),
                label: "Visa ending in 4242".into(),
                note: "Expires 12/29".into(),
                is_default: true,
            },
            topups::MethodRow {
                id: "pay_02".into(),
                label: "First National Bank of the Northern Territories ending in 6789".into(),
                note: String::new(),
                is_default: false,
            },
        ],
        may_keep: true,
    };
    push(out, "credits", &index)?;
    let mut away = index.clone();
    away.form.problem = "The payment processor does not answer. Nothing was charged.".into();
    push(out, "credits_processor_away", &away)?;
    let mut empty = index.clone();
    empty.history.clear();
    empty.moves.clear();
    empty.available = usd("$0.00");
    empty.lasts.clear();
    empty.form.quote = None;
    empty.form.amount = Field::wrong("3", "The smallest amount is $5. Nothing was bought.");
    push(out, "credits_empty", &empty)?;

    let show = topups::Show {
        shell: shell(theme, "credits", "Payment of $26.38", ""),
        id: "top_01JD4Q8Z6W0V2N".into(),
        href: "/credits/topups/top_01".into(),
        state: Badge::new("warn", "clock", "Pending"),
        headline: "Waiting for the payment".into(),
        explanation:
            "The processor has not confirmed it yet. This page looks again every two seconds; you may leave it.".into(),
        credits: usd("$25.00"),
        fee: usd("$1.38"),
        total: usd("$26.38"),
        method: "Card".into(),
        started: when("1 min ago"),
        poll: true,
        pay_href: Some("/sandbox/checkout/top_01".into()),
        ..Default::default()
    };
    push(out, "topup_pending", &show)?;
    let done = topups::Show {
        state: paid(),
        headline: "$25.00 was added".into(),
        explanation: "The balance is $137.40 now.".into(),
        poll: false,
        pay_href: None,
        receipt_href: Some("/credits/topups/top_01/receipt".into()),
        ..show.clone()
    };
    push(out, "topup_paid", &done)?;
    let returned = topups::Show {
        headline: "$25.00 added, $12.00 returned".into(),
        refund_href: Some("/credits/topups/top_01/refund".into()),
        refunds: vec![topups::RefundRow {
            time: when("2 min ago"),
            amount: usd("$12.00"),
            state: Badge::new("warn", "clock", "On its way"),
            note: "Unused credits".into(),
        }],
        origin: "Auto top-up".into(),
        ..done.clone()
    };
    push(out, "topup_returned", &returned)?;
    let part = topups::Show {
        headline: "$52.63 of $105.26 has been seen".into(),
        explanation: "Send the rest while the payment page is open. If its time runs out, what came in is credited at the same rate.".into(),
        credits: usd("$100.00"),
        fee: usd("$5.26"),
        total: usd("$105.26"),
        method: "Bitcoin".into(),
        seen: Some(usd("$52.63")),
        ..show.clone()
    };
    push(out, "topup_part", &part)?;
    let twice = topups::Show {
        headline: "$50.00 added".into(),
        explanation: "$52.63 came in instead of $105.26. The credits follow what came in, at the same rate.".into(),
        credits: usd("$50.00"),
        fee: usd("$2.63"),
        total: usd("$52.63"),
        method: "Bitcoin".into(),
        more: index.history.iter().take(1).cloned().collect(),
        ..done.clone()
    };
    push(out, "topup_twice", &twice)?;
    let refund = topups::Refund {
        shell: shell(theme, "credits", "Return unused credits", ""),
        id: "top_01".into(),
        amount: usd("$12.00"),
        paid: usd("$26.38"),
        less: vec![("Fee, kept", usd("−$1.38")), ("Spent, held, or moved", usd("−$13.00"))],
        method: "Card".into(),
        until: when("tomorrow"),
    };
    push(out, "topup_refund", &refund)?;
    let remove = topups::MethodRemove {
        shell: shell(theme, "credits", "Remove a payment method", ""),
        id: "pay_01".into(),
        label: "Visa ending in 4242".into(),
    };
    push(out, "payment_method_remove", &remove)?;
    let kind = |value: &str, label: &str, selected| Choice::new(value, label, "", selected);
    let new = topups::MethodNew {
        shell: shell(theme, "credits", "Save a payment method", "For auto top-up, without buying anything now."),
        id: "mst_01".into(),
        methods: vec![kind("card", "Card", true), kind("us_bank_account", "US bank account", false)],
        problem: String::new(),
    };
    push(out, "payment_method_new", &new)?;
    let keep = topups::MethodKeep {
        shell: shell(theme, "credits", "Save a payment method", "What became of it."),
        href: "/credits/methods/keep/mst_01".into(),
        state: Badge::new("good", "circle-check", "Saved"),
        headline: "Visa ending in 4242 is saved".into(),
        explanation: "Nothing was charged. Auto top-up can use it once somebody has switched that on.".into(),
        is_kept: true,
        ..Default::default()
    };
    push(out, "payment_method_kept", &keep)?;
    let failed = topups::Show {
        state: Badge::new("bad", "circle-x", "Failed"),
        headline: "The payment was declined".into(),
        explanation: "Nothing was charged and nothing was added. Try again, or choose another method.".into(),
        poll: false,
        pay_href: None,
        retry: true,
        ..show
    };
    push(out, "topup_failed", &failed)?;
    let checkout = topups::SandboxCheckout {
        page: public(theme, "Sandbox payment"),
        id: "top_01".into(),
        org_name: "Northwind Studio".into(),
        method: "card".into(),
        credits: usd("$25.00"),
        fee: usd("$1.38"),
        total: usd("$26.38"),
    };
    push(out, "sandbox_checkout", &checkout)
}

fn activity_index(theme: &str) -> activity::Index {
    let card = |title: &str, total: Amount, note: &str, chart: Chart| ChartCard {
        title: title.into(),
        total,
        note: note.into(),
        change: "12% more than before".into(),
        chart,
    };
    let all = |label: &str| vec![Choice::new("", label, "", true)];
    activity::Index {
        apart: String::new(),
        shell: shell(theme, "activity", "Activity", "Every call, what it cost, and where the credits went."),
        any_calls: true,
        periods: vec![
            link("1 h", false),
            link("24 h", false),
            link("7 d", false),
            link("30 d", false),
            link("Month", true),
            link("Custom", false),
        ],
        groups: vec![link("Model", true), link("Key", false), link("Provider", false)],
        keep: vec![("period".into(), "month".into()), ("group".into(), "model".into())],
        range_keep: vec![("group".into(), "model".into())],
        custom: false,
        chosen: activity::Stretch {
            from_label: "From, in Europe/Berlin".into(),
            to_label: "To, this day included".into(),
            from: Field::of("2026-11-01"),
            to: Field::of("2026-11-22"),
            from_kind: "date",
            to_kind: "date",
        },
        hours_href: "/activity?period=custom&from=2026-11-01T00:00&to=2026-11-23T00:00".into(),
        refused: false,
        zones: all("Europe/Berlin (yours)"),
        before: "1 to 22 October 2026".into(),
        compare: false,
        compare_href: "/activity?compare=1".into(),
        sums_href: "/activity/sums?period=month".into(),
        any_data: true,
        range: "1 to 22 November 2026, UTC.".into(),
        updated: when("3 s ago"),
        cards: vec![
            card(
                "Spend",
                rounded("$61.90", "$61.904410000000"),
                "$2.81 a day",
                sample_chart("Spend per day by model", 3, cents),
            ),
            card("Tokens", usd("21.4M"), "16.9M in, 4.5M out", sample_chart("Tokens per day by model", 21_000, count)),
            card(
                "Requests",
                usd("4,120"),
                "38 failed, 12 rejected",
                sample_chart("Requests per day by model", 4, count),
            ),
        ],
        filters: activity::Filters {
            models: vec![
                Choice::new("", "All models", "", false),
                Choice::new("openai/gpt-5-mini", "openai/gpt-5-mini", "", true),
            ],
            keys: vec![Choice::new("", "All keys", "", true), Choice::new("key_01", "Blog plugin", "", false)],
            statuses: vec![Choice::new("", "Any status", "", true), Choice::new("failed", "Failed", "", false)],
            members: all("Everybody"),
            providers: all("All providers"),
            apps: all("All apps"),
            min: Field::of("0.5"),
            more: true,
            ..activity::Filters::default()
        },
        columns: vec![Choice::new("cost", "Cost", "", true), Choice::new("id", "Call id", "", false)],
        shown: ["key", "tokens", "cost", "speed", "status"].map(String::from).to_vec(),
        searched: None,
        live_href: Some("/activity/new?after=gen-01".into()),
        here: "period=month&group=model".into(),
        saved: vec![activity::SavedView {
            id: "avw_01".into(),
            name: "Dear calls of the blog".into(),
            href: "/activity?min=0.5".into(),
            current: false,
        }],
        csv_href: "/activity/export?format=csv".into(),
        json_href: "/activity/export?format=jsonl".into(),
        pdf_href: "/activity/export?format=pdf".into(),
        kept: "Calls are kept for 365 days, their sums for ever.".into(),
        may_keep: true,
        chips: vec![Chip {
            label: "Model".into(),
            value: "openai/gpt-5-mini".into(),
            remove_href: "/activity?period=month".into(),
        }],
        clear_href: "/activity?period=month".into(),
        calls: calls(),
        pager: Pager {
            older_href: Some("/activity?before=call_00".into()),
            newest_href: Some("/activity".into()),
            note: "50 of 4,120 calls".into(),
            ..Pager::default()
        },
    }
}

fn activity_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let index = activity_index(theme);
    push(out, "activity", &index)?;
    let mut none = index.clone();
    none.calls.clear();
    push(out, "activity_no_match", &none)?;
    let chosen = activity::Index {
        apart: "Figures and charts count all calls of this time, also those that the filter on status leaves out."
            .into(),
        custom: true,
        compare: true,
        any_data: false,
        shown: ["key", "member", "tokens", "cached", "cost", "own", "first", "duration", "finish", "status", "id"]
            .map(String::from)
            .to_vec(),
        searched: Some("12 Nov 2026, 10:00 UTC".into()),
        ..index.clone()
    };
    push(out, "activity_chosen", &chosen)?;
    let refused = activity::Index {
        refused: true,
        filters: activity::Filters {
            min: Field::wrong("0,01", "Write an amount of dollars with a point, such as 0.01."),
            ..chosen.filters.clone()
        },
        calls: Vec::new(),
        ..chosen
    };
    push(out, "activity_refused", &refused)?;
    let sums = activity::Sums {
        text: "31,204 calls match.".into(),
        facts: vec![
            fact("Spend", "$12.402318"),
            fact("Own providers", "$0.42"),
            fact("Tokens", "1,204,311 in, 310,422 out"),
        ],
        partly: "Only calls since 12 Nov 2026, 10:00 UTC were added up.".into(),
    };
    let sums_page = activity::SumsPage {
        shell: shell(theme, "activity", "What matches comes to", "Of the filters and the time that were chosen."),
        sums,
        back_href: "/activity?status=failed".into(),
    };
    push(out, "activity_sums_page", &sums_page)?;
    let kept = activity::Kept {
        shell: shell(theme, "activity", "How long calls are kept", "For the privacy of those who call."),
        now: "Calls are kept for ever.".into(),
        choices: vec![Choice::new("", "never", "", true), Choice::new("90", "after 90 days", "", false)],
    };
    push(out, "activity_kept", &kept)?;
    let mut empty = index;
    empty.any_calls = false;
    push(out, "activity_empty", &empty)?;
    let line = |what: &str, quantity: &str, price: &str, amount: &str| CostLine {
        what: what.into(),
        quantity: quantity.into(),
        price: price.into(),
        amount: amount.into(),
    };
    let attempt = |provider: &str, ok, answer: &str, took: &str| Attempt {
        provider: provider.into(),
        model: "anthropic/claude-sonnet-4.5".into(),
        ok,
        answer: answer.into(),
        took: took.into(),
    };
    let call = activity::CallView {
        status: Badge::new("good", "check", "Success"),
        note: String::new(),
        cost: rounded("$0.085425", "$0.085425000000"),
        cost_lines: vec![
            line("Input tokens", "17,396", "$3.00 / 1M", "$0.052188000000"),
            line("Cached input tokens", "1,024", "$0.30 / 1M", "$0.000307200000"),
            line("Output tokens", "2,011", "$15.00 / 1M", "$0.030165000000"),
            line("Request", "1", "$0.0027648", "$0.002764800000"),
        ],
        price_note: "Prices of 12 November 2026, version 3.".into(),
        held: rounded("$0.14", "$0.141260000000"),
        returned_label: "Returned".into(),
        returned: rounded("$0.055835", "$0.055835000000"),
        attempts: vec![
            attempt("Amazon Bedrock", false, "answered 429, too many requests", "312 ms"),
            attempt("Anthropic", true, "answered in full", "4.1 s"),
        ],
        facts: vec![
            fact("Model asked", "anthropic/claude-sonnet-4.5"),
            fact("Model served", "claude-sonnet-4-5-20250929"),
            fact("App", "Open WebUI"),
            fact("Streamed", "Yes"),
            fact("Finish", "stop"),
        ],
        key: "Laptop".into(),
        key_href: Some("/activity?key=key_01".into()),
        time: when("6 min ago"),
        timings: vec![
            fact("To first token", "640 ms"),
            fact("In all", "4.4 s"),
            fact("Speed", "62 tokens/s"),
            fact("Added here", "0.9 ms"),
        ],
        request_id: "req_01JD4Q8Z6W0V2N7K5M3P1R9T".into(),
        texts: Some(activity::Texts {
            request: "{\n  \"model\": \"openai/gpt-5-mini\"\n}".into(),
            response: "{\n  \"id\": \"gen-0192\"\n}".into(),
            response_note: "The first 256 KB of 1,204 KB.".into(),
            until: "They are deleted on 22 December 2026.".into(),
            ..activity::Texts::default()
        }),
        curl: "curl https://ai.example.com/api/v1/chat/completions".into(),
        curl_note: "The text is a placeholder.".into(),
    };
    let title = "Call to anthropic/claude-sonnet-4.5";
    let page = |call: activity::CallView| activity::Show { shell: shell(theme, "activity", title, ""), call };
    push(out, "activity_call", &page(call.clone()))?;
    let free = activity::CallView {
        status: Badge::new("bad", "circle-x", "Failed"),
        note: "Not charged: no provider answered, so nothing was used.".into(),
        cost: usd("$0"),
        cost_lines: Vec::new(),
        attempts: Vec::new(),
        key_href: None,
        ..call
    };
    push(out, "activity_call_failed", &page(free))
}

fn model_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let row =
        |name: &str, id: &str, input: &str, output: &str, cached: Option<&str>, context: &str| catalog::ModelRow {
            href: format!("/models/{id}"),
            name: name.into(),
            id: id.into(),
            input: input.into(),
            output: output.into(),
            cached: cached.map(Into::into),
            context: context.into(),
            takes: "text, image".into(),
            providers: "Anthropic, Bedrock".into(),
            speed: cached.map(|_| "62 tok/s".into()),
            compared: id.starts_with("openai"),
            default: id.starts_with("google"),
            sandbox: id.starts_with("sandbox"),
            byok: id.starts_with("anthropic"),
            barred: id.starts_with("google"),
        };
    let list = catalog::List {
        providers: vec![Choice::new("", "All providers", "", true)],
        modalities: vec![Choice::new("", "Anything", "", true)],
        prices: vec![Choice::new("", "Any price", "", true)],
        contexts: vec![Choice::new("", "Any length", "", true)],
        sorts: vec![Choice::new("name", "Name", "", true), Choice::new("price", "Price", "", false)],
        compared: vec!["GPT-5 mini".into(), "Sonar".into()],
        compared_elsewhere: vec!["perplexity/sonar".into()],
        may_compare_more: true,
        clear_href: "/models".into(),
        models: vec![
            row("Claude Sonnet 4.5", "anthropic/claude-sonnet-4.5", "$3.00", "$15.00", Some("$0.30"), "1M"),
            row("DeepSeek V3.1", "deepseek/deepseek-chat-v3.1", "$0.27", "$1.00", None, "164K"),
            row("Gemini 2.5 Flash", "google/gemini-2.5-flash", "$0.30", "$2.50", Some("$0.075"), "1.05M"),
            row("GPT-5 mini", "openai/gpt-5-mini", "$0.25", "$2.00", Some("$0.025"), "400K"),
            row("Sandbox Echo", "sandbox/echo", "$1.00", "$2.00", None, "32K"),
        ],
        count: "5 models.".into(),
        ..Default::default()
    };
    let frame = || shell(theme, "models", "Models", "What can be called here, and what it costs.");
    push(out, "models", &catalog::Index { shell: frame(), list: list.clone() })?;
    let guest = |title: &str, back: bool, body: catalog::Body| catalog::Guest {
        page: public(theme, title),
        description: "What can be called here, and what it costs.".into(),
        back_href: back.then(|| "/models".into()),
        sign_in_href: "/sign-in?next=%2Fmodels".into(),
        body,
    };
    push(out, "models_guest", &guest("Models", false, catalog::Body::List(Box::new(list.clone()))))?;
    let (models, search) = (Vec::new(), "gpt-9".into());
    let empty = catalog::List { models, search, empty_reason: "Nothing here is called “gpt-9”.".into(), ..list };
    push(out, "models_empty", &catalog::Index { shell: frame(), list: empty })?;
    let provider = |name: &str, measured: bool| catalog::ProviderRow {
        name: name.into(),
        notes: if measured { Vec::new() } else { vec!["fp8".into(), "may train on inputs".into()] },
        input: "$3.00".into(),
        output: "$15.00".into(),
        cached: Some("$0.30".into()),
        context: "1M".into(),
        max_output: "64K".into(),
        speed: measured.then(|| "62 tok/s".into()),
        first_token: measured.then(|| "740 ms".into()),
        uptime: measured.then(|| "99.8%".into()),
        tries: "of 1,204 tries".into(),
        uptime_month: measured.then(|| "99.9%".into()),
        tries_month: "of 31,204 tries".into(),
    };
    let about = catalog::About {
        id: "anthropic/claude-sonnet-4.5".into(),
        figures: vec![
            fact("Input / 1M tokens", "$3.00"),
            fact("Output / 1M tokens", "$15.00"),
            fact("Context", "1M tokens"),
            fact("Takes", "text, image"),
        ],
        measured: true,
        providers: vec![provider("Anthropic", true), provider("Amazon Bedrock", false)],
        parameters: vec![("temperature".into(), String::new()), ("top_k".into(), "Anthropic only".into())],
        snippets: snippets("$FAREBOX_KEY"),
        ..Default::default()
    };
    push(out, "model_guest", &guest("Claude Sonnet 4.5", true, catalog::Body::About(Box::new(about.clone()))))?;
    let show = catalog::Show {
        shell: shell(theme, "models", "Claude Sonnet 4.5", "A model by Anthropic for coding and long tasks."),
        may_set_default: true,
        may_chat: true,
        about,
    };
    let compared = |id: &str, name: &str| catalog::ComparedModel {
        href: format!("/models/{id}"),
        id: id.into(),
        name: name.into(),
        sandbox: false,
        remove_href: "/models/compare".into(),
    };
    let cells = |one: &str, other: &str, best: bool| {
        vec![catalog::Cell { text: one.into(), best }, catalog::Cell { text: other.into(), best: false }]
    };
    let comparison = catalog::Comparison {
        back_href: "/models".into(),
        enough: true,
        unknown: Vec::new(),
        models: vec![
            compared("openai/gpt-5-mini", "GPT-5 mini"),
            compared("anthropic/claude-sonnet-4.5", "Claude Sonnet 4.5"),
        ],
        rows: vec![
            catalog::CompareRow {
                label: "Input / 1M tokens".into(),
                figures: true,
                cells: cells("$0.25", "$3.00", false),
            },
            catalog::CompareRow {
                label: "10K tokens in, 1K out".into(),
                figures: true,
                cells: cells("$0.0045", "$0.045", true),
            },
            catalog::CompareRow {
                label: "Speed, last 24 h".into(),
                figures: true,
                cells: cells("62 tok/s", "", false),
            },
        ],
    };
    let frame = || shell(theme, "models", "Compare models", "Prices are the lowest of each model’s providers.");
    let none = catalog::Comparison { enough: false, unknown: vec!["openai/gpt-9".into()], ..comparison.clone() };
    push(out, "models_compare", &catalog::Compare { shell: frame(), comparison: comparison.clone() })?;
    push(out, "models_compare_none", &catalog::Compare { shell: frame(), comparison: none })?;
    let comparison = catalog::Body::Comparison(Box::new(comparison));
    push(out, "models_compare_guest", &guest("Compare models", true, comparison))?;
    let choice = |id: &str, name: &str, price: &str| chat::Choice {
        id: id.into(),
        name: name.into(),
        price: price.into(),
        images: true,
    };
    let room = chat::Room {
        shell: shell(
            theme,
            "chat",
            "Chat",
            "Conversations stay in this browser. Each answer is a call that costs credits.",
        ),
        scope: "usr_1".into(),
        org: "org_1".into(),
        models: vec![choice("openai/gpt-5-mini", "GPT-5 mini", "$0.25 in, $2.00 out")],
        presets: vec![choice("@preset/copywriter", "Copywriter", "GPT-5 mini")],
        default: "openai/gpt-5-mini".into(),
        limit: "Your chat stops at $10.00 a day.".into(),
    };
    push(out, "chat", &room)?;
    push(out, "chat_nothing", &chat::Room { models: Vec::new(), ..room })?;
    push(out, "model", &show)
}

fn other_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let mail = dev::MailRow {
        href: "/dev/mailbox/1".into(),
        subject: "Confirm your address for Farebox".into(),
        to: "ada@northwind.example".into(),
        time: when("1 min ago"),
        ..dev::MailRow::default()
    };
    let refused = || "the mail server did not take the mail: 550 no such mailbox".to_owned();
    let dead = dev::MailRow { error: refused(), dead: true, ..mail.clone() };
    let failed = dev::MailRow { error: refused(), ..mail.clone() };
    push(out, "mailbox", &dev::Mailbox { page: public(theme, "Mailbox"), messages: vec![mail, failed, dead] })?;
    push(out, "mailbox_empty", &dev::Mailbox { page: public(theme, "Mailbox"), messages: Vec::new() })?;
    let message = dev::Message {
        page: public(theme, "Confirm your address for Farebox"),
        subject: "Confirm your address for Farebox".into(),
        from: "Farebox <no-reply@northwind.example>".into(),
        to: "ada@northwind.example".into(),
        time: when("1 min ago"),
        text: emails::verify(&link_mail())?.text,
        error: refused(),
        dead: true,
        links: vec![Link {
            href: "/verify?token=t".into(),
            label: "Open the link of this mail".into(),
            current: false,
        }],
    };
    push(out, "mailbox_message", &message)?;
    let operation = api::Operation {
        id: "create-chat-completion".into(),
        method: "POST".into(),
        method_class: "post".into(),
        path: "/chat/completions".into(),
        summary: "Answer a conversation".into(),
        description: "Sends messages to a model and charges the key for what it used.".into(),
        parameters: vec![api::Parameter {
            name: "Idempotency-Key".into(),
            place: "header".into(),
            kind: "string".into(),
            required: false,
            description: "A retry with the same key within a day is answered from the first call.".into(),
        }],
        request: "{\n  \"model\": string,\n  \"messages\": [Message],\n  \"stream\": boolean\n}".into(),
        answers: vec![
            api::Answer {
                status: "200".into(),
                description: "The answer.".into(),
                schema: "{\n  \"id\": string,\n  \"choices\": [Choice],\n  \"usage\": Usage\n}".into(),
            },
            api::Answer { status: "402".into(), description: "Not enough credits.".into(), schema: String::new() },
        ],
    };
    let models = api::Operation {
        id: "list-models".into(),
        method: "GET".into(),
        method_class: "get".into(),
        path: "/models".into(),
        summary: "List models".into(),
        ..Default::default()
    };
    let reference = api::Reference {
        description: "One surface for every model. Programs made for OpenAI work with this base URL and a key.".into(),
        version: "0.1.0".into(),
        base_url: "https://ai.northwind.example/api/v1".into(),
        document_href: "/api/v1/openapi.json".into(),
        groups: vec![
            api::Group {
                name: "Chat".into(),
                description: "Calls that spend credits.".into(),
                operations: vec![operation],
            },
            api::Group { name: "Catalog".into(), description: String::new(), operations: vec![models] },
        ],
    };
    let inside = api::Inside { shell: shell(theme, "api", "API reference", ""), reference: reference.clone() };
    push(out, "api_reference_inside", &inside)?;
    push(out, "api_reference", &api::Guest { page: public(theme, "API reference"), reference })
}

fn error_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let id = || "req_01JD4Q8Z6W0V2N7K5M3P1R9T".to_owned();
    let misdirected = errors::Misdirected {
        page: public(theme, "This request is not answered"),
        request_id: id(),
        code: "421".into(),
        reason: crate::web::hosts::Refused::OtherHost.text(),
    };
    push(out, "error_421", &misdirected)?;
    let elsewhere = errors::Elsewhere {
        page: public(theme, "This is about Northwind Studio"),
        id: "org_1".into(),
        name: "Northwind Studio".into(),
        open: "Ada Martin".into(),
        next: "/credits".into(),
    };
    push(out, "elsewhere", &elsewhere)?;
    push(out, "error_404", &errors::NotFound { page: public(theme, "Page not found"), request_id: id() })?;
    let reason = "The form was open for too long, so it was not accepted. Nothing was changed.".into();
    push(out, "error_403", &errors::Forbidden { page: public(theme, "Not allowed"), request_id: id(), reason })?;
    let many = |title, mails, retry_after: &str| errors::TooMany {
        page: public(theme, title),
        request_id: id(),
        retry_after: retry_after.into(),
        mails,
    };
    push(out, "error_429", &many("Too many tries", false, "2 minutes"))?;
    push(out, "error_429_mails", &many("Too many mails", true, "an hour"))?;
    push(out, "error_500", &errors::Internal { page: public(theme, "Something broke"), request_id: id() })?;
    push(out, "error_503_busy", &errors::Unavailable { page: public(theme, "Busy"), request_id: id(), busy: true })?;
    push(out, "error_503", &errors::Unavailable { page: public(theme, "Back soon"), request_id: id(), busy: false })
}

fn link_mail() -> emails::LinkMail {
    emails::LinkMail {
        name: "Ada".into(),
        instance: "Farebox at ai.northwind.example".into(),
        link: "https://ai.northwind.example/verify?token=t".into(),
        link_lasts: "24 hours".into(),
    }
}

fn mail_samples(out: &mut Vec<Sample>) -> askama::Result<()> {
    out.push(Sample { name: "mail_verify", html: emails::verify(&link_mail())?.html });
    out.push(Sample { name: "mail_recover", html: emails::recover(&link_mail())?.html });
    Ok(())
}
