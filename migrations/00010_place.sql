-- People are switched and renamed all the time. A quarter of each page is kept for the next
-- versions of its rows: a change then writes no index, and the table does not grow with it.

-- +goose Up
alter table users set (fillfactor = 75);

-- +goose Down
alter table users reset (fillfactor);
