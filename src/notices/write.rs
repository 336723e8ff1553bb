//! Writing a mail: once for each event and reader.

use sqlx::PgConnection;

use crate::base::EmailAddress;
use crate::base::ids::{OrgId, PersonId};
use crate::base::secret::Digest;
use crate::mail::{self, About, Kind, NewMail};
use crate::orgs::MemberRow;
use crate::web::views::emails::{self, NoticeMail};

/// Who is told.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Empty for an address that is no member's.
    pub name: String,
    pub email: EmailAddress,
    /// Whose choice about which organization this mail is; `None` for an address that is no member's.
    pub chooser: Option<(OrgId, PersonId)>,
}

impl Reader {
    /// `None` for a member whose address was erased.
    #[must_use]
    pub fn of(org: OrgId, member: &MemberRow) -> Option<Reader> {
        let email = EmailAddress::parse(&member.email).ok()?;
        Some(Reader { name: member.name.clone(), email, chooser: Some((org, member.person)) })
    }
}

/// Writes the same notice to each reader, in the caller's transaction. An event that a reader was told of before is not
/// told again.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn write(
    conn: &mut PgConnection,
    event: &str,
    kind: Kind,
    readers: Vec<Reader>,
    notice: &NoticeMail,
    about: About,
) -> anyhow::Result<()> {
    for Reader { name, email, chooser } in readers {
        let mail = emails::notice(&NoticeMail { name, ..notice.clone() })?;
        // The address itself would outlive the mail, whose event is kept for ever.
        let reader = &Digest::of(email.canonical()).to_hex()[..16];
        let event = format!("{event}:{reader}");
        let new = NewMail { event, kind, to: email, subject: mail.subject, text: mail.text, html: mail.html, about };
        mail::enqueue_chosen(conn, new, chooser).await?;
    }
    Ok(())
}
