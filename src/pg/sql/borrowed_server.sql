-- Who we are on a server that is to hold a shadow, and what it is.
select current_setting('server_version')::text, current_setting('server_version_num')::int4,
       current_setting('block_size')::int4, pg_is_in_recovery(),
       coalesce((select rolsuper from pg_roles where rolname = current_user), false),
       current_user::text, coalesce(host(inet_client_addr()), 'local')
