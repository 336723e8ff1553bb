-- What somebody had typed when they were asked to show again who they are. Sealed, one for each session, for minutes.

create table kept_form (
    session_id uuid primary key references session (id) on delete cascade,
    -- Where the form goes, and the page that it came from.
    action     text not null,
    back       text not null,
    key_id     text not null,
    nonce      bytea not null,
    ciphertext bytea not null,
    expires_at timestamptz not null
);
revoke all on kept_form from farebox_tenant;
