-- Why an automatic purchase that nobody confirmed is cancelled, written down before the processor is asked to do so: whichever
-- word of it comes first then, an answer or a message, ends the purchase for this reason. Null while it is not given up.

alter table auto_topup_attempt add column given_up text;
