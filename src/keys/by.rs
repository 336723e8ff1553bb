//! Who makes, stops or deletes a key, for the log.

use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::OrgId;
use crate::orgs::Acting;

/// Somebody who does something to a key: a person, a program, or the operator.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub actor: Actor,
    pub name: &'a str,
    pub origin: &'a Origin,
}

impl By<'_> {
    pub(super) fn entry(&self, org: OrgId, action: Action) -> Entry {
        Entry::new(Chain::Org(org), self.actor, action, self.origin).named(self.name)
    }
}

impl<'a> From<Acting<'a>> for By<'a> {
    fn from(acting: Acting<'a>) -> By<'a> {
        By { actor: Actor::Person(acting.person.id), name: &acting.person.name, origin: acting.origin }
    }
}
