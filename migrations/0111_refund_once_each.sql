-- Takes the place of: one row for each refund, whatever it was about.
drop index refund_by_processor_ref;
