package main

import "context"

func lookUp(ctx context.Context, w *world) error { return nil }
func patch(ctx context.Context, w *world) error  { return nil }
func member(ctx context.Context, w *world) error { return nil }
func check(ctx context.Context, w *world) error  { return nil }
