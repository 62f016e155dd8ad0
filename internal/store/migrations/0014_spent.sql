-- What was spent, in the order of steps and counters and not of authenticators: the
-- codes of one moment are neighbours then, and those who sign in together write a
-- few pages instead of one each.
create table spent_anew (
    once       text   not null,
    credential bigint not null,
    at         bigint not null,
    primary key (once, credential)
) {keyed};
insert into spent_anew (once, credential, at) select once, credential, at from spent order by once, credential;
drop table spent;
alter table spent_anew rename to spent;
