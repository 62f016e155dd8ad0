-- How many entries of the audit log there were each day, for the charts of the overview, and
-- the numbers of its alarms. Both are counted from the log and give nobody any power: what
-- counts is the log.
create table counted (
    day  bigint not null, -- since 1970, in the zone of the installation; -1 is how far was counted
    what text   not null, -- "let in", "refused REASON", "shown KIND"; of day -1 "next"
    n    bigint not null,
    primary key (day, what)
);
create table raised (
    seq bigint primary key -- the entry's number
);
