//! The stories of settlement, the log, the audit and what a key may ask, each on a database of its own.

use sqlx::PgPool;

use crate::support::cluster;

macro_rules! stories {
    ($($module:ident: $($name:ident)*;)*) => {$(
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(super::pool().await).await;
                }
            )*
        }
    )*};
}

async fn pool() -> PgPool {
    PgPool::connect(&cluster::database().await).await.expect("the database")
}

stories! {
    settle:
        a_call_is_charged_once_and_logged
        the_same_call_many_times_at_once_is_one_call
        many_organizations_settle_at_once_on_two_processes
        the_customer_never_pays_more_than_was_held
        a_hold_that_a_crash_of_the_database_lost_is_charged_once
        a_lost_hold_never_takes_the_balance_below_zero
        an_abandoned_call_costs_nothing_until_its_proof_turns_up
        refused_calls_are_logged_and_cost_nothing
        one_bad_row_sinks_no_other
        while_the_database_is_away_calls_are_kept_and_replayed_once
        connections_that_die_in_the_middle_lose_and_double_nothing
        a_process_that_dies_in_the_middle_keeps_what_it_acknowledged
        the_sweeper_waits_for_the_spool
        nobody_is_told_before_the_disk_has_it_and_the_next_batch_does_not_wait
        a_flush_that_fails_leaves_the_settlement_to_the_spool_and_charges_once;
    fits:
        a_call_is_admitted_exactly_if_it_fits
        a_clock_that_was_ahead_once_keeps_no_limit_for_good;
    books:
        each_kind_of_drift_is_found;
    activity:
        pages_add_up_to_the_ledger
        quantities_stay_with_a_call_however_it_is_settled
        the_last_hour_is_shown_by_minute
        the_log_pages_and_filters_within_its_organization
        a_call_is_explained_line_by_line;
    depth:
        every_zone_adds_up_to_the_ledger_over_changes_of_clocks
        the_log_finds_what_is_rare_in_steps_and_misses_nothing
        calls_whose_time_is_over_go_and_the_books_stay_exact
        a_kill_while_calls_are_deleted_loses_none
        every_month_has_its_part_and_a_call_without_one_is_told_and_moved;
    query_api:
        the_list_of_models_has_what_every_client_demands
        a_key_sees_its_exact_spending_and_its_tightest_limit;
}
