-- Messages about one payment are applied together, looked up by operators, and dropped when they are old.
create index processor_event_by_object on processor_event (processor, object_ref);
create index processor_event_by_age on processor_event (received_at);
