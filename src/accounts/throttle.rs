//! Guessing is slowed per address and per account, on every node alike.
//!
//! The account's own limit counts per account *and* address first, so that a stranger who guesses
//! cannot lock the owner out; only a flood from many addresses slows everybody for that account, and then not those
//! who come from where the owner signed in before.
//!
//! An address is a subscriber's: of IPv6 all of a /64.

use std::ops::Range;

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::device::Device;
use super::store;
use crate::base::ids::PersonId;
use crate::base::origin::{network, subscriber};
use crate::base::{Digest, EmailAddress, Origin};

/// So many failures within such a time.
type Limit = (i64, TimeDelta);

/// Failures from one network address.
const PER_IP: Limit = (40, TimeDelta::minutes(15));
/// Failures for one account from one network address.
const PER_ACCOUNT_AND_IP: Limit = (8, TimeDelta::minutes(15));
/// Failures for one account from anywhere.
const PER_ACCOUNT: Limit = (100, TimeDelta::hours(1));

/// Wrong codes of an app are counted apart, and less of them: whoever gets there knows the password, and a code has
/// only six digits.
const SECOND_PER_ACCOUNT_AND_IP: Limit = (5, TimeDelta::minutes(15));
const SECOND_PER_ACCOUNT: Limit = (30, TimeDelta::hours(24));
/// Also from where the owner signed in before: that is a whole network, which has very many addresses.
const SECOND_PER_ACCOUNT_AND_NETWORK: Limit = (30, TimeDelta::hours(24));

/// Failures from one network, beside those of each of its addresses: who has a network of IPv6 has very many of them.
const PER_NETWORK: Limit = (400, TimeDelta::minutes(15));

/// Mails that strangers have sent. From one network address, for one purpose; the same from one network, so that some
/// addresses close the door for their neighbours at most; to one mailbox from one network, whatever for, so that nobody alone
/// keeps its owner from asking; and to one mailbox from anywhere.
const MAILS_PER_IP: Limit = (20, TimeDelta::minutes(15));
const MAILS_PER_NETWORK: Limit = (200, TimeDelta::hours(1));
const MAILS_PER_MAILBOX_AND_NETWORK: Limit = (6, TimeDelta::hours(1));
const MAILS_PER_MAILBOX: Limit = (24, TimeDelta::hours(1));
/// Mails with which one person may invite, from all their organizations together: there may be a hundred of those, each with a
/// limit of its own.
const INVITATIONS_PER_PERSON: Limit = (200, TimeDelta::hours(24));
/// Sign-ups in all, whose mails go to whoever is named: from 25 networks that each ask for all they may, the door closes for
/// everybody. A mail to recover goes only to who has an account, and needs no such limit.
const SIGN_UPS: Limit = (5_000, TimeDelta::hours(1));

/// Whether another try must wait, and whose tries used the limit up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Throttled {
    Open,
    /// Too many from this network address.
    Network,
    /// Too many for this account, from anywhere.
    Account,
}

/// What a mail is sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mailing {
    /// Also the link for who signs in before having followed it.
    SignUp,
    Recovery,
    EmailChange,
    Invitation,
}

impl Mailing {
    fn name(self) -> &'static str {
        match self {
            Mailing::SignUp => "sign-up",
            Mailing::Recovery => "recover",
            Mailing::EmailChange => "email-change",
            Mailing::Invitation => "invitation",
        }
    }
}

/// Who tries: a network address, and an account by the address that was typed.
#[derive(Clone, Debug)]
pub struct Throttle {
    subjects: Vec<(String, Limit, Throttled)>,
    /// Which of the subjects are tried one at a time.
    locked: Range<usize>,
}

impl Throttle {
    #[must_use]
    pub fn of(ip: &str, email_canonical: &str) -> Throttle {
        let one = subscriber(ip);
        Throttle {
            subjects: vec![
                (format!("ip:{one}"), PER_IP, Throttled::Network),
                (format!("account-ip:{email_canonical}|{one}"), PER_ACCOUNT_AND_IP, Throttled::Network),
                (format!("net:{}", network(ip)), PER_NETWORK, Throttled::Network),
                (format!("account:{email_canonical}"), PER_ACCOUNT, Throttled::Account),
            ],
            locked: 1..2,
        }
    }

    /// Whoever invites others to organizations.
    #[must_use]
    pub fn of_inviter(person: PersonId) -> Throttle {
        let subjects = vec![(format!("inviter:{person}"), INVITATIONS_PER_PERSON, Throttled::Account)];
        Throttle { subjects, locked: 0..1 }
    }

    /// Whoever has a mail sent to an address, to sign up with it or for another purpose.
    #[must_use]
    pub fn of_mail(purpose: Mailing, ip: &str, to: &EmailAddress) -> Throttle {
        // Its digest, for it may be of somebody who never had an account here, whom no erasure would find.
        let (one, shared, to) = (subscriber(ip), network(ip), Digest::of(to.mailbox()).to_hex());
        let name = purpose.name();
        let mailbox = [
            (format!("mail-to:{to}|{shared}"), MAILS_PER_MAILBOX_AND_NETWORK, Throttled::Network),
            (format!("mail-to:{to}"), MAILS_PER_MAILBOX, Throttled::Account),
        ];
        if purpose == Mailing::Invitation {
            // Who invites is known, and counted as a person: a whole office may be asked in on one morning.
            return Throttle { subjects: mailbox.to_vec(), locked: 0..2 };
        }
        let [from_one_network, from_anywhere] = mailbox;
        let mut subjects = vec![
            (format!("ip:{one}"), PER_IP, Throttled::Network),
            (format!("{name}-ip:{one}"), MAILS_PER_IP, Throttled::Network),
            from_one_network,
            from_anywhere,
            (format!("{name}-net:{shared}"), MAILS_PER_NETWORK, Throttled::Network),
        ];
        if purpose == Mailing::SignUp {
            subjects.push((format!("{name}-all"), SIGN_UPS, Throttled::Account));
        }
        Throttle { subjects, locked: 1..4 }
    }

    /// Whether another try must wait.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn state(&self, conn: &mut PgConnection) -> Result<Throttled, sqlx::Error> {
        for (subject, (most, within), whose) in &self.subjects {
            if store::count_failures(conn, subject, *within).await? >= *most {
                return Ok(*whose);
            }
        }
        Ok(Throttled::Open)
    }

    /// Lets tries of this account from this address come one after another until the caller's transaction ends, whether there
    /// is such an account or not; and those that send a mail to one recipient. Before every other lock of the transaction.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn lock(&self, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
        // Always in the order of the subjects, so that two never wait for each other.
        for (subject, ..) in self.subjects.iter().take(self.locked.end).skip(self.locked.start) {
            store::lock_subject(tx, subject).await?;
        }
        Ok(())
    }

    /// Whether another try must wait, for whatever reason.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn is_closed(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        Ok(self.state(conn).await? != Throttled::Open)
    }

    /// Counts a failed try.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn note_failure(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let subjects: Vec<String> = self.subjects.iter().map(|(subject, ..)| subject.clone()).collect();
        store::insert_failures(conn, &subjects).await
    }

    /// Counts one more try, whatever comes of it; false when it must wait, and then it is not counted. Locks as [`Throttle::lock`]
    /// does, so that no more get through together than one after another.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn count(&self, tx: &mut PgConnection) -> Result<bool, sqlx::Error> {
        self.lock(tx).await?;
        if self.is_closed(tx).await? {
            return Ok(false);
        }
        self.note_failure(tx).await?;
        Ok(true)
    }
}

/// Tries of a second factor.
#[derive(Clone, Debug)]
pub struct SecondThrottle {
    throttle: Throttle,
    person: PersonId,
    device: Device,
}

impl SecondThrottle {
    #[must_use]
    pub fn of(person: PersonId, origin: &Origin) -> SecondThrottle {
        let (ip, shared) = (subscriber(&origin.ip), network(&origin.ip));
        let throttle = Throttle {
            subjects: vec![
                (format!("ip:{ip}"), PER_IP, Throttled::Network),
                (format!("second-ip:{person}|{ip}"), SECOND_PER_ACCOUNT_AND_IP, Throttled::Account),
                (format!("second-net:{person}|{shared}"), SECOND_PER_ACCOUNT_AND_NETWORK, Throttled::Account),
                (format!("second:{person}"), SECOND_PER_ACCOUNT, Throttled::Account),
            ],
            locked: 1..2,
        };
        SecondThrottle { throttle, person, device: Device::of(&origin.user_agent, &origin.ip) }
    }

    /// `Account` closes only codes of the app. From where the owner signed in before, only that place's own tries count.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn state(&self, conn: &mut PgConnection) -> Result<Throttled, sqlx::Error> {
        let known = store::is_known_device(conn, self.person, &self.device).await?;
        let counted = if known { 3 } else { 4 };
        for (subject, (most, within), whose) in self.throttle.subjects.iter().take(counted) {
            if store::count_failures(conn, subject, *within).await? >= *most {
                return Ok(*whose);
            }
        }
        Ok(Throttled::Open)
    }

    /// # Errors
    /// Database errors only.
    pub async fn note_failure(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.throttle.note_failure(conn).await
    }
}
