-- no-transaction
-- A refund of a payment that came in more than once is spread over its purchases, each part under the same name.
create unique index concurrently if not exists refund_of_topup_by_processor_ref on refund (processor, processor_ref, topup_id);
