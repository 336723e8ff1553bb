//! A Chromium of our own, and the few things that the tests do with it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;

use crate::support::{farebox, http};

const START_WITHIN: Duration = Duration::from_secs(30);
/// How long a page may take until it shows what was expected.
const SHOWS_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// The driver's process. Dropping it kills it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running browser with one window. The order of the fields is the order in which they end.
pub struct Browser {
    pub web: WebDriver,
    _driver: Driver,
    _profile: TempDir,
    /// For what the WebDriver protocol lacks.
    http: reqwest::Client,
    driver_url: String,
    base: String,
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which browser to use")]
fn program(variable: &str, otherwise: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| otherwise.to_owned())
}

impl Browser {
    pub async fn start(base: &str) -> Browser {
        Browser::with(base, true).await
    }

    pub async fn without_scripts(base: &str) -> Browser {
        Browser::with(base, false).await
    }

    async fn with(base: &str, scripts: bool) -> Browser {
        let (driver, url) = start_driver().await;
        let profile = TempDir::new().expect("a directory");
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(&program("CHROME_PATH", "/usr/bin/chromium")).expect("an option");
        for argument in ARGUMENTS {
            wanted.add_arg(argument).expect("an option");
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).expect("an option");
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("an option");
        if !scripts {
            let preferences = json!({ "profile.managed_default_content_settings.javascript": 2 });
            wanted.add_experimental_option("prefs", preferences).expect("an option");
        }
        let web = WebDriver::new(&url, wanted).await.expect("Chromium starts");
        let (http, base) = (http::client(), base.to_owned());
        Browser { web, _driver: driver, _profile: profile, http, driver_url: url, base }
    }

    /// Opens a page of the program, or one elsewhere by its whole address.
    pub async fn open(&self, path: &str) {
        let whole = if path.starts_with("http://") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.web.goto(whole).await.expect("the page loads");
    }

    /// Path and query of the page that is open.
    pub async fn path(&self) -> String {
        let url = self.web.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the page has such an element.
    pub async fn find(&self, css: &str) -> WebElement {
        let deadline = Instant::now() + SHOWS_WITHIN;
        loop {
            if let Ok(element) = self.web.find(By::Css(css)).await {
                return element;
            }
            assert!(Instant::now() < deadline, "there is no {css} on {}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn click(&self, css: &str) {
        self.click_on(By::Css(css), css).await;
    }

    /// Clicks the link or button whose whole text is this.
    pub async fn press(&self, text: &str) {
        let path = format!("//*[self::a or self::button or self::summary][normalize-space()='{text}']");
        self.click_on(By::XPath(path.as_str()), text).await;
    }

    /// A page that is replaced between the look and the click is looked at again, as somebody would.
    async fn click_on(&self, by: By, what: &str) {
        let deadline = Instant::now() + SHOWS_WITHIN;
        loop {
            if let Ok(element) = self.web.find(by.clone()).await {
                match element.click().await {
                    Ok(()) => return,
                    Err(error) if is_stale(&error) => {}
                    Err(error) => panic!("{what:?} cannot be clicked: {error}"),
                }
            }
            assert!(Instant::now() < deadline, "there is no {what:?} on {}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Types into an empty field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("a field");
        field.send_keys(text).await.expect("a field");
    }

    /// Everything that can be read on the page.
    pub async fn text(&self) -> String {
        match self.web.find(By::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    /// Waits until the page shows a text.
    pub async fn shows(&self, text: &str) {
        let deadline = Instant::now() + SHOWS_WITHIN;
        while !self.text().await.contains(text) {
            assert!(Instant::now() < deadline, "{} does not show {text:?}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// The value of an expression of the page.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let answer = self.web.execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// Waits until an expression of the page is true.
    pub async fn holds(&self, expression: &str) {
        let deadline = Instant::now() + SHOWS_WITHIN;
        while self.value(expression).await != Value::Bool(true) {
            assert!(Instant::now() < deadline, "on {} this stays false: {expression}", self.path().await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let url = format!("{}/session/{}/goog/cdp/execute", self.driver_url, self.web.session_id());
        let body = json!({ "cmd": command, "params": parameters });
        let answer = self.http.post(url).json(&body).send().await.expect("the driver answers");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{command}: {answer}");
        answer["value"].clone()
    }

    /// `light` or `dark`, as the system would say it.
    pub async fn prefer(&self, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub async fn width(&self, pixels: u32) {
        let size = json!({ "width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Errors of the console since the last time, those of blocked scripts and styles included.
    pub async fn errors(&self) -> Vec<String> {
        let log = self.web.browser_log().await.expect("the console");
        log.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// Gives the browser the session of a visitor.
    pub async fn take_cookies(&self, cookies: &[(String, String)]) {
        self.web.delete_all_cookies().await.expect("no cookies");
        for (name, value) in cookies {
            self.web.add_cookie(Cookie::new(name.clone(), value.clone())).await.expect("a cookie");
        }
    }
}

async fn start_driver() -> (Driver, String) {
    let port = farebox::free_port();
    let path = program("CHROMEDRIVER_PATH", "/usr/bin/chromedriver");
    let mut command = Command::new(&path);
    command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    let driver = Driver(child.unwrap_or_else(|error| panic!("{path}: {error}; run script/bootstrap test")));
    let (client, url) = (http::client(), format!("http://127.0.0.1:{port}"));
    let deadline = Instant::now() + START_WITHIN;
    while client.get(format!("{url}/status")).send().await.is_err() {
        assert!(Instant::now() < deadline, "{path} did not start");
        tokio::time::sleep(POLL).await;
    }
    (driver, url)
}

fn is_stale(error: &WebDriverError) -> bool {
    matches!(error.as_inner(), WebDriverErrorInner::StaleElementReference(_))
}
