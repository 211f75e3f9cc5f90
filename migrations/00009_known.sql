-- The first plans are good for identities, roles and e-mail addresses too.

-- +goose Up

-- As 00007 shows PostgreSQL rows of some tables before the first come, so these.
-- +goose StatementBegin
do $$
declare
	examples constant int := 300;
	example uuid;
begin
	perform set_config('muster.connection', 'all', true);
	for n in 1 .. examples loop
		example := md5(n::text)::uuid;
		perform set_config('muster.tenant', example::text, true);
		insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, resource, search)
			values (example, example, example, n, n, false, '{}', '{}');
		insert into identities (tenant_id, connection_id, issuer, subject, user_id) values (example, example, n, n, example);
		insert into assignments (tenant_id, connection_id, user_id, role, rule, rule_set, facts, from_change)
			values (example, example, example, n, n, 1, '[]', n);
		insert into user_values (tenant_id, connection_id, attribute, value_key, user_id) values (example, example, n, n, example);
	end loop;
	analyze identities, assignments, user_values;
	for n in 1 .. examples loop
		example := md5(n::text)::uuid;
		perform set_config('muster.tenant', example::text, true);
		delete from user_values where tenant_id = example;
		delete from assignments where tenant_id = example;
		delete from identities where tenant_id = example;
		delete from users where tenant_id = example;
	end loop;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1 / 0;  -- nothing is gained by going back
