-- How many requests to approve there were and what became of them, for charts.
-- What counts is the audit log.
create table prompted (
    account bigint not null,
    day     bigint not null, -- since 1970, UTC
    what    text   not null, -- asked, pushed, approved, refused, disowned, wrong, closed
    n       bigint not null,
    primary key (account, day, what)
);
create index prompted_day on prompted (day);
