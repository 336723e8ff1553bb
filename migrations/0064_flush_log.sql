-- The flush behind a batch of settlements (src/gateway/settle/flush.rs) in one prepared statement instead of five that
-- are parsed each time. It wrote something and waits for the disk, so whatever was committed before it is there, too.
-- What it returns tells one life of the database from the next: a connection does not outlive a crash, so the id that is
-- read beside the message is that of the life in which the message was written. Null after a crash.

create function flush_log() returns uuid language plpgsql as $$
begin
   perform set_config('synchronous_commit', 'on', true);
   perform pg_logical_emit_message(true, 'farebox', '');
   return (select id from incarnation);
end
$$;
