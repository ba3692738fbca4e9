-- The highest generation of this lineage that a gateway said it has seen, where that is above all it was ever assigned
-- here: this database was restored from a backup. What it is assigned next is above it, or it would refuse it.
alter table gateways add column seen_generation bigint not null default 0
    constraint gateways_seen_generation check (seen_generation >= 0);
