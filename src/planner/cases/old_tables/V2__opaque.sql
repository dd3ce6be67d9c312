do $$ begin execute 'create table made (a int primary key)'; execute 'alter index other rename to kept'; end $$;
