-- The applications in which we make, change and end people and groups by SCIM.
create table scim_target (
    application text    primary key,        -- its name
    payload     {bytes} not null,           -- sealed: address, token, groups, bounds
    version     bigint  not null,
    looked      bigint  not null default 0  -- when everybody was looked at last
) {keyed};

-- What is in each of them, and what is to be done there: this is the queue as well.
create table scim_entry (
    application text    not null,
    kind        text    not null,           -- user, group
    subject     bigint  not null,           -- the number of the account or of the group
    payload     {bytes} not null,           -- sealed: its id there, what was sent; empty for what is new
    state       text    not null,           -- waiting, there, failing, held, gone
    due         bigint  not null,           -- when something is to be done; 0 for nothing
    tries       bigint  not null,
    ended       bigint  not null default 0, -- when it was ended there
    primary key (application, kind, subject)
) {keyed};
create index scim_entry_due on scim_entry (application, due);
create index scim_entry_subject on scim_entry (kind, subject);

-- How far the log was read for them, and which server works now.
create table scim_worker (
    name   text    primary key,
    next   bigint  not null,
    holder text    not null,
    until  bigint  not null,
    mac    {bytes} not null
) {keyed};
