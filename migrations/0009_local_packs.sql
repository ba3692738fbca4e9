-- What a gateway said it runs that no control plane assigned to it: a change under broken glass. It has no generation;
-- where it is there, it runs instead of what was observed last.
alter table gateways
    add column local_digest bytea check (octet_length(local_digest) = 32),
    add column local_version text,
    add column local_since timestamptz,
    add constraint gateways_local_whole check (
        (local_digest is null) = (local_version is null) and (local_digest is null) = (local_since is null)
    );
