-- What the provisioning log keeps of a request: how it came, without secrets,
-- what was understood, and what was answered.

-- +goose Up
alter table provisioning_requests
	add column subject uuid,                 -- the resource concerned; null: none, or none was found
	add column query text,
	add column agent text,
	add column body text,                    -- as it came, without secrets and bounded; still JSON
	add column found int,                    -- how many resources a list holds
	add column scim_type text,
	add column detail text,                  -- of a refusal
	add column micros bigint;                -- from the headers to the row; null: not measured
alter table provisioning_requests set (toast_tuple_target = 4080);  -- a usual row is 2 kB: see users

-- +goose Down
alter table provisioning_requests
	drop column subject, drop column query, drop column agent, drop column body,
	drop column found, drop column scim_type, drop column detail, drop column micros;
