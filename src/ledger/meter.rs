//! Meters: what a key or a member spent, and the limits at which they stop.

use chrono::{DateTime, NaiveDate, Utc};

use super::hold::Window;
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeterKind {
    Key,
    Provisioning,
    Member,
}

impl MeterKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            MeterKind::Key => "key",
            MeterKind::Provisioning => "provisioning",
            MeterKind::Member => "member",
        }
    }
}

/// Hard limits in dollars; `None` is no limit. Several may stand on one meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    pub total: Option<Usd>,
    pub day: Option<Usd>,
    pub week: Option<Usd>,
    pub month: Option<Usd>,
}

/// What was spent in each window: all time, UTC day, ISO week from Monday, calendar month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    pub total: Usd,
    pub day: Usd,
    pub week: Usd,
    pub month: Usd,
}

/// A meter as its row stands, with the database's date beside it.
#[derive(Clone, Debug)]
pub struct MeterState {
    pub org: OrgId,
    pub id: MeterId,
    pub kind: String,
    pub limits: Limits,
    pub include_byok: bool,
    pub held: Usd,
    /// What providers may take themselves for running calls.
    pub held_byok: Usd,
    pub spent: Spent,
    pub byok: Spent,
    pub day: NaiveDate,
    pub week: NaiveDate,
    pub month: NaiveDate,
    pub today: NaiveDate,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl MeterState {
    /// Own spending by window, with windows that the clock has passed counted as zero.
    #[must_use]
    pub fn spent_now(&self) -> Spent {
        self.rolled(self.spent)
    }

    #[must_use]
    pub fn byok_now(&self) -> Spent {
        self.rolled(self.byok)
    }

    fn rolled(&self, spent: Spent) -> Spent {
        use chrono::Datelike;
        let monday = self.today.week(chrono::Weekday::Mon).first_day();
        let first = self.today.with_day(1).unwrap_or(self.today);
        Spent {
            total: spent.total,
            day: if self.day < self.today { Usd::ZERO } else { spent.day },
            week: if self.week < monday { Usd::ZERO } else { spent.week },
            month: if self.month < first { Usd::ZERO } else { spent.month },
        }
    }

    /// Everything that is held and counts against its limits.
    #[must_use]
    pub fn held_in_all(&self) -> Usd {
        self.held + if self.include_byok { self.held_byok } else { Usd::ZERO }
    }

    /// The tightest limit and what it leaves after `held` more dollars are held; `None` without limits.
    /// What is left may be negative after a limit was lowered.
    #[must_use]
    pub fn tightest(&self, held: Usd) -> Option<(Window, Usd)> {
        let own = self.spent_now();
        let byok = if self.include_byok { self.byok_now() } else { Spent::default() };
        let windows = [
            (Window::Total, self.limits.total, own.total + byok.total),
            (Window::Day, self.limits.day, own.day + byok.day),
            (Window::Week, self.limits.week, own.week + byok.week),
            (Window::Month, self.limits.month, own.month + byok.month),
        ];
        windows
            .into_iter()
            .filter_map(|(window, limit, spent)| limit.map(|limit| (window, limit - spent - held)))
            .min_by_key(|(_, left)| *left)
    }
}
