-- Config names and their immutable revisions. `head` is the newest revision and the lock of every publisher:
-- a revision is allocated by updating it in the publishing transaction, so numbers have no gaps.
create table configs (
    name text primary key,
    head bigint not null default 0 check (head >= 0)
);

create table config_revisions (
    name text not null references configs,
    revision bigint not null check (revision >= 1),
    version text not null,
    digest bytea not null check (octet_length(digest) = 32),
    source bytea not null,
    author text not null,
    note text not null,
    created_at timestamptz not null default now(),
    primary key (name, revision),
    constraint config_revisions_digest unique (name, digest)
);

create index config_revisions_version on config_revisions (name, version);
create index config_revisions_by_digest on config_revisions (digest);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % never change', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_immutable';
end $$;

create trigger config_revisions_immutable before update on config_revisions
    for each row execute function refuse_change();
