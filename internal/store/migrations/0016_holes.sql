-- What happened once and for good, such as that there has been an administrator. A
-- row that is there counts, also one that is not believed: deleting it is all that
-- could help anybody, and the audit log then says it instead.
create table milestone (
    name    text   primary key,
    account bigint not null default 0,
    at      bigint not null,
    mac     {bytes} not null
) {keyed};
-- Why an authenticator is active no more: since when, by what and by whom ("owner",
-- "administrator/7", "recovery/3"); and who handed it over, where its owner did not set
-- it up. What is switched off or taken away by others still counts as had.
alter table credential add column ended bigint not null default 0;
alter table credential add column ender text not null default '';
alter table credential add column assigned bigint not null default 0;
-- When the bound browser took its first pass: what came since came of the recovery.
alter table recovery add column collected bigint not null default 0;
-- A keyed digest of a token's seed, so that one seed is not two tokens of two people.
-- Null for what was imported before, and once it is revoked.
alter table token add column likeness {bytes};
create unique index token_likeness on token (likeness);
-- Whose authenticator or account a guess budget is of, so that all of an account's are
-- found at one look, and nothing where nothing was wrong.
alter table guess add column owner bigint not null default 0;
update guess set owner = cast(substr(subject, 9) as bigint) where subject like 'account/%';
update guess set owner = coalesce((select c.account from credential c where c.id = cast(substr(guess.subject, 12) as bigint)), 0)
    where subject like 'credential/%';
create index guess_owner on guess (owner) where owner <> 0;
