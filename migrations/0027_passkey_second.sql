-- Somebody whose passkeys are their second factor, without an app: signing in with the password asks for one of them.
create table passkey_second (
    person_id uuid primary key references person (id),
    since     timestamptz not null default now()
);
revoke all on passkey_second from farebox_tenant;
