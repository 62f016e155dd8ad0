-- Whether anybody was let in from an address, which says who waits behind whom.
create index known_source_source on known_source (source);
