-- A mail that is not tried any more. It is marked before its last try, so that a process which dies in it leaves no
-- mail that is neither sent nor dead; being sent takes the mark away.

alter table mail add column dead_at timestamptz;
create index mail_dead on mail (dead_at) where dead_at is not null;

-- Mails that used up their tries before this column existed.
do $$
begin
    if to_regclass('graphile_worker._private_jobs') is not null then
        update mail m set dead_at = now()
        from graphile_worker._private_jobs j
        where m.sent_at is null and m.recipient <> '' and j.attempts >= j.max_attempts
            and j.key = 'mail:mail_' || replace(m.id::text, '-', '');
    end if;
end $$;

-- In which English somebody reads; it decides how dates and times are written.
alter table person
    add column locale text not null default 'en-GB' constraint person_locale check (locale in ('en-US', 'en-GB'));
