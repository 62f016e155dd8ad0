-- Lists of one-time codes for local accounts of hosts, for when the network is
-- away. A new list of an account takes the place of the one before.
create table offline_list (
    id      {identity},
    host    text    not null,
    login   text    not null,           -- the local account
    secret  {bytes} not null,           -- sealed
    codes   bigint  not null,
    next    bigint  not null default 0, -- the first code that is not known to be used
    at      bigint  not null default 0, -- when the one before it was used, as the host says
    issued  bigint  not null,
    mac     {bytes} not null,
    unique (host, login)
);
