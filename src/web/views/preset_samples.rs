//! Pages of settings and presets with plausible content.

use super::presets as views;
use super::samples::{Sample, push, shell};
use super::{Choice, Field};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    push(out, "preferences", &preferences(theme))?;
    let wrong = views::Preferences {
        allowed_error: "Always enforce needs at least one allowed provider.".into(),
        default_model: Field::wrong("gpt", "There is no model “gpt” here."),
        ignored_error: "“groq” is allowed and ignored at once. Choose one of the two.".into(),
        ..preferences(theme)
    };
    push(out, "preferences_wrong", &wrong)?;
    push(out, "preferences_member", &views::Preferences { may_change: false, ..preferences(theme) })
}

fn preferences(theme: &str) -> views::Preferences {
    let providers = || {
        [("anthropic", "Anthropic"), ("deepinfra", "DeepInfra"), ("groq", "Groq"), ("openai", "OpenAI")]
            .map(|(slug, name)| Choice::new(slug, name, "", slug == "groq"))
            .to_vec()
    };
    views::Preferences {
        shell: shell(theme, "preferences", "Preferences", "Which providers answer your calls."),
        may_change: true,
        allowed: providers(),
        enforced: true,
        ignored: providers(),
        sorts: vec![
            Choice::new("balanced", "Balanced", "Mostly the cheapest, by chance", true),
            Choice::new("price", "Price", "Always the cheapest first", false),
        ],
        default_model: Field::of("openai/gpt-oss-120b"),
        models: vec!["openai/gpt-oss-120b".into()],
        outlook: views::WhatWouldHappen {
            model: "openai/gpt-oss-120b".into(),
            is_default: true,
            known: true,
            sentence: "DeepInfra is asked first in 84 % of the calls.".into(),
            next: vec![
                ("DeepInfra".into(), "first in 84 % of the calls".into()),
                ("Groq".into(), "first in 16 % of the calls".into()),
            ],
            left_out: vec![("Together".into(), "it is on your list of ignored providers".into())],
        },
        ..views::Preferences::default()
    }
}
