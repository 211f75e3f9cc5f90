package conformance

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed */*.txtar
var files embed.FS

// Transcripts returns every transcript of this package in the order of their
// names, "entra/manager" for one.
func Transcripts() ([]*Transcript, error) {
	names, err := fs.Glob(files, "*/*.txtar")
	if err != nil {
		return nil, err
	}
	var all []*Transcript
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		t, err := Parse(strings.TrimSuffix(name, ".txtar"), text)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}
