//! Pages of own provider accounts and of privacy with plausible content.

use super::own as views;
use super::samples::{Sample, push, shell, usd, when};
use super::{Badge, Choice, Field};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    push(out, "integrations", &integrations(theme))?;
    let free = views::Integrations { fee: String::new(), may_change: false, ..integrations(theme) };
    push(out, "integrations_member", &free)?;
    push(out, "integration", &integration(theme))?;
    let new = views::Integration {
        own: None,
        api_key: Field::wrong("", "A key has 8 to 2,048 characters. Copy it anew from your provider."),
        error: "A name has 80 characters at most.".into(),
        ..integration(theme)
    };
    push(out, "integration_new", &new)?;
    push(out, "privacy", &privacy(theme))?;
    let strict = views::Privacy {
        paid_training: false,
        free_training: false,
        zero_retention: true,
        log_texts: true,
        stored: "1,204".into(),
        keep_days: Field::wrong("0", "Write a whole number of days from 1 to 365."),
        ..privacy(theme)
    };
    push(out, "privacy_strict", &strict)?;
    push(out, "privacy_texts_delete", &delete_texts(theme))?;
    push(out, "privacy_member", &views::Privacy { may_change: false, training: String::new(), ..privacy(theme) })
}

fn own() -> views::OwnCard {
    views::OwnCard {
        name: "Research account".into(),
        label: "sk-p…XYZ9".into(),
        state: Badge::new("good", "circle-check", "Works"),
        mode: "Try first".into(),
        limits: "2 models, 1 key".into(),
    }
}

fn integrations(theme: &str) -> views::Integrations {
    let card = |slug: &str, name: &str, own| views::Card {
        slug: slug.into(),
        name: name.into(),
        host: format!("https://api.{slug}.example"),
        models: "12 models".into(),
        billed: Some(usd("$812.40")),
        own,
        otherwise: "Calls go to the operator’s account and are paid with credits.".into(),
    };
    views::Integrations {
        shell: shell(theme, "integrations", "Integrations", "Bring your own keys."),
        may_change: true,
        fee: "5%".into(),
        allowance: usd("$25,000.00"),
        used: usd("$812.40"),
        cards: vec![
            card("openai", "OpenAI", Some(own())),
            card("mistral", "Mistral", None),
            card("groq", "Groq", None),
        ],
    }
}

fn integration(theme: &str) -> views::Integration {
    views::Integration {
        shell: shell(theme, "integrations", "OpenAI", "Your own account at this provider."),
        may_change: true,
        slug: "openai".into(),
        provider: "OpenAI".into(),
        host: "https://api.openai.example".into(),
        own: Some(own()),
        tested: "The key works".into(),
        tested_at: Some(when("3 min ago")),
        api_key: Field::default(),
        name: Field::of("Research account"),
        modes: vec![
            Choice::new("first", "Try first", "Then the operator’s account, with your credits", true),
            Choice::new("fallback", "Only as fallback", "When every other provider failed", false),
            Choice::new("only", "Never use credits", "For this provider your key or nothing", false),
        ],
        models: vec![Choice::new("openai/gpt-5-mini", "openai/gpt-5-mini", "", true)],
        keys: vec![Choice::new("1", "Batch jobs", "", false)],
        members: vec![Choice::new("2", "Ada Martin", "", false)],
        error: String::new(),
    }
}

fn delete_texts(theme: &str) -> views::DeleteTexts {
    views::DeleteTexts {
        shell: shell(theme, "privacy", "Delete all stored texts", "What was sent and answered, of every call."),
        stored: "1,204".into(),
        word: "delete".into(),
        typed: Field::wrong("remove", "Type delete to confirm. Nothing was deleted."),
    }
}

fn privacy(theme: &str) -> views::Privacy {
    views::Privacy {
        shell: shell(theme, "privacy", "Privacy", "What becomes of what you send."),
        may_change: true,
        paid_training: true,
        free_training: true,
        zero_retention: false,
        log_texts: false,
        analytics_cookies: false,
        keys_see_balance: true,
        keep_days: Field::of("30"),
        discount: "1%".into(),
        training: "DeepSeek and Mistral".into(),
        retaining: "OpenAI, Anthropic".into(),
        stored: String::new(),
        dropped: String::new(),
        longest: "256 KB".into(),
    }
}
