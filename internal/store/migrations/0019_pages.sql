-- The log's entries by account, in pages of 4096 entries: what is written together lies
-- together, in a dozen pages of the file and not in one for each account. Whoever reads an
-- account's entries asks page by page.
create index audit_entry_page on audit_entry ((seq >> 12), account, seq);
drop index audit_entry_account;
