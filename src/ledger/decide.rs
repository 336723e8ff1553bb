//! Who of a batch is admitted: pure arithmetic over locked rows, in order of arrival.

use std::collections::HashMap;

use super::hold::{Byok, Granted, Refused, Want};
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
    let amount = affordable(want, available).ok_or(Refused::Credits { available })?;
    let mut granted = Granted { amount, byok: want.byok.most };
    for id in &want.meters {
        let meter = books.meters.get(id).filter(|meter| meter.org == want.org).ok_or(Refused::Unknown)?;
        let Some((window, left)) = meter.tightest(meter.held_in_all()) else { continue };
        let own = if meter.include_byok { want.byok } else { Byok::default() };
        let fits = within(want, own, left).ok_or(Refused::Limit { meter: *id, window, left })?;
        granted.amount = granted.amount.min(fits.amount);
        if meter.include_byok {
            granted.byok = granted.byok.min(fits.byok);
        }
    }
    raise(books, want, granted);
    Ok(granted)
}

/// What of both a limit has room for. The two alternatives of one call (a provider's own bill, credits for another one)
/// are never both needed, but which it will be is not known.
fn within(want: &Want, own: Byok, left: Usd) -> Option<Granted> {
    if want.most + own.most <= left {
        return Some(Granted { amount: want.most, byok: own.most });
    }
    if want.least + own.least > left {
        return None;
    }
    let byok = half(left - want.least).max(own.least).min(own.most);
    Some(Granted { amount: affordable(want, left - byok)?, byok })
}

fn half(amount: Usd) -> Usd {
    Usd::new(amount.amount() / rust_decimal::Decimal::TWO)
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
    Some(half(left).max(want.least))
}

fn raise(books: &mut Books, want: &Want, granted: Granted) {
    if let Some(credit) = books.credits.get_mut(&want.org) {
        credit.held += granted.amount;
    }
    for id in &want.meters {
        if let Some(meter) = books.meters.get_mut(id) {
            meter.held += granted.amount;
            meter.held_byok += granted.byok;
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
            held_byok: Usd::ZERO,
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
        let (call, byok) = (CallId::fresh(), Byok::default());
        Want { call, org, meters: vec![meter], most: usd(most), least: usd(least), byok, memo }
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
        assert_eq!(admit(&mut books, &want(org, meter, "0.01", "5")), Ok(granted("0.5", "0")));
        assert_eq!(admit(&mut books, &want(org, meter, "0.01", "5")), Ok(granted("0.25", "0")));
    }

    fn granted(amount: &str, byok: &str) -> Granted {
        Granted { amount: usd(amount), byok: usd(byok) }
    }

    #[test]
    fn a_limit_counts_what_a_provider_takes_itself_where_it_is_told_to() {
        let own = |meter, org| Want {
            byok: Byok { most: usd("0.6"), least: usd("0.1") },
            ..want(org, meter, "0.01", "0.03")
        };
        let limits = Limits { day: Some(usd("1")), ..Limits::default() };
        let (mut books, org, meter) = books("100", limits);
        for _ in 0..3 {
            assert_eq!(admit(&mut books, &own(meter, org)), Ok(granted("0.03", "0.6")), "it is not counted");
        }
        let (mut books, org, meter) = self::books("100", limits);
        books.meters.get_mut(&meter).expect("a meter").include_byok = true;
        assert_eq!(admit(&mut books, &own(meter, org)), Ok(granted("0.03", "0.6")));
        assert_eq!(admit(&mut books, &own(meter, org)), Ok(granted("0.03", "0.18")), "half of what is left");
        assert_eq!(admit(&mut books, &own(meter, org)), Ok(granted("0.03", "0.1")), "the least that makes sense");
        assert!(matches!(admit(&mut books, &own(meter, org)), Err(Refused::Limit { .. })));
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
                let byok = Byok { most: Usd::from_cents(extra.into()), least: Usd::ZERO };
                let call = Want { call: CallId::fresh(), org, meters: vec![meter], most, least, byok, memo };
                if let Ok(granted) = admit(&mut books, &call) {
                    prop_assert!(granted.amount >= least && granted.amount <= most);
                }
                prop_assert!(books.credits[&org].held <= books.credits[&org].posted);
                prop_assert!(books.meters[&meter].held <= usd("5"));
            }
        }
    }
}
