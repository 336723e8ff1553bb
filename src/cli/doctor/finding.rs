//! What an examination found, and how it is told.

use std::fmt::Write as _;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works; somebody should look at it.
    Warning,
    /// Something does not work, or is not safe.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    pub area: &'static str,
    pub check: String,
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub advice: String,
}

impl Finding {
    #[must_use]
    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { area: "", check: check.into(), level: Level::Ok, found: found.into(), advice: String::new() }
    }

    #[must_use]
    pub fn warning(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, advice: advice.into(), ..Finding::ok(check, found) }
    }

    #[must_use]
    pub fn fault(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level: Level::Fault, advice: advice.into(), ..Finding::ok(check, found) }
    }
}

/// Everything that was found, in the order in which it is read.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub level: Level,
    pub findings: Vec<Finding>,
}

impl Report {
    /// `hidden` are texts that must not be shown, wherever they come from: an answer may repeat a key.
    #[must_use]
    pub fn new(findings: Vec<Finding>, hidden: &[String]) -> Report {
        let clean = |text: String| hidden.iter().fold(text, |text, secret| text.replace(secret.as_str(), "[hidden]"));
        let findings: Vec<Finding> = findings
            .into_iter()
            .map(|one| Finding { found: clean(one.found), advice: clean(one.advice), ..one })
            .collect();
        let level = findings.iter().map(|one| one.level).max().unwrap_or(Level::Ok);
        Report { version: env!("CARGO_PKG_VERSION"), level, findings }
    }

    /// 0 when all is well, 1 with warnings, 2 with faults.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self.level {
            Level::Ok => 0,
            Level::Warning => 1,
            Level::Fault => 2,
        }
    }

    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut area = "";
        for one in &self.findings {
            if one.area != area {
                area = one.area;
                let _ = writeln!(text, "{}{area}", if text.is_empty() { "" } else { "\n" });
            }
            let word = match one.level {
                Level::Ok => "ok     ",
                Level::Warning => "WARNING",
                Level::Fault => "FAULT  ",
            };
            // What others said may have several lines.
            let found = one.found.replace(char::is_control, " ");
            let _ = writeln!(text, "  {word}  {}: {found}", one.check);
            if !one.advice.is_empty() {
                let _ = writeln!(text, "           -> {}", one.advice);
            }
        }
        let count = |level| self.findings.iter().filter(|one| one.level == level).count();
        let (warnings, faults) = (count(Level::Warning), count(Level::Fault));
        let _ = writeln!(text, "\n{} checks, {warnings} warnings, {faults} faults", self.findings.len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides_and_no_secret_is_shown() {
        let findings = vec![Finding::ok("a", "fine"), Finding::warning("b", "said key-4711\nagain", "change key-4711")];
        let report = Report::new(findings, &["key-4711".to_owned()]);
        assert_eq!((report.level, report.code()), (Level::Warning, 1));
        let text = report.text();
        assert!(text.contains("said [hidden] again") && !text.contains("4711"), "{text}");
        assert_eq!(Report::new(vec![Finding::fault("a", "b", "c")], &[]).code(), 2);
        assert_eq!(Report::new(Vec::new(), &[]).code(), 0);
    }
}
