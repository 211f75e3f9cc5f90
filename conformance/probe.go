package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Probe asks the service provider what it offers, in the words of the line "Needs:"
// of transcripts: the features of its ServiceProviderConfig that it supports (patch,
// bulk, filter, changePassword, sort, etag), cursor for cursors (RFC 9865 §4), the
// names of its ResourceTypes, and empty where it holds neither users nor groups.
func Probe(ctx context.Context, provider Provider) ([]string, error) {
	var config map[string]json.RawMessage
	if err := read(ctx, provider, "/ServiceProviderConfig", &config); err != nil {
		return nil, err
	}
	var offers []string
	for name, text := range config {
		var feature struct{ Supported, Cursor bool }
		if json.Unmarshal(text, &feature) != nil {
			continue // no feature
		}
		if feature.Supported {
			offers = append(offers, name)
		}
		if name == "pagination" && feature.Cursor {
			offers = append(offers, "cursor")
		}
	}
	var types struct{ Resources []struct{ Name string } }
	if err := read(ctx, provider, "/ResourceTypes", &types); err != nil {
		return nil, err
	}
	for _, resourceType := range types.Resources {
		offers = append(offers, resourceType.Name)
	}
	held, err := countAll(ctx, provider)
	if err == nil && held == 0 {
		offers = append(offers, empty)
	}
	slices.Sort(offers)
	return offers, err
}

func read(ctx context.Context, provider Provider, target string, v any) error {
	p := newPlayer(provider)
	defer p.client.CloseIdleConnections()
	answer, err := p.send(ctx, Request{Method: http.MethodGet, Target: target})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("GET %s: got status %d, want 200: %.300s", target, answer.Status, answer.Body)
	}
	return json.Unmarshal([]byte(answer.Body), v)
}
