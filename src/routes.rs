//! Every URL of Farebox in one table, grouped by who may call it.

mod operational;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{Error, HttpResponse, web};

use crate::accounts::kept_form;
use crate::gateway;
use crate::web::{self as shell, csrf, headers, hosts, static_files};
use crate::{
    accounts, books, chat, console, dev, hooks, keys, leaving, orgs, overview, presets, privacy, reference, teams,
    topups,
};

pub use operational::Metrics;

/// Adds every route.
pub fn configure(service: &mut web::ServiceConfig, dev: bool) {
    service.app_data(web::Data::new(reference::OpenApiDocument(gateway::surface::openapi_document())));
    // For load balancers and monitoring.
    service.service(
        web::scope("")
            .guard(actix_web::guard::fn_guard(|context| is_operational(context.head().uri.path())))
            .wrap(from_fn(headers::every_response))
            .route("/healthz", web::get().to(operational::healthz))
            .route("/readyz", web::get().to(operational::readyz))
            .route("/metrics", web::get().to(operational::metrics)),
    );
    // For programs with a key. Both prefixes, doubled and trailing slashes too: clients concatenate.
    service.service(
        web::scope("")
            .guard(actix_web::guard::fn_guard(|context| gateway::surface::is_api_path(context.head().uri.path())))
            .wrap(from_fn(headers::every_response))
            .configure(gateway::surface::configure),
    );
    // For scanners that find published keys, who sign what they send.
    service.service(
        web::scope("/webhooks/leaks")
            .wrap(from_fn(to_the_end))
            .wrap(from_fn(headers::every_response))
            .app_data(web::PayloadConfig::new(keys::leaks::webhook::MAX_BODY))
            .route("/github", web::post().to(keys::leaks::webhook::receive)),
    );
    // For payment processors, who sign what they send.
    service.service(
        web::scope("/webhooks")
            .wrap(from_fn(to_the_end))
            .wrap(from_fn(hosts::only_ours))
            .wrap(from_fn(headers::every_response))
            .app_data(web::PayloadConfig::new(topups::webhook::MAX_BODY))
            .route("/{processor}", web::post().to(topups::webhook::receive)),
    );
    service.service(
        web::scope("/static")
            .wrap(from_fn(hosts::only_ours))
            .wrap(from_fn(headers::every_response))
            .wrap(Compress::default())
            .route("/{path:.*}", web::get().to(static_files::get)),
    );
    service.service(
        web::scope("")
            .wrap(from_fn(to_the_end))
            .wrap(from_fn(accounts::extract::look_only))
            .wrap(from_fn(kept_form::keep))
            .wrap(from_fn(csrf::guard))
            .wrap(from_fn(hosts::only_ours))
            .wrap(from_fn(headers::every_page))
            .wrap(from_fn(headers::every_response))
            .wrap(Compress::default())
            .configure(anybody)
            .configure(members)
            .configure(api_keys)
            .configure(security)
            .configure(organizations)
            .configure(|service| {
                if dev {
                    development(service)
                }
            })
            .configure(operators)
            .configure(house_books)
            .default_service(web::to(not_found)),
    );
}

/// What changes something, and the way back from a provider, which signs somebody in. A message of the chat room has a task of its
/// own, which leaving cancels.
async fn to_the_end(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let path = request.path();
    let changes = !request.method().is_safe() || (path.starts_with("/oidc/") && path.ends_with("/callback"));
    if changes && path != "/chat/completions" {
        shell::to_the_end::work(next.call(request)).await?
    } else {
        next.call(request).await
    }
}

fn is_operational(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Pages that need nobody to be signed in.
fn anybody(service: &mut web::ServiceConfig) {
    use accounts::pages as page;
    use accounts::two_factor::pages as second;
    service
        .route("/sign-up", web::get().to(page::sign_up_form))
        .route("/sign-up", web::post().to(page::sign_up))
        .route("/verify", web::get().to(page::verify_form))
        .route("/verify", web::post().to(page::verify))
        .route("/sign-in", web::get().to(page::sign_in_form))
        .route("/sign-in", web::post().to(page::sign_in))
        .route("/sign-in/passkey/start", web::post().to(accounts::passkeys::pages::start))
        .route("/sign-in/passkey", web::post().to(accounts::passkeys::pages::sign_in))
        .route("/sign-in/second", web::get().to(second::second_form))
        .route("/sign-in/second", web::post().to(second::second))
        .route("/sign-in/second/passkey/start", web::post().to(second::second_passkey_start))
        .route("/sign-in/second/passkey", web::post().to(second::second_passkey))
        .route("/recover", web::get().to(page::recover_form))
        .route("/recover", web::post().to(page::recover))
        .route("/reset", web::get().to(page::reset_form))
        .route("/reset", web::post().to(page::reset))
        .route("/email/confirm", web::get().to(accounts::email_change::pages::confirm_form))
        .route("/email/confirm", web::post().to(accounts::email_change::pages::confirm))
        .route("/email/revert", web::get().to(accounts::email_change::pages::revert_form))
        .route("/email/revert", web::post().to(accounts::email_change::pages::revert))
        .route("/oidc/sign-in", web::post().to(accounts::oidc::pages::start_sign_in))
        .route("/oidc/{provider}/callback", web::get().to(accounts::oidc::pages::callback))
        .route("/invitations", web::get().to(teams::pages::invitations::show))
        .route("/invitations/decline", web::post().to(teams::pages::invitations::decline))
        .route("/unsubscribe", web::get().to(teams::pages::unsubscribe::show))
        .route("/unsubscribe", web::post().to(teams::pages::unsubscribe::stop))
        .route("/claim", web::get().to(keys::pages::claim::show))
        .route("/claim", web::post().to(keys::pages::claim::claim))
        .route("/key", web::get().to(keys::pages::holder::show))
        .route("/key", web::post().to(keys::pages::holder::open))
        .route("/key/close", web::post().to(keys::pages::holder::close))
        .route("/alarm", web::get().to(keys::pages::alarm::show))
        .route("/alarm", web::post().to(keys::pages::alarm::stop))
        .route("/docs/api", web::get().to(reference::pages::show))
        .route("/openapi.json", web::get().to(reference::pages::document));
}

/// Pages for members of the organization that they show.
fn members(service: &mut web::ServiceConfig) {
    service
        .route("/", web::get().to(overview::pages::index))
        .route("/oidc/step-up", web::post().to(accounts::oidc::pages::start_step_up))
        .route("/oidc/link", web::post().to(accounts::oidc::pages::start_link))
        .route("/settings/sign-in", web::get().to(orgs::ways::pages::index))
        .route("/settings/sign-in/unlink", web::post().to(orgs::ways::pages::unlink))
        .route("/settings/sign-in/password", web::post().to(orgs::ways::pages::change_password))
        .route("/operator/claim", web::get().to(accounts::operator::pages::claim_form))
        .route("/operator/claim", web::post().to(accounts::operator::pages::claim))
        .route("/step-up", web::get().to(accounts::two_factor::pages::step_up_form))
        .route("/step-up", web::post().to(accounts::two_factor::pages::step_up))
        .route("/step-up/continue", web::get().to(kept_form::pages::show))
        .route("/step-up/passkey/start", web::post().to(accounts::two_factor::pages::step_up_passkey_start))
        .route("/step-up/passkey", web::post().to(accounts::two_factor::pages::step_up_passkey))
        .route("/sign-out", web::post().to(accounts::pages::sign_out))
        .route("/activity", web::get().to(overview::activity::index))
        .route("/activity/new", web::get().to(overview::activity::newer))
        .route("/activity/sums", web::get().to(overview::activity::sums::show))
        .route("/activity/export", web::get().to(overview::activity::export::export))
        .route("/activity/views", web::post().to(overview::activity::saved::save))
        .route("/activity/views/{view}/delete", web::post().to(overview::activity::saved::delete))
        .route("/activity/{call}", web::get().to(overview::activity::show))
        .route("/settings/activity", web::get().to(overview::activity::kept::form))
        .route("/settings/activity", web::post().to(overview::activity::kept::save))
        .route("/models", web::get().to(overview::models::index))
        .route("/models/compare", web::get().to(overview::models::compare::show))
        .route("/models/{author}/{name}", web::get().to(overview::models::show))
        .route("/models/default", web::post().to(overview::models::default_model::save))
        .route("/chat", web::get().to(chat::pages::show))
        .route("/chat/completions", web::post().to(chat::api::complete))
        .route("/chat/calls/{call}", web::get().to(chat::api::call))
        .route("/auth", web::get().to(keys::connect::pages::form))
        .route("/auth", web::post().to(keys::connect::pages::agree))
        .route("/settings/provisioning", web::get().to(keys::provisioning::pages::index))
        .route("/settings/provisioning", web::post().to(keys::provisioning::pages::create))
        .route("/settings/provisioning/new", web::get().to(keys::provisioning::pages::new_form))
        .route("/settings/provisioning/{key}", web::get().to(keys::provisioning::pages::show))
        .route("/settings/provisioning/{key}/edit", web::get().to(keys::pages::provisioning::edit_form))
        .route("/settings/provisioning/{key}/edit", web::post().to(keys::pages::provisioning::edit))
        .route("/settings/provisioning/{key}/rotate", web::get().to(keys::pages::provisioning::rotate_form))
        .route("/settings/provisioning/{key}/rotate", web::post().to(keys::pages::provisioning::rotate))
        .route("/settings/provisioning/{key}/disable", web::post().to(keys::provisioning::pages::disable))
        .route("/settings/provisioning/{key}/enable", web::post().to(keys::provisioning::pages::enable))
        .route("/settings/provisioning/{key}/delete", web::get().to(keys::provisioning::pages::confirm_delete))
        .route("/settings/provisioning/{key}/delete", web::post().to(keys::provisioning::pages::delete))
        .route("/credits", web::get().to(topups::pages::index))
        .route("/credits/topups", web::post().to(topups::pages::create))
        .route("/credits/topups/{topup}", web::get().to(topups::pages::show))
        .route("/credits/topups/{topup}/refund", web::get().to(topups::refunds::pages::refund_form))
        .route("/credits/topups/{topup}/refund", web::post().to(topups::refunds::pages::refund))
        .route("/credits/methods", web::post().to(topups::saved::pages::begin))
        .route("/credits/methods/new", web::get().to(topups::saved::pages::form))
        .route("/credits/methods/keep/{setup}", web::get().to(topups::saved::pages::keep))
        .route("/credits/methods/{method}/default", web::post().to(topups::saved::pages::default_method))
        .route("/credits/methods/{method}/remove", web::get().to(topups::saved::pages::remove_method_form))
        .route("/credits/methods/{method}/remove", web::post().to(topups::saved::pages::remove_method))
        .route("/credits/auto", web::get().to(topups::auto::pages::index))
        .route("/credits/auto", web::post().to(topups::auto::pages::turn_on))
        .route("/credits/auto/edit", web::get().to(topups::auto::pages::edit))
        .route("/credits/auto/off", web::post().to(topups::auto::pages::turn_off))
        .route("/settings/balance", web::get().to(topups::alerts::pages::show))
        .route("/settings/balance", web::post().to(topups::alerts::pages::save))
        .route("/credits/topups/{topup}/receipt", web::get().to(topups::billing::pages::receipt))
        .route("/credits/topups/{topup}/receipt.pdf", web::get().to(topups::billing::pages::receipt_pdf))
        .route("/settings/billing", web::get().to(topups::billing::pages::form))
        .route("/settings/billing", web::post().to(topups::billing::pages::save))
        .route("/credits/redeem", web::get().to(topups::codes::pages::form))
        .route("/credits/redeem", web::post().to(topups::codes::pages::send))
        .route("/settings/profile", web::get().to(orgs::pages::profile))
        .route("/settings/profile", web::post().to(orgs::pages::save_profile))
        .route("/settings/picture", web::post().to(orgs::account::pages::save_picture))
        .route("/settings/picture/remove", web::post().to(orgs::account::pages::remove_picture))
        .route("/pictures/{picture}", web::get().to(orgs::account::pages::picture))
        .route("/settings/delete", web::get().to(leaving::pages::form))
        .route("/settings/delete", web::post().to(leaving::pages::delete))
        .route("/account/leaving", web::get().to(leaving::pages::leaving))
        .route("/account/keep", web::post().to(leaving::pages::keep))
        .route("/settings/email", web::get().to(orgs::account::pages::email_form))
        .route("/settings/email", web::post().to(orgs::account::pages::email));
}

/// Keys of the organization that is open, or one's own among them.
fn api_keys(service: &mut web::ServiceConfig) {
    use keys::pages::{forms, give, list, rotate, several, show, switch};
    service
        .route("/keys", web::get().to(list::index))
        .route("/keys", web::post().to(forms::create))
        .route("/keys/new", web::get().to(forms::new_form))
        .route("/keys/give", web::get().to(give::form))
        .route("/keys/give", web::post().to(give::give))
        .route("/keys/several", web::post().to(several::change))
        .route("/keys/stop", web::get().to(switch::form))
        .route("/keys/stop", web::post().to(switch::stop))
        .route("/keys/resume", web::post().to(switch::resume))
        .route("/keys/{key}", web::get().to(show::show))
        .route("/keys/{key}/edit", web::get().to(forms::edit_form))
        .route("/keys/{key}/edit", web::post().to(forms::edit))
        .route("/keys/{key}/rotate", web::get().to(rotate::form))
        .route("/keys/{key}/rotate", web::post().to(rotate::rotate))
        .route("/keys/{key}/link", web::post().to(give::again))
        .route("/keys/{key}/unlink", web::post().to(give::revoke))
        .route("/keys/{key}/disable", web::post().to(show::disable))
        .route("/keys/{key}/enable", web::post().to(show::enable))
        .route("/keys/{key}/delete", web::get().to(show::confirm_delete))
        .route("/keys/{key}/delete", web::post().to(show::delete));
}

/// A person's own security. What changes it asks them to show again who they are.
fn security(service: &mut web::ServiceConfig) {
    use orgs::security::pages as page;
    use orgs::security::passkeys::pages as passkey;
    service
        .route("/settings/security", web::get().to(page::index))
        .route("/settings/security/sessions/end-others", web::post().to(page::end_others))
        .route("/settings/security/sessions/{session}/end", web::post().to(page::end_session))
        .route("/settings/security/two-factor", web::get().to(page::setup))
        .route("/settings/security/two-factor", web::post().to(page::begin))
        .route("/settings/security/two-factor/passkeys", web::post().to(page::require_passkey))
        .route("/settings/security/two-factor/confirm", web::post().to(page::confirm))
        .route("/settings/security/two-factor/off", web::get().to(page::off_form))
        .route("/settings/security/two-factor/off", web::post().to(page::off))
        .route("/settings/security/recovery-codes", web::get().to(page::codes_form))
        .route("/settings/security/recovery-codes", web::post().to(page::codes))
        .route("/settings/security/passkeys/new", web::get().to(passkey::new_form))
        .route("/settings/security/passkeys/start", web::post().to(passkey::start))
        .route("/settings/security/passkeys", web::post().to(passkey::add))
        .route("/settings/security/passkeys/{passkey}/remove", web::get().to(passkey::remove_form))
        .route("/settings/security/passkeys/{passkey}/remove", web::post().to(passkey::remove));
}

/// Organizations, their people, and what is written down of them.
fn organizations(service: &mut web::ServiceConfig) {
    use teams::pages::{audit, credits, invitations, list, members, notifications, organization};
    service
        .route("/invitations/accept", web::post().to(invitations::accept))
        .route("/organizations", web::post().to(organization::create))
        .route("/organizations/new", web::get().to(organization::new_form))
        .route("/organizations/{org}/open", web::post().to(organization::open))
        .route("/credits/move", web::get().to(credits::form))
        .route("/credits/move", web::post().to(credits::send))
        .route("/settings/organization", web::get().to(organization::settings))
        .route("/settings/organization", web::post().to(organization::rename))
        .route("/settings/organization/picture", web::post().to(organization::save_picture))
        .route("/settings/organization/picture/remove", web::post().to(organization::remove_picture))
        .route("/settings/organization/leave", web::post().to(organization::leave))
        .route("/settings/organization/delete", web::get().to(organization::delete_form))
        .route("/settings/organization/delete", web::post().to(organization::delete))
        .route("/settings/organization/keep", web::post().to(organization::keep))
        .route("/settings/members", web::get().to(list::index))
        .route("/settings/members/invitations", web::post().to(invitations::invite))
        .route("/settings/members/invitations/{invitation}/resend", web::post().to(invitations::resend))
        .route("/settings/members/invitations/{invitation}/revoke", web::post().to(invitations::revoke))
        .route("/settings/members/{person}", web::get().to(members::show))
        .route("/settings/members/{person}/role", web::post().to(members::change_role))
        .route("/settings/members/{person}/cap", web::post().to(members::change_cap))
        .route("/settings/members/{person}/remove", web::get().to(members::remove_form))
        .route("/settings/members/{person}/remove", web::post().to(members::remove))
        .route("/settings/members/{person}/transfer", web::get().to(members::transfer_form))
        .route("/settings/members/{person}/transfer", web::post().to(members::transfer))
        .route("/settings/integrations", web::get().to(overview::integrations::index))
        .route("/settings/integrations/{provider}", web::get().to(overview::integrations::show))
        .route("/settings/integrations/{provider}", web::post().to(overview::integrations::save))
        .route("/settings/integrations/{provider}/test", web::post().to(overview::integrations::test))
        .route("/settings/integrations/{provider}/disconnect", web::post().to(overview::integrations::disconnect))
        .route("/settings/notifications", web::get().to(notifications::show))
        .route("/settings/notifications", web::post().to(notifications::save))
        .route("/settings/notifications/people", web::get().to(notifications::people))
        .route("/settings/notifications/{person}", web::get().to(notifications::of_person))
        .route("/settings/notifications/{person}", web::post().to(notifications::save_of))
        .route("/settings/webhooks", web::get().to(hooks::pages::index))
        .route("/settings/webhooks", web::post().to(hooks::pages::create))
        .route("/settings/webhooks/new", web::get().to(hooks::pages::new_form))
        .route("/settings/webhooks/deliveries/{delivery}", web::get().to(hooks::messages::pages::show))
        .route("/settings/webhooks/deliveries/{delivery}/again", web::post().to(hooks::messages::pages::again))
        .route("/settings/webhooks/{hook}", web::get().to(hooks::pages::show))
        .route("/settings/webhooks/{hook}/edit", web::get().to(hooks::pages::edit_form))
        .route("/settings/webhooks/{hook}/edit", web::post().to(hooks::pages::edit))
        .route("/settings/webhooks/{hook}/rotate", web::post().to(hooks::pages::rotate))
        .route("/settings/webhooks/{hook}/disable", web::post().to(hooks::pages::disable))
        .route("/settings/webhooks/{hook}/enable", web::post().to(hooks::pages::enable))
        .route("/settings/webhooks/{hook}/test", web::post().to(hooks::pages::test))
        .route("/settings/webhooks/{hook}/delete", web::get().to(hooks::pages::delete_form))
        .route("/settings/webhooks/{hook}/delete", web::post().to(hooks::pages::delete))
        .route("/settings/privacy", web::get().to(privacy::pages::show))
        .route("/settings/privacy", web::post().to(privacy::pages::save))
        .route("/settings/privacy/texts/delete", web::get().to(privacy::pages::delete_form))
        .route("/settings/privacy/texts/delete", web::post().to(privacy::pages::delete))
        .route("/settings/preferences", web::get().to(presets::pages::preferences::show))
        .route("/settings/preferences", web::post().to(presets::pages::preferences::save))
        .route("/settings/presets", web::get().to(presets::pages::list::index))
        .route("/settings/presets", web::post().to(presets::pages::editor::make))
        .route("/settings/presets/new", web::get().to(presets::pages::editor::new_form))
        .route("/settings/presets/draft", web::post().to(presets::pages::editor::draft))
        .route("/settings/presets/{preset}", web::get().to(presets::pages::editor::show))
        .route("/settings/presets/{preset}", web::post().to(presets::pages::editor::save))
        .route("/settings/presets/{preset}/versions", web::get().to(presets::pages::versions::index))
        .route("/settings/presets/{preset}/versions", web::post().to(presets::pages::versions::go_to))
        .route("/settings/presets/{preset}/archive", web::post().to(overview::archive_preset::archive))
        .route("/settings/presets/{preset}/restore", web::post().to(presets::pages::editor::restore))
        .route("/settings/presets/{preset}/try", web::get().to(overview::try_preset::form))
        .route("/settings/presets/{preset}/try", web::post().to(overview::try_preset::send))
        .route("/settings/audit", web::get().to(audit::index))
        .route("/settings/audit/export", web::get().to(audit::export));
}

/// The console of whoever runs the instance. Auditors open what is about money.
fn operators(service: &mut web::ServiceConfig) {
    use console::pages::{
        adjustments, announcements, catalog, codes, confirmations, fees, freezing, inbox, log, look, mails, margins,
        orgs, overview, payments, people, price_lists, staff, upstreams,
    };
    service
        .route("/admin", web::get().to(overview::show))
        .route("/admin/organizations", web::get().to(orgs::index))
        .route("/admin/organizations/{org}", web::get().to(orgs::show))
        .route("/admin/organizations/{org}/freeze", web::post().to(orgs::freeze))
        .route("/admin/organizations/{org}/unfreeze", web::post().to(orgs::unfreeze))
        .route("/admin/organizations/{org}/look", web::post().to(look::begin))
        .route("/admin/look/end", web::post().to(look::end))
        .route("/admin/people", web::get().to(people::index))
        .route("/admin/people/{person}", web::get().to(people::show))
        .route("/admin/people/{person}/freeze", web::post().to(freezing::freeze))
        .route("/admin/people/{person}/unfreeze", web::post().to(freezing::unfreeze))
        .route("/admin/people/{person}/sign-out", web::post().to(people::sign_out))
        .route("/admin/adjustments", web::get().to(adjustments::index))
        .route("/admin/adjustments", web::post().to(adjustments::create))
        .route("/admin/adjustments/new", web::get().to(adjustments::new_form))
        .route("/admin/adjustments/{adjustment}", web::get().to(adjustments::show))
        .route("/admin/adjustments/{adjustment}/approve", web::post().to(adjustments::approve))
        .route("/admin/adjustments/{adjustment}/reject", web::post().to(adjustments::reject))
        .route("/admin/adjustments/{adjustment}/withdraw", web::post().to(adjustments::withdraw))
        .route("/admin/confirmations", web::get().to(confirmations::index))
        .route("/admin/confirmations/{confirmation}", web::get().to(confirmations::show))
        .route("/admin/confirmations/{confirmation}/confirm", web::post().to(confirmations::confirm))
        .route("/admin/confirmations/{confirmation}/reject", web::post().to(confirmations::reject))
        .route("/admin/confirmations/{confirmation}/withdraw", web::post().to(confirmations::withdraw))
        .route("/admin/payments", web::get().to(payments::index))
        .route("/admin/payments/messages", web::get().to(inbox::index))
        .route("/admin/payments/{topup}", web::get().to(payments::show))
        .route("/admin/payments/{topup}/refund", web::post().to(payments::refund))
        .route("/admin/codes", web::get().to(codes::index))
        .route("/admin/codes", web::post().to(codes::make))
        .route("/admin/codes/revoke", web::post().to(codes::revoke))
        .route("/admin/codes/{batch}", web::get().to(codes::show))
        .route("/admin/catalog", web::get().to(catalog::index))
        .route("/admin/catalog/models", web::post().to(catalog::models::create))
        .route("/admin/catalog/models/new", web::get().to(catalog::models::new_form))
        .route("/admin/catalog/models/{author}/{name}", web::get().to(catalog::models::show))
        .route("/admin/catalog/models/{author}/{name}", web::post().to(catalog::models::edit))
        .route("/admin/catalog/models/{author}/{name}/retire", web::get().to(catalog::models::retire_form))
        .route("/admin/catalog/models/{author}/{name}/retire", web::post().to(catalog::models::retire))
        .route("/admin/catalog/endpoints", web::post().to(catalog::endpoints::create))
        .route("/admin/catalog/endpoints/new", web::get().to(catalog::endpoints::new_form))
        .route("/admin/catalog/endpoints/{endpoint}", web::get().to(catalog::endpoints::show))
        .route("/admin/catalog/endpoints/{endpoint}", web::post().to(catalog::endpoints::edit))
        .route("/admin/catalog/endpoints/{endpoint}/retire", web::get().to(catalog::endpoints::retire_form))
        .route("/admin/catalog/endpoints/{endpoint}/retire", web::post().to(catalog::endpoints::retire))
        .route("/admin/catalog/endpoints/{endpoint}/price", web::get().to(catalog::price::show))
        .route("/admin/catalog/endpoints/{endpoint}/price", web::post().to(catalog::price::add))
        .route("/admin/catalog/providers/{provider}", web::get().to(catalog::providers::show))
        .route("/admin/catalog/providers/{provider}", web::post().to(catalog::providers::edit))
        .route("/admin/catalog/margin", web::get().to(margins::show))
        .route("/admin/catalog/lists", web::get().to(price_lists::index))
        .route("/admin/catalog/lists", web::post().to(price_lists::upload))
        .route("/admin/catalog/lists/{list}", web::get().to(price_lists::show))
        .route("/admin/catalog/lists/{list}/apply", web::post().to(price_lists::apply_list))
        .route("/admin/fees", web::get().to(fees::show))
        .route("/admin/fees", web::post().to(fees::set_fees))
        .route("/admin/sign-up", web::post().to(fees::set_sign_up))
        .route("/admin/upstreams", web::get().to(upstreams::index))
        .route("/admin/upstreams", web::post().to(upstreams::set))
        .route("/admin/mails", web::get().to(mails::index))
        .route("/admin/mails/retry", web::post().to(mails::retry))
        .route("/admin/jobs", web::get().to(mails::jobs))
        .route("/admin/jobs/retry", web::post().to(mails::retry_job))
        .route("/admin/announcements", web::get().to(announcements::index))
        .route("/admin/announcements", web::post().to(announcements::announce))
        .route("/admin/announcements/end", web::post().to(announcements::end))
        .route("/announcements/read", web::post().to(announcements::put_away))
        .route("/admin/staff", web::get().to(staff::index))
        .route("/admin/staff", web::post().to(staff::add))
        .route("/admin/staff/remove", web::post().to(staff::remove))
        .route("/admin/log", web::get().to(log::index));
}

/// The books of the house, which change nothing, and the statements of organizations.
fn house_books(service: &mut web::ServiceConfig) {
    use console::pages::{books as trial, calls, closes, exports, find, holds, journal, usage};
    service
        .route("/admin/find", web::get().to(find::find))
        .route("/admin/holds", web::get().to(holds::index))
        .route("/admin/books/usage", web::get().to(usage::index))
        .route("/admin/books", web::get().to(trial::index))
        .route("/admin/books/trial.csv", web::get().to(trial::trial_csv))
        .route("/admin/books/journal", web::get().to(journal::index))
        .route("/admin/books/transfers/{transfer}", web::get().to(journal::transfer))
        .route("/admin/organizations/{org}/calls/{call}", web::get().to(calls::show))
        .route("/admin/books/exports", web::get().to(exports::index))
        .route("/admin/books/export", web::get().to(exports::export))
        .route("/admin/books/closes", web::get().to(closes::index))
        .route("/admin/books/closes/{day}", web::get().to(closes::show))
        .route("/admin/books/reconciliation", web::get().to(closes::runs))
        .route("/admin/books/reconciliation/{run}", web::get().to(closes::run))
        .route("/admin/organizations/{org}/statements", web::get().to(closes::statements))
        .route("/admin/organizations/{org}/statements/{month}", web::get().to(closes::statement))
        .route("/admin/organizations/{org}/statements/{month}/{form}", web::get().to(closes::statement_file))
        .route("/credits/statements", web::get().to(books::pages::index))
        .route("/credits/statements/month", web::get().to(books::pages::show))
        .route("/credits/statements/rows", web::get().to(books::pages::rows))
        .route("/credits/statements/calls", web::get().to(books::pages::calls))
        .route("/credits/statements/file", web::get().to(books::pages::download));
}

/// Stand-ins, each marked as such on its page. None of them exists in production.
fn development(service: &mut web::ServiceConfig) {
    service
        .route("/sandbox/checkout/{topup}", web::get().to(topups::pages::sandbox_checkout))
        .route("/sandbox/checkout/{topup}", web::post().to(topups::pages::sandbox_decide))
        .route("/dev/mailbox", web::get().to(dev::pages::mailbox))
        .route("/dev/mailbox/{mail}", web::get().to(dev::pages::message));
}

async fn not_found() -> Result<HttpResponse, crate::web::PageError> {
    Err(crate::web::PageError::NotFound)
}
