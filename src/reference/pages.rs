//! The reference as a page and as the document itself. Both are public: they tell no secrets.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::OpenApiDocument;
use super::schema::{kind, resolve, written};
use crate::orgs::Member;
use crate::web::views::api as views;
use crate::web::{App, PageError, html, public_page};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const TITLE: &str = "API reference";
const DOCUMENT_PATH: &str = "/openapi.json";
/// Operations that name no group.
const OTHER_GROUP: &str = "Other";

/// `GET /openapi.json`
pub async fn document(document: web::Data<OpenApiDocument>) -> HttpResponse {
    HttpResponse::Ok()
        // Tools in browsers read it from anywhere; it is the same for everybody.
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(&document.0)
}

/// `GET /docs/api`, in the frame of whoever is signed in. It needs no database: while that is away, or who is there cannot be
/// told, the frame is that of everybody.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn show(
    app: web::Data<App>,
    document: web::Data<OpenApiDocument>,
    request: HttpRequest,
    member: Option<Member>,
) -> Result<HttpResponse, PageError> {
    let document = &document.0;
    let reference = views::Reference {
        description: text(document.pointer("/info/description")),
        version: text(document.pointer("/info/version")),
        base_url: app.url("/api/v1"),
        document_href: DOCUMENT_PATH.to_owned(),
        groups: groups(document),
    };
    match member {
        Some(member) => html(&views::Inside { shell: member.shell("api", TITLE, ""), reference }),
        None => html(&views::Guest { page: public_page(&app, &request, TITLE), reference }),
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Without the sections that comments of the source have for other programmers.
fn without_sections(description: &str) -> String {
    let lines = description.lines().take_while(|line| !line.starts_with("# "));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// In the order of the document's tags, then of the paths.
fn groups(document: &Value) -> Vec<views::Group> {
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    let mut groups: Vec<views::Group> = tags
        .map(|tag| views::Group {
            name: text(tag.get("name")),
            description: text(tag.get("description")),
            operations: Vec::new(),
        })
        .collect();
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    for (path, item) in paths {
        for method in METHODS {
            let Some(found) = item.get(method) else { continue };
            let name = found.pointer("/tags/0").and_then(Value::as_str).unwrap_or(OTHER_GROUP);
            let operation = operation(document, path, method, item, found);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(views::Group {
                    name: name.to_owned(),
                    description: String::new(),
                    operations: vec![operation],
                }),
            }
        }
    }
    groups.retain(|group| !group.operations.is_empty());
    groups
}

fn operation(document: &Value, path: &str, method: &str, item: &Value, found: &Value) -> views::Operation {
    let summary = text(found.get("summary"));
    // Those of the path hold for each of its methods.
    let parameters = [item.get("parameters"), found.get("parameters")];
    let parameters = parameters.into_iter().flatten().filter_map(Value::as_array).flatten();
    let body = found.get("requestBody").map(|body| resolve(document, body));
    let answers = found.get("responses").and_then(Value::as_object).into_iter().flatten();
    views::Operation {
        id: anchor(method, path),
        method: method.to_uppercase(),
        method_class: method.to_owned(),
        path: path.to_owned(),
        summary: if summary.is_empty() { format!("{} {path}", method.to_uppercase()) } else { summary },
        description: without_sections(&text(found.get("description"))),
        parameters: parameters.map(|one| parameter(resolve(document, one))).collect(),
        request: body.map(|body| body_schema(document, body)).unwrap_or_default(),
        answers: answers.map(|(status, answer)| self::answer(document, status, answer)).collect(),
    }
}

/// Methods and paths are unique, so their anchors are; every other sign becomes its code.
fn anchor(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for sign in path.chars() {
        match sign {
            'a'..='z' | 'A'..='Z' | '0'..='9' => id.push(sign),
            '/' => id.push('-'),
            other => id.push_str(&format!("_{:x}", u32::from(other))),
        }
    }
    id
}

fn parameter(one: &Value) -> views::Parameter {
    views::Parameter {
        name: text(one.get("name")),
        place: text(one.get("in")),
        kind: one.get("schema").map(kind).unwrap_or_default(),
        required: one.get("required").and_then(Value::as_bool).unwrap_or(false),
        description: text(one.get("description")),
    }
}

fn answer(document: &Value, status: &str, answer: &Value) -> views::Answer {
    let answer = resolve(document, answer);
    views::Answer {
        status: status.to_owned(),
        description: text(answer.get("description")),
        schema: body_schema(document, answer),
    }
}

/// The schema of the first kind of content; empty without one.
fn body_schema(document: &Value, body: &Value) -> String {
    let contents = body.get("content").and_then(Value::as_object);
    let schema = contents.and_then(|contents| contents.values().find_map(|content| content.get("schema")));
    schema.map(|schema| written(document, schema)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_stand_under_their_tag_with_anchors_of_their_own() {
        let document = json!({
            "tags": [{ "name": "Keys", "description": "d" }, { "name": "Empty" }],
            "paths": {
                "/keys/{hash}": {
                    "parameters": [{ "name": "hash", "in": "path", "required": true, "schema": { "type": "string" } }],
                    "get": { "tags": ["Keys"], "summary": "Read a key", "responses": { "200": { "description": "The key." } } },
                    "delete": { "tags": ["Keys"], "responses": {} },
                },
                "/keys/hash": { "get": { "responses": {} } },
            },
        });
        let groups = groups(&document);
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["Keys", "Other"]);
        assert_eq!(groups[0].operations[0].parameters[0].name, "hash");
        assert_eq!(without_sections("Reads.\n\n# Errors\nNone."), "Reads.");
        assert_eq!(groups[0].operations[1].summary, "DELETE /keys/{hash}");
        assert_ne!(groups[0].operations[0].id, groups[1].operations[0].id);
    }
}
