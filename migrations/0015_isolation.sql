-- A second wall between tenants, behind queries that name the organization first: row-level security.
--
-- Pages and the API run as the role farebox_tenant, which owns nothing, inside a transaction that says for which
-- organization (setting farebox.org, gone with the transaction). Whatever a query forgets, rows of others do not
-- exist for it. What works for all organizations at once (settlement, sweeping, audits, jobs) runs as the owner.

do $$
begin
    begin
        if not exists (select from pg_roles where rolname = 'farebox_tenant') then
            create role farebox_tenant nologin;
        end if;
    exception when duplicate_object or unique_violation then
        -- Roles belong to the whole server: another database of it has made it at this moment.
        null;
    end;
    if not pg_has_role(current_user, 'farebox_tenant', 'member') then
        execute format('grant farebox_tenant to %I', current_user);
    end if;
exception when insufficient_privilege then
    raise exception 'the database user % may not make or take the role farebox_tenant; run once as an administrator of the server: create role farebox_tenant nologin; grant farebox_tenant to %', current_user, quote_ident(current_user);
end $$;

grant usage on schema public to farebox_tenant;
grant select, insert, update, delete on all tables in schema public to farebox_tenant;
alter default privileges in schema public grant select, insert, update, delete on tables to farebox_tenant;

-- Puts a table behind the wall; `whose` is the column with the organization.
create function isolate(tenant_table regclass, whose name) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', tenant_table);
    -- The owner too, should a query of the program ever forget to change its role.
    execute format('alter table %s force row level security', tenant_table);
    execute format('create policy tenant on %s to farebox_tenant
        using (%I = nullif(current_setting(''farebox.org'', true), '''')::uuid)
        with check (%I = nullif(current_setting(''farebox.org'', true), '''')::uuid)', tenant_table, whose, whose);
    execute format('create policy house on %s to %I using (true) with check (true)', tenant_table, current_user);
end $$;

do $$
declare
    found record;
begin
    for found in
        select c.oid::regclass as name from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            -- Who belongs where is asked before it is known for which organization; it names people, not things.
            and c.relname not in ('membership', 'personal_org')
    loop
        perform isolate(found.name, 'org_id');
    end loop;
end $$;

-- Credits that moved between two organizations stand in the books of both.
create policy counterpart on transfer for select to farebox_tenant
    using (nullif(current_setting('farebox.org', true), '')::uuid in (debit_account, credit_account));

-- The log of an organization, under the name that it has there.
select isolate('audit_entry', 'chain_id');
create policy record_elsewhere on audit_entry for insert to farebox_tenant with check (true);
