-- A landing place for COPY without WAL. Unlogged: a crash of the server empties it, a standby
-- does not have it. Rows must therefore be copied again from their source, or moved out soon.
create unlogged table {{ staging }} (like {{ table }} including defaults);

-- Moves up to p_limit rows; each row exactly once, also with several callers at a time.
create function {{ function }}(p_limit integer default 50000) returns bigint
language sql as $$
    with batch as (
        delete from {{ staging }}
        where ctid = any (array(
            select ctid from {{ staging }} limit p_limit for update skip locked
        ))
        returning *
    ), moved as (
        insert into {{ table }} select * from batch returning 1
    )
    select count(*) from moved;
$$;
