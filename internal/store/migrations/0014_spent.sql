-- What was spent, in the order of steps and counters and not of authenticators: the
-- codes of one moment are neighbours then, and those who sign in together write a
-- few pages instead of one each. The old table loses its name first, so that what
-- another server spends meanwhile waits for the new one.
alter table spent rename to spent_before;
create table spent (
    once       text   not null,
    credential bigint not null,
    at         bigint not null,
    primary key (once, credential)
) {keyed};
insert into spent (once, credential, at) select once, credential, at from spent_before order by once, credential;
drop table spent_before;
