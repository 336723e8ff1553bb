-- The journal is read by time. A settlement writes a row for an organization and a batch, at the right end of this index.
create index transfer_by_time on transfer (created_at, id);
-- Everything but calls, which are nearly all rows. Settlements do not touch it.
create index transfer_rare on transfer (created_at, id) where code <> 'usage';
