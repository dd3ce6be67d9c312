-- Flyway's rows in the order of their making: later ones may undo or delete earlier ones.
select coalesce(version, '')::text, description::text, script::text, type::text,
       coalesce(checksum::text, ''), success
from {table}
order by installed_rank
