-- Which clients are to be told when a session is over: a row waits from the sign-in on, and is
-- gone when the client was told.
create table oauth_logout (
    id      {bytes} primary key,
    account bigint  not null,
    client  text    not null, -- the application
    session text    not null, -- the number of the session
    due     bigint  not null, -- when it is told next: at the latest when the session's time is over
    tries   bigint  not null default 0,
    expires bigint  not null, -- when nobody tries any more
    payload {bytes} not null, -- sealed
    mac     {bytes} not null
) {keyed};
create index oauth_logout_account on oauth_logout (account);
create index oauth_logout_due on oauth_logout (due);
create index oauth_logout_client on oauth_logout (client, due);
