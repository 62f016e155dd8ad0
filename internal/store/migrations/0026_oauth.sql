-- The keys by which others verify what we say of people.
create table signing_key (
    id        {identity},
    name      text    not null unique, -- the kid
    algorithm text    not null,
    payload   {bytes} not null,        -- sealed: PKCS #8
    created   bigint  not null,
    starts    bigint  not null,        -- from when on it signs; it is published before
    mac       {bytes} not null
);

-- What OAuth clients were given on behalf of people: a row for each time that somebody
-- signed in to one. It is the code until that is used, and then all tokens that came of it.
create table oauth_grant (
    id      {bytes} primary key,
    account bigint  not null,
    client  text    not null, -- the application
    session text    not null, -- the number of the session that it hangs from
    step    bigint  not null, -- 0 while the code is not used, then counts the refresh tokens
    payload {bytes} not null, -- sealed
    created bigint  not null,
    expires bigint  not null,
    ended   bigint  not null default 0,
    mac     {bytes} not null
) {keyed};
create index oauth_grant_account on oauth_grant (account);
create index oauth_grant_expires on oauth_grant (expires);

-- What is good once and was used: the names of signed statements that clients brought.
create table oauth_used (
    name    {bytes} primary key,
    expires bigint  not null
) {keyed};
create index oauth_used_expires on oauth_used (expires);
