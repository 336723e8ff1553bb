-- What stands before the wall between tenants. Their role may do there what the pages behind it need, and nothing else, whatever a
-- query forgets: secrets of people are closed to it, the log is only added to, and what is everybody's is only read.

-- The log. Erasing what is personal is the house's.
revoke update, delete on audit_entry from farebox_tenant;
revoke delete on audit_chain from farebox_tenant;

-- Who somebody is, and how they prove it.
revoke all on session, one_time_token, sign_in_failure, identity, identity_flow, operator, operator_claim, totp, recovery_code, passkey,
    passkey_challenge, half_sign_in, known_device, failed_sign_in, email_change from farebox_tenant;
-- Whoever leaves an organization sees their own again from that moment on.
grant select (id), update (current_org_id) on session to farebox_tenant;
revoke all on person from farebox_tenant;
do $$
begin
    execute (select format('grant select (%s) on person to farebox_tenant', string_agg(quote_ident(attname), ', '))
        from pg_attribute where attrelid = 'person'::regclass and attnum > 0 and not attisdropped
            and attname <> 'password_hash');
end $$;

-- Mails have links with secrets in them. One is left in the outbox, and none is read; its event is looked at, for it is sent once.
revoke all on mail from farebox_tenant;
grant insert, select (event) on mail to farebox_tenant;

-- The house's own.
revoke all on provider_secret, reconciliation, reconciliation_finding, incarnation, announcement_read from farebox_tenant;
revoke insert, update, delete on personal_org, account_deletion, provider, model, endpoint, price_version, endpoint_hour,
    endpoint_minute, announcement, seller from farebox_tenant;

-- What the program knows of its schema.
do $$
begin
    if to_regclass('public._sqlx_migrations') is not null then
        revoke all on _sqlx_migrations from farebox_tenant;
    end if;
end $$;

-- Organizations, who is in them, and pictures are read by name and id; written only one's own.
do $$
declare
    ours constant text := 'nullif(current_setting(''farebox.org'', true), '''')::uuid';
    one record;
begin
    for one in
        select * from (values ('org', format('id = %s', ours)), ('membership', format('org_id = %s', ours)),
            ('picture', format('owner_kind = ''organization'' and owner_id = %s', ours))) as own (name, mine)
    loop
        execute format('alter table %I enable row level security', one.name);
        execute format('alter table %I force row level security', one.name);
        execute format('create policy read_by_all on %I for select to farebox_tenant using (true)', one.name);
        execute format('create policy changed_by_own on %I for update to farebox_tenant using (%s) with check (%s)',
            one.name, one.mine, one.mine);
        execute format('create policy made_by_own on %I for insert to farebox_tenant with check (%s)', one.name, one.mine);
        execute format('create policy removed_by_own on %I for delete to farebox_tenant using (%s)', one.name, one.mine);
        execute format('create policy house on %I to %I using (true) with check (true)', one.name, current_user);
    end loop;
end $$;
revoke insert, delete on org from farebox_tenant;
