//! The schema as PostgreSQL's catalog tells it, one fact a line, sorted: the same for every supported major.

use sqlx::PgPool;

/// sqlx's own book-keeping is not ours.
const FACTS: &str = r#"
with tables as (
    select oid, relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') and relname <> '_sqlx_migrations'
)
select relname || ' column ' || attname || ' ' || format_type(atttypid, atttypmod)
       || case when attnotnull then ' not null' else '' end
       || case attidentity when 'a' then ' identity always' when 'd' then ' identity' else '' end
       || case when attgenerated = 's' then ' generated' else '' end
       || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') as fact
from tables
join pg_attribute on attrelid = tables.oid and attnum > 0 and not attisdropped
left join pg_attrdef on adrelid = tables.oid and adnum = attnum
union all
select relname || ' constraint ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
from tables join pg_constraint on conrelid = tables.oid
-- From 18 on, not-null is a constraint as well; the column says it already.
where contype <> 'n'
union all
select tablename || ' index ' || indexname || ' ' || indexdef
from pg_indexes where schemaname = 'public' and tablename <> '_sqlx_migrations'
union all
select relname || ' trigger ' || pg_get_triggerdef(pg_trigger.oid)
from tables join pg_trigger on tgrelid = tables.oid and not tgisinternal
union all
select 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ') '
       || regexp_replace(prosrc, '\s+', ' ', 'g')
from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'type ' || typname || ' ' || coalesce((select string_agg(enumlabel, ', ' order by enumsortorder)
                                              from pg_enum where enumtypid = pg_type.oid), '')
from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
"#;

pub(crate) async fn describe(pool: &PgPool) -> sqlx::Result<String> {
    let mut facts: Vec<String> = sqlx::query_scalar(FACTS).fetch_all(pool).await?;
    // Not by the server: its order depends on the locale.
    facts.sort();
    let mut text = facts.join("\n");
    text.push('\n');
    Ok(text)
}
