//! Who of a batch is admitted: pure arithmetic over locked rows, in order of arrival.

use std::collections::HashMap;

use super::hold::{Granted, Refused, Want};
use super::meter::MeterState;
use super::store::CreditState;
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId};

/// The rows a batch runs against, as they are locked.
pub struct Books {
    pub credits: HashMap<OrgId, CreditState>,
    pub meters: HashMap<MeterId, MeterState>,
}

/// Decides one call and raises `held` in `books`, on every row or on none.
pub fn admit(books: &mut Books, want: &Want) -> Result<Granted, Refused> {
    let credit = books.credits.get(&want.org).ok_or(Refused::Unknown)?;
    if credit.posted.is_negative() {
        return Err(Refused::Overdrawn { posted: credit.posted });
    }
    let available = credit.posted - credit.held;
    let mut amount = affordable(want, available).ok_or(Refused::Credits { available })?;
    for id in &want.meters {
        let meter = books.meters.get(id).filter(|meter| meter.org == want.org).ok_or(Refused::Unknown)?;
        let Some((window, left)) = meter.tightest(meter.held) else { continue };
        let fits = affordable(want, left).ok_or(Refused::Limit { meter: *id, window, left })?;
        amount = amount.min(fits);
    }
    raise(books, want, amount);
    Ok(Granted { amount })
}

/// The whole bound where it fits. Where it does not and the caller left the length open, half of what
/// is left, so that one call cannot starve those that come beside it; but never below `least`.
fn affordable(want: &Want, left: Usd) -> Option<Usd> {
    if want.most <= left {
        return Some(want.most);
    }
    if want.least > left {
        return None;
    }
    let half = Usd::new(left.amount() / rust_decimal::Decimal::TWO);
    Some(half.max(want.least))
}

fn raise(books: &mut Books, want: &Want, amount: Usd) {
    if let Some(credit) = books.credits.get_mut(&want.org) {
        credit.held += amount;
    }
    for id in &want.meters {
        if let Some(meter) = books.meters.get_mut(id) {
            meter.held += amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::meter::{Limits, Spent};
    use super::*;
    use crate::base::ids::CallId;
    use chrono::NaiveDate;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        Usd::parse(text).unwrap_or_default()
    }

    fn books(posted: &str, limits: Limits) -> (Books, OrgId, MeterId) {
        let (org, id) = (OrgId::fresh(), MeterId::fresh());
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap_or_default();
        let meter = MeterState {
            org,
            id,
            kind: "key".into(),
            limits,
            include_byok: false,
            held: Usd::ZERO,
            spent: Spent::default(),
            byok: Spent::default(),
            day: today,
            week: today,
            month: today,
            today,
            last_used_at: None,
        };
        let credit = CreditState { org, posted: usd(posted), held: Usd::ZERO };
        (Books { credits: [(org, credit)].into(), meters: [(id, meter)].into() }, org, id)
    }

    fn want(org: OrgId, meter: MeterId, least: &str, most: &str) -> Want {
        let memo = String::new();
        Want { call: CallId::fresh(), org, meters: vec![meter], most: usd(most), least: usd(least), memo }
    }

    #[test]
    fn the_last_cent_is_held_once() {
        let (mut books, org, meter) = books("0.02", Limits::default());
        let call = want(org, meter, "0.01", "0.01");
        assert!(admit(&mut books, &call).is_ok());
        assert!(admit(&mut books, &call).is_ok());
        assert_eq!(admit(&mut books, &call), Err(Refused::Credits { available: Usd::ZERO }));
    }

    #[test]
    fn the_tightest_of_several_limits_refuses() {
        let limits = Limits { day: Some(usd("1")), month: Some(usd("20")), ..Limits::default() };
        let (mut books, org, meter) = books("100", limits);
        assert!(admit(&mut books, &want(org, meter, "1", "1")).is_ok());
        let refused = admit(&mut books, &want(org, meter, "0.01", "0.01"));
        assert!(matches!(refused, Err(Refused::Limit { window: super::super::hold::Window::Day, .. })), "{refused:?}");
        assert_eq!(books.credits[&org].held, usd("1"), "a refused call holds nothing");
    }

    #[test]
    fn an_open_length_shrinks_instead_of_being_refused() {
        let (mut books, org, meter) = books("1", Limits::default());
        assert_eq!(admit(&mut books, &want(org, meter, "0.01", "5")), Ok(Granted { amount: usd("0.5") }));
        assert_eq!(admit(&mut books, &want(org, meter, "0.01", "5")), Ok(Granted { amount: usd("0.25") }));
    }

    #[test]
    fn below_zero_even_a_free_call_is_refused() {
        let (mut books, org, meter) = books("-0.01", Limits::default());
        assert!(matches!(admit(&mut books, &want(org, meter, "0", "0")), Err(Refused::Overdrawn { .. })));
        let (mut books, org, meter) = self::books("0", Limits::default());
        assert!(admit(&mut books, &want(org, meter, "0", "0")).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_is_held_than_posted_or_limited(calls in proptest::collection::vec((0u32..500, 0u32..500), 1..60)) {
            let limits = Limits { total: Some(usd("7")), week: Some(usd("5")), ..Limits::default() };
            let (mut books, org, meter) = books("9", limits);
            for (least, extra) in calls {
                let (least, most) = (Usd::from_cents(least.into()), Usd::from_cents((least + extra).into()));
                let memo = String::new();
                let call = Want { call: CallId::fresh(), org, meters: vec![meter], most, least, memo };
                if let Ok(granted) = admit(&mut books, &call) {
                    prop_assert!(granted.amount >= least && granted.amount <= most);
                }
                prop_assert!(books.credits[&org].held <= books.credits[&org].posted);
                prop_assert!(books.meters[&meter].held <= usd("5"));
            }
        }
    }
}
