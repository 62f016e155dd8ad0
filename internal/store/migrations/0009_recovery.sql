-- Browsers that show a number, for somebody to read to the help desk. A name that
-- nobody has is account 0, so that it looks like any other.
create table recovery_request (
    id      {identity},
    secret  {bytes} not null unique, -- hash of what the browser holds
    account bigint  not null,
    number  text    not null,
    source  text    not null,
    created bigint  not null,
    expires bigint  not null,
    mac     {bytes} not null,
    unique (account, number)
);
create index recovery_request_source on recovery_request (source);

-- How people got back in, and how they were kept from it. The rows stay.
create table recovery (
    id        {identity},
    account   bigint  not null,
    secret    {bytes} not null unique,   -- hash of what the bound browser holds
    opener    bigint  not null,          -- who made sure; the account itself by its codes
    checked   text    not null,
    note      text    not null,
    forgotten bigint  not null,          -- what is known is replaced as well
    second    bigint  not null,          -- it takes a second person
    state     text    not null,          -- open, stopped, done
    confirmer bigint  not null default 0, -- the second person
    taken     bigint  not null default 0, -- passes that the browser took
    opened    bigint  not null,
    due       bigint  not null,
    ends      bigint  not null,
    mac       {bytes} not null
);
create index recovery_account on recovery (account, opened);
create index recovery_opened on recovery (opened);
