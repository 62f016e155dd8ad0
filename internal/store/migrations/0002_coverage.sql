-- What coverage rests on besides policy and people. The table drill of 0001 was
-- never written to: a row of it could not say which application was attacked.
drop table drill;

-- Rows of M1032 that this organisation declared to have nothing for.
create table declaration (
    technique text   primary key,
    reason    text   not null,
    author    text   not null,
    created   bigint not null,
    expires   bigint not null,
    mac       {bytes} not null
);

-- Signed reports of drills as they were handed in.
create table drill_report (
    id       {identity},
    digest   text   not null unique,
    body     text   not null,
    author   text   not null,
    recorded bigint not null
);

-- The newest result for each row and application; '' is the whole installation.
create table drill_result (
    technique   text   not null,
    application text   not null,
    at          bigint not null,
    passed      bigint not null,
    detail      text   not null,
    report      bigint not null,
    mac         {bytes} not null,
    primary key (technique, application)
);
