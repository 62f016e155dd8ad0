-- Every column that decides anything is under a seal or a MAC from here on, and what was
-- put back or removed is told from the newest: see docs/threat-database.md. A row of
-- before has no MAC; the first start of this release binds what stands, once.

-- Which groups, authenticators, names, addresses and recoveries an account has, with the
-- version of each: what is missing shows, and so does what was put back.
alter table account add column version bigint not null default 0;
alter table account add column roster {bytes};
alter table account add column roster_mac {bytes};
alter table account_alias add column mac {bytes};
alter table address add column mac {bytes};
alter table team add column version bigint not null default 0;
-- Counts what makes an authenticator powerful, and not each of its answers.
alter table credential add column power bigint not null default 0;
alter table recovery add column version bigint not null default 0;
alter table offline_list add column version bigint not null default 0;
alter table application add column version bigint not null default 0;
alter table drill_report add column mac {bytes};
alter table approval add column mac {bytes};
alter table guess add column mac {bytes};
alter table known_source add column mac {bytes};
alter table app_count add column mac {bytes};
alter table wake add column mac {bytes};
alter table sent add column mac {bytes};
alter table notice add column mac {bytes};
alter table quiet add column mac {bytes};

-- Sessions, attempts, links and forms of before are over: people sign in once more.
delete from session;
delete from ticket;
delete from attempt;
delete from approval;
alter table session add column mac {bytes};

-- Rows that were found to be changed behind our back: each is an alarm in the log, once.
create table alarm (
    name    text   primary key,                -- table, row and what is wrong
    tbl     text   not null,
    row_key text   not null,
    wrong   text   not null,
    account bigint not null default 0,
    at      bigint not null,
    seen    bigint not null default 0,          -- when an administrator saw it
    mac     {bytes} not null
);
create index alarm_at on alarm (at);
