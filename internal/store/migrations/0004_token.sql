-- Hardware tokens: what was imported, and where each one is. A token in stock
-- keeps its sealed seed here; when it is assigned the seed moves to the
-- credential, so that one secret is never kept, nor counted, in two places.
create table token (
    id           bigint primary key,            -- random, so that rows come many at a time
    serial       text   not null unique,
    manufacturer text   not null default '',
    kind         text   not null,               -- hotp, totp
    detail       text   not null,               -- hash, digits and period, for people
    issued       bigint not null default 0,     -- when it was made, as its file says
    seed         {bytes} not null,              -- sealed, or empty while it is elsewhere
    state        text   not null,               -- stock, assigned, returned, lost, revoked
    account      bigint not null default 0,     -- whose it is, or was
    credential   bigint not null default 0,
    batch        text   not null default '',    -- digest of the import that it came with
    version      bigint not null default 1,
    created      bigint not null,
    mac          {bytes} not null
);
create index token_account on token (account);
create index token_state on token (state, serial);
