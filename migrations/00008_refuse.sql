-- How a statement says no. Every transaction begins with two that name the tenant and
-- verify the credential; enter and enter_meeting, which did both, are of servers of before.

-- +goose Up

-- refuse ends the transaction, with an SQLSTATE of our own.
-- +goose StatementBegin
create function refuse(state text, reason text) returns bigint
language plpgsql volatile as $$
begin
	raise exception '%', reason using errcode = state;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function refuse(text, text);
