//! A browser without scripts: it keeps cookies and fills in forms.

use super::Farebox;

pub struct Visitor<'a> {
    farebox: &'a Farebox,
    cookies: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub location: String,
    pub body: String,
}

impl<'a> Visitor<'a> {
    pub fn new(farebox: &'a Farebox) -> Self {
        Visitor { farebox, cookies: Vec::new() }
    }

    /// The same browser at another address.
    pub fn with_cookies(farebox: &'a Farebox, cookies: &[(String, String)]) -> Self {
        Visitor { farebox, cookies: cookies.to_vec() }
    }

    /// Signs up, proves the address with the mailed link, and is signed in.
    pub async fn member(farebox: &'a Farebox, email: &str, password: &str) -> Self {
        let mut visitor = Visitor::new(farebox);
        let fields = [("name", "Ada"), ("email", email), ("password", password)];
        let page = visitor.submit("/sign-up", "/sign-up", &fields).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let link = mailed_link(farebox, email).await;
        let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
        let page = visitor.submit(&link, "/verify", &[("token", &token), ("password", password)]).await;
        assert_eq!(page.status, 303, "{}", page.body);
        visitor
    }

    /// What the program said meanwhile.
    pub fn log(&self) -> String {
        self.farebox.log()
    }

    pub fn cookies(&self) -> &[(String, String)] {
        &self.cookies
    }

    pub async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header("cookie", cookies.join("; ")).send().await.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let text = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            if let Some((name, value)) = text.split_once('=') {
                self.cookies.retain(|(kept, _)| kept != name);
                if !value.is_empty() {
                    self.cookies.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        let location = answer.headers().get("location").and_then(|l| l.to_str().ok()).unwrap_or_default().to_owned();
        Page { status: answer.status().as_u16(), location, body: answer.text().await.expect("a body") }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.farebox.http.get(self.farebox.url(path));
        self.send(request).await
    }

    /// A form's token, which every page with a form has.
    pub async fn token(&mut self, page: &str) -> String {
        between(&self.get(page).await.body, "name=\"csrf_token\" value=\"", "\"")
    }

    pub async fn post(&mut self, token: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = vec![("csrf_token", token)];
        form.extend(fields);
        let request = self.farebox.http.post(self.farebox.url(action)).form(&form);
        self.send(request).await
    }

    /// Fetches the page with the form, then sends it.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.token(page).await;
        self.post(&token, action, fields).await
    }
}

pub fn between(text: &str, start: &str, end: &str) -> String {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found).to_owned()
}

/// The path of the link in the last mail to somebody.
pub async fn mailed_link(farebox: &Farebox, email: &str) -> String {
    let text: String =
        sqlx::query_scalar("select text_body from mail where recipient like '%' || $1 || '%' order by id desc limit 1")
            .bind(email)
            .fetch_one(&farebox.pool)
            .await
            .expect("a mail");
    path_in(&text)
}

/// The path of the link with which somebody sets a new password. A job writes that mail; it has ten seconds.
pub async fn recovery_link(farebox: &Farebox, email: &str) -> String {
    for _ in 0..200 {
        let found: Option<String> = sqlx::query_scalar(
            "select text_body from mail where kind = 'recover' and recipient like '%' || $1 || '%'
             order by id desc limit 1",
        )
        .bind(email)
        .fetch_optional(&farebox.pool)
        .await
        .expect("an answer");
        if let Some(text) = found {
            return path_in(&text);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing was mailed to {email}");
}

fn path_in(text: &str) -> String {
    let link = text.split_whitespace().find(|word| word.starts_with("http")).expect("a link");
    let path = link.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| format!("/{path}"));
    path.expect("a path")
}

/// Names and values of the inputs of the form with this action; a choice counts only when it is checked.
pub fn form(page: &str, action: &str) -> Vec<(String, String)> {
    let rest = page.split_once(&format!("action=\"{action}\"")).map_or("", |(_, rest)| rest);
    let form = rest.split_once("</form>").map_or(rest, |(form, _)| form);
    let attribute = |tag: &str, name: &str| between(tag, &format!("{name}=\""), "\"");
    form.split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| !tag.contains("type=\"radio\"") || tag.contains("checked"))
        .map(|tag| (attribute(tag, " name"), attribute(tag, " value")))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}
