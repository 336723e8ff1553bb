//! Pages of settings and presets with plausible content.

use super::presets as views;
use super::samples::{Sample, push, shell, usd, when};
use super::{Badge, Choice, Field, Link};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    push(out, "preferences", &preferences(theme))?;
    let wrong = views::Preferences {
        allowed_error: "Always enforce needs at least one allowed provider.".into(),
        default_model: Field::wrong("gpt", "There is no model “gpt” here."),
        ignored_error: "“groq” is allowed and ignored at once. Choose one of the two.".into(),
        ..preferences(theme)
    };
    push(out, "preferences_wrong", &wrong)?;
    push(out, "preferences_member", &views::Preferences { may_change: false, ..preferences(theme) })?;
    push(out, "presets_empty", &index(theme, false))?;
    push(out, "presets", &index(theme, true))?;
    push(out, "preset_new", &views::Editor { exists: false, ..editor(theme) })?;
    push(out, "preset", &editor(theme))?;
    let archived = views::Editor { archived: true, may_change: false, ..editor(theme) };
    push(out, "preset_archived", &archived)?;
    let archive = views::Archive {
        shell: shell(theme, "presets", "Archive Copywriter", ""),
        id: "pst_1".into(),
        reference: "@preset/copywriter".into(),
        bound: "3 keys are bound to it".into(),
        one: false,
    };
    push(out, "preset_archive", &archive)?;
    push(out, "preset_versions", &versions(theme))?;
    push(out, "preset_try", &trial(theme))?;
    push(out, "preset_try_without_keys", &views::Try { keys: Vec::new(), answer: None, ..trial(theme) })
}

fn index(theme: &str, any: bool) -> views::Index {
    let row = |name: &str, active: bool| views::PresetRow {
        id: "pst_1".into(),
        name: name.into(),
        reference: "@preset/copywriter".into(),
        models: "openai/gpt-5-mini and 2 more".into(),
        version: "Version 4".into(),
        changed: when("3 h ago"),
        author: "Ada Martin".into(),
        active,
        state: if active { Badge::new("good", "check", "In use") } else { Badge::new("", "archive", "Archived") },
        ..views::PresetRow::default()
    };
    views::Index {
        shell: shell(theme, "presets", "Presets", "A name for a system prompt, models, providers and parameters."),
        may_change: true,
        any,
        views: vec![
            Link { href: "/settings/presets".into(), label: "In use".into(), current: true },
            Link { href: "/settings/presets?archived=1".into(), label: "Archived".into(), current: false },
        ],
        rows: if any { vec![row("Copywriter", true), row("Old one", false)] } else { Vec::new() },
        ..views::Index::default()
    }
}

fn editor(theme: &str) -> views::Editor {
    let parameter = |name, label, value: &str| views::ParameterField {
        name,
        label,
        hint: "0 to 2".into(),
        field: Field::of(value),
    };
    views::Editor {
        shell: shell(theme, "presets", "Copywriter", ""),
        id: "pst_1".into(),
        exists: true,
        may_change: true,
        version: 4,
        base: "4".into(),
        seen: "1".into(),
        name: Field::of("Copywriter"),
        suggested: "copywriter".into(),
        reference: "@preset/copywriter".into(),
        system_prompt: Field::of("Write as a person would."),
        models: views::Sortable {
            name: "models".into(),
            entries: vec![
                ("openai/gpt-5-mini".into(), "from $0.25 in, $2.00 out per million tokens".into()),
                ("anthropic/claude-haiku-4.5".into(), "from $1.00 in, $5.00 out per million tokens".into()),
            ],
            error: String::new(),
        },
        order: views::Sortable {
            name: "order".into(),
            entries: vec![("openai".into(), "OpenAI".into()), ("anthropic".into(), "Anthropic".into())],
            error: String::new(),
        },
        only: vec![Choice::new("groq", "Groq", "", false)],
        ignore: vec![Choice::new("groq", "Groq", "", true)],
        conditions: vec![views::Condition {
            name: "sort",
            label: "Sort",
            hint: "Who is asked first.",
            choices: vec![Choice::new("", "As the settings say", "", true), Choice::new("price", "Price", "", false)],
        }],
        parameters: vec![
            parameter("temperature", "Temperature", "0.7"),
            views::ParameterField {
                field: Field::wrong("2", "must be a number from 0 to 1."),
                ..parameter("top_p", "Top P", "")
            },
        ],
        max_cost: Field::of("0.05"),
        more: Field::of("{\"stop\": [\"END\"]}"),
        all_models: vec!["openai/gpt-5-mini".into()],
        problems: vec!["Top P must be a number from 0 to 1.".into()],
        remarks: vec!["anthropic/claude-haiku-4.5 does not know seed: it is asked without.".into()],
        ..views::Editor::default()
    }
}

fn versions(theme: &str) -> views::Versions {
    let row = |number, current| views::VersionRow {
        number,
        current,
        made: when("3 h ago"),
        author: "Ada Martin".into(),
        compare_href: "/settings/presets/pst_1/versions?from=3&to=4".into(),
    };
    let choice = |number: &str, selected| Choice::new(number, &format!("Version {number}"), "", selected);
    views::Versions {
        shell: shell(theme, "presets", "Versions of Copywriter", "Each save is kept; calls get one of them."),
        id: "pst_1".into(),
        name: "Copywriter".into(),
        may_change: true,
        rows: vec![row(4, true), row(3, false)],
        from_choices: vec![choice("4", false), choice("3", true)],
        to_choices: vec![choice("4", true), choice("3", false)],
        difference: Some(views::Difference {
            from: 3,
            to: 4,
            changes: vec![("Temperature".into(), "0.7".into(), String::new())],
            prompt: vec![
                ("same", "Be brief.".into()),
                ("gone", "Be kind.".into()),
                ("new", "Write as a person would.".into()),
            ],
        }),
        ..views::Versions::default()
    }
}

fn trial(theme: &str) -> views::Try {
    views::Try {
        shell: shell(theme, "presets", "Try Copywriter", ""),
        id: "pst_1".into(),
        reference: "@preset/copywriter".into(),
        needs_model: true,
        keys: vec![Choice::new("key_1", "laptop (sk-fb-v1-abcd…wxyz)", "", true)],
        message: Field::of("Say hello."),
        answer: Some(views::Answered {
            text: "Hello.".into(),
            by: "openai/gpt-5-mini at OpenAI".into(),
            cost: usd("$0.000123"),
            tokens: "12 tokens in, 3 out".into(),
            href: "/activity/gen-1".into(),
        }),
        ..views::Try::default()
    }
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
            sentence: "DeepInfra is asked first in 84% of the calls.".into(),
            next: vec![
                ("DeepInfra".into(), "first in 84% of the calls".into()),
                ("Groq".into(), "first in 16% of the calls".into()),
            ],
            left_out: vec![("Together".into(), "it is on your list of ignored providers".into())],
            note: String::new(),
        },
        ..views::Preferences::default()
    }
}
