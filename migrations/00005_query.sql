-- The order in which lists are shown that ask for none, and by meta.created: one
-- connection's living resources by the time they were made. Made beside writers;
-- what an interrupted run has left is made anew.

-- +goose NO TRANSACTION
-- +goose Up
drop index concurrently if exists users_made;
create index concurrently users_made on users (tenant_id, connection_id, created_at, id) where deleted_at is null;
drop index concurrently if exists groups_made;
create index concurrently groups_made on groups (tenant_id, connection_id, created_at, id) where deleted_at is null;
drop index concurrently if exists resources_made;
create index concurrently resources_made on resources (tenant_id, connection_id, resource_type, created_at, id) where deleted_at is null;
drop index concurrently if exists resources_type;  -- resources_made serves in its place

-- +goose Down
drop index concurrently if exists users_made;
drop index concurrently if exists groups_made;
create index concurrently if not exists resources_type on resources (tenant_id, connection_id, resource_type, id) where deleted_at is null;
drop index concurrently if exists resources_made;
