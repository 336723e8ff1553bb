//! The catalog's own stories, each on an empty catalog.

use crate::catalog_stories;
use crate::support::cluster;

macro_rules! stories {
    ($($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            catalog_stories::$name(&cluster::without_catalog().await).await;
        }
    )*};
}

stories! {
    what_was_applied_is_exported_and_applies_with_no_changes
    a_new_price_supersedes_and_the_old_version_can_never_change
    what_the_file_lacks_is_retired_only_when_asked_and_can_come_back
    a_stored_key_opens_its_provider
    two_applies_at_once_add_one_version
    a_change_is_told_to_every_process
}
