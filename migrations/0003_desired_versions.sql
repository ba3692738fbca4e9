-- What each gateway should run. `change` is when it changed, in commit order: it comes from the locked head row,
-- so that a reader who asks for all changes after N never misses one that committed late.
create table desired_head (
    singleton boolean primary key default true check (singleton),
    change bigint not null
);
insert into desired_head (change) values (0);

create table desired_versions (
    gateway uuid primary key references gateways,
    config text not null,
    revision bigint not null,
    digest bytea not null check (octet_length(digest) = 32),
    generation bigint not null check (generation >= 1),
    -- The rollout it is part of; null: placed on the fleet's stable revision.
    rollout uuid,
    assigned_at timestamptz not null default now(),
    change bigint not null
);

create index desired_versions_change on desired_versions (change);

create function generation_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'generation % of gateway % cannot follow %', new.generation, old.gateway, old.generation
        using errcode = 'integrity_constraint_violation', constraint = 'desired_versions_generation';
end $$;

-- Other content needs a higher generation; the same content may join another rollout as it is.
create trigger desired_versions_generation before update on desired_versions
    for each row when (
        new.generation < old.generation
        or new.generation = old.generation and (new.config, new.revision, new.digest)
            is distinct from (old.config, old.revision, old.digest)
    )
    execute function generation_only_grows();
