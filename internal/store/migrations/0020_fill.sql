-- What a notice is completed with as it is sent, so that a secret which a mail holds is in
-- no row: the letter of an invitation. How many of them an address was sent is counted.
alter table notice add column fill text not null default '';
create index notice_address on notice (address, created);
