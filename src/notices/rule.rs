//! What each role may get, and what it gets where nobody chose.

use super::choice::Choice;
use crate::mail::Topic;
use crate::orgs::{Permission, Role};

/// Whether somebody of this role may be told of all there is to tell about a topic.
#[must_use]
pub fn may_all(topic: Topic, role: Role) -> bool {
    role.may(match topic {
        Topic::LowBalance | Topic::AutoTopup | Topic::Receipt | Topic::Refunds => Permission::HandleCredits,
        Topic::Limit | Topic::KeyCreated => Permission::ManageAllKeys,
        Topic::WeeklySummary => Permission::SeeAllActivity,
        Topic::Webhooks => Permission::ManageSettings,
    })
}

/// What somebody of this role may choose, the least first; only [`Choice::No`] where the topic is none of theirs.
#[must_use]
pub fn offered(topic: Topic, role: Role) -> Vec<Choice> {
    let all = may_all(topic, role);
    let own = match topic {
        Topic::Limit | Topic::KeyCreated => role.may(Permission::UseKeys),
        Topic::AutoTopup => all,
        _ => false,
    };
    let some = [(Choice::Own, own), (Choice::All, all)];
    std::iter::once(Choice::No).chain(some.into_iter().filter(|(_, may)| *may).map(|(choice, _)| choice)).collect()
}

/// What somebody of this role gets who chose nothing. Receipts go to the billing address alone; the readers of the
/// low-balance alert are set with it, so its callers say otherwise.
#[must_use]
pub fn usual(topic: Topic, role: Role) -> Choice {
    match (topic, role) {
        (Topic::LowBalance | Topic::Refunds, Role::Owner | Role::Billing)
        | (Topic::AutoTopup | Topic::WeeklySummary, Role::Owner)
        | (Topic::Webhooks, Role::Owner | Role::Admin) => Choice::All,
        (Topic::AutoTopup | Topic::Limit | Topic::KeyCreated, _) => Choice::Own,
        _ => Choice::No,
    }
}

/// The most of a choice that a role may have.
pub(super) fn within(topic: Topic, role: Role, choice: Choice) -> Choice {
    offered(topic, role).into_iter().filter(|offered| *offered <= choice).max().unwrap_or(Choice::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_offered_and_a_choice_never_widens_a_role() {
        for topic in Topic::ALL {
            for role in Role::ALL {
                let most = within(topic, role, Choice::All);
                assert_eq!(most == Choice::All, may_all(topic, role), "{topic:?} {role:?}");
                assert!(within(topic, role, usual(topic, role)) <= usual(topic, role));
            }
            assert_eq!(within(topic, Role::Owner, usual(topic, Role::Owner)), usual(topic, Role::Owner));
        }
        assert_eq!(within(Topic::Limit, Role::Member, Choice::All), Choice::Own);
        assert_eq!(within(Topic::LowBalance, Role::Member, Choice::All), Choice::No);
        assert_eq!(within(Topic::KeyCreated, Role::Billing, Choice::All), Choice::No);
    }
}
