-- A token may be let write resources of some types only.

-- +goose Up
alter table credentials add column writes text[] check (cardinality(writes) > 0);    -- names of resource types; null: all

-- +goose Down
select 1 / 0;  -- tokens that write little would write all
